"""The packages themselves: their bytes, what is in them, and that they run where they will run."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy.package.build import Package
from deploy.package.contents import (
    FUNCTIONS,
    GROUPS,
    LEFT_OUT,
    LEFT_OUT_FILES,
    PLAIN,
    SENDER,
    ZIP_BYTES_MAX,
)
from deploy.package.lock import read_lock
from deploy.package.manifest import NAME
from deploy.package.targets import TARGETS, Interpreter
from deploy.package.wheels import fetch, sha256_of, unpack
from local.host.host import Host
from local.host.instances.invocation import Invocation
from local.stack import Stack, StackOptions, running

pytestmark = pytest.mark.stack

ROOT = Path(__file__).parents[2]
EVENTS = ROOT / "events"

Packages = Callable[[str], dict[str, Package]]
Interpreters = Callable[[str], Interpreter]

runtimes = pytest.mark.parametrize("runtime", TARGETS)
groups = pytest.mark.parametrize("group", GROUPS)

FIRST = next(iter(TARGETS))
# Nothing of this machine's site-packages: the zip has to have everything.
ALONE = '#!/bin/sh\nexec "%s" -S -s "$@"\n'
# Modules of what stays out; a package that has one has more than was decided.
MODULES = {
    SENDER: {"aiofiles", "aiohttp", "apscheduler", "cryptography", "numpy", "websocket", "Crypto"},
    PLAIN: {
        "aiohttp",
        "alibabacloud_dm20151123",
        "darabonba",
        "numpy",
        "requests",
        "Tea",
        "Crypto",
    },
}


def unpacked(package: Package) -> Path:
    """The folder that a package was unpacked into."""
    return package.path.with_suffix("")


@runtimes
def test_the_same_sources_give_the_same_bytes(
    runtime: str, packages: Packages, sources: Path, tmp_path: Path, proving: bool
) -> None:
    """Another process, folder, time, mask, time zone and seed of hashes make no difference."""
    if runtime != FIRST and not proving:
        pytest.skip("one runtime is enough outside of `make prove`")
    first = packages(runtime)
    copied = tmp_path / "elsewhere"
    shutil.copytree(sources, copied, copy_function=shutil.copy)
    (tmp_path / "tmp").mkdir()
    command = [sys.executable, "-m", "deploy.package", "--runtime", runtime]
    command += ["--root", str(copied), "--output", str(tmp_path / "again")]
    different = {"PYTHONHASHSEED": "4711", "TZ": "Asia/Shanghai", "TMPDIR": str(tmp_path / "tmp")}
    subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, **different}, umask=0o077)  # noqa: S603  # our own command
    for package in first.values():
        again = tmp_path / "again" / package.path.name
        assert json.loads(again.with_suffix(".json").read_text()) == package.manifest
        assert again.read_bytes() == package.path.read_bytes()


@runtimes
@groups
def test_every_file_is_compiled_for_the_runtime_and_never_compared(
    runtime: str, group: str, packages: Packages, interpreters: Interpreters
) -> None:
    """Each .py has its .pyc, of the runtime's own kind, which is used whatever the file's time."""
    folder = unpacked(packages(runtime)[group])
    tell = "import importlib.util; print(importlib.util.MAGIC_NUMBER.hex())"
    asked = subprocess.check_output([interpreters(runtime).path, "-c", tell], text=True)  # noqa: S603  # an interpreter of this machine
    magic = bytes.fromhex(asked.strip())
    tag = f"cpython-{TARGETS[runtime].version.replace('.', '')}"
    sources = list(folder.rglob("*.py"))
    assert len(sources) > 300
    for source in sources:
        compiled = source.parent / "__pycache__" / f"{source.stem}.{tag}.pyc"
        head = compiled.read_bytes()[:8]
        assert head[:4] == magic
        # https://docs.python.org/3/reference/import.html#pyc-invalidation
        assert int.from_bytes(head[4:8], "little") == 0b01, "an unchecked hash"


@runtimes
@groups
def test_nothing_of_this_machine_is_in_a_package(
    runtime: str, group: str, packages: Packages
) -> None:
    """No path of the builder's: tracebacks begin with /code, where the platform unpacks."""
    folder = unpacked(packages(runtime)[group])
    ours = re.compile(
        b"|".join(re.escape(str(p).encode()) for p in (ROOT, folder.parent, sys.prefix))
    )
    for path in folder.rglob("*"):
        assert not path.is_file() or not ours.search(path.read_bytes()), path
    shown = next((folder / "shared" / "__pycache__").glob("app.*.pyc")).read_bytes()
    assert b"/code/shared/app.py" in shown


@runtimes
@groups
def test_what_stays_out_is_out(runtime: str, group: str, packages: Packages) -> None:
    """No module of what was left out, no types, no tests; and not bigger than allowed."""
    package = packages(runtime)[group]
    top = {path.name for path in unpacked(package).iterdir()}
    assert top & MODULES[group] == set()
    assert {"pydantic", "tablestore", "mns", "structlog", "shared", "functions", NAME} <= top
    assert ("alibabacloud_dm20151123" in top) is (group == SENDER)
    doors = {path.stem for path in (unpacked(package) / "functions").glob("*.py")} - {"__init__"}
    assert doors == {name for name, its in FUNCTIONS.items() if its == group}
    assert package.path.stat().st_size <= ZIP_BYTES_MAX


