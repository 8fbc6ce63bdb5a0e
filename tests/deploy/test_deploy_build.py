"""The packages that a deployment takes: those of its commit, built when they are not there."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from deploy.stack.build import artifacts_of, build_packages
from deploy.stack.errors import DeployError
from tests.deploy.conftest import ROOT, copy_sources
from tests.deploy.doubles.project import Project

NEEDED = {
    "postbus/c/sender-python3.12.zip": "python3.12",
    "postbus/c/plain-python3.12.zip": "python3.12",
}


@pytest.fixture
def copy(tmp_path: Path) -> Project:
    """A repository with the packages of commit `c`."""
    project = Project(tmp_path, "")
    project.lay_down("c")
    return project


def take(project: Project, commit: str, builds: str | None = None) -> tuple[list[str], list[str]]:
    """What is taken, and the runtimes that were built; `builds` is the commit that a build has."""
    built: list[str] = []

    def make(_root: Path, runtime: str, _say: object) -> None:
        built.append(runtime)
        if builds:
            project.lay_down(builds)

    found = artifacts_of(project.root, commit, NEEDED, lambda _text: None, make)
    return [artifact.key for artifact in found], built


def test_what_is_there_is_taken(copy: Project) -> None:
    """An interrupted upload goes on only with the same file."""
    assert take(copy, "c") == (list(NEEDED), [])


def test_what_is_of_another_commit_is_built(copy: Project) -> None:
    """Once for both packages of a runtime."""
    assert take(copy, "d", builds="d") == (list(NEEDED), ["python3.12"])


@pytest.mark.parametrize("what", ["zip is cut", "zip is gone", "manifest is gone", "was dirty"])
def test_what_is_not_whole_is_built(what: str, copy: Project) -> None:
    """A build that was interrupted, or made of uncommitted changes."""
    path = copy.root / "build/package/plain-python3.12.zip"
    manifest = path.with_suffix(".json")
    if what == "zip is cut":
        path.write_bytes(path.read_bytes()[:100])
    elif what == "was dirty":
        text = manifest.read_text(encoding="utf-8").replace('"dirty": false', '"dirty": true')
        manifest.write_text(text, encoding="utf-8")
    else:
        (path if what == "zip is gone" else manifest).unlink()
    assert take(copy, "c", builds="c") == (list(NEEDED), ["python3.12"])


def test_a_file_that_changes_meanwhile(copy: Project) -> None:
    """What was built must be of the commit, or nothing is uploaded."""
    with pytest.raises(DeployError, match="did a file change meanwhile"):
        take(copy, "d", builds="e")


def test_a_runtime_without_packages(tmp_path: Path) -> None:
    """Says for which there are."""
    with pytest.raises(DeployError, match=r"there are packages for python3.10, python3.12"):
        build_packages(tmp_path, "python3.9", lambda _text: None)


def test_the_real_packages(tmp_path: Path, proving: bool) -> None:
    """Built of a clean commit of this project, and taken again without a build."""
    if not proving:
        pytest.skip("builds for half a minute; `make prove` does it")
    copy_sources(tmp_path)
    (tmp_path / ".gitignore").write_text("build/\n", encoding="utf-8")
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "wheels").symlink_to(ROOT / "build" / "wheels")
    project = Project(tmp_path, "")
    project.git("init", "-q")
    project.git("add", "-A")
    project.git("commit", "-q", "-m", "all")
    commit = project.git("rev-parse", "HEAD").strip()
    first = artifacts_of(tmp_path, commit, NEEDED, print)
    assert [artifact.path.stat().st_size > 1_000_000 for artifact in first] == [True, True]

    def never(*_: object) -> None:
        raise AssertionError("it was built again")

    assert artifacts_of(tmp_path, commit, NEEDED, print, never) == first
    assert subprocess.check_output(["git", "-C", tmp_path, "status", "--porcelain"]) == b""  # noqa: S603, S607  # the person's git
