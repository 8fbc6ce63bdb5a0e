"""The sample events, and JSON as anybody could send it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

EVENTS = Path(__file__).parents[2] / "events"


@pytest.fixture(scope="session")
def sample() -> Callable[[str], bytes]:
    """Reads a file of `events/` as the platform would hand it over."""
    return lambda name: (EVENTS / name).read_bytes()


@pytest.fixture(scope="session")
def sample_names() -> list[str]:
    """The names of all sample files, sorted."""
    return sorted(path.name for path in EVENTS.glob("*.json"))


@pytest.fixture(scope="session")
def samples_readme() -> str:
    """The table that says what each sample is."""
    return (EVENTS / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def any_json() -> Callable[..., Any]:
    """Makes a strategy of documents that use these names, nested a little, with any values."""

    def documents(*names: str) -> st.SearchStrategy[Any]:
        texts = st.text(max_size=12) | st.sampled_from(
            ["", "e30=", "{}", "[]", '{"messageBody":1}', "\ud800", "acs:dm", "dm:Deliver:Fail"]
        )
        values = (
            st.none()
            | st.booleans()
            | st.integers()
            | st.floats(allow_nan=False, allow_infinity=False)
            | texts
        )
        keys = st.sampled_from(names) | st.text(max_size=4)
        return st.recursive(
            values,
            lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=5),
            max_leaves=12,
        )

    return documents
