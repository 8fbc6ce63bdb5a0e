"""Where the certificate of the twins' pushes is: one file in front of another application."""

from __future__ import annotations

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from local.twins.push.key import CERTIFICATE_PATH


def with_certificate(app: ASGIApp, certificate: bytes) -> ASGIApp:
    """The application, with the certificate at its path."""

    async def door(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == CERTIFICATE_PATH:
            headers = {"connection": "close"}
            await Response(certificate, 200, headers, "application/x-x509-ca-cert")(
                scope, receive, send
            )
            return
        await app(scope, receive, send)

    return door
