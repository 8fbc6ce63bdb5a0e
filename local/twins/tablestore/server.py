"""The twin on a port of its own, in a thread: for tests, which talk to it with the SDK."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import uvicorn

from local.account import Account
from local.faults.protocol import ResettableProtocol
from local.twins.tablestore.app import create_app
from local.twins.tablestore.store import Store

_START_SECONDS = 10.0


class _Server(uvicorn.Server):
    """A server that leaves signals alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing."""
        yield


@contextlib.contextmanager
def serving(store: Store, account: Account) -> Iterator[str]:
    """Serve the twin until the block ends.

    Args:
        store: the engine; used in the server's thread only while the block runs.
        account: whose access keys are known.

    Yields:
        The endpoint, `http://127.0.0.1:<port>`.
    """
    config = uvicorn.Config(
        create_app(store, account),
        http=ResettableProtocol,
        log_level="error",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=1,
    )
    server = _Server(config)
    # The protocol is named, so that the answer's second part does not wait for an acknowledgement.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        thread = threading.Thread(target=_run, args=(server, listener), daemon=True)
        thread.start()
        end = time.monotonic() + _START_SECONDS
        while not server.started:
            if not thread.is_alive() or time.monotonic() > end:
                raise RuntimeError("the twin did not start")
            time.sleep(0.005)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def _run(server: uvicorn.Server, listener: socket.socket) -> None:
    asyncio.run(server.serve(sockets=[listener]))
