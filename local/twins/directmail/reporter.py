"""Emits planned events when they are due, each at least once, also after a kill -9."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

from local.activity import Activity
from local.twins.directmail import events
from local.twins.directmail.outbox import DueEvent, Outbox

# Events emitted between two turns of the event loop, in which requests are served.
BATCH = 50
# Sleeping shorter than this would only make smaller batches.
SHORTEST_SLEEP_SECONDS = 0.01

# As EventBridge's default policy, whose pauses are 10 to 20 s (BACKOFF_RETRY, three retries); an
# event that still fails is dropped, as it is there without a dead-letter queue.
# https://www.alibabacloud.com/help/en/eventbridge/user-guide/retry-and-dead-letter
MAX_TRIES = 4
RETRY_SECONDS = 1.0


class Reporter:
    """Sleeps until the next planned event is due, and emits what is.

    Args:
        outbox: where the planned events are.
        emit: takes one event.
        render: makes the event of a row.
        activity: told of each event, and of those that failed.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        outbox: Outbox,
        *,
        emit: Callable[[dict[str, Any]], object],
        render: Callable[[DueEvent], dict[str, Any]],
        activity: Activity,
        clock: Callable[[], float],
    ) -> None:
        self._outbox = outbox
        self._emit = emit
        self._render = render
        self._activity = activity
        self._clock = clock
        self._woken = asyncio.Event()
        self._asleep_until = -math.inf

    def wake(self, due_at: float) -> None:
        """Tell a sleeping `run` of an event that is due before those it knew."""
        if due_at < self._asleep_until:
            self._woken.set()

    async def run(self) -> None:
        """Emit what is due, until cancelled."""
        while True:
            batch = self._outbox.due(self._clock(), BATCH)
            if batch:
                self._emit_batch(batch)
                await asyncio.sleep(0)
            else:
                await self._sleep()

    def emit_due(self, now: float) -> None:
        """Emit at once what was due by then (seconds since 1970)."""
        while batch := self._outbox.due(now, BATCH):
            self._emit_batch(batch)

    async def _sleep(self) -> None:
        due_at = self._outbox.next_due_at()
        self._woken.clear()
        self._asleep_until = math.inf if due_at is None else due_at
        wait = None if due_at is None else max(due_at - self._clock(), SHORTEST_SLEEP_SECONDS)
        try:
            await asyncio.wait_for(self._woken.wait(), wait)
        except asyncio.TimeoutError:
            pass
        finally:
            self._asleep_until = -math.inf

    def _emit_batch(self, batch: list[DueEvent]) -> None:
        emitted: list[DueEvent] = []
        later: list[tuple[float, DueEvent]] = []
        try:
            for event in batch:
                if self._emitted(event) or event.tries + 1 >= MAX_TRIES:
                    emitted.append(event)
                else:
                    later.append((self._clock() + RETRY_SECONDS, event))
        finally:
            # Only now: a process that dies before this emits them again, and loses none.
            self._outbox.settle(emitted, later, self._clock())

    def _emitted(self, event: DueEvent) -> bool:
        fields = {
            "id": events.event_id(event),
            "type": events.event_type(event),
            "env_id": event.env_id,
        }
        try:
            self._emit(self._render(event))
        except Exception as error:  # noqa: BLE001  # one bad event must not stop all others
            self._activity.record("directmail.event_failed", error=repr(error), **fields)
            return False
        self._activity.record("directmail.event", **fields)
        return True
