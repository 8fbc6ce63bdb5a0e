"""Builds the packages of one runtime: fetch, choose, compile, pack, describe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.package import archive, manifest
from deploy.package.bytecode import compile_files, source_of
from deploy.package.certificates import separate
from deploy.package.contents import DISTRIBUTIONS, FUNCTIONS, GROUPS, ZIP_BYTES_MAX, unnamed, wanted
from deploy.package.errors import PackageError
from deploy.package.lock import Pinned, read_lock
from deploy.package.manifest import Distribution
from deploy.package.source import read_commit, read_sources
from deploy.package.targets import Interpreter, Target
from deploy.package.wheels import Files, fetch, sha256_of, unpack
from local.host.template.yaml_reader import read_yaml

# How many of the biggest parts of a package are named.
PARTS = 5
OURS = "postbus"

Say = Callable[[str], object]


@dataclass(frozen=True)
class Places:
    """Where everything is.

    Attributes:
        root: the repository.
        output: the folder of the packages.
        wheels: the folder that keeps what was fetched.
    """

    root: Path
    output: Path
    wheels: Path


@dataclass(frozen=True)
class Package:
    """A package that is made.

    Attributes:
        path: the zip; its manifest is beside it, as `.json`.
        manifest: what that says.
        parts: distribution (or `postbus`) -> its bytes in the zip, the biggest first.
    """

    path: Path
    manifest: dict[str, Any]
    parts: list[tuple[str, int]]


def build(places: Places, target: Target, interpreter: Interpreter, say: Say) -> list[Package]:
    """Make a runtime's packages, one for each group of functions.

    Args:
        places: where everything is.
        target: the runtime.
        interpreter: a Python of its version.
        say: is told how it goes.

    Raises:
        PackageError: a package cannot be made; says why.
    """
    check_functions(places.root / "template.yml")
    locked = _locked(places.root / "requirements.lock", target)
    chosen = {group: sorted(DISTRIBUTIONS[group] & set(locked)) for group in GROUPS}
    needed = {name: locked[name] for names in chosen.values() for name in names}
    distributions = _distributions(needed, places, target, say)
    certificates = separate(distributions["certifi"].files["certifi/cacert.pem"])
    ours = {group: {**read_sources(places.root, group), **certificates} for group in GROUPS}
    files = _together(
        [(OURS, each) for each in ours.values()]
        + [(name, each.files) for name, each in distributions.items()]
    )
    say(f"{target.runtime}: compiling with Python {interpreter.version}")
    files |= compile_files(files, interpreter)
    commit = read_commit(places.root)
    places.output.mkdir(parents=True, exist_ok=True)
    made = []
    for group in GROUPS:
        parts = [distributions[name] for name in chosen[group]]
        owners = dict.fromkeys(ours[group], OURS)
        owners |= {path: each.pinned.name for each in parts for path in each.files}
        document = manifest.describe(group, target, interpreter, commit, parts)
        packed = {path: files[path] for path in files if source_of(path) in owners}
        made.append(
            _pack(places.output / f"{group}-{target.runtime}.zip", packed, document, owners)
        )
    return made


def check_functions(template: Path) -> None:
    """Every handler of the template has its group, and every group's function its handler.

    Raises:
        PackageError: names the first that has not.
    """
    resources = read_yaml(template)["Resources"].values()
    handlers = {
        each["Properties"]["Handler"].split(".")[1]
        for each in resources
        if each["Type"] == "ALIYUN::FC3::Function"
    }
    for name in sorted(handlers - set(FUNCTIONS)):
        raise PackageError(
            f"the template has the function {name}, and deploy/package/contents.py does not say "
            "which package it is in"
        )
    for name in sorted(set(FUNCTIONS) - handlers):
        raise PackageError(f"deploy/package/contents.py has {name}, which the template has not")


def _locked(path: Path, target: Target) -> dict[str, Pinned]:
    """Distribution -> version and hashes, once somebody has decided about each of them."""
    locked = {each.name: each for each in read_lock(path, target)}
    for group in GROUPS:
        for name in sorted(unnamed(group, locked)):
            raise PackageError(
                f"{path.name} has {name}, and deploy/package/contents.py does not say whether the "
                f"package `{group}` takes it"
            )
    return locked


def _distributions(
    needed: Mapping[str, Pinned], places: Places, target: Target, say: Say
) -> dict[str, Distribution]:
    fetched = fetch(list(needed.values()), target, places.wheels / target.runtime, say)
    found = {}
    for name, pinned in needed.items():
        files = unpack(pinned, fetched[name])
        taken = {path: content for path, content in files.items() if wanted(path)}
        found[name] = Distribution(pinned, fetched[name], taken)
    return found


def _together(parts: list[tuple[str, Files]]) -> Files:
    together: Files = {}
    for name, files in parts:
        for path, content in files.items():
            if together.setdefault(path, content) != content:
                raise PackageError(f"{name} has {path}, which another distribution has as well")
    return together


def _pack(
    zipped: Path, files: Files, document: dict[str, Any], owners: Mapping[str, str]
) -> Package:
    """Write the zip, and the manifest beside it."""
    document["content_sha256"] = archive.digest_of(files)
    sizes = archive.write_zip({**files, manifest.NAME: manifest.encode(document)}, zipped)
    size = zipped.stat().st_size
    if size > ZIP_BYTES_MAX:
        raise PackageError(
            f"{zipped.name} has {size:,} bytes, more than the {ZIP_BYTES_MAX:,} that "
            "deploy/package/contents.py allows"
        )
    document["zip"] = {
        "file": zipped.name,
        "sha256": sha256_of(zipped),
        "bytes": size,
        "unpacked_bytes": sum(map(len, files.values())),
    }
    zipped.with_suffix(".json").write_bytes(manifest.encode(document))
    total: Counter[str] = Counter()
    for path, packed in sizes.items():
        total[owners.get(source_of(path), OURS)] += packed
    return Package(zipped, document, total.most_common(PARTS))
