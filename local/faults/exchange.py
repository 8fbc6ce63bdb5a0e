"""One request in front of a twin: its body read ahead, its answer in our hands."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from local.faults.protocol import RESET

# What is kept of a body; a twin refuses more than this anyway, and gets the rest as it comes.
READ_AHEAD_BYTES = 32 * 1024 * 1024


class Exchange:
    """A request that was not yet handed to its twin.

    Attributes:
        body: all of it, or the first `READ_AHEAD_BYTES`.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.body = b""
        self._receive = receive
        self._send = send
        self._unread: list[Message] = []
        self._more = True

    async def read(self) -> None:
        """Read the body, and keep it for the twin."""
        chunks: list[bytes] = []
        size = 0
        while self._more and size <= READ_AHEAD_BYTES:
            message = await self._next()
            self._unread.append(message)
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
        self.body = b"".join(chunks)

    async def serve(self, app: ASGIApp, answered: Callable[[int], None] | None = None) -> None:
        """Let the twin answer.

        Args:
            app: the twin's own.
            answered: hears the status before the client does, whose next request may come before
                this one's task goes on.
        """

        async def send(message: Message) -> None:
            if answered is not None and "status" in message:
                answered(message["status"])
            await self._send(message)

        async def receive() -> Message:
            return await (self._body() if self._unread or self._more else self._receive())

        await app(self.scope, receive, send)

    async def hold(self, app: ASGIApp) -> list[Message]:
        """Let the twin do its work, and keep the answer back.

        A client that leaves meanwhile is not noticed: the work is done all the same.
        """
        answer: list[Message] = []
        complete = asyncio.Event()
        unread, more = list(self._unread), self._more

        async def send(message: Message) -> None:
            answer.append(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                complete.set()

        async def receive() -> Message:
            if self._unread or self._more:
                return await self._body()
            await complete.wait()
            return {"type": "http.disconnect"}

        await app(self.scope, receive, send)
        if not more:  # the whole body was read ahead, so it can be served once more
            self._unread, self._more = unread, False
        return answer

    async def release(self, answer: list[Message]) -> None:
        """Send an answer that was kept back."""
        for message in answer:
            await self._send(message)

    async def trickle(self, answer: list[Message], seconds: float) -> None:
        """Send it with its body byte by byte, over so many seconds in all."""
        body = b"".join(message.get("body", b"") for message in answer)
        await self._send(next(m for m in answer if m["type"] == "http.response.start"))
        for place in range(len(body)):
            if await self.left_within(seconds / len(body)):
                return
            byte = body[place : place + 1]
            more = place + 1 < len(body)
            await self._send({"type": "http.response.body", "body": byte, "more_body": more})

    async def answer(self, response: Response) -> None:
        """Answer in the twin's place."""
        await response(self.scope, self._receive, self._send)

    async def left_within(self, seconds: float) -> bool:
        """Wait for so many seconds; whether the client has left by then."""
        try:
            await asyncio.wait_for(self._left(), seconds)
        except asyncio.TimeoutError:
            return False
        return True

    async def silence(self, seconds: float) -> None:
        """Say nothing for so many seconds, then reset the connection."""
        if not await self.left_within(seconds):
            await self.reset()

    async def reset(self) -> None:
        """Reset the connection.

        Raises:
            RuntimeError: the server is not one with `ResettableProtocol`.
        """
        reset = self.scope.get("state", {}).get(RESET)
        if reset is None:
            raise RuntimeError("serve with local.faults.protocol.ResettableProtocol to reset")
        reset()
        await self._left()

    async def _left(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _body(self) -> Message:
        return self._unread.pop(0) if self._unread else await self._next()

    async def _next(self) -> Message:
        message = await self._receive()
        self._more = message["type"] == "http.request" and message.get("more_body", False)
        return message
