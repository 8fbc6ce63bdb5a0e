"""The twin's HTTP doors: the RPC API, and the object store that takes attachments."""

from __future__ import annotations

import asyncio
import json
import uuid
from xml.sax.saxutils import escape

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from local.twins.directmail import multipart
from local.twins.directmail.acs3 import SignedRequest, join_headers
from local.twins.directmail.service import MAX_REQUEST_BYTES, DirectMail
from local.twins.directmail.uploads import BUCKET, MAX_OBJECT_BYTES, OssError

MAX_UPLOAD_BYTES = MAX_OBJECT_BYTES + 64 * 1024  # the form's other fields


def create_app(service: DirectMail) -> Starlette:
    """The RPC door: everything goes to `/`, the operation's name is a header.

    Every other path and method is answered as the gateway answers an unknown operation.
    """
    return Starlette(routes=[Route("/{path:path}", _Api(service))])


def create_upload_app(service: DirectMail) -> Starlette:
    """The object store's door, to be served over TLS on the service's `upload_port`."""
    return Starlette(routes=[Route("/{path:path}", _ObjectStore(service))])


class _Door:
    """An endpoint that takes any method and reads the whole body first."""

    body_limit: int

    def __init__(self, service: DirectMail) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            body = await self._read(request)
        except ClientDisconnect:
            return
        response = self.answer(request, body)
        # A server pauses reading while much of a body is waiting. Asking for more while answering
        # lets it go on, so that it hears the TLS goodbye of a client; without, Python 3.10 waits
        # for that goodbye without an end.
        await asyncio.gather(receive(), response(scope, receive, send))

    def answer(self, request: Request, body: bytes) -> Response:
        """Answer one request; a body over the limit comes with one byte over it."""
        raise NotImplementedError

    async def _read(self, request: Request) -> bytes:
        # A client that sends too much still reads its answer only after sending all of it.
        body = bytearray()
        async for chunk in request.stream():
            body += chunk[: self.body_limit + 1 - len(body)]
        return bytes(body)


class _Api(_Door):
    body_limit = MAX_REQUEST_BYTES

    def answer(self, request: Request, body: bytes) -> Response:
        status, content = self._service.answer(
            SignedRequest(
                method=request.method,
                path=request.scope["raw_path"].decode("latin-1"),
                query=request.scope["query_string"].decode("latin-1"),
                headers=join_headers(request.scope["headers"]),
                body=body,
            )
        )
        return Response(
            json.dumps(content),
            status,
            {"x-acs-request-id": content["RequestId"]},
            "application/json;charset=utf-8",
        )


class _ObjectStore(_Door):
    body_limit = MAX_UPLOAD_BYTES

    def answer(self, request: Request, body: bytes) -> Response:
        request_id = uuid.uuid4().hex[:24].upper()
        try:
            status, content = self._store(request, body)
        except OssError as refusal:
            status = refusal.status
            content = _xml(
                "Error",
                Code=refusal.code,
                Message=refusal.message,
                RequestId=request_id,
                HostId=request.headers.get("host", ""),
            )
        # The SDK keeps a connection for good, and a server that stops would wait half a minute for
        # the TLS goodbye of an idle one.
        headers = {"x-oss-request-id": request_id, "connection": "close"}
        return Response(content, status, headers, "application/xml" if content else None)

    def _store(self, request: Request, body: bytes) -> tuple[int, str]:
        if request.method != "POST" or request.url.path != "/":
            raise OssError(405, "MethodNotAllowed", "The specified method is not allowed here.")
        if self._service.uploads is None:
            raise OssError(404, "NoSuchBucket", "The specified bucket does not exist.")
        if len(body) > self.body_limit:
            raise OssError(
                400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size."
            )
        try:
            fields = multipart.parse(request.headers.get("content-type", ""), body)
        except multipart.MalformedFormError:
            raise OssError(
                400,
                "MalformedPOSTRequest",
                "The body of your POST request is not well-formed multipart/form-data.",
            ) from None
        key, etag = self._service.uploads.store(fields)
        location = f"https://{BUCKET}.{self._service.uploads.endpoint}/{key}"
        created = _xml("PostResponse", Bucket=BUCKET, Location=location, Key=key, ETag=f'"{etag}"')
        # Only 200 and 201 are understood; anything else means 204.
        wanted = fields.get("success_action_status", b"")
        return {b"201": (201, created), b"200": (200, "")}.get(wanted, (204, ""))


def _xml(root: str, **children: str) -> str:
    inner = "".join(f"<{name}>{escape(text)}</{name}>" for name, text in children.items())
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{root}>{inner}</{root}>'