@runtimes
def test_every_rule_of_what_is_left_out_leaves_something_out(
    runtime: str, packages: Packages
) -> None:
    """A pattern that matches no file of any dependency is forgotten there, and goes."""
    del packages  # they are fetched with it
    target = TARGETS[runtime]
    taken = [
        each
        for each in read_lock(ROOT / "requirements.lock", target)
        if any(each.name not in LEFT_OUT[group] for group in GROUPS)
    ]
    files = fetch(taken, target, ROOT / "build" / "wheels" / runtime, lambda _text: None)
    paths = [path for each in taken for path in unpack(each, files[each.name])]
    patterns = [re.compile(_as_regex(pattern)) for pattern, _ in LEFT_OUT_FILES]
    useless = [p.pattern for p in patterns if not any(p.fullmatch(path) for path in paths)]
    assert useless == []


def _as_regex(pattern: str) -> str:
    return ".*".join(re.escape(part) for part in pattern.split("*"))


@runtimes
@groups
def test_the_manifest_says_what_is_in_the_package(
    runtime: str, group: str, packages: Packages
) -> None:
    """Versions, the lock's hashes, licences with their texts, the commit; inside and beside."""
    package = packages(runtime)[group]
    inside = json.loads((unpacked(package) / NAME).read_text())
    beside = json.loads(package.path.with_suffix(".json").read_text())
    assert beside.pop("zip")["sha256"] == sha256_of(package.path)
    assert inside == beside
    assert inside["package"] == f"{group}-{runtime}"
    assert inside["commit"] is None or re.fullmatch(r"[0-9a-f]{40}", inside["commit"])
    locked = {e.name: e for e in read_lock(ROOT / "requirements.lock", TARGETS[runtime])}
    for each in inside["distributions"]:
        assert each["version"] == locked[each["name"]].version
        assert each["sha256"] in locked[each["name"]].hashes
        assert each["licence"] != "unknown", each["name"]
        assert all((unpacked(package) / path).is_file() for path in each["licence_files"])


def _queue_event(body: str) -> bytes:
    event = json.loads((EVENTS / "queue-trigger-array.json").read_text())
    event[0]["data"]["messageBody"] = body
    return json.dumps(event).encode()


def _payloads() -> dict[str, bytes]:
    """An event of its trigger for each function."""
    webhook = json.loads((EVENTS / "http-trigger-post.json").read_text())
    webhook["rawPath"] = webhook["requestContext"]["http"]["path"] = "/hooks/nobody"
    return {
        "send_mail": _queue_event((EVENTS / "mail-request.json").read_text()),
        "mail_api": (EVENTS / "http-trigger-post.json").read_bytes(),
        "clock": (EVENTS / "timer-trigger-mail.json").read_bytes(),
        "delivery_events": (EVENTS / "eventbridge-via-queue.json").read_bytes(),
        "webhooks": json.dumps(webhook).encode(),
    }


async def _invoke_all(
    stack: Stack, folders: dict[str, Path], runtime: str, python: Path
) -> dict[str, Invocation]:
    """Initialise and invoke every function once, each from its own package."""
    launch = next(iter(stack.host._functions.values()))._launch
    found = {}
    for group, folder in folders.items():
        functions = tuple(
            replace(spec, runtime=runtime)
            for spec in stack.template.functions
            if FUNCTIONS.get(spec.module) == group
        )
        host = Host(
            replace(stack.template, functions=functions, triggers=()),
            code_root=folder,
            broker=stack.broker,
            account=stack.host.account,
            activity=stack.activity,
            environment={**launch.overrides, "PYTHONDONTWRITEBYTECODE": "1"},
            python=python,
        )
        try:
            await host.warm()
            for spec in functions:
                found[spec.module] = await host.invoke(spec.name, _payloads()[spec.module])
        finally:
            await host.close()
    return found


@runtimes
def test_each_handler_runs_from_its_package_alone(
    runtime: str, packages: Packages, interpreters: Interpreters, tmp_path: Path
) -> None:
    """Unpacked, on the runtime's Python without any site-packages, against twins of the cloud."""
    python = tmp_path / "python"
    python.write_text(ALONE % interpreters(runtime).path)
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    folders = {group: unpacked(package) for group, package in packages(runtime).items()}

    async def scene() -> tuple[dict[str, Invocation], list[Any]]:
        options = StackOptions(port=0, state=tmp_path / "state", ledger="tablestore")
        async with running(options) as stack:
            found = await _invoke_all(stack, folders, runtime, python)
            return found, stack.outbox.mails(limit=10)

    found, mails = asyncio.run(scene())
    assert {name: call.error_type for name, call in found.items()} == dict.fromkeys(FUNCTIONS)
    answers = {name: json.loads(call.body) for name, call in found.items() if name != "send_mail"}
    assert found["send_mail"].body == b"1 settled"
    assert answers["mail_api"]["statusCode"] == 201, answers["mail_api"]
    assert answers["clock"] == {"mails": 1}
    assert sum(answers["delivery_events"].values()) == 1
    assert answers["webhooks"]["statusCode"] in {401, 404}
    # By the queue, by HTTP and by the timer.
    assert len(mails) == 3
