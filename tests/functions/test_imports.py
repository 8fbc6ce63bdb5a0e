"""The rules of the house about who may import what, kept by reading and by trying."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
FUNCTIONS = ("clock", "delivery_events", "mail_api", "send_mail", "webhooks")
# Those of them that send.
SENDERS = ("clock", "mail_api", "send_mail")
# The composition root: the builders of the functions, and what they are made with.
ROOT_MODULES = ("shared.app", "shared.wiring")
# Rooms that do no I/O: what they need is handed in.
PURE = ("schema", "triggers", "sending", "delivery", "api", "hooks")

# What a pure module may import from outside, all of it computing only.
COMPUTING = frozenset(
    {
        "__future__",
        "base64",
        "binascii",
        "collections",
        "contextlib",
        "dataclasses",
        "datetime",  # without its clocks, see CLOCKS
        "functools",
        "hashlib",
        "hmac",
        "html",  # text in, text out
        "idna",
        "itertools",
        "json",
        "math",
        "pydantic",
        "pydantic_core",
        "re",
        "structlog",  # the log lines are the one effect that is not handed in
        "typing",
        "unicodedata",
        "urllib.parse",  # text in, text out
        "xml.parsers",  # likewise: expat
        "zlib",
    }
)
# Module -> what it may import beyond that, and why.
EXCEPTIONS = {
    # Writes the schemas into docs/ at a developer's command; no function calls that.
    "shared.schema.export": {"pathlib"},
}
# Calls that reach out of a program without an import.
CLOCKS = {("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today")}
REACHING_OUT = {"open", "print", "input", "eval", "exec", "__import__", "breakpoint"}

# What the edge may know of the rooms further in: values, errors, and nothing that decides.
VALUE_TYPES = {
    "shared.errors",
    "shared.sending.answers",
    "shared.sending.compose",
    "shared.sending.identity",
    "shared.sending.letters",
    "shared.triggers.context",
    "shared.values",
}
# Module -> what of another room it may know beyond that, and why.
SHARED_TOOLS = {
    # SDKs are imported without what waits for its first use.
    "shared.cloud.directmail_sdk": {"shared.sdk_loading"},
    # Tablestore's keeps connections as SMQ's does, with the same certificates, and its instance is
    # frozen as well.
    "shared.stores.tablestore.sdk": {
        "shared.cloud.idle",
        "shared.sdk_loading",
        "shared.cloud.tls",
    },
}


class Import(NamedTuple):
    """One import: who, whom, and in which line."""

    importer: str
    imported: str
    line: int

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.imported}"


@lru_cache(maxsize=1)
def trees() -> dict[str, ast.Module]:
    """Every module of the product, by its name, parsed."""
    files = [
        file
        for package in ("functions", "shared", "local", "deploy")
        for file in sorted((ROOT / package).rglob("*.py"))
    ]
    return {
        ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): ast.parse(
            file.read_text(encoding="utf-8")
        )
        for file in files
    }


def imports() -> Iterator[Import]:
    """Every import anywhere, also those inside of functions.

    `from a import b` counts as an import of `a.b` where that is a module of ours.
    """
    for importer, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield Import(importer, alias.name, node.lineno)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{importer}:{node.lineno} imports relatively"
                for alias in node.names:
                    whole = f"{node.module}.{alias.name}"
                    imported = whole if whole in trees() else str(node.module)
                    yield Import(importer, imported, node.lineno)


def within(module: str, *packages: str) -> bool:
    """Whether a module is one of the packages or inside of one."""
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def is_pure(module: str) -> bool:
    """Whether a module is in one of the rooms that do no I/O."""
    return within(module, *(f"shared.{room}" for room in PURE))


def is_implementation(module: str) -> bool:
    """Whether a module does I/O for others: the edge, and the stores behind their protocol."""
    return within(module, "shared.cloud", "shared.stores") and module not in {
        "shared.cloud",
        "shared.stores",
        "shared.stores.events",
        "shared.stores.ledger",
        "shared.stores.recipients",
        "shared.stores.suppressions",
    }


def test_the_reader_reads() -> None:
    """The test sees the imports it is about, top-level ones and those inside of functions."""
    seen = {(each.importer, each.imported) for each in imports()}
    assert ("functions.send_mail", "shared.app") in seen
    assert ("shared.wiring.stores", "shared.stores.sqlite.ledger") in seen
    assert {f"functions.{name}" for name in FUNCTIONS} | {"functions"} == {
        module for module in trees() if within(module, "functions")
    }


def test_functions_are_imported_by_nobody() -> None:
    """The doors open from outside only: the platform and its twin load them by their names."""
    assert [str(each) for each in imports() if within(each.imported, "functions")] == []


def test_the_product_stands_without_the_workshop() -> None:
    """What is deployed imports nothing of `local` and `deploy`."""
    assert [
        str(each)
        for each in imports()
        if within(each.importer, "functions", "shared") and within(each.imported, "local", "deploy")
    ] == []


def test_functions_go_through_the_root() -> None:
    """A door imports the composition root and its trigger's envelope; no room behind."""
    assert [
        str(each)
        for each in imports()
        if within(each.importer, "functions")
        and not within(each.imported, "shared.app", "shared.triggers", "shared.api.door")
        # coldstart: it has to come before anything else is imported.
        and each.imported not in {"__future__", "typing", "shared.coldstart"}
    ] == []


