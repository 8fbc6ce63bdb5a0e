"""Several calls at once, none for longer than the invocation has."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from shared.concurrency import AtMost, AtOnce

LONG = 10_000
REQUEST: contextvars.ContextVar[str] = contextvars.ContextVar("REQUEST", default="none")


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """Ends calls that hang, at the latest when the test is over."""
    event = threading.Event()
    yield event
    event.set()


class Oops(Exception):
    """What a call raises here."""


def hanging(release: threading.Event) -> Callable[[str], None]:
    """A call that hangs until it is released."""

    def work(_: str) -> None:
        release.wait(10)

    return work


# --- AtOnce -----------------------------------------------------------------------------------


def test_every_item_is_worked_on_once() -> None:
    """More items than threads, none left out and none twice."""
    done: list[int] = []
    assert AtOnce(3)(done.append, range(50), LONG) == []
    assert sorted(done) == list(range(50))


def test_no_items_take_no_time() -> None:
    """An empty batch is over at once."""
    began = time.monotonic()
    assert AtOnce(1)(lambda _: None, [], LONG) == []
    assert time.monotonic() - began < 1


def test_as_many_as_there_are_threads_run_at_once() -> None:
    """Four calls that wait for each other come through with four threads."""
    barrier = threading.Barrier(4)

    def work(_: int) -> None:
        barrier.wait(5)

    assert AtOnce(4)(work, range(4), LONG) == []


def test_never_more_than_there_are_threads_run_at_once() -> None:
    """The number of threads is a promise to the provider."""
    lock, running, most = threading.Lock(), [0], [0]

    def work(_: int) -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.005)
        with lock:
            running[0] -= 1

    AtOnce(3)(work, range(20), LONG)
    assert most[0] <= 3


def test_what_has_not_ended_in_time_comes_back(release: threading.Event) -> None:
    """Calls that hang, and those that never began behind them; the others are done."""
    done: list[str] = []

    def work(item: str) -> None:
        if item.startswith("hang"):
            release.wait(10)
        else:
            done.append(item)

    began = time.monotonic()
    late = AtOnce(2)(work, ["quick", "hang 1", "hang 2", "never"], 200)
    assert time.monotonic() - began < 2
    assert sorted(late) == ["hang 1", "hang 2", "never"]
    assert done == ["quick"]


def test_what_never_began_never_begins(release: threading.Event) -> None:
    """An item that came back is settled elsewhere: working on it later would be once too often."""
    begun: list[int] = []

    def work(item: int) -> None:
        begun.append(item)
        release.wait(10)

    assert sorted(AtOnce(1)(work, [1, 2, 3], 50)) == [1, 2, 3]
    release.set()
    time.sleep(0.05)
    assert begun == [1]


@pytest.mark.parametrize("timeout_ms", [0, -1_000])
def test_without_time_what_hangs_comes_back(release: threading.Event, timeout_ms: int) -> None:
    """A time that is over already counts as none."""
    assert AtOnce(1)(hanging(release), ["a"], timeout_ms) == ["a"]


def test_calls_that_hang_take_no_thread_from_the_next_batch(release: threading.Event) -> None:
    """The pool is replaced once something was left to itself."""
    at_once = AtOnce(2)
    late = at_once(hanging(release), ["a", "b"], 50)
    done: list[int] = []
    assert at_once(done.append, range(10), LONG) == []
    assert (sorted(late), sorted(done)) == (["a", "b"], list(range(10)))


def test_an_exception_surfaces_once_the_others_have_ended() -> None:
    """The function must fail, but no other item may be cut off by that."""
    done: list[int] = []

    def work(item: int) -> None:
        if item == 0:
            raise Oops
        time.sleep(0.01)
        done.append(item)

    with pytest.raises(Oops):
        AtOnce(2)(work, range(6), LONG)
    assert sorted(done) == [1, 2, 3, 4, 5]


def test_an_exception_surfaces_even_when_another_call_hangs(release: threading.Event) -> None:
    """It does not wait for what may never end."""

    def work(item: str) -> None:
        if item == "bad":
            raise Oops
        release.wait(10)

    with pytest.raises(Oops):
        AtOnce(2)(work, ["bad", "hangs"], 100)


def test_after_an_exception_the_pool_goes_on() -> None:
    """The same instance serves the next invocation."""
    at_once = AtOnce(2)
    done: list[int] = []

    def fail(_: int) -> None:
        raise Oops

    with pytest.raises(Oops):
        at_once(fail, range(3), LONG)
    assert at_once(done.append, range(3), LONG) == []
    assert sorted(done) == [0, 1, 2]


def test_context_variables_are_carried_and_not_brought_back() -> None:
    """Log lines of every thread have the request's id; what a call sets is its own."""
    seen: list[str] = []

    def work(item: str) -> None:
        seen.append(REQUEST.get())
        REQUEST.set(item)

    at_once = AtOnce(1)
    for request in ("first", "second"):
        token = REQUEST.set(request)
        at_once(work, ["a", "b"], LONG)
        assert REQUEST.get() == request
        REQUEST.reset(token)
    assert seen == ["first", "first", "second", "second"]


# --- AtMost -----------------------------------------------------------------------------------


def test_a_call_in_time_has_its_value() -> None:
    """Whatever it is, None included."""
    at_most = AtMost(1)
    assert at_most(lambda: 7, LONG) == 7
    assert at_most(lambda: None, LONG) is None


def test_a_call_that_hangs_is_none_in_time_and_the_next_one_goes_on(
    release: threading.Event,
) -> None:
    """Nobody waits for it, not even the calls after it."""
    at_most = AtMost(1)
    began = time.monotonic()
    assert at_most(lambda: release.wait(10), 100) is None
    assert at_most(lambda: "next", LONG) == "next"
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("timeout_ms", [0, -5])
def test_without_time_a_call_is_none(release: threading.Event, timeout_ms: int) -> None:
    """A time that is over already counts as none."""
    assert AtMost(1)(lambda: release.wait(10), timeout_ms) is None


def test_what_a_call_raises_surfaces() -> None:
    """In the thread that asked."""

    def work() -> None:
        raise Oops

    with pytest.raises(Oops):
        AtMost(1)(work, LONG)


def test_a_call_has_the_context_variables_of_who_asked() -> None:
    """Its log lines have the request's id."""
    token = REQUEST.set("asked")
    assert AtMost(1)(REQUEST.get, LONG) == "asked"
    REQUEST.reset(token)
