"""The working copy as Git knows it: what is deployed is a commit, and nothing besides."""

from __future__ import annotations

import subprocess
from pathlib import Path

from deploy.stack.errors import DeployError, UsageError

SHOWN = 5


def clean_commit(root: Path) -> str:
    """The commit of a working copy without changes.

    Args:
        root: the repository.

    Raises:
        DeployError: there is no repository, or something differs from the commit.
    """
    changed = git(root, "status", "--porcelain").splitlines()
    if changed:
        shown = ", ".join(line[3:] for line in changed[:SHOWN])
        more = f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
        raise DeployError(
            f"the working copy differs from its commit: {shown}{more}. What is deployed must be "
            "found again by its commit: commit, ignore or stash the changes first."
        )
    return git(root, "rev-parse", "HEAD").strip()


def find_commit(root: Path, name: str) -> str:
    """The full id of a commit that a person names.

    Raises:
        UsageError: there is no such commit here.
    """
    try:
        return git(root, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").strip()
    except DeployError:
        raise UsageError(
            f"{name} is no commit of this repository (`git fetch` gets those of others)"
        ) from None


def show_file(root: Path, commit: str, path: str) -> str | None:
    """A file as it was in a commit; None where that commit has no such file."""
    try:
        return git(root, "show", f"{commit}:{path}")
    except DeployError:
        return None


def git(root: Path, *arguments: str) -> str:
    """What a Git command prints.

    Raises:
        DeployError: it failed; with its own words.
    """
    try:
        done = subprocess.run(  # noqa: S603  # git, with arguments of this package and a commit's name
            ["git", "-C", str(root), *arguments],  # noqa: S607  # whichever git the person uses
            capture_output=True,
            text=True,
            check=True,
        )
    except OSError as error:
        raise DeployError(f"git cannot be run: {error.strerror}") from error
    except subprocess.CalledProcessError as error:
        raise DeployError(f"git {arguments[0]}: {error.stderr.strip() or 'failed'}") from error
    return done.stdout
