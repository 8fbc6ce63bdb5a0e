"""What the tests of the deployment share: packages, built once and unpacked."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from deploy.package.build import Package, Places, build
from deploy.package.errors import InterpreterMissing
from deploy.package.targets import TARGETS, Interpreter, find_interpreter
from tests.deploy.doubles.cloud import Address, Cloud, serving_address
from tests.deploy.doubles.project import Project, make_project

ROOT = Path(__file__).parents[2]

Packages = Callable[[str], dict[str, Package]]


@pytest.fixture(scope="session")
def proving() -> bool:
    """Whether the proofs run in full (`make prove`)."""
    return os.environ.get("POSTBUS_PROVE") == "1"


@cache
def interpreter_of(runtime: str) -> Interpreter:
    """The Python of a runtime; a machine without one cannot run the test."""
    try:
        return find_interpreter(TARGETS[runtime])
    except InterpreterMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def interpreters() -> Callable[[str], Interpreter]:
    """Runtime -> its Python; skips the test where this machine has none."""
    return interpreter_of


def copy_sources(to: Path) -> Path:
    """The files that packages are made of, as they are now; gives the folder."""
    for folder in ("functions", "shared"):
        shutil.copytree(ROOT / folder, to / folder, copy_function=shutil.copy)
    for file in ("requirements.lock", "template.yml"):
        shutil.copy(ROOT / file, to / file)
    return to


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources: whoever edits a file meanwhile does not change the packages."""
    return copy_sources(tmp_path_factory.mktemp("sources"))


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory, sources: Path) -> Packages:
    """Runtime -> its packages by group, each built once and unpacked beside its zip."""

    @cache
    def packages_of(runtime: str) -> dict[str, Package]:
        output = tmp_path_factory.mktemp(runtime)
        places = Places(sources, output, ROOT / "build" / "wheels")
        made = build(places, TARGETS[runtime], interpreter_of(runtime), lambda _text: None)
        for package in made:
            with zipfile.ZipFile(package.path) as archive:
                archive.extractall(package.path.with_suffix(""))
        return {package.path.name.partition("-")[0]: package for package in made}

    return packages_of


@pytest.fixture(scope="session")
def address() -> Iterator[Address]:
    """Where accounts answer."""
    with serving_address() as address:
        yield address


@pytest.fixture
def cloud(tmp_path: Path, address: Address) -> Iterator[Cloud]:
    """An account that answers the official SDKs."""
    folder = tmp_path / "cloud"
    folder.mkdir()
    with address.account(folder) as cloud:
        yield cloud


@pytest.fixture(scope="session")
def first_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository at its first commit, to be copied."""
    return make_project(tmp_path_factory.mktemp("project"), "").root


@pytest.fixture
def project(tmp_path: Path, cloud: Cloud, first_project: Path) -> Project:
    """A repository that can be deployed to that account."""
    shutil.copytree(first_project, tmp_path / "project")
    return Project(tmp_path / "project", cloud.url)
