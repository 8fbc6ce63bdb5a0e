"""What all tests share."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings
from structlog.contextvars import clear_contextvars

# A landing must not depend on luck: the same code meets the same examples. `make prove` throws
# the dice anew, and prints what it found.
settings.register_profile("landing", derandomize=True)
settings.register_profile("proving", print_blob=True)
settings.load_profile("proving" if os.environ.get("POSTBUS_PROVE") == "1" else "landing")


@pytest.fixture(autouse=True)
def _own_log_context() -> None:
    """An invocation that a test before this one began is not in this one's log lines."""
    clear_contextvars()
