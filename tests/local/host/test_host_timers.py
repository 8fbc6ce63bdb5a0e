"""Timers, asynchronous invocations and events of the bus."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from local.host.instances.invocation import Call
from local.host.model import EventBridgeTrigger, FunctionSpec, TimerTrigger
from local.host.triggers.retries import push_pauses
from local.host.triggers.schedules import ScheduleError, read_schedule
from tests.local.host.conftest import Play, Stage, function, template


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("0 0 4 * * *", "2026-11-21T03:59:59", "2026-11-21T04:00:00"),
        ("0 0 4 * * *", "2026-11-21T04:00:00", "2026-11-22T04:00:00"),
        ("30 */5 * * * *", "2026-11-21T10:05:30", "2026-11-21T10:10:30"),
        ("0 0 0 1 JAN ?", "2026-01-01T00:00:00", "2027-01-01T00:00:00"),
        ("0 0 9 * * MON-FRI", "2026-11-20T09:00:00", "2026-11-23T09:00:00"),
        ("0 0 9 * * 0", "2026-11-20T09:00:00", "2026-11-22T09:00:00"),
        ("0 0 9 * * 7", "2026-11-20T09:00:00", "2026-11-22T09:00:00"),
        ("0 0 0 13 * FRI", "2026-11-21T00:00:00", "2026-11-27T00:00:00"),
        ("0 0 0 29 2 ?", "2026-11-21T00:00:00", "2028-02-29T00:00:00"),
        ("0 0 0 31 * ?", "2026-11-21T00:00:00", "2026-12-31T00:00:00"),
        ("0 10/20 8,20 * * *", "2026-11-21T08:30:00", "2026-11-21T08:50:00"),
        ("CRON_TZ=Asia/Shanghai 0 0 4 1 * *", "2026-11-21T00:00:00", "2026-11-30T20:00:00"),
        ("@every 4m", "2026-11-21T00:00:01", "2026-11-21T00:04:01"),
        ("@every 1h30m", "2026-11-21T00:00:00", "2026-11-21T01:30:00"),
    ],
)
def test_the_next_time(expression: str, after: str, expected: str) -> None:
    """Seconds first, UTC unless a zone is named, either of two restricted days."""
    assert read_schedule(expression).after(_utc(after)) == _utc(expected)


def test_a_time_that_the_clock_jumps_over_is_left_out() -> None:
    """Half past two does not exist in New York on the day that summer time begins."""
    schedule = read_schedule("CRON_TZ=America/New_York 0 30 2 * * *")
    assert schedule.after(_utc("2026-03-08T00:00:00")) == _utc("2026-03-09T06:30:00")


def test_a_time_that_the_clock_shows_twice_comes_once() -> None:
    """Half past one on the day that summer time ends."""
    schedule = read_schedule("CRON_TZ=America/New_York 0 30 1 * * *")
    first = schedule.after(_utc("2026-11-01T00:00:00"))
    assert first == _utc("2026-11-01T05:30:00")
    assert schedule.after(first) == _utc("2026-11-02T06:30:00")


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "* * * * *",
        "* * * * * * *",
        "60 * * * * *",
        "* * 24 * * *",
        "* * * 0 * *",
        "* * * * 13 *",
        "* * * * * 8",
        "5-1 * * * * *",
        "*/0 * * * * *",
        "x * * * * *",
        "1- * * * * *",
        "0 0 0 30 2 ?",
        "CRON_TZ=Moon/Base 0 0 0 * * *",
        "CRON_TZ=../etc 0 0 0 * * *",
        "@every 0s",
        "@every 5",
        "@daily",
    ],
)
def test_what_is_no_schedule_is_refused(expression: str) -> None:
    """Before anything runs, and also where it would never come."""
    with pytest.raises(ScheduleError):
        read_schedule(expression)


def test_the_pauses_are_the_documented_ones() -> None:
    """Three of 10 to 20 s, or 1, 2, 4 up to 512 s and 176 in all."""
    few = list(push_pauses("BACKOFF_RETRY"))
    assert len(few) == 3
    assert all(10 <= pause <= 20 for pause in few)
    many = list(push_pauses("EXPONENTIAL_DECAY_RETRY"))
    assert many[:11] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 512]
    assert (len(many), many.count(512)) == (176, 167)


def _lines(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _recorder(path: Path, failures: int = 0) -> FunctionSpec:
    environment = {"RECORD": str(path), "FAILURES": str(failures)}
    return function("recording.record", environment=environment, runtime="python3.10")


def test_a_timer_fires_with_the_documented_event(play: Play, tmp_path: Path) -> None:
    """At each planned time, with the payload as text; one that is off never does."""
    record = tmp_path / "record"
    spec = _recorder(record)

    async def scene(stage: Stage) -> None:
        running = asyncio.ensure_future(stage.host.run())
        await stage.until(lambda: len(_lines(record)) >= 2)
        running.cancel()
        await asyncio.wait([running])
        assert {one.fields["trigger"] for one in stage.happened("function.invoked")} == {"timer"}

    triggers = (
        TimerTrigger("on", spec.name, "* * * * * *", enabled=True, payload='{"a": 1}'),
        TimerTrigger("off", spec.name, "* * * * * *", enabled=False, payload=""),
    )
    play(scene, template(spec, triggers=triggers))
    events = [json.loads(line["event"]) for line in _lines(record)]
    times = [event.pop("triggerTime") for event in events]
    assert all(event == {"triggerName": "on", "payload": '{"a": 1}'} for event in events)
    assert len(set(times)) == len(times)
    assert all(datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z") for text in times)


def test_an_asynchronous_invocation_is_repeated_three_times(play: Play, tmp_path: Path) -> None:
    """With the same event and request id, and the count in the context; then given up."""
    record = tmp_path / "record"
    spec = _recorder(record, failures=99)

    async def scene(stage: Stage) -> None:
        stage.host.call_later("Sample", Call(b'"x"', request_id="one"))
        await stage.until(lambda: len(stage.happened("function.invoked")) == 4)
        await asyncio.sleep(0.2)

    play(scene, template(spec), time_scale=0.01)
    expected = [{"event": '"x"', "retry_count": count, "id": "one"} for count in range(4)]
    assert _lines(record) == expected


def test_an_event_of_the_bus_is_one_invocation(play: Play, tmp_path: Path) -> None:
    """One CloudEvent object, verbatim; repeated by the trigger's strategy when it fails."""
    record = tmp_path / "record"
    spec = _recorder(record, failures=2)

    async def scene(stage: Stage) -> bool:
        return (await stage.host.deliver_event(spec.name, '{"id": "1"}')).ok

    trigger = EventBridgeTrigger("mail", spec.name, {"source": ["acs.dm"]})
    assert play(scene, template(spec, triggers=(trigger,)), time_scale=0.001)
    assert [line["event"] for line in _lines(record)] == ['{"id": "1"}'] * 3


def test_what_runs_in_the_background_ends_with_the_host(play: Play, tmp_path: Path) -> None:
    """A repeat that was planned for later is forgotten."""
    record = tmp_path / "record"

    async def scene(stage: Stage) -> None:
        stage.host.call_later("Sample", Call(b"x"))
        await stage.until(lambda: stage.happened("function.invoked"))

    play(scene, template(_recorder(record, failures=9)))
    assert len(_lines(record)) == 1