def test_pure_rooms_do_no_io() -> None:
    """The rooms inside import nothing that reads or writes, looks at a clock, or rolls dice."""
    assert [
        str(each)
        for each in imports()
        if is_pure(each.importer)
        and not within(each.imported, "shared")
        and not within(each.imported, *COMPUTING, *EXCEPTIONS.get(each.importer, ()))
    ] == []


def test_pure_rooms_call_no_clock_and_no_file() -> None:
    """The rooms inside do not reach out through what needs no import, either."""
    found = []
    for module, tree in trees().items():
        for node in ast.walk(tree):
            if not is_pure(module) or not isinstance(node, ast.Call):
                continue
            call = node.func
            if isinstance(call, ast.Name) and call.id in REACHING_OUT:
                found.append(f"{module}:{node.lineno} calls {call.id}")
            if (
                isinstance(call, ast.Attribute)
                and isinstance(call.value, ast.Name)
                and (call.value.id, call.attr) in CLOCKS
            ):
                found.append(f"{module}:{node.lineno} calls {call.value.id}.{call.attr}")
    assert found == []


def test_every_exception_is_needed() -> None:
    """An exception that nobody needs any more is taken out of the list."""
    used = {(each.importer, each.imported) for each in imports()}
    assert [
        (module, name)
        for module, names in EXCEPTIONS.items()
        for name in names
        if (module, name) not in used
    ] == []


def test_pure_rooms_know_no_implementation() -> None:
    """The rooms inside know the ledger's protocol, but no store, nor the edge, nor the root."""
    assert [
        str(each)
        for each in imports()
        if is_pure(each.importer)
        and (
            is_implementation(each.imported)
            or within(each.imported, *ROOT_MODULES, "shared.settings", "shared.logs")
        )
    ] == []


def test_the_edge_knows_no_use_case() -> None:
    """Edge and stores know values and errors of the rooms inside, and nothing that decides."""
    assert [
        str(each)
        for each in imports()
        if within(each.importer, "shared.cloud", "shared.stores")
        and within(each.imported, "shared")
        and not within(each.imported, ".".join(each.importer.split(".")[:2]))
        and each.imported not in VALUE_TYPES
        and each.imported not in SHARED_TOOLS.get(each.importer, ())
    ] == []


def test_only_the_wiring_chooses() -> None:
    """Of what is deployed, the composition root alone imports implementations."""
    assert [
        str(each)
        for each in imports()
        if within(each.importer, "functions", "shared")
        and is_implementation(each.imported)
        and not within(each.importer, "shared.cloud", "shared.stores", *ROOT_MODULES)
    ] == []


def test_nobody_imports_the_root_but_the_doors() -> None:
    """Inside of `shared` nothing depends on how it is put together, and no wiring on the app."""
    assert [
        str(each)
        for each in imports()
        if (within(each.importer, "shared") and within(each.imported, "shared.app"))
        or (within(each.imported, "shared.wiring") and not within(each.importer, *ROOT_MODULES))
    ] == []


def test_a_door_pays_for_no_other() -> None:
    """Of the wiring, the app imports at its top only what every function needs."""
    at_top = {
        node.module
        for node in trees()["shared.app"].body
        if isinstance(node, ast.ImportFrom) and within(str(node.module), "shared.wiring")
    }
    assert at_top == {"shared.wiring.edge"}


