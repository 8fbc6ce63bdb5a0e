"""The host over HTTP: InvokeFunction, and the HTTP triggers at their local routes.

    POST /2023-03-30/functions/{name}/invocations
    the paths in `Metadata.LocalRoutes` of each HTTP trigger

https://www.alibabacloud.com/help/en/functioncompute/fc/developer-reference/api-fc-2023-03-30-invokefunction
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from datetime import datetime, timezone

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from local.host.host import Host
from local.host.instances.invocation import (
    ASYNCHRONOUS_LIMIT,
    SYNCHRONOUS_LIMIT,
    Call,
    Invocation,
    new_request_id,
    refuse,
)
from local.host.model import HttpTrigger
from local.host.triggers.http_answer import HEADERS_LIMIT, HttpAnswer, http_answer
from local.host.triggers.http_event import HttpRequest, Site, http_event

# https://www.alibabacloud.com/help/en/functioncompute/fc/product-overview/limits-of-usage
_TARGET_LIMIT = 4 * 1024
_ACCEPTED = 202
_NO_BODY = frozenset({204, 304})


def create_app(host: Host) -> Starlette:
    """The host's routes, to be served alone or beside the twins'."""
    routes = [
        Route(
            "/2023-03-30/functions/{name}/invocations",
            endpoint=_invoke_endpoint(host),
            methods=["POST"],
        )
    ]
    for trigger in host.http_triggers:
        # An object and not a function, so that Starlette leaves every method to it.
        endpoint = _HttpTriggerEndpoint(host, trigger)
        routes += [Route(_pattern(route), endpoint=endpoint) for route in trigger.routes]
    return Starlette(routes=routes)


def _pattern(route: str) -> str:
    return route[:-1] + "{rest:path}" if route.endswith("/*") else route


class _TooLargeError(Exception):
    """The body is over the limit; what came after it was not read."""


async def _read(request: Request, limit: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise _TooLargeError
    return bytes(body)


def _is_async(request: Request) -> bool:
    return request.headers.get("x-fc-invocation-type", "").lower() == "async"


def _limit(request: Request) -> int:
    return ASYNCHRONOUS_LIMIT if _is_async(request) else SYNCHRONOUS_LIMIT


def _invoke_endpoint(host: Host) -> Callable[[Request], Awaitable[Response]]:
    async def invoke(request: Request) -> Response:
        name = request.path_params["name"]
        limit = _limit(request)
        try:
            payload = await _read(request, limit)
        except _TooLargeError:
            return _invoke_answer(refuse("EntityTooLarge", limit), tail=False)
        if host.find(name) is None:
            return _invoke_answer(refuse("FunctionNotFound", name), tail=False)
        if _is_async(request):
            call = Call(payload)
            host.call_later(name, call)
            return Response(status_code=_ACCEPTED, headers={"X-Fc-Request-Id": call.request_id})
        invocation = await host.invoke(name, payload)
        tail = request.headers.get("x-fc-log-type", "").lower() == "tail"
        return _invoke_answer(invocation, tail=tail)

    return invoke


def _invoke_answer(invocation: Invocation, *, tail: bool) -> Response:
    headers = {
        "X-Fc-Request-Id": invocation.request_id,
        "X-Fc-Invocation-Duration": str(round(invocation.duration_ms)),
    }
    if invocation.instance_id:
        headers["X-Fc-Instance-Id"] = invocation.instance_id
    if invocation.error_type:
        headers["X-Fc-Error-Type"] = invocation.error_type
    if tail:
        headers["X-Fc-Log-Result"] = base64.b64encode(invocation.log_tail).decode()
    refused = invocation.status >= 400  # noqa: PLR2004  # HTTP's border between answers and errors
    media_type = "application/json" if refused else "application/octet-stream"
    return Response(invocation.body, invocation.status, headers, media_type)


class _HttpTriggerEndpoint:
    """Serves one HTTP trigger; an ASGI application."""

    def __init__(self, host: Host, trigger: HttpTrigger) -> None:
        self._host = host
        self._trigger = trigger
        self._site = Site(host.account.id, host.account.region, trigger.name, trigger.function)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Called by Starlette for each request."""
        answer = await self._answer(Request(scope, receive))
        body = b"" if answer.status in _NO_BODY else answer.body
        response = Response(body, answer.status)
        own = [pair for pair in response.raw_headers if pair[0] == b"content-length"]
        response.raw_headers = [
            *((name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers),
            *own,
        ]
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> HttpAnswer:
        request_id = new_request_id()
        limit = _limit(request)
        try:
            parts = _request(request.scope, await _read(request, limit))
        except _TooLargeError:
            return http_answer(refuse("EntityTooLarge", limit, request_id))
        refusal = self._refusal(parts, request_id)
        if refusal is not None:
            return http_answer(refusal)
        event = http_event(parts, self._site, request_id, datetime.now(timezone.utc))
        call = Call(event, trigger="http", request_id=request_id)
        if _is_async(request):
            self._host.call_later(self._trigger.function, call)
            return HttpAnswer(_ACCEPTED, (("X-Fc-Request-Id", request_id),), b"")
        return http_answer(await self._host.call(self._trigger.function, call))

    def _refusal(self, request: HttpRequest, request_id: str) -> Invocation | None:
        """What the platform does not let through to the function."""
        if request.method not in self._trigger.methods:
            # https://www.alibabacloud.com/help/doc-detail/85445.htm: 403, not 405
            detail = f"the HTTP trigger does not allow the method {request.method}"
            return refuse("AccessDenied", detail, request_id)
        if len(request.target) > _TARGET_LIMIT:
            detail = f"path and query have more than {_TARGET_LIMIT} bytes"
            return refuse("InvalidArgument", detail, request_id)
        if sum(len(name) + len(value) for name, value in request.headers) > HEADERS_LIMIT:
            detail = f"the headers have more than {HEADERS_LIMIT} bytes"
            return refuse("InvalidArgument", detail, request_id)
        return None


def _request(scope: Scope, body: bytes) -> HttpRequest:
    path = scope.get("raw_path", scope["path"].encode()).partition(b"?")[0]
    query = scope["query_string"]
    target = path + b"?" + query if query else path
    client = scope.get("client") or ("127.0.0.1", 0)
    return HttpRequest(
        method=scope["method"],
        target=target.decode("latin-1"),
        headers=tuple((n.decode("latin-1"), v.decode("latin-1")) for n, v in scope["headers"]),
        body=body,
        source_ip=client[0],
        protocol=f"HTTP/{scope['http_version']}",
    )
