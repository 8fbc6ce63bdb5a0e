"""An HTTP server whose applications can reset a connection, as a broken network does.

ASGI has no word for it. The server puts a function into each request's `state`; after calling it
an application has only to wait until it hears that the client is gone.
https://asgi.readthedocs.io/en/latest/specs/lifespan.html#lifespan-state
"""

from __future__ import annotations

import asyncio
import socket
import struct

from uvicorn.protocols.http.h11_impl import H11Protocol

RESET = "reset_connection"
# On, and 0 seconds: closing throws away what is unsent and answers with a reset.
_LINGER = struct.pack("ii", 1, 0)


class ResettableProtocol(H11Protocol):
    """HTTP/1.1, with `scope["state"][RESET]()`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Offer the reset to every request of this connection."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, RESET: self._reset}

    def _reset(self) -> None:
        connection = self.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
        self.transport.abort()
