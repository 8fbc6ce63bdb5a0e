"""The instances of one function: reused while they are warm, more of them under load.

Function Compute gives an instance of a built-in runtime one request at a time, starts another
when all are busy, and takes back those that were idle for some minutes.
https://help.aliyun.com/document_detail/2513552.html
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from local.host.instances.instance import Instance

IDLE_SECONDS = 300.0


class BusyError(Exception):
    """All instances were busy for as long as the caller would wait."""


class Pool:
    """At most `limit` instances.

    Args:
        start: starts and initialises one instance.
        limit: how many may live at a time.
        idle_seconds: after this long without a request an instance is ended.
    """

    def __init__(
        self,
        start: Callable[[], Coroutine[Any, Any, Instance]],
        *,
        limit: int,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self._start = start
        self._idle_seconds = idle_seconds
        self._places = asyncio.Semaphore(limit)
        self._starting: set[asyncio.Task[Instance]] = set()
        self._living: set[Instance] = set()
        self._idle: dict[Instance, asyncio.TimerHandle] = {}
        self._ending: set[asyncio.Task[None]] = set()

    async def acquire(self, wait_seconds: float | None = None) -> Instance:
        """Take an instance, started if none is idle; give it back with `release`.

        Args:
            wait_seconds: how long to wait in line for one; None is for ever.

        Raises:
            BusyError: there was none in that time.
            Exception: whatever `start` raises; the place is free again.
        """
        try:
            await asyncio.wait_for(self._places.acquire(), wait_seconds)
        except asyncio.TimeoutError:
            raise BusyError from None
        try:
            return self._take() or await self._new()
        except BaseException:
            self._places.release()
            raise

    def release(self, instance: Instance) -> None:
        """Give an instance back; one that is of no more use is ended."""
        if instance.usable:
            loop = asyncio.get_running_loop()
            self._idle[instance] = loop.call_later(self._idle_seconds, self._recycle, instance)
        else:
            self._end(instance)
        self._places.release()

    async def close(self) -> None:
        """End all instances, those at work too: their callers are told that the process ended.

        Who still waits for an instance to start is cancelled.
        """
        for task in self._starting:
            task.cancel()
        await asyncio.gather(*self._starting, return_exceptions=True)
        for timer in self._idle.values():
            timer.cancel()
        self._idle.clear()
        for instance in list(self._living):
            self._end(instance)
        await asyncio.gather(*self._ending)

    async def _new(self) -> Instance:
        task = asyncio.ensure_future(self._start())
        self._starting.add(task)
        try:
            instance = await task
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait([task])
            raise
        finally:
            self._starting.discard(task)
        self._living.add(instance)
        return instance

    def _take(self) -> Instance | None:
        """The instance that was used last and still lives: the others may then grow old."""
        while self._idle:
            instance, timer = self._idle.popitem()
            timer.cancel()
            if instance.usable:
                return instance
            self._end(instance)
        return None

    def _recycle(self, instance: Instance) -> None:
        if self._idle.pop(instance, None) is not None:
            self._end(instance)

    def _end(self, instance: Instance) -> None:
        self._living.discard(instance)
        task = asyncio.ensure_future(instance.stop())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
