"""Tablestore's protocol in front of the store, as the official SDK speaks it.

A request is `POST /<operation>` with a protocol buffer as its body and its signature in the
headers; so is the answer. https://www.alibabacloud.com/help/en/tablestore/developer-reference/api-overview
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import secrets
import time
from collections.abc import Callable
from datetime import datetime, timezone

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketClose

from local.account import Account
from local.faults.protocol import RESET
from local.twins.tablestore.errors import TablestoreError
from local.twins.tablestore.faults import Fault
from local.twins.tablestore.limits import BODY_BYTES_MAX
from local.twins.tablestore.operations import OPERATIONS
from local.twins.tablestore.signature import Signer, verify
from local.twins.tablestore.store import Store
from local.twins.tablestore.wire import write_error

_log = logging.getLogger(__name__)


def create_app(
    store: Store, account: Account, *, clock: Callable[[], float] = time.time
) -> Starlette:
    """The twin as an ASGI application, at `/PutRow`, `/GetRow` and the rest of `OPERATIONS`.

    Args:
        store: the engine; it runs in the same event loop.
        account: whose access keys are known.
        clock: seconds since 1970, for the age of a request.
    """
    app = Starlette()
    # Not routes: whatever comes gets Tablestore's own answer.
    app.router.default = _Protocol(store, account, clock)
    return app


class _Protocol:
    """One ASGI endpoint for every operation."""

    def __init__(self, store: Store, account: Account, clock: Callable[[], float]) -> None:
        self._store = store
        self._account = account
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await WebSocketClose()(scope, receive, send)
            return
        body = await _read(receive)
        operation = scope["path"].strip("/")
        fault = self._store.fault(operation) or Fault("slow", 0)
        if fault.kind == "down":
            await _hang_up(scope, receive, send)
            return
        if fault.seconds:
            await asyncio.sleep(fault.seconds)
        answer = self._answer(scope, operation, body, busy=fault.kind == "busy")
        if fault.kind == "lost-answer":
            await _hang_up(scope, receive, send)
        else:
            await answer(scope, receive, send)

    def _answer(self, scope: Scope, operation: str, body: bytes, *, busy: bool) -> Response:
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        signer: Signer | None = None
        status = 200
        try:
            _check(scope, body)
            signer = verify(f"/{operation}", headers, body, self._account, self._clock())
            content = self._run(operation, headers["x-ots-instancename"], body, busy=busy)
        except TablestoreError as error:
            status, content = error.status, write_error(error)
        except Exception:  # noqa: BLE001  # the service answers its own faults in its protocol too
            _log.exception("tablestore.internal_error")
            fault = TablestoreError("OTSInternalServerError")
            status, content = fault.status, write_error(fault)
        told = self._told(content)
        if signer is not None:
            told["Authorization"] = signer.sign_answer(f"/{operation}", told)
        return Response(content, status, told)

    def _run(self, operation: str, instance: str, body: bytes, *, busy: bool) -> bytes:
        if operation not in OPERATIONS:
            detail = f"The twin has no operation '{operation[:50]}'."
            raise TablestoreError("OTSUnsupportOperation", detail)
        if busy:
            raise TablestoreError("OTSServerBusy")
        content: bytes = OPERATIONS[operation](self._store, instance, body).SerializeToString()
        return content

    def _told(self, content: bytes) -> dict[str, str]:
        date = datetime.fromtimestamp(self._clock(), timezone.utc)
        digest = hashlib.md5(content, usedforsecurity=False).digest()
        return {
            "x-ots-contentmd5": base64.b64encode(digest).decode(),
            "x-ots-contenttype": "protocol buffer",
            "x-ots-date": f"{date:%Y-%m-%dT%H:%M:%S}.{date.microsecond // 1000:03}Z",
            "x-ots-requestid": secrets.token_hex(16),
        }


def _check(scope: Scope, body: bytes) -> None:
    if scope["method"] != "POST":
        raise TablestoreError("OTSMethodNotAllowed")
    if len(body) > BODY_BYTES_MAX:
        raise TablestoreError("OTSRequestBodySizeExceed")


async def _read(receive: Receive) -> bytes:
    """The body, or a part that is too much already."""
    body, more = bytearray(), True
    while more:
        message = await receive()
        if len(body) <= BODY_BYTES_MAX:
            body += message.get("body", b"")
        more = message.get("more_body", False)
    return bytes(body)


async def _hang_up(scope: Scope, receive: Receive, send: Send) -> None:
    """Reset the connection; where the server cannot, begin an answer that never comes."""
    reset = scope.get("state", {}).get(RESET)
    if reset is None:
        headers = [(b"content-length", b"1")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        return
    reset()
    while (await receive())["type"] != "http.disconnect":
        pass
