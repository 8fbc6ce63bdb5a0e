"""Handlers and initializers, imported as the platform does: by their names, from the code's folder.

From the working copy they are imported with what this environment has. A built package brings all
that it needs: it is imported by the runtime's own Python with nothing else on the path.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from deploy.check.problems import Problem
from deploy.check.rendered import Made, Rendered
from deploy.package.errors import InterpreterMissing
from deploy.package.targets import TARGETS, find_interpreter

# Of a package that comes by OSS, in the smaller regions.
# https://www.alibabacloud.com/help/en/functioncompute/fc/product-overview/limits-of-usage
PACKAGE_BYTES_MAX = 100 * 1024 * 1024
_TRY = """
import importlib, json, sys
path, names = json.loads(sys.argv[1])
sys.path.insert(0, path)
found = {}
for name in names:
    module, _, inner = name.rpartition(".")
    try:
        handler = getattr(importlib.import_module(module), inner)
        found[name] = None if callable(handler) else "is not a function"
    except BaseException as error:
        found[name] = f"{type(error).__name__}: {error}"
print(json.dumps(found))
"""
_SECONDS = 120


def check_handlers(rendered: Rendered, code: Path) -> Iterator[Problem]:
    """Handlers that cannot be imported from the working copy.

    Args:
        rendered: the template.
        code: the folder with the handlers' modules.
    """
    named = _named(rendered.of("FC3::Function"))
    yield from _problems(named, _try(sys.executable, code, named))


def check_packages(rendered: Rendered, packages: Path) -> Iterator[Problem]:
    """Handlers that cannot be imported from their packages, and packages that are not there.

    Args:
        rendered: the template; a function's package is the last part of its `OssObjectName`.
        packages: the folder with the zips.
    """
    groups: dict[tuple[str, str], list[Made]] = {}
    for function in rendered.of("FC3::Function"):
        file = str(function.get("Code", "OssObjectName")).rpartition("/")[2]
        groups.setdefault((file, str(function.get("Runtime"))), []).append(function)
    for (file, runtime), functions in groups.items():
        named = _named(functions)
        where = f"{functions[0].path}.Code"
        if not (packages / file).is_file():
            yield Problem(where, f"there is no package {packages / file}", "package")
            continue
        size = (packages / file).stat().st_size
        if size > PACKAGE_BYTES_MAX:
            yield Problem(where, f"{file} has {size} bytes, more than {PACKAGE_BYTES_MAX}", "quota")
        try:
            python = find_interpreter(TARGETS[runtime]).path
        except InterpreterMissing as error:
            yield Problem(where, str(error), "package")
            continue
        with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(packages / file) as archive:
            archive.extractall(folder)
            yield from _problems(named, _try(str(python), Path(folder), named, alone=True))


def _named(functions: list[Made]) -> dict[str, str]:
    """Every handler and initializer, with where it is named."""
    named: dict[str, str] = {}
    for function in functions:
        named[str(function.get("Handler"))] = f"{function.path}.Handler"
        hook = function.get("InstanceLifecycleConfig", "Initializer", "Handler")
        if hook is not None:
            named[str(hook)] = f"{function.path}.InstanceLifecycleConfig.Initializer.Handler"
    return named


def _problems(named: Mapping[str, str], found: Mapping[str, str | None]) -> Iterator[Problem]:
    for name, problem in found.items():
        if problem is not None:
            yield Problem(named[name], f"{name} cannot be imported: {problem}", "handler")


def _try(
    python: str, code: Path, named: Mapping[str, str], *, alone: bool = False
) -> dict[str, str | None]:
    """What is wrong with each name, in a process of its own; `alone` is without site-packages."""
    process = subprocess.run(  # noqa: S603  # our own program, above
        [
            *(python, "-I", "-B", *(["-S"] if alone else [])),
            *("-c", _TRY, json.dumps([str(code.resolve()), sorted(named)])),
        ],
        cwd=code,
        env={"PATH": os.environ.get("PATH", "")},
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    if process.returncode != 0:
        return dict.fromkeys(named, process.stderr.strip()[-500:])
    found: dict[str, str | None] = json.loads(process.stdout.splitlines()[-1])
    return found
