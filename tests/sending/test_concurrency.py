"""Several calls at once, none for longer than the invocation has."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import structlog

from shared.concurrency import AtMost, AtOnce

# Long enough for a busy machine, and never waited for in full.
PATIENCE = 20.0
FAR = 20_000


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What stragglers wait at; opened in the end, so that no thread outlives its test."""
    event = threading.Event()
    yield event
    event.set()


def test_everything_is_worked_on() -> None:
    """Each item is worked on once, and nothing is late."""
    done: list[int] = []
    assert AtOnce(4)(done.append, range(100), FAR) == []
    assert sorted(done) == list(range(100))


def test_nothing_to_do() -> None:
    """An empty batch ends at once."""
    assert AtOnce(4)(lambda _: None, [], FAR) == []


def test_several_at_a_time() -> None:
    """As many items as there are threads are worked on together."""
    together = threading.Barrier(4, timeout=PATIENCE)

    def work(_: int) -> None:
        together.wait()

    assert AtOnce(4)(work, range(4), FAR) == []


def test_stragglers_and_what_never_began(gate: threading.Event) -> None:
    """Late are the items that hang and those that had no thread; the latter are never begun."""
    begun: list[int] = []

    def work(item: int) -> None:
        begun.append(item)
        if item != 1:
            gate.wait(PATIENCE)

    at_once = AtOnce(2)
    assert sorted(at_once(work, [1, 2, 3, 4, 5], 500)) == [2, 3, 4, 5]
    assert sorted(begun) == [1, 2, 3]
    assert at_once(begun.append, [6], FAR) == []
    gate.set()
    time.sleep(0.05)
    assert sorted(begun) == [1, 2, 3, 6]


def test_a_failure_waits_for_the_others() -> None:
    """What one item raises comes out once the others are worked on."""
    done: list[int] = []

    def work(item: int) -> None:
        if item == 0:
            raise LookupError(item)
        time.sleep(0.02)
        done.append(item)

    with pytest.raises(LookupError):
        AtOnce(2)(work, range(5), FAR)
    assert sorted(done) == [1, 2, 3, 4]


@pytest.mark.parametrize("timeout", [0, -1_000])
def test_no_time_at_all(gate: threading.Event, timeout: int) -> None:
    """Without time everything that is not done is late, and nobody is waited for."""

    def work(_: int) -> None:
        gate.wait(PATIENCE)

    assert AtOnce(1)(work, [1, 2], timeout) == [1, 2]
    assert AtMost(1)(lambda: gate.wait(PATIENCE), timeout) is None


def test_the_logs_context_goes_along() -> None:
    """The threads log with the invocation's request id."""
    structlog.contextvars.bind_contextvars(request_id="r-1")
    seen: list[object] = []
    AtOnce(2)(lambda _: seen.append(structlog.contextvars.get_contextvars()), [1, 2], FAR)
    structlog.contextvars.clear_contextvars()
    assert seen == [{"request_id": "r-1"}] * 2


def test_a_call_in_time() -> None:
    """A call that ends in time gives its value, or what it raised."""
    at_most = AtMost(2)
    assert at_most(lambda: 7, FAR) == 7

    def fail() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        at_most(fail, FAR)


def test_a_call_that_hangs(gate: threading.Event) -> None:
    """A call that hangs gives None in time and does not stand in the next one's way."""
    at_most = AtMost(1)
    assert at_most(lambda: gate.wait(PATIENCE), 50) is None
    assert at_most(lambda: 7, FAR) == 7
