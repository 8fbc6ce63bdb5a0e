"""Whole stacks for these tests, out of the plugin that users have too."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from local.pytest_plugin import (  # noqa: F401  # an imported fixture is a fixture here
    MakePostbus,
    Postbus,
    make_postbus,
    postbus,
)


@pytest.fixture
def make_stack(make_postbus: MakePostbus) -> MakePostbus:  # noqa: F811  # the fixture, as an argument
    """Starts stacks and ends them after the test."""
    return make_postbus


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postbus]:
    """One stack for the tests of a module."""
    running = Postbus(tmp_path_factory.mktemp("stack") / "state")
    running.start()
    yield running
    running.kill()


@pytest.fixture
def mail() -> dict[str, Any]:
    """A mail request with everything that comes back on its event."""
    return {
        "sender": {"address": "noreply@mail.example.com"},
        "to": ["ada@example.net"],
        "subject": "Hello",
        "text": "Hello Ada",
        "tag": "greeting",
        "notify": {"OrderId": "4711", "TraceID": "a/b c=d"},
    }


@pytest.fixture(scope="session")
def proving() -> bool:
    """Whether the proofs run in full (`make prove`)."""
    return os.environ.get("POSTBUS_PROVE") == "1"
