"""Servers of the local stack: on this machine's own address, ended by whoever runs them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any

import uvicorn

from local.faults.protocol import ResettableProtocol

ADDRESS = "127.0.0.1"

Scope = MutableMapping[str, Any]
Asgi = Callable[
    [Scope, Callable[..., Awaitable[Any]], Callable[..., Awaitable[None]]], Awaitable[None]
]


class PortInUseError(OSError):
    """Somebody else listens on the address; the message says what to do."""


def server(app: Asgi, **tls: str) -> Server:
    """A server for one application.

    Idle connections are kept for longer than the SDKs' clients keep them in use, and long polls
    do not hold up the end.
    """
    return Server(
        uvicorn.Config(
            app,
            http=ResettableProtocol,
            log_level="error",
            access_log=False,
            lifespan="off",
            timeout_keep_alive=75,
            timeout_graceful_shutdown=1,
            **tls,  # type: ignore[arg-type]  # names of files
        )
    )


class Server(uvicorn.Server):
    """A server that leaves signals to the command that runs it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing."""
        yield


@contextlib.contextmanager
def listen(port: int) -> Iterator[socket.socket]:
    """A socket that listens on this machine's own address.

    Raises:
        PortInUseError: somebody else does.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((ADDRESS, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise PortInUseError(
            f"{ADDRESS}:{port} is taken ({os.strerror(error.errno or 0)}): is Postbus running "
            "already? Stop it, or choose another port with --port"
        ) from error
    with listener:
        yield listener


def raise_ended(tasks: list[asyncio.Future[Any]]) -> None:
    """Raise what ended one of them; none ends before the stack does."""
    for task in tasks:
        if task.done():
            task.result()
            sys.exit("a server ended before it had started")


async def end(tasks: list[asyncio.Future[Any]]) -> None:
    """Cancel them, and wait until they are gone."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
