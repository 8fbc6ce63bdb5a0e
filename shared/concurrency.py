"""Several calls at once, none for longer than the invocation has.

The platform gives an instance one request at a time, so concurrency lives inside the batch. A
thread cannot be ended from outside; a call that does not come back in time is left to itself, and
whatever it still writes down is guarded by its claim.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

Item = TypeVar("Item")
Value = TypeVar("Value")


class _Pool:
    """A thread pool that is replaced once a call in it has been left to itself."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._executor = ThreadPoolExecutor(threads, "postbus")

    def _replace(self) -> None:
        self._executor.shutdown(wait=False)
        self._executor = ThreadPoolExecutor(self._threads, "postbus")


class AtOnce(_Pool):
    """Runs a function over items, several at a time.

    Args:
        threads: how many at a time.
    """

    def __call__(
        self, work: Callable[[Item], None], items: Sequence[Item], timeout_ms: int
    ) -> list[Item]:
        """Run `work` over every item.

        Returns:
            The items whose work had not ended after `timeout_ms`.

        Raises:
            Exception: the first one that `work` raised, once all the others have ended.
        """
        futures = {
            self._executor.submit(contextvars.copy_context().run, work, item): item
            for item in items
        }
        done, late = wait(futures, timeout=max(0, timeout_ms) / 1000)
        waiting = [futures[future] for future in late if not future.cancel()]
        unstarted = [futures[future] for future in late if future.cancelled()]
        if late:
            self._replace()
        for future in done:
            future.result()
        return waiting + unstarted


class AtMost(_Pool):
    """Runs one call, for so long at most.

    Args:
        threads: how many calls that were left to themselves may go on.
    """

    def __call__(self, work: Callable[[], Value], timeout_ms: int) -> Value | None:
        """Run `work`; None when it has not ended after `timeout_ms`."""
        future = self._executor.submit(contextvars.copy_context().run, work)
        done, _ = wait([future], timeout=max(0, timeout_ms) / 1000)
        if not done:
            self._replace()
            return None
        return future.result()
