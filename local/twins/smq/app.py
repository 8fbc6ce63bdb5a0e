"""SMQ's REST/XML protocol in front of the broker, as the official SDKs speak it.

https://www.alibabacloud.com/help/en/mns/developer-reference/request-protocol-description
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Callable
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketClose

from local.account import Account
from local.twins.smq.api import Answer, Call, ClientGone, Operation
from local.twins.smq.broker import Broker
from local.twins.smq.errors import SmqError, invalid_argument, refusal
from local.twins.smq.query import Query
from local.twins.smq.queue_api import QueueApi
from local.twins.smq.signature import PROTOCOL_VERSION, SignedRequest, check_digest, verify
from local.twins.smq.topic_api import TopicApi
from local.twins.smq.wire import document, printable

# 64 KB of text with every character written as an entity still fits.
BODY_LIMIT = 1024 * 1024

_HOST = re.compile(r"[A-Za-z0-9.:\[\]_-]+\Z")

_log = logging.getLogger(__name__)


def create_app(
    broker: Broker, account: Account, *, clock: Callable[[], float] = time.time
) -> Starlette:
    """The twin as an ASGI application, at `/queues` and `/topics`.

    Args:
        broker: the engine; it runs in the same event loop.
        account: whose access keys are known.
        clock: seconds since 1970, for the age of a request.
    """
    app = Starlette()
    # Not a route: a path with an escaped line break in it would match none.
    app.router.default = _Protocol(broker, account, clock)
    return app


class _Protocol:
    """One ASGI endpoint for every method and path, so that whatever comes gets SMQ's answer."""

    def __init__(self, broker: Broker, account: Account, clock: Callable[[], float]) -> None:
        self._account = account
        self._clock = clock
        self._operations = {**QueueApi(broker).operations(), **TopicApi(broker).operations()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await WebSocketClose()(scope, receive, send)
            return
        request_id = secrets.token_hex(12).upper()
        headers = _headers(scope)
        host = headers.get("host", "")
        host = host if _HOST.match(host) else "localhost"
        try:
            answer = await self._answer(scope, headers, receive, host)
        except ClientGone:
            return
        except SmqError as error:
            answer = _refused(error, request_id, host)
        except Exception:  # noqa: BLE001  # the service answers its own faults in XML too
            _log.exception("smq.internal_error")
            answer = _refused(refusal("InternalError"), request_id, host)
        told = {
            **answer.headers,
            "x-mns-request-id": request_id,
            "x-mns-version": PROTOCOL_VERSION,
        }
        media_type = "text/xml;charset=utf-8" if answer.body else None
        await Response(answer.body, answer.status, told, media_type)(scope, receive, send)

    async def _answer(
        self, scope: Scope, headers: dict[str, str], receive: Receive, host: str
    ) -> Answer:
        body = await _read(receive)
        request = SignedRequest(scope["method"], _target(scope), headers)
        verify(request, self._account, self._clock())
        if body is None:
            raise invalid_argument(f"A request may have {BODY_LIMIT} bytes.")
        check_digest(request.header("content-md5"), body)
        operation, names = self._find(scope)
        call = Call(
            names=names,
            query=Query(scope["query_string"].decode("latin-1"), operation.query),
            headers=headers,
            body=body,
            url=f"{scope['scheme']}://{host}",
            gone=lambda: _gone(receive),
        )
        return await operation.run(call)

    def _find(self, scope: Scope) -> tuple[Operation, list[str]]:
        parts = _path(scope).decode("latin-1").strip("/").split("/")
        shape = "".join(f"/{'*' if place % 2 else part}" for place, part in enumerate(parts))
        operation = self._operations.get((scope["method"], shape))
        if operation is None:
            raise refusal("InvalidRequestURL")
        return operation, [unquote(name) for name in parts[1::2]]


def _path(scope: Scope) -> bytes:
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    return path


def _headers(scope: Scope) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


def _target(scope: Scope) -> bytes:
    query = scope["query_string"]
    return _path(scope) + (b"?" + query if query else b"")


async def _read(receive: Receive) -> bytes | None:
    """All of the body; None when it is beyond `BODY_LIMIT`, of which nothing is kept."""
    body, more = bytearray(), True
    size = 0
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk = message.get("body", b"")
        size += len(chunk)
        if size <= BODY_LIMIT:
            body += chunk
        more = message.get("more_body", False)
    return bytes(body) if size <= BODY_LIMIT else None


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _refused(error: SmqError, request_id: str, host: str) -> Answer:
    fields = {
        "Code": error.code,
        "Message": printable(error.message),
        "RequestId": request_id,
        "HostId": f"http://{host}",
    }
    return Answer(error.status, document("Error", fields))
