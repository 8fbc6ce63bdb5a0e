"""The platform's runtimes, and the Python on this machine that compiles for each.

python3.10 runs on Debian 10 (glibc 2.28), python3.12 on Debian 11 (glibc 2.31), both on x86-64:
https://www.alibabacloud.com/help/en/functioncompute/fc/python/
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deploy.package.errors import InterpreterMissing

_OLD_NAMES = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
_TELL = "import platform; print(platform.python_implementation(), platform.python_version())"


@dataclass(frozen=True)
class Target:
    """A runtime of Function Compute.

    Attributes:
        runtime: its name there.
        version: of Python, e.g. `3.12`.
        glibc: the minor version of the C library that it has.
    """

    runtime: str
    version: str
    glibc: int

    @property
    def platforms(self) -> list[str]:
        """The tags of wheels that run there, the newest first."""
        found = []
        for minor in range(self.glibc, 4, -1):
            found.append(f"manylinux_2_{minor}_x86_64")
            if minor in _OLD_NAMES:
                found.append(f"{_OLD_NAMES[minor]}_x86_64")
        return found

    @property
    def environment(self) -> dict[str, str]:
        """What the markers of a lock file are evaluated with."""
        return {
            "implementation_name": "cpython",
            "implementation_version": f"{self.version}.0",
            "os_name": "posix",
            "platform_machine": "x86_64",
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": f"{self.version}.0",
            "python_version": self.version,
            "sys_platform": "linux",
            "extra": "",
        }


TARGETS = {
    target.runtime: target
    for target in (Target("python3.10", "3.10", 28), Target("python3.12", "3.12", 31))
}


@dataclass(frozen=True)
class Interpreter:
    """A Python on this machine.

    Attributes:
        path: where it is.
        version: in full, e.g. `3.12.1`.
    """

    path: Path
    version: str


def find_interpreter(target: Target) -> Interpreter:
    """A CPython of the runtime's version: on the path, kept by pyenv, or by uv.

    Raises:
        InterpreterMissing: there is none; says how to get one.
    """
    for path in _candidates(target.version):
        version = _version_of(path)
        if version and version.startswith(f"{target.version}."):
            return Interpreter(path, version)
    raise InterpreterMissing(
        f"{target.runtime}: this machine has no Python {target.version}, which has to compile the "
        f"code. Get one with `uv python install {target.version}` or `pyenv install "
        f"{target.version}`, or install python{target.version} so that it is on the path."
    )


def _candidates(version: str) -> Iterator[Path]:
    on_path = shutil.which(f"python{version}")
    if on_path:
        yield Path(on_path)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from sorted(pyenv.glob(f"versions/{version}.*/bin/python"), reverse=True)
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if uv:
        found = _output(uv, "python", "find", "--no-project", "--no-python-downloads", version)
        if found:
            yield Path(found)


def _version_of(path: Path) -> str | None:
    """The version of a CPython that starts; None of anything else (a shim without its Python)."""
    implementation, _, version = (_output(str(path), "-I", "-c", _TELL) or "").partition(" ")
    return version if implementation == "CPython" else None


def _output(*command: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)  # noqa: S603  # interpreters found on this machine, and uv
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
