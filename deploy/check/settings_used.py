"""Which settings each function reads, found in the code; and which of them the template declares.

Settings are read in one place, the composition root `shared/app.py` (a test of the house keeps it
so). From the builder that a function names, this follows the calls inside of that module and takes
every `settings.<name>` on the way.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

from deploy.check.problems import Problem
from deploy.check.rendered import Rendered
from shared.errors import SettingsError
from shared.settings import Settings, read_settings

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
        used = settings_used(file, code / "shared" / "app.py")
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


def settings_used(function: Path, root: Path) -> set[str]:
    """The settings that a function reads.

    Args:
        function: the file of the function's module.
        root: the file of the composition root.
    """
    module = ast.parse(function.read_text(encoding="utf-8"))
    builders = {
        node.name: node
        for node in ast.walk(ast.parse(root.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }
    found, waiting, seen = set(_settings(module)), _names(module), set[str]()
    while waiting:
        name = waiting.pop()
        if name in builders and name not in seen:
            seen.add(name)
            found |= set(_settings(builders[name]))
            waiting |= _names(builders[name])
    return found


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
