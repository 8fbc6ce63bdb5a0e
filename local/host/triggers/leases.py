"""Keeps the messages of a batch invisible from their receipt until the batch is settled.

Each is extended well before its visibility ends, with the new receipt handle that SMQ gives for
it. A host that is killed stops extending, and the messages come back by themselves.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterator, Sequence

from local.twins.smq.broker import Broker
from local.twins.smq.errors import SmqError
from local.twins.smq.model import Message

# A message is extended three times before its visibility would end.
_SHARE = 3
_LOGGER = logging.getLogger("postbus.host")


class Lease:
    """The receipt handles of one batch, kept good by `extended()`."""

    def __init__(self, broker: Broker, queue: str, seconds: int) -> None:
        self._broker = broker
        self._queue = queue
        self._seconds = seconds
        self._handles: dict[str, str] = {}

    def add(self, messages: Sequence[Message]) -> None:
        """Take messages just received into the lease."""
        self._handles.update({message.id: message.receipt_handle for message in messages})

    @contextlib.asynccontextmanager
    async def extended(self) -> AsyncIterator[None]:
        """Extend in the background while the block runs."""
        task = asyncio.ensure_future(self._keep())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    def delete(self) -> None:
        """Delete the batch; a message that has come back meanwhile stays, and comes again."""
        for message_id, handle in self._handles.items():
            with _told(f"message {message_id} comes again"):
                self._broker.delete(self._queue, handle)

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self._seconds / _SHARE)
            for message_id, handle in self._handles.items():
                with _told(f"message {message_id} is not extended"):
                    new, _ = self._broker.change_visibility(self._queue, handle, self._seconds)
                    self._handles[message_id] = new


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    """Log what SMQ refuses: the message is no longer this stream's, which is nobody's fault."""
    try:
        yield
    except SmqError as error:
        _LOGGER.warning("%s: %s", what, error)
