"""Where receives wait for a message (long polling).

A send rings for its queue. What becomes due by the passing of time (a delay or a visibility
time-out that ends) has nobody who rings, so while anybody waits one alarm is set to the next such
moment, over all queues: what is due in one may be a dead letter for another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

# A due time is whole milliseconds; sleeping less would only ask again.
_SHORTEST_SECONDS = 0.001


class WaitingRoom:
    """The receives that wait, by queue.

    Args:
        settle: does what is due, and says in how many seconds the next message is (None: none is).
    """

    def __init__(self, settle: Callable[[], float | None]) -> None:
        self._settle = settle
        # By queue, in the order they came.
        self._waiting: dict[str, dict[asyncio.Future[None], None]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._alarm: asyncio.TimerHandle | None = None

    async def wait(self, queue: str, seconds: float) -> None:
        """Come back when the queue is rung for, or after so many seconds."""
        self._loop = loop = asyncio.get_running_loop()
        bell: asyncio.Future[None] = loop.create_future()
        self._waiting.setdefault(queue, {})[bell] = None
        end = loop.call_later(seconds, _strike, bell)
        try:
            if self._alarm is None:
                self._wake_up()
            await bell
        finally:
            end.cancel()
            self._leave(queue, bell)

    def ring(self, queue: str) -> None:
        """Wake everybody who waits for that queue, first come first served."""
        for bell in self._waiting.get(queue, ()):
            _strike(bell)

    def ring_all(self) -> None:
        """Wake everybody."""
        for queue in self._waiting:
            self.ring(queue)

    def due_in(self, seconds: float) -> None:
        """A message becomes due in so many seconds: the alarm must not be later."""
        alarm, loop = self._alarm, self._loop
        if alarm is not None and loop is not None and loop.time() + seconds < alarm.when():
            self._set(loop, seconds)

    def _wake_up(self) -> None:
        self._alarm = None
        seconds = self._settle()
        if self._waiting:
            # Without anything due the alarm is far away, there to be moved by `due_in`.
            self._set(asyncio.get_running_loop(), 3600.0 if seconds is None else seconds)

    def _set(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = loop.call_later(max(seconds, _SHORTEST_SECONDS), self._wake_up)

    def _leave(self, queue: str, bell: asyncio.Future[None]) -> None:
        waiting = self._waiting[queue]
        del waiting[bell]
        if not waiting:
            del self._waiting[queue]
        if not self._waiting and self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None


def _strike(bell: asyncio.Future[None]) -> None:
    if not bell.done():
        bell.set_result(None)
