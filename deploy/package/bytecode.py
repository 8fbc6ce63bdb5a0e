"""Compiles files with the runtime's own Python."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from deploy.package.errors import PackageError
from deploy.package.targets import Interpreter

# Where Function Compute unpacks a function's code.
CODE = "/code"
_PROGRAM = Path(__file__).with_name("compile_program.py")
# The order of sets reaches .pyc files (https://bugs.python.org/issue37596, mended in 3.11).
_ENVIRONMENT = {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C.UTF-8"}


def compile_files(files: Mapping[str, bytes], interpreter: Interpreter) -> dict[str, bytes]:
    """The .pyc of each Python file.

    Args:
        files: path with `/` -> content; what is no Python file is left alone.
        interpreter: compiles for its own version.

    Returns:
        Path of the .pyc, in the `__pycache__` beside its file -> content.

    Raises:
        PackageError: a file is no Python of that version.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for path, content in files.items():
            if path.endswith(".py"):
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(content)
        _compile(folder, interpreter)
        return {
            compiled.relative_to(folder).as_posix(): compiled.read_bytes()
            for compiled in folder.rglob("*.pyc")
        }


def source_of(path: str) -> str:
    """The Python file that a .pyc was compiled from; any other path as it is."""
    folder, cache, name = f"/{path}".rpartition("/__pycache__/")
    return f"{folder}/{name.partition('.')[0]}.py".lstrip("/") if cache else path


def _compile(folder: Path, interpreter: Interpreter) -> None:
    command = [str(interpreter.path), "-s", "-S", "-W", "ignore", str(_PROGRAM), str(folder), CODE]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=_ENVIRONMENT)  # noqa: S603  # our own program
    if done.returncode:
        raise PackageError(
            f"Python {interpreter.version} cannot compile everything; files that are never "
            f"imported belong into LEFT_OUT_FILES:\n{done.stderr.strip()}"
        )
