"""Queue triggers: batches, repeats, dead letters, and that nothing is lost."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from local.host.model import FunctionSpec, QueueTrigger
from tests.local.host.conftest import Play, Stage, function, template


class Record:
    """What the recording handlers have written down."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def events(self) -> list[Any]:
        """Each event, read as JSON."""
        if not self.path.exists():
            return []
        lines = self.path.read_text(encoding="utf-8").splitlines()
        return [json.loads(json.loads(line)["event"]) for line in lines]

    @property
    def bodies(self) -> list[list[str]]:
        """The message bodies of each batch."""
        return [[item["data"]["messageBody"] for item in event] for event in self.events]

    def recorder(self, handler: str = "recording.record", **environment: str) -> FunctionSpec:
        """A function that writes here."""
        return function(handler, environment={"RECORD": str(self.path), **environment})


@pytest.fixture
def record(tmp_path: Path) -> Record:
    """An empty record."""
    return Record(tmp_path / "record")


def stream(spec: FunctionSpec, **changes: Any) -> QueueTrigger:
    """A trigger on the queue `work`, up to 10 messages within a second."""
    usual = {"streaming": True, "batch_count": 10, "batch_seconds": 1}
    return QueueTrigger("work", spec.name, "work", **{**usual, **changes})


@asynccontextmanager
async def running(stage: Stage) -> AsyncIterator[None]:
    """The host's triggers at work."""
    task = asyncio.ensure_future(stage.host.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def encode(text: str) -> str:
    """A body as SMQ's clients send it."""
    return base64.b64encode(text.encode()).decode()


def total(stage: Stage, queue: str = "work") -> int:
    """How many messages the queue holds, in whatever state."""
    depth = stage.broker.depth(queue)
    return depth.visible + depth.in_flight + depth.delayed


def test_a_batch_is_an_array_of_cloudevents(play: Play, record: Record) -> None:
    """With every documented field; the message is deleted afterwards."""
    spec = record.recorder()
    sent: list[str] = []

    async def scene(stage: Stage) -> None:
        sent.append(stage.broker.send("work", encode("hällo")).id)
        async with running(stage):
            await stage.until(lambda: total(stage) == 0)
        (invoked,) = stage.happened("function.invoked")
        assert (invoked.fields["trigger"], invoked.fields["messages"]) == ("queue", 1)

    play(scene, template(spec, triggers=(stream(spec, batch_seconds=0),)))
    ((event,),) = record.events
    times = [event.pop("time"), event.pop("aliyunpublishtime")]
    assert all(len(text) == 24 and text.endswith("Z") for text in times)
    assert len(event["data"].pop("requestId")) == 24
    assert event == {
        "id": sent[0],
        "source": "MNS-recording-record-work",
        "specversion": "1.0",
        "type": "mns:Queue:SendMessage",
        "datacontenttype": "application/json; charset=utf-8",
        "subject": "acs:mns:cn-hangzhou:1234567890123456:queues/work",
        "aliyunaccountid": "1234567890123456",
        "aliyunoriginalaccountid": "1234567890123456",
        "aliyuneventbusname": "MNS-recording-record-work",
        "aliyunregionid": "cn-hangzhou",
        "aliyunpublishaddr": "127.0.0.1",
        "data": {"messageId": sent[0], "messageBody": "hällo"},
    }


@pytest.mark.parametrize(
    ("changes", "read"),
    [
        ({"streaming": False}, lambda event: event["data"]["messageBody"]),
        ({"schema": "RawData"}, lambda event: event[0]["messageBody"]),
        ({"schema": "RawData", "streaming": False}, lambda event: event["messageBody"]),
        ({"base64_decode": False}, lambda event: event[0]["data"]["messageBody"]),
    ],
    ids=["event-driven", "raw", "raw event-driven", "not decoded"],
)
def test_the_other_forms_of_an_event(
    play: Play, record: Record, changes: dict[str, Any], read: Callable[[Any], str]
) -> None:
    """One object per message, the data alone, and the body as it was sent."""
    spec = record.recorder()

    async def scene(stage: Stage) -> None:
        for text in ("one", "two"):
            stage.broker.send("work", encode(text))
        async with running(stage):
            await stage.until(lambda: total(stage) == 0)

    trigger = stream(spec, batch_seconds=0, batch_count=1, **changes)
    play(scene, template(spec, triggers=(trigger,)))
    wanted = ["one", "two"] if changes.get("base64_decode", True) else ["b25l", "dHdv"]
    assert sorted(read(event) for event in record.events) == wanted


@pytest.mark.parametrize(
    ("body", "seen"),
    [
        ('{"plain": "json"}', '{"plain": "json"}'),
        (encode("täxt"), "täxt"),
        ("TEST", "TEST"),
        ("/////w==", "/////w=="),
        ("aGk", "aGk"),
        ("aGk=\n", "aGk=\n"),
        ("not base64!", "not base64!"),
    ],
)
def test_only_strict_base64_text_is_decoded(
    play: Play, record: Record, body: str, seen: str
) -> None:
    """What is not base64, or not text inside, passes as it is."""
    spec = record.recorder()

    async def scene(stage: Stage) -> None:
        stage.broker.send("work", body)
        async with running(stage):
            await stage.until(lambda: total(stage) == 0)

    play(scene, template(spec, triggers=(stream(spec, batch_seconds=0),)))
    assert record.bodies == [[seen]]


def test_batches_are_full_or_as_old_as_the_window(play: Play, record: Record) -> None:
    """Twenty-three messages in batches of at most ten; none waits longer than the window."""
    spec = record.recorder()

    async def scene(stage: Stage) -> float:
        for number in range(23):
            stage.broker.send("work", f"message {number}")
        start = time.monotonic()
        async with running(stage):
            await stage.until(lambda: total(stage) == 0)
        return time.monotonic() - start

    assert play(scene, template(spec, triggers=(stream(spec),)), instances=1) < 4
    assert [len(batch) for batch in record.bodies] == [10, 10, 3]


def test_a_window_gathers_what_comes_one_by_one(play: Play, record: Record) -> None:
    """Messages that trickle in share a push."""
    spec = record.recorder()

    async def scene(stage: Stage) -> None:
        async with running(stage):
            for number in range(4):
                stage.broker.send("work", f"message {number}")
                await asyncio.sleep(0.05)
            await stage.until(lambda: total(stage) == 0)

    play(scene, template(spec, triggers=(stream(spec),)), time_scale=0.5)
    assert [len(batch) for batch in record.bodies] == [4]


def test_a_failed_batch_comes_again_whole_and_unchanged(play: Play, record: Record) -> None:
    """The same bytes, with the strategy's pauses, until the function succeeds."""
    spec = record.recorder(FAILURES="3")

    async def scene(stage: Stage) -> None:
        for number in range(3):
            stage.broker.send("work", f"message {number}")
        async with running(stage):
            await stage.until(lambda: total(stage) == 0)

    trigger = stream(spec, retry="EXPONENTIAL_DECAY_RETRY", batch_seconds=0)
    play(scene, template(spec, triggers=(trigger,)), time_scale=0.01)
    lines = [json.loads(x)["event"] for x in record.path.read_text("utf-8").splitlines()]
    assert len(lines) == 4
    assert len(set(lines)) == 1


def test_after_the_last_repeat_a_batch_is_a_dead_letter(play: Play, record: Record) -> None:
    """Three repeats, then the original messages in the dead-letter queue, and on with the next."""
    spec = record.recorder(FAILURES="4")

    async def scene(stage: Stage) -> list[str]:
        stage.broker.send("work", encode("poison"))
        async with running(stage):
            await stage.until(lambda: total(stage, "dead") == 1)
            stage.broker.send("work", encode("good"))
            await stage.until(lambda: total(stage) == 0)
        assert [one.fields["to"] for one in stage.happened("trigger.dead_lettered")] == ["dead"]
        return [message.body for message in stage.broker.peek("dead")]

    trigger = stream(spec, tolerate_errors=True, dead_letter_queue="dead", batch_seconds=0)
    assert play(scene, template(spec, triggers=(trigger,)), time_scale=0.01) == [encode("poison")]
    assert record.bodies == [["poison"]] * 4 + [["good"]]


def test_without_a_dead_letter_queue_a_batch_is_dropped(play: Play, record: Record) -> None:
    """As the platform does it; the activity says so."""
    spec = record.recorder(FAILURES="99")

    async def scene(stage: Stage) -> None:
        stage.broker.send("work", "poison")
        async with running(stage):
            await stage.until(lambda: total(stage) == 0)
        (dropped,) = stage.happened("trigger.dead_lettered")
        assert dropped.fields["to"] is None

    trigger = stream(spec, tolerate_errors=True, batch_seconds=0)
    play(scene, template(spec, triggers=(trigger,)), time_scale=0.001)


def test_without_tolerance_the_stream_blocks(play: Play, record: Record) -> None:
    """The batch stays on its queue, and nothing is pushed after it."""
    spec = record.recorder(FAILURES="99")

    async def scene(stage: Stage) -> None:
        stage.broker.send("work", "poison")
        async with running(stage):
            await stage.until(lambda: stage.happened("trigger.blocked"))
            stage.broker.send("work", "good")
            await asyncio.sleep(0.1)
        assert stage.host.streams[0].blocked
        assert total(stage) == 2

    trigger = stream(spec, batch_seconds=0)
    play(scene, template(spec, triggers=(trigger,)), time_scale=0.001)
    assert record.bodies == [["poison"]] * 4


def test_messages_stay_invisible_while_a_slow_push_runs(play: Play, record: Record) -> None:
    """A push that takes longer than the lease is not handed out a second time."""
    spec = record.recorder("recording.record_slowly", PAUSE="2.5")

    async def scene(stage: Stage) -> None:
        stage.broker.send("work", "slow")
        async with running(stage):
            await stage.until(lambda: total(stage) == 0)

    trigger = stream(spec, batch_seconds=0)
    play(scene, template(spec, triggers=(trigger,)), lease_seconds=1)
    assert record.bodies == [["slow"]]


def test_messages_stay_invisible_while_a_batch_gathers(play: Play, record: Record) -> None:
    """A window that is longer than the lease hands nothing out twice."""
    spec = record.recorder()

    async def scene(stage: Stage) -> None:
        stage.broker.send("work", "early")
        async with running(stage):
            await stage.until(lambda: total(stage) == 0)

    trigger = stream(spec, batch_seconds=3)
    play(scene, template(spec, triggers=(trigger,)), lease_seconds=1)
    assert record.bodies == [["early"]]


def test_a_push_under_way_at_the_end_is_not_deleted(play: Play, record: Record) -> None:
    """It comes back by its visibility, to the next host."""
    slow = record.recorder("recording.record_slowly", PAUSE="30")
    quick = record.recorder("recording.record_slowly", PAUSE="0")

    async def interrupted(stage: Stage) -> None:
        stage.broker.send("work", "precious")
        async with running(stage):
            await stage.until(lambda: stage.happened("function.started"))
            await asyncio.sleep(0.2)
        assert total(stage) == 1

    async def again(stage: Stage) -> None:
        async with running(stage):
            await stage.until(lambda: total(stage) == 0)

    for scene, spec in ((interrupted, slow), (again, quick)):
        trigger = stream(spec, batch_seconds=0)
        play(scene, template(spec, triggers=(trigger,)), lease_seconds=1)
    assert record.bodies == [["precious"]]


def test_as_many_pushes_at_a_time_as_instances(play: Play, record: Record) -> None:
    """Four slow messages, two instances: twice the time of one, not four times."""
    spec = record.recorder("recording.record_slowly", PAUSE="0.5")

    async def scene(stage: Stage) -> float:
        await stage.host.warm()
        for number in range(4):
            stage.broker.send("work", f"message {number}")
        start = time.monotonic()
        async with running(stage):
            await stage.until(lambda: total(stage) == 0)
        return time.monotonic() - start

    trigger = stream(spec, batch_count=1, batch_seconds=0)
    assert 0.9 < play(scene, template(spec, triggers=(trigger,)), instances=2) < 1.9


def test_a_disabled_trigger_does_not_run(play: Play, record: Record) -> None:
    """Its queue is left alone."""
    spec = record.recorder()

    async def scene(stage: Stage) -> int:
        stage.broker.send("work", "waits")
        async with running(stage):
            await asyncio.sleep(0.1)
        return total(stage)

    assert play(scene, template(spec, triggers=(stream(spec, enabled=False),))) == 1


def test_a_queue_that_is_missing_stops_the_host(play: Play, record: Record) -> None:
    """Loudly: a stream that cannot read is no stream."""
    spec = record.recorder()

    async def scene(stage: Stage) -> None:
        stage.broker.delete_queue("work")
        with pytest.raises(Exception, match="QueueNotExist"):
            await stage.host.run()

    play(scene, template(spec, triggers=(stream(spec),)))
