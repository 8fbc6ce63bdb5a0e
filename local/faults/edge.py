"""An application in front of a twin's own, which misbehaves as the faults of one target say."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from local.faults.exchange import Exchange
from local.faults.registry import Faults


class Edge:
    """The twin's application, with faults; a request that no fault may concern goes straight on.

    Args:
        app: the twin's own.
        faults: decides.

    Attributes:
        target: whose faults.
    """

    target: str

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self._app = app
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not self._faults.concern(self.target):
            await self._app(scope, receive, send)
            return
        exchange = Exchange(scope, receive, send)
        await exchange.read()
        await self.serve(exchange, scope)

    async def serve(self, exchange: Exchange, scope: Scope) -> None:
        """Answer a request that a fault may concern, and that was read."""
        raise NotImplementedError
