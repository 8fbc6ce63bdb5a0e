"""Invocations that are repeated when the function fails: asynchronous ones, events of the bus.

https://www.alibabacloud.com/help/en/functioncompute/fc/error-handling-1-1
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace

from local.host.instances.invocation import FUNCTION_ERROR, Call, Invocation
from local.host.triggers.retries import ASYNCHRONOUS_PAUSES


class Repeater:
    """Repeats calls, and keeps those that run in the background.

    Args:
        call: runs a function once.
        time_scale: what the pauses are multiplied with.
    """

    def __init__(
        self, call: Callable[[str, Call], Awaitable[Invocation]], time_scale: float
    ) -> None:
        self._call = call
        self._time_scale = time_scale
        self._background: set[asyncio.Task[Invocation]] = set()

    async def run(self, function: str, call: Call, pauses: Iterable[float]) -> Invocation:
        """Call until the function does not fail, again after each pause; gives the last outcome.

        The event and the request id stay the same, the context's retry count goes up.
        """
        call = replace(call, wait_seconds=None)
        invocation = await self._call(function, call)
        for count, pause in enumerate(pauses, 1):
            if invocation.error_type != FUNCTION_ERROR:
                break
            await asyncio.sleep(pause * self._time_scale)
            invocation = await self._call(function, replace(call, retry_count=count))
        return invocation

    def run_later(self, function: str, call: Call) -> None:
        """The same in the background, with the pauses of an asynchronous invocation."""
        task = asyncio.ensure_future(self.run(function, call, ASYNCHRONOUS_PAUSES))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def close(self) -> None:
        """End what runs in the background."""
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
