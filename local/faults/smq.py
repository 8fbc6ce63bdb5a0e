"""SMQ misbehaves: at its HTTP door, and in what a receive gives."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import re
import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any

from starlette.responses import Response
from starlette.types import Scope

from local.faults.edge import Edge
from local.faults.exchange import Exchange
from local.faults.registry import Faults
from local.twins.smq.broker import Broker, Message
from local.twins.smq.errors import refusal
from local.twins.smq.signature import PROTOCOL_VERSION
from local.twins.smq.wire import document

# How often somebody who waits while SMQ is down looks whether it is up again.
_LOOK_SECONDS = 0.05
_AT_THE_DOOR = frozenset(
    {"down", "duplicate", "publish-fails", "publish-hangs", "publish-lost-answer"}
)
_BODY = re.compile(rb"<MessageBody>([^<]*)</MessageBody>")
_ACTIONS = {
    ("POST", "queues"): "SendMessage",
    ("POST", "topics"): "PublishMessage",
    ("GET", "queues"): "ReceiveMessage",
    ("PUT", "queues"): "ChangeMessageVisibility",
    ("DELETE", "queues"): "DeleteMessage",
}


class SmqEdge(Edge):
    """The twin's application, with the faults of target `smq`."""

    target = "smq"

    async def serve(self, exchange: Exchange, scope: Scope) -> None:
        """See `Edge.serve`."""
        detail = f"{scope['path']} {_bodies(exchange.body)}"
        fault = self._faults.choose(self.target, _action(scope), detail, kinds=_AT_THE_DOOR)
        if fault is None:
            await exchange.serve(self._app)
        elif fault.kind == "down":
            await exchange.reset()
        elif fault.kind == "publish-fails":
            await exchange.answer(_internal_error())
        elif fault.kind == "publish-hangs":
            await exchange.silence(fault.seconds)
        elif fault.kind == "publish-lost-answer":
            await exchange.hold(self._app)
            await exchange.reset()
        else:  # duplicate
            await exchange.hold(self._app)
            await exchange.serve(self._app)


class FaultyBroker(Broker):
    """The engine, whose receives find nothing while SMQ is down and give messages twice.

    The function host's queue triggers receive from the engine and not over HTTP, so a fault that
    they should meet is here.
    """

    def __init__(self, database: Path, *, faults: Faults, **more: Any) -> None:
        super().__init__(database, **more)
        self._faults = faults

    async def receive(
        self,
        queue: str,
        *,
        count: int = 1,
        wait_seconds: float = 0,
        visibility_seconds: float | None = None,
    ) -> list[Message]:
        """Like the engine's own."""
        loop = asyncio.get_running_loop()
        end = loop.time() + wait_seconds
        while True:
            if not self._down(queue):
                messages = await super().receive(
                    queue,
                    count=count,
                    wait_seconds=max(0.0, end - loop.time()),
                    visibility_seconds=visibility_seconds,
                )
                if not (messages and self._down(queue)):
                    return [self._troubled(queue, message) for message in messages]
                for message in messages:  # it went down while somebody waited
                    self.change_visibility(queue, message.receipt_handle, 0)
            if loop.time() >= end:
                return []
            await asyncio.sleep(_LOOK_SECONDS)

    def _down(self, queue: str) -> bool:
        return self._faults.down("smq", "ReceiveMessage", queue)

    def _troubled(self, queue: str, message: Message) -> Message:
        """The message, visible again already or soon when a rule says so."""
        if not self._faults.concern("smq"):
            return message
        detail = f"{queue} {_readable(message.body.encode())}"
        fault = self._faults.choose("smq", "ReceiveMessage", detail, kinds={"redeliver"})
        if fault is None:
            return message
        handle, due = self.change_visibility(queue, message.receipt_handle, fault.seconds)
        return replace(message, receipt_handle=handle, next_visible_at_ms=due)


def _internal_error() -> Response:
    error = refusal("InternalError")
    request_id = secrets.token_hex(12).upper()
    fields = {"Code": error.code, "Message": error.message, "RequestId": request_id, "HostId": ""}
    headers = {"x-mns-request-id": request_id, "x-mns-version": PROTOCOL_VERSION}
    return Response(document("Error", fields), error.status, headers, "text/xml;charset=utf-8")


def _action(scope: Scope) -> str:
    """The operation, by method and path; what concerns queues and topics themselves is Manage."""
    parts = scope["path"].strip("/").split("/")
    if len(parts) != 3 or parts[2] != "messages":  # noqa: PLR2004  # queues/<name>/messages
        return "Manage"
    return _ACTIONS.get((scope["method"], parts[0]), "Manage")


def _bodies(document: bytes) -> str:
    """The messages of a request as text, for a rule's `match`."""
    return " ".join(_readable(body) for body in _BODY.findall(document))


def _readable(body: bytes) -> str:
    """A body as text; base64, the clients' convention, is undone."""
    with contextlib.suppress(binascii.Error, ValueError):
        body = base64.b64decode(body, validate=True)
    return body.decode("utf-8", "replace")
