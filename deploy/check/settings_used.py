"""Which settings each function reads, found in the code; and which of them the template declares.

Settings are read in one place, the composition root: `shared/app.py` and `shared/wiring/` (a test
of the house keeps it so). From the builder that a function names, this follows every name that is
defined in these modules, or imported from one of them into another, and takes every
`settings.<name>` on the way.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from deploy.check.problems import Problem
from deploy.check.rendered import Rendered
from shared.errors import SettingsError
from shared.settings import Settings, read_settings

_DEFINES = (ast.FunctionDef, ast.ClassDef)
NAMES = frozenset(Settings.__dataclass_fields__)
# Read by the code and rightly not in the template, and why.
NOT_DECLARED: Mapping[str, str] = {
    "ca_file": "the public certificates are right in the cloud",
    "open_platform_endpoint": "the SDK knows the one address there is",
    "push_account": "it follows from smq_endpoint",
    "push_cert_hosts": "the vendor's hosts are right in the cloud",
}


def check_environment(rendered: Rendered, code: Path) -> Iterator[Problem]:
    """Variables that the code reads and the template does not declare, and the reverse.

    Args:
        rendered: the template.
        code: the folder with `functions` and `shared` in it.
    """
    for function in rendered.of("FC3::Function"):
        path = f"{function.path}.EnvironmentVariables"
        declared = set(function.get("EnvironmentVariables", default={}))
        module = str(function.get("Handler")).rpartition(".")[0]
        file = code / (module.replace(".", "/") + ".py")
        if not file.is_file():
            yield Problem(f"{function.path}.Handler", f"there is no module {module}", "handler")
            continue
        used = settings_used(file, code)
        for name in sorted(used - set(NOT_DECLARED)):
            if variable(name) not in declared:
                yield Problem(path, f"{variable(name)} is read by the code", "environment")
        for name in sorted(declared - {variable(name) for name in used}):
            yield Problem(f"{path}.{name}", "is read by nobody", "environment")


def check_values(rendered: Rendered) -> Iterator[Problem]:
    """Variables whose values the settings refuse."""
    for function in rendered.of("FC3::Function"):
        variables = function.get("EnvironmentVariables", default={})
        if not all(isinstance(value, str) for value in variables.values()):
            continue  # which is a problem of its own
        try:
            read_settings(variables)
        except SettingsError as error:
            path = f"{function.path}.EnvironmentVariables"
            yield Problem(path, str(error), "environment")


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"POSTBUS_{name.upper()}"


def settings_used(function: Path, code: Path) -> set[str]:
    """The settings that a function reads.

    Args:
        function: the file of the function's module.
        code: the folder with `shared` in it.
    """
    root = {name: ast.parse(file.read_text("utf-8")) for name, file in _root(code)}
    meanings = {name: _meanings(name, tree) for name, tree in root.items()}
    module = ast.parse(function.read_text("utf-8"))
    known = _meanings("", module)
    found, seen = set(_settings(module)), set[_Name]()
    waiting = {known[name] for name in _names(module) if name in known}
    while waiting:
        place = waiting.pop()
        definition = _definition(place, root)
        if place in seen or definition is None:
            continue
        seen.add(place)
        found |= set(_settings(definition))
        known = meanings[place.module]
        waiting |= {known[name] for name in _names(definition) if name in known}
    return found


class _Name(NamedTuple):
    """A name that a module of the composition root defines."""

    module: str
    name: str


def _root(code: Path) -> Iterator[tuple[str, Path]]:
    """The composition root's modules and their files."""
    yield "shared.app", code / "shared" / "app.py"
    for file in (code / "shared" / "wiring").glob("*.py"):
        yield f"shared.wiring.{file.stem}", file


def _meanings(module: str, tree: ast.Module) -> dict[str, _Name]:
    """What names mean in a module: its own definitions, and what it imports anywhere."""
    own = {node.name: _Name(module, node.name) for node in tree.body if isinstance(node, _DEFINES)}
    imported = {
        alias.asname or alias.name: _Name(node.module or "", alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    return own | imported


def _definition(place: _Name, root: Mapping[str, ast.Module]) -> ast.AST | None:
    """Where a name is defined; None outside of the composition root."""
    nodes = root[place.module].body if place.module in root else []
    return next((n for n in nodes if isinstance(n, _DEFINES) and n.name == place.name), None)


def _names(tree: ast.AST) -> set[str]:
    """Every name that is used."""
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def _settings(tree: ast.AST) -> Iterator[str]:
    """Every `settings.<name>` and `….settings.<name>`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in NAMES:
            owner = node.value
            if (
                getattr(owner, "id", None) == "settings"
                or getattr(owner, "attr", None) == "settings"
            ):
                yield node.attr
