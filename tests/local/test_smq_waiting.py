"""The SMQ twin's long polling: who waits is woken, whatever brings the message."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.activity import Activity
from local.twins.smq.broker import Broker, QueueAttributes
from local.twins.smq.errors import SmqError


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Broker]:
    """A broker on real time, with one queue, `q`."""
    broker = Broker(tmp_path / "smq.db", activity=Activity())
    broker.ensure_queue("q", QueueAttributes())
    yield broker
    broker.close()


def test_a_waiting_receive_is_woken_by_a_send(live: Broker) -> None:
    """It answers at once, not at the end of its waiting."""

    async def run() -> float:
        waiting = asyncio.ensure_future(live.receive("q", wait_seconds=20))
        await asyncio.sleep(0.05)
        start = time.monotonic()
        live.send("q", "x")
        assert [message.body for message in await waiting] == ["x"]
        return time.monotonic() - start

    assert asyncio.run(run()) < 0.5


def test_several_waiters_get_one_message_each(live: Broker) -> None:
    """Three sends serve three of four waiters, first come first served; the fourth waits on."""

    async def run() -> None:
        waiters = [asyncio.ensure_future(live.receive("q", wait_seconds=20)) for _ in range(4)]
        await asyncio.sleep(0.02)
        for body in "abc":
            live.send("q", body)
        await asyncio.sleep(0.1)
        assert [[m.body for m in waiter.result()] for waiter in waiters[:3]] == [
            ["a"],
            ["b"],
            ["c"],
        ]
        assert not waiters[3].done()
        waiters[3].cancel()

    asyncio.run(run())


def test_waiting_ends_empty_after_its_time(live: Broker) -> None:
    """Nothing came: the answer is empty, and not early."""
    start = time.monotonic()
    assert asyncio.run(live.receive("q", wait_seconds=0.2)) == []
    assert 0.19 <= time.monotonic() - start < 2


def test_waiters_are_woken_when_a_delay_ends(live: Broker) -> None:
    """Also when the message was sent after the waiting began."""

    async def run() -> float:
        waiting = asyncio.ensure_future(live.receive("q", wait_seconds=20))
        await asyncio.sleep(0.05)
        start = time.monotonic()
        live.send("q", "x", delay_seconds=1)
        assert len(await waiting) == 1
        return time.monotonic() - start

    assert 0.9 < asyncio.run(run()) < 3


def test_waiters_are_woken_when_a_time_out_ends(live: Broker) -> None:
    """A message that somebody else let lie comes to who waits."""

    async def run() -> float:
        live.send("q", "x")
        await live.receive("q", visibility_seconds=0.2)
        start = time.monotonic()
        (message,) = await live.receive("q", wait_seconds=20)
        assert message.dequeue_count == 2
        return time.monotonic() - start

    assert 0.1 < asyncio.run(run()) < 2


def test_a_message_given_back_wakes_a_waiter(live: Broker) -> None:
    """Changing the visibility to nothing is as good as a send; to less moves the alarm."""

    async def run(seconds: float) -> float:
        live.send("q", "x")
        (message,) = await live.receive("q")
        waiting = asyncio.ensure_future(live.receive("q", wait_seconds=20))
        await asyncio.sleep(0.05)
        start = time.monotonic()
        live.change_visibility("q", message.receipt_handle, seconds)
        (again,) = await waiting
        live.delete("q", again.receipt_handle)
        return time.monotonic() - start

    assert asyncio.run(run(0)) < 0.5
    assert 0.2 < asyncio.run(run(0.3)) < 2


def test_a_dead_letter_wakes_who_waits_for_it(live: Broker) -> None:
    """The dead-letter queue's waiter learns of it, though nobody receives from the source."""

    async def run() -> float:
        live.ensure_queue("dead", QueueAttributes())
        live.ensure_queue("work", QueueAttributes(dead_letter_queue="dead", max_receive_count=1))
        waiting = asyncio.ensure_future(live.receive("dead", wait_seconds=20))
        await asyncio.sleep(0.02)
        live.send("work", "x")
        await live.receive("work", visibility_seconds=0.2)
        start = time.monotonic()
        assert len(await waiting) == 1
        return time.monotonic() - start

    assert asyncio.run(run()) < 2


def test_a_cancelled_waiter_takes_nothing(live: Broker) -> None:
    """A consumer that went away does not swallow the next message."""

    async def run() -> None:
        waiting = asyncio.ensure_future(live.receive("q", wait_seconds=20))
        await asyncio.sleep(0.02)
        waiting.cancel()
        await asyncio.sleep(0)
        live.send("q", "x")
        await asyncio.sleep(0.02)
        assert live.depth("q").visible == 1

    asyncio.run(run())


def test_deleting_a_queue_tells_its_waiters(live: Broker) -> None:
    """They get QueueNotExist instead of waiting for nothing."""

    async def run() -> None:
        waiting = asyncio.ensure_future(live.receive("q", wait_seconds=20))
        await asyncio.sleep(0.02)
        live.delete_queue("q")
        with pytest.raises(SmqError, match="QueueNotExist"):
            await waiting

    asyncio.run(run())


def test_many_producers_and_consumers_lose_nothing(live: Broker) -> None:
    """1,000 messages through eight waiting consumers: each exactly once, none left."""

    async def consume(bodies: list[str]) -> None:
        while messages := await live.receive("q", count=4, wait_seconds=0.3):
            for message in messages:
                bodies.append(message.body)
                live.delete("q", message.receipt_handle)

    async def run() -> list[str]:
        bodies: list[str] = []
        consumers = [asyncio.ensure_future(consume(bodies)) for _ in range(8)]
        for number in range(1000):
            live.send("q", str(number))
            if number % 7 == 0:
                await asyncio.sleep(0)
        await asyncio.gather(*consumers)
        return bodies

    assert sorted(asyncio.run(run()), key=int) == [str(number) for number in range(1000)]


def test_a_message_costs_well_under_a_millisecond(live: Broker) -> None:
    """Send, receive and delete together, the median of 300, in CPU time of this process."""

    async def run() -> list[float]:
        seconds = []
        for _ in range(300):
            start = time.process_time()
            live.send("q", "x" * 1000)
            (message,) = await live.receive("q")
            live.delete("q", message.receipt_handle)
            seconds.append(time.process_time() - start)
        return seconds

    assert statistics.median(asyncio.run(run())) < 0.001
