"""A timer trigger at work: waits for its next time and invokes its function asynchronously.

    {"triggerTime": "2023-12-26T07:49:00Z", "triggerName": "timer-trigger", "payload": "text"}

https://help.aliyun.com/document_detail/2513615.html
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

from local.host.model import TimerTrigger
from local.host.triggers.schedules import read_schedule

# A tick this late is still made; one later is left out.
_LATE = timedelta(seconds=10)


def timer_event(trigger: TimerTrigger, moment: datetime) -> bytes:
    """The event of one tick, with the time that was planned."""
    return json.dumps(
        {
            "triggerTime": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "triggerName": trigger.name,
            "payload": trigger.payload,
        }
    ).encode()


async def run_timer(trigger: TimerTrigger, fire: Callable[[bytes], object]) -> None:
    """Fire at each planned time until cancelled; times missed while asleep are left out.

    Args:
        trigger: what and when.
        fire: takes the event and returns at once; the invocation runs by itself.

    Raises:
        ScheduleError: the trigger's expression is none.
    """
    schedule = read_schedule(trigger.schedule)
    moment = _now().replace(microsecond=0)
    while True:
        # From the last planned time, so that an interval does not drift.
        moment = schedule.after(moment)
        if moment < _now() - _LATE:
            moment = schedule.after(_now().replace(microsecond=0))
        await _sleep_until(moment)
        fire(timer_event(trigger, moment))


async def _sleep_until(moment: datetime) -> None:
    # In steps: the loop's clock stands still while the machine sleeps, the wall clock does not.
    while (left := (moment - _now()).total_seconds()) > 0:  # noqa: ASYNC110  # there is no event to wait for
        await asyncio.sleep(min(left, 30.0))


def _now() -> datetime:
    return datetime.now(timezone.utc)
