"""Every fault of Tablestore as the official SDK sees it, and whether the row was written."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from local.account import OWNER, Account
from local.faults import KINDS, Faults, Rule
from local.faults.kinds import ACTIONS
from local.faults.protocol import ResettableProtocol
from local.faults.tablestore import tablestore_faults
from local.twins.tablestore.app import create_app
from local.twins.tablestore.operations import OPERATIONS
from local.twins.tablestore.store import Store
from shared.stores.tablestore.sdk import ots

INSTANCE = "postbus"
TABLE = "mails"
KEY = [("key", "1")]


@pytest.fixture
def faults(tmp_path: Path, port: socket.socket) -> Iterator[Faults]:
    """What goes wrong with the twin that serves the port."""
    faults = Faults()
    ready: Future[None] = Future()
    over = threading.Event()

    async def serve() -> None:
        store = Store(tmp_path / "tablestore.db")
        store.ensure_table(INSTANCE, TABLE, ["key"])
        store.fault = tablestore_faults(faults)
        app = create_app(store, Account())
        server = uvicorn.Server(
            uvicorn.Config(app, http=ResettableProtocol, log_level="error", lifespan="off")
        )
        serving = asyncio.ensure_future(server.serve([port]))
        ready.set_result(None)
        await asyncio.to_thread(over.wait)
        server.should_exit = True
        await serving
        store.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    ready.result(10)
    yield faults
    over.set()
    thread.join(10)


@pytest.fixture
def port() -> Iterator[socket.socket]:
    """A socket that listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as door:
        door.bind(("127.0.0.1", 0))
        door.listen(16)
        yield door


@pytest.fixture
def client(port: socket.socket, faults: Faults) -> Iterator[Any]:
    """The official SDK, which tries once."""
    assert faults.list() == []  # the twin runs
    client = ots.OTSClient(
        f"http://127.0.0.1:{port.getsockname()[1]}",
        *(OWNER.id, OWNER.secret, INSTANCE),
        socket_timeout=5,
        retry_policy=ots.NoRetryPolicy(),
        logger_name="tablestore.postbus",
    )
    yield client
    client.connection.pool.clear()


def put(client: Any) -> None:
    """Write the row."""
    client.put_row(TABLE, ots.Row(KEY, [("state", "sent")]), ots.Condition("IGNORE"))


def there(client: Any) -> bool:
    """Whether it was written."""
    _, row, _ = client.get_row(TABLE, KEY)
    return row is not None


def test_the_actions_are_the_twins_operations() -> None:
    """A rule can name every operation of the twin, and no other."""
    assert set(ACTIONS["tablestore"]) == set(OPERATIONS)


@pytest.mark.parametrize(
    ("kind", "told", "written"),
    [("down", "reset", False), ("lost-answer", "reset", True), ("busy", "OTSServerBusy", False)],
)
def test_a_write_that_fails(
    client: Any, faults: Faults, kind: str, told: str, written: bool
) -> None:
    """Reset before, reset after, or refused: and the row is there or not."""
    faults.set([Rule("tablestore", "PutRow", kind, count=1)])
    with pytest.raises(Exception, match=told):
        put(client)
    assert there(client) is written
    put(client)
    assert there(client)


def test_a_slow_write(client: Any, faults: Faults) -> None:
    """It is done late, and well."""
    faults.set([Rule("tablestore", "*", "slow", seconds=0.4)])
    began = time.monotonic()
    put(client)
    assert time.monotonic() - began > 0.35
    faults.clear()
    assert there(client)


def test_every_kind_is_tested() -> None:
    """This file has a test for each of them."""
    assert set(KINDS["tablestore"]) == {"busy", "down", "lost-answer", "slow"}