def test_the_schema_stands_alone() -> None:
    """The contract depends on no other room, so that anybody can use it by itself."""
    assert [
        str(each)
        for each in imports()
        if within(each.importer, "shared.schema")
        and within(each.imported, "shared")
        and not within(each.imported, "shared.schema")
    ] == []


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_door_is_small(name: str) -> None:
    """A function's module reads, makes one call and maps the answer; 80 lines hold that."""
    assert len((ROOT / "functions" / f"{name}.py").read_text(encoding="utf-8").splitlines()) <= 80


# --- In a process of its own ---------------------------------------------------------------------

# Loads a function as the platform does, makes it ready, and says what is in memory then.
LOAD = """
import importlib, json, sys
module = importlib.import_module("functions." + sys.argv[1])
at_import = sorted(sys.modules)
module.initialize(None)
print(json.dumps({"import": at_import, "ready": sorted(sys.modules)}))
"""
# The SDK that sends, and what it alone brings along.
SENDING = (
    "alibabacloud_dm20151123",
    "alibabacloud_tea_openapi",
    "darabonba",
    "aiohttp",
    "requests",
)
# Not `rich`: structlog loads it where it happens to be installed, as on this machine.
WORKSHOP = ("local", "deploy", "uvicorn", "starlette", "typer", "httpx", "pytest", "yaml")


@lru_cache(maxsize=len(FUNCTIONS))
def loaded(name: str, folder: Path) -> dict[str, list[str]]:
    """The modules in memory after a function's import, and after its initializer."""
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "POSTBUS_ENVIRONMENT": "test",
        "POSTBUS_SMQ_ENDPOINT": "http://127.0.0.1:9",
        "POSTBUS_SUPPRESSION_KEY": "no secret, but it has the length",
        "POSTBUS_LEDGER": f"sqlite:{folder / 'ledger.db'}",
    }
    process = subprocess.run(  # noqa: S603  # our own program, above
        [sys.executable, "-c", LOAD, name],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    modules: dict[str, list[str]] = json.loads(process.stdout.splitlines()[-1])
    return modules


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place for the ledger."""
    return tmp_path_factory.mktemp("functions")


def found(modules: list[str], packages: tuple[str, ...]) -> set[str]:
    """Which of the packages are in memory."""
    return {package for package in packages for module in modules if within(module, package)}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_only_who_sends_loads_the_sending_sdk(name: str, folder: Path) -> None:
    """Who does not send never imports the DirectMail SDK, most of a cold start; the others do."""
    modules = loaded(name, folder)
    sends = name in SENDERS
    assert found(modules["import"], SENDING) == set()
    assert ("alibabacloud_dm20151123" in modules["ready"]) is sends
    assert ("shared.cloud.directmail" in modules["ready"]) is sends
    if not sends:
        assert found(modules["ready"], SENDING) == set()


def test_only_a_push_pays_for_certificates(folder: Path) -> None:
    """The package that reads them is large; `webhooks` loads it when the first push comes."""
    assert found(loaded("webhooks", folder)["ready"], ("cryptography",)) == set()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_nothing_of_the_workshop_is_loaded(name: str, folder: Path) -> None:
    """No function loads what exists only on a developer's machine."""
    assert found(loaded(name, folder)["ready"], WORKSHOP) == set()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_initializer_makes_ready(name: str, folder: Path) -> None:
    """What a function needs is loaded by its initializer, not by its first request."""
    ready = loaded(name, folder)["ready"]
    needed = {
        "clock": "shared.sending.consumer",
        "delivery_events": "shared.delivery.forward",
        "mail_api": "shared.api.routes",
        "send_mail": "shared.sending.consumer",
        "webhooks": "shared.hooks.routes",
    }
    assert {needed[name], "shared.stores.sqlite.ledger", "shared.cloud.smq"} <= set(ready)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_settings_that_are_missing(name: str) -> None:
    """Without settings the initializer fails and names the variable that is missing."""
    process = subprocess.run(  # noqa: S603  # our own program, above
        [sys.executable, "-c", LOAD, name],
        cwd=ROOT,
        env={"PATH": os.environ.get("PATH", "")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert process.returncode == 1
    assert "SettingsError: POSTBUS_ENVIRONMENT" in process.stderr
