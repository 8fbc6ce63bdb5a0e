"""The packages of a commit on this machine: those that are there, or built now."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from deploy.package.build import Places, build
from deploy.package.errors import PackageError
from deploy.package.targets import TARGETS, find_interpreter
from deploy.package.wheels import sha256_of
from deploy.stack.artifacts import Artifact, read_artifact
from deploy.stack.errors import DeployError

FOLDER = Path("build", "package")

Say = Callable[[str], object]
# Builds the packages of a runtime in a repository.
Make = Callable[[Path, str, Say], object]


def build_packages(root: Path, runtime: str, say: Say) -> None:
    """Build a runtime's packages, as `make package` does.

    Raises:
        DeployError: there are none for that runtime, or they cannot be built.
    """
    if runtime not in TARGETS:
        raise DeployError(
            f"the template asks for the runtime {runtime}; there are packages for "
            f"{', '.join(TARGETS)}"
        )
    places = Places(root, root / FOLDER, root / "build" / "wheels")
    try:
        target = TARGETS[runtime]
        build(places, target, find_interpreter(target), say)
    except PackageError as error:
        raise DeployError(str(error)) from error


def artifacts_of(
    root: Path, commit: str, needed: Mapping[str, str], say: Say, make: Make = build_packages
) -> list[Artifact]:
    """The packages that functions need, of this commit.

    A package that was built of the same commit is taken as it is: built anew it would have the same
    bytes, but an interrupted upload goes on only with the same file.

    Args:
        root: the repository, at this commit and clean.
        commit: its id.
        needed: object name -> runtime.
        say: is told how it goes.
        make: builds what is missing.

    Raises:
        DeployError: a package cannot be built.
    """
    found = []
    for runtime in sorted(set(needed.values())):
        keys = [key for key, its in needed.items() if its == runtime]
        if any(_manifest(_zip(root, key), commit) is None for key in keys):
            make(root, runtime, say)
        for key in keys:
            path = _zip(root, key)
            manifest = _manifest(path, commit)
            if manifest is None:
                raise DeployError(
                    f"{path.name} was built, and is not of the commit {commit[:12]}: did a file "
                    "change meanwhile? Run it again."
                )
            found.append(read_artifact(key, path, manifest))
    return found


def _zip(root: Path, key: str) -> Path:
    return root / FOLDER / key.rpartition("/")[2]


def _manifest(path: Path, commit: str) -> dict[str, Any] | None:
    """A package's manifest, if it is of this commit, nothing besides, and the zip is whole."""
    try:
        manifest: dict[str, Any] = json.loads(path.with_suffix(".json").read_bytes())
        whole = sha256_of(path) == manifest["zip"]["sha256"]
    except (OSError, ValueError, KeyError):
        return None
    return manifest if whole and manifest["commit"] == commit and not manifest["dirty"] else None
