"""Postbus's own files, as Git knows them, and the commit that they are."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from deploy.package.contents import FUNCTIONS
from deploy.package.errors import PackageError

_FOLDERS = ("functions", "shared")
# What decides over a package's bytes besides its own files.
_RECIPE = ("requirements.lock", "deploy/package")


@dataclass(frozen=True)
class Commit:
    """What is packaged.

    Attributes:
        id: the commit's, or None outside of Git.
        dirty: whether a file of the package, or of its recipe, differs from the commit.
    """

    id: str | None
    dirty: bool


def read_commit(root: Path) -> Commit:
    """The commit of the working tree."""
    head = _git(root, "rev-parse", "HEAD")
    if head is None:
        return Commit(None, dirty=True)
    changes = _git(root, "status", "--porcelain", "--", *_FOLDERS, *_RECIPE)
    return Commit(head.strip(), dirty=bool(changes))


def read_sources(root: Path, group: str) -> dict[str, bytes]:
    """The Python files of a group: its own functions, and what all functions share.

    Args:
        root: the repository.
        group: one of `contents.GROUPS`.

    Raises:
        PackageError: a function of the group has no file.
    """
    doors = {f"functions/{name}.py" for name, its in FUNCTIONS.items() if its == group}
    chosen = {
        path
        for path in _paths(root)
        if path.endswith(".py")
        and (path.startswith("shared/") or path == "functions/__init__.py" or path in doors)
        and (root / path).is_file()
    }
    for door in sorted(doors - chosen):
        raise PackageError(f"{door} is declared in deploy/package/contents.py and is not there")
    return {path: (root / path).read_bytes() for path in sorted(chosen)}


def _paths(root: Path) -> list[str]:
    listed = _git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard", *_FOLDERS)
    if listed is not None:
        return listed.split("\0")
    found = (path for folder in _FOLDERS for path in (root / folder).rglob("*.py"))
    return [path.relative_to(root).as_posix() for path in found]


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603  # git, with arguments of this file
            ["git", "-C", str(root), *arguments],  # noqa: S607  # whichever git the person uses
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout
