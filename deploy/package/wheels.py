"""The files of the dependencies: fetched through pip with the lock's hashes, kept, unpacked.

A folder for each runtime keeps what pip chose for it, so a second build needs no network. What
was published as source only is unpacked as it is; none of it runs in the package's making, but pip
asks the source for its metadata when it fetches it.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)

from deploy.package.contents import SOURCE_ONLY
from deploy.package.errors import PackageError
from deploy.package.lock import Pinned
from deploy.package.targets import Target

# How much of pip's own words an error quotes.
_TAIL = 1500

Files = dict[str, bytes]


def fetch(
    pinned: Collection[Pinned], target: Target, kept: Path, say: Callable[[str], object]
) -> dict[str, Path]:
    """One file for each distribution, from what was kept or from the index.

    Args:
        pinned: what is wanted.
        target: for which runtime.
        kept: the folder of files for this runtime; made when it is missing.
        say: is told what takes time.

    Returns:
        Distribution -> its file, whose hash is one of the lock's.

    Raises:
        PackageError: pip could not fetch something.
    """
    kept.mkdir(parents=True, exist_ok=True)
    found = _kept(pinned, kept)
    missing = [each for each in pinned if each.name not in found]
    if missing:
        say(f"{target.runtime}: fetching {len(missing)} distributions")
        wheels = [each for each in missing if each.name not in SOURCE_ONLY]
        sources = [each for each in missing if each.name in SOURCE_ONLY]
        _download(wheels, kept, _wheel_options(target))
        _download(sources, kept, ["--no-binary", ":all:", "--no-build-isolation"])
        found = _kept(pinned, kept)
    for each in pinned:
        if each.name not in found:
            raise PackageError(f"{target.runtime}: pip fetched no file of {each.name} as locked")
    return found


def unpack(pinned: Pinned, file: Path) -> Files:
    """What a distribution would install: path in site-packages -> content.

    Raises:
        PackageError: a path in it leads elsewhere.
    """
    if file.name.endswith(".whl"):
        files = dict(_wheel_files(file))
    else:
        files = dict(_source_files(pinned, file))
    for path in files:
        if path.startswith("/") or ".." in path.split("/") or "\\" in path:
            raise PackageError(f"{file.name}: {path!r} is no path inside a package")
    return files


def sha256_of(file: Path) -> str:
    """A file's SHA-256, in hex."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _kept(pinned: Collection[Pinned], folder: Path) -> dict[str, Path]:
    files = {_identity(file): file for file in sorted(folder.iterdir())}
    found = {}
    for each in pinned:
        file = files.get((each.name, each.version))
        if file and sha256_of(file) in each.hashes:
            found[each.name] = file
    return found


def _identity(file: Path) -> tuple[str, str] | None:
    try:
        if file.name.endswith(".whl"):
            name, version, *_ = parse_wheel_filename(file.name)
        else:
            name, version = parse_sdist_filename(file.name)
    except (InvalidWheelFilename, InvalidSdistFilename):
        return None
    return canonicalize_name(name), str(version)


def _wheel_options(target: Target) -> list[str]:
    abi = f"cp{target.version.replace('.', '')}"
    options = ["--only-binary", ":all:", "--implementation", "cp"]
    options += ["--python-version", target.version]
    for each in (abi, "abi3", "none"):
        options += ["--abi", each]
    for each in (*target.platforms, "any"):
        options += ["--platform", each]
    return options


def _download(pinned: Collection[Pinned], folder: Path, options: list[str]) -> None:
    if not pinned:
        return
    with tempfile.TemporaryDirectory() as scratch:
        wanted = Path(scratch, "wanted.txt")
        wanted.write_text("\n".join(each.line() for each in pinned) + "\n", encoding="utf-8")
        command = [sys.executable, "-m", "pip", "download", "--quiet"]
        command += ["--disable-pip-version-check", "--no-deps", "--require-hashes"]
        command += [*options, "--requirement", str(wanted), "--dest", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # pip, with what the lock says
    if done.returncode:
        names = ", ".join(each.name for each in pinned)
        raise PackageError(f"pip could not fetch {names}:\n{done.stderr.strip()[-_TAIL:]}")


def _wheel_files(file: Path) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            path = _place(info.filename)
            if path and not info.is_dir():
                yield path, archive.read(info)


def _place(path: str) -> str | None:
    """Where pip would put a wheel's file, in site-packages; None for elsewhere.

    https://packaging.python.org/en/latest/specifications/binary-distribution-format/
    """
    folder, _, rest = path.partition("/")
    if not folder.endswith(".data"):
        return path
    kind, _, inside = rest.partition("/")
    return inside if kind in {"purelib", "platlib"} else None


def _source_files(pinned: Pinned, file: Path) -> Iterator[tuple[str, bytes]]:
    packages = SOURCE_ONLY[pinned.name]
    records = f"{pinned.name.replace('-', '_')}-{pinned.version}.dist-info"
    with tarfile.open(file) as archive:
        for member in archive.getmembers():
            content = archive.extractfile(member) if member.isfile() else None
            path = member.name.partition("/")[2]
            if content is None:
                continue
            if path.partition("/")[0] in packages:
                yield path, content.read()
            elif path == "PKG-INFO":
                yield f"{records}/METADATA", content.read()
            elif path.startswith(("LICENSE", "LICENCE", "NOTICE")):
                yield f"{records}/{path}", content.read()
