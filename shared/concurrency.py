"""Several calls at once, none for longer than the invocation has.

The platform gives an instance one request at a time, so concurrency lives inside the batch. A
thread cannot be ended from outside; a call that does not come back in time is left to itself, and
whatever it still writes down is guarded by its claim.
"""

from __future__ import annotations

import contextvars
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Generic, TypeVar

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


class _Batch(Generic[Item]):
    """Items that several threads take from, each the next one as soon as it is free.

    One hand-over for each thread, not for each item: handing work to a thread costs locks and a
    wake-up. (A deque's `popleft` and a set's `add` are atomic.)
    """

    def __init__(self, work: Callable[[Item], None], items: Sequence[Item]) -> None:
        self._work = work
        self._waiting = deque(enumerate(items))
        self._ended: set[int] = set()
        self._items = items
        self.errors: list[BaseException] = []

    def run(self) -> None:
        """Work until nothing waits."""
        while True:
            try:
                number, item = self._waiting.popleft()
            except IndexError:
                return
            try:
                contextvars.copy_context().run(self._work, item)
            except BaseException as error:  # noqa: BLE001  # raised again by the thread that waits
                self.errors.append(error)
            self._ended.add(number)

    def close(self) -> list[Item]:
        """Let nothing more begin; the items whose work has not ended."""
        self._waiting.clear()
        ended = self._ended.copy()
        return [item for number, item in enumerate(self._items) if number not in ended]


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
            BaseException: the first one that `work` raised, once all the others have ended.
        """
        batch = _Batch(work, items)
        futures = [
            self._executor.submit(contextvars.copy_context().run, batch.run)
            for _ in range(min(self._threads, len(items)))
        ]
        _, running = wait(futures, timeout=max(0, timeout_ms) / 1000)
        late = batch.close()
        if running:
            self._replace()
        for error in batch.errors:
            raise error
        return late


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
