# ruff: noqa: INP001  # no package: its folder has programs
"""What the benches of cold starts share: packages and naive folders, and fresh processes.

A naive folder is what one would deploy without the care that this repository takes: every locked
dependency whole, compiled. What is measured runs in processes of the runtime's own Python, without
any other site-packages, and takes its time by itself, from the first import on.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.package.build import Places, build
from deploy.package.bytecode import compile_files
from deploy.package.certificates import separate
from deploy.package.contents import GROUPS
from deploy.package.lock import read_lock
from deploy.package.source import read_sources
from deploy.package.targets import Interpreter, Target
from deploy.package.wheels import fetch, unpack

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build"
LOCK = ROOT / "requirements.lock"
# Parts of dependencies that no Python of the runtime compiles, or that take minutes and are never
# imported by anybody.
_NOT_COMPILED = ("numpy/", "Crypto/", "future/", "past/", "libfuturize/", "libpasteurize/")


@dataclass(frozen=True)
class Variant:
    """One thing to measure in a fresh process.

    Attributes:
        path: the folders that modules are found in, in that order.
        program: what is timed.
        environment: further variables.
    """

    path: tuple[Path, ...]
    program: str
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Cost:
    """What a start costs; medians over the runs.

    Attributes:
        ms: from the first import until everything is ready.
        cpu_ms: what of it the process itself was at work; hardly disturbed by a busy machine.
        modules: how many were imported.
        rss_mb: the memory that it has then.
    """

    ms: float
    cpu_ms: float
    modules: int
    rss_mb: float


_PROGRAM = """\
import sys, time
started, spent, before = time.perf_counter(), time.process_time(), len(sys.modules)
{program}
told = [1000 * (time.perf_counter() - started), 1000 * (time.process_time() - spent)]
import json
with open("/proc/self/status") as status:
    rss = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
print("\\n" + json.dumps([*told, len(sys.modules) - before, rss / 1024]))
"""


def once(python: Path, variant: Variant) -> Cost:
    """Measure a variant in one fresh process.

    Raises:
        RuntimeError: it failed; the message is what it printed.
    """
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONPATH": os.pathsep.join(map(str, variant.path)),
        "PYTHONDONTWRITEBYTECODE": "1",
        **variant.environment,
    }
    command = [str(python), "-S", "-s", "-c", _PROGRAM.format(program=variant.program)]
    with tempfile.TemporaryDirectory() as empty:
        done = subprocess.run(  # noqa: S603  # the runtime's Python and our own program
            command, env=environment, capture_output=True, text=True, check=False, cwd=empty
        )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return Cost(*json.loads(done.stdout.splitlines()[-1]))


def compare(python: Path, variants: Mapping[str, Variant], runs: int) -> dict[str, Cost]:
    """Measure all variants in turn, `runs` times, after one turn that counts for nothing."""
    for variant in variants.values():
        once(python, variant)
    found: dict[str, list[Cost]] = {name: [] for name in variants}
    for _ in range(runs):
        for name, variant in variants.items():
            found[name].append(once(python, variant))
    return {
        name: Cost(
            statistics.median(each.ms for each in costs),
            statistics.median(each.cpu_ms for each in costs),
            costs[0].modules,
            statistics.median(each.rss_mb for each in costs),
        )
        for name, costs in found.items()
    }


@contextlib.contextmanager
def server_of(name: str, *arguments: str) -> Iterator[Any]:
    """Run a server of this folder that prints one line of JSON; it ends with the block."""
    command = [sys.executable, str(ROOT / "bench" / name), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:  # noqa: S603  # our own program
        try:
            assert process.stdout is not None  # noqa: S101  # for the type checker
            yield json.loads(process.stdout.readline())
        finally:
            process.kill()


@contextlib.contextmanager
def twins(folder: Path) -> Iterator[dict[str, str]]:
    """Run the twins over TLS (`encrypted.py`) until the block ends; gives their addresses."""
    with server_of("encrypted.py", str(folder)) as addresses:
        yield addresses


def unpacked_packages(target: Target, interpreter: Interpreter) -> dict[str, Path]:
    """Unpack a runtime's packages, which are built where the last ones are of other files.

    Returns:
        Group -> the folder, as nobody has used it before.
    """
    output = BUILD / "bench" / target.runtime
    made_of, digest = output / "made-of", _digest_of_sources(interpreter)
    if not made_of.is_file() or made_of.read_text() != digest:
        shutil.rmtree(output, ignore_errors=True)
        build(Places(ROOT, output, BUILD / "wheels"), target, interpreter, tell)
        made_of.write_text(digest)
    folders = {}
    for package in output.glob("*.zip"):
        folder = package.with_suffix("")
        shutil.rmtree(folder, ignore_errors=True)
        with zipfile.ZipFile(package) as archive:
            archive.extractall(folder)
        folders[package.name.partition("-")[0]] = folder
    return folders


def _digest_of_sources(interpreter: Interpreter) -> str:
    """Of everything that a package is made of, and of what makes it."""
    digest = hashlib.sha256(f"{interpreter.version}\n".encode() + LOCK.read_bytes())
    makers = {str(file): file.read_bytes() for file in (ROOT / "deploy" / "package").glob("*.py")}
    for files in (makers, *(read_sources(ROOT, group) for group in GROUPS)):
        for path in sorted(files):
            digest.update(f"{path} {hashlib.sha256(files[path]).hexdigest()}\n".encode())
    return digest.hexdigest()


def trust(folder: Path, authority: Path) -> None:
    """Put the twins' authority among the public certificates of an unpacked package."""
    for path, content in separate(authority.read_bytes()).items():
        (folder / path).write_bytes(content)


def naive_folder(target: Target, interpreter: Interpreter) -> Path:
    """Every locked dependency as it is published, compiled; kept until the lock changes."""
    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]
    folder = BUILD / "naive" / f"{target.runtime}-{interpreter.version}-{digest}"
    if folder.is_dir():
        return folder
    locked = read_lock(LOCK, target)
    fetched = fetch(locked, target, BUILD / "wheels" / target.runtime, tell)
    files = {
        path: content
        for pinned in locked
        for path, content in unpack(pinned, fetched[pinned.name]).items()
    }
    tell(f"{target.runtime}: compiling all dependencies, once")
    imported = {p: c for p, c in files.items() if not p.startswith(_NOT_COMPILED)}
    files |= compile_files(_compilable(imported), interpreter)
    _write(folder, files)
    return folder


def source_folder(target: Target, interpreter: Interpreter) -> Path:
    """Postbus's own files, compiled, without any dependency."""
    folder = BUILD / "bench" / target.runtime / "source"
    files = {path: data for group in GROUPS for path, data in read_sources(ROOT, group).items()}
    _write(folder, files | compile_files(files, interpreter))
    return folder


def _compilable(files: dict[str, bytes]) -> dict[str, bytes]:
    return {path: content for path, content in files.items() if "/test" not in path}


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    for path, content in files.items():
        (unfinished / path).parent.mkdir(parents=True, exist_ok=True)
        (unfinished / path).write_bytes(content)
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.replace(folder)


def tell(text: str) -> None:
    """Say how it goes, without getting into the figures."""
    sys.stderr.write(f"{text}\n")
