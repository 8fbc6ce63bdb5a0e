"""Connections that have been idle for long are dropped before the next use."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from shared.cloud.idle import TRUSTED_IDLE_SECONDS, IdleGuard


@pytest.mark.parametrize(
    ("pauses", "drops"),
    [
        ([], 0),
        ([0], 0),
        ([TRUSTED_IDLE_SECONDS], 0),
        ([TRUSTED_IDLE_SECONDS + 0.1], 1),
        ([3600, 0, 1], 1),
        ([3600, 3600], 2),
        ([15, 15, 15], 0),
        ([-3600, 5], 0),
        ([-3600, 21], 1),
    ],
    ids=str,
)
def test_only_a_long_pause_drops(pauses: list[float], drops: int) -> None:
    """Each use starts the count anew; a clock that was set back does no harm."""
    now, dropped = [1_800_000_000.0], []
    guard = IdleGuard(lambda: dropped.append(now[0]), lambda: now[0])
    for pause in pauses:
        now[0] += pause
        guard.touch()
    assert len(dropped) == drops


def test_threads_that_wake_up_together_drop_once_and_none_goes_on_before(
    together: Callable[..., list[Any]],
) -> None:
    """Dropping while another thread takes a connection would fail that thread's request."""
    now = [0.0]
    told: list[str] = []

    def drop() -> None:
        time.sleep(0.05)
        told.append("dropped")

    guard = IdleGuard(drop, lambda: now[0])
    now[0] = 60.0

    def use(_: int) -> None:
        guard.touch()
        told.append("used")

    together(8, use)
    assert told == ["dropped", *["used"] * 8]
