"""The host's end of a worker's socket: one request, one reply, or the reason why there is none."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from local.host.worker import wire


@dataclass(frozen=True)
class Reply:
    """What came of a request.

    Attributes:
        outcome: `ok`, `error` (the function raised), `load_error`, or `ended` (the process did).
        body: the result, or the error JSON.
        reason: why the process ended; empty otherwise.
    """

    outcome: str
    body: bytes
    reason: str = ""


class WorkerLostError(Exception):
    """The worker process ended before it answered."""


class Channel(asyncio.Protocol):
    """Frames to and from one worker; at most one request is under way."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._pending: asyncio.Future[Reply] | None = None
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # a socket gives no other
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Called by asyncio: a reply, or a part of one."""
        self._buffer += data
        frame = wire.unpack(self._buffer)
        if frame is not None and self._pending is not None and not self._pending.done():
            self._pending.set_result(Reply(frame[0]["outcome"], frame[1]))

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio: the worker's end is closed, so the process is gone."""
        del exc
        self.lost = True
        if self._pending is not None and not self._pending.done():
            self._pending.set_exception(WorkerLostError())

    async def ask(self, header: dict[str, Any], payload: bytes, seconds: float) -> Reply:
        """Send one request and wait for its reply.

        Raises:
            WorkerLostError: the process ended.
            TimeoutError: it did not answer within `seconds`.
        """
        if self.lost or self._transport is None:
            raise WorkerLostError
        loop = asyncio.get_running_loop()
        self._pending = pending = loop.create_future()
        self._transport.write(wire.pack(header, payload))
        timer = loop.call_later(seconds, _time_out, pending)
        try:
            reply: Reply = await pending
        finally:
            timer.cancel()
            self._pending = None
        return reply

    def close(self) -> None:
        """Close the host's end; the worker then ends by itself."""
        if self._transport is not None:
            self._transport.abort()


def _time_out(pending: asyncio.Future[Reply]) -> None:
    if not pending.done():
        pending.set_exception(TimeoutError())
