# ruff: noqa: INP001  # programs, not a package: nobody imports them
"""The twins of SMQ and Tablestore on one port, in a process of their own.

    python bench/services.py FOLDER

It prints its port as one line.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

import uvicorn
from starlette.types import Receive, Scope, Send

from local.account import Account
from local.activity import Activity
from local.twins.smq import app as smq
from local.twins.smq.broker import Broker
from local.twins.tablestore import app as tablestore
from local.twins.tablestore.store import Store
from shared.stores.tablestore.rows import TABLES

INSTANCE = "postbus"
TOPIC = "topic"


async def main(folder: Path) -> None:
    """Serve until killed."""
    broker = Broker(folder / "smq.db", activity=Activity())
    broker.ensure_topic(TOPIC)
    store = Store(folder / "tablestore.db")
    for table in TABLES:
        store.ensure_table(INSTANCE, table.name, table.keys, ttl_seconds=table.ttl_seconds)
    account = Account()
    queues, tables = smq.create_app(broker, account), tablestore.create_app(store, account)

    async def front(scope: Scope, receive: Receive, send: Send) -> None:
        app = queues if scope["path"].startswith(("/queues", "/topics")) else tables
        await app(scope, receive, send)

    # asyncio sends answers without delay only over a socket that says that it is TCP.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as door:
        door.bind(("127.0.0.1", 0))
        door.listen(256)
        sys.stdout.write(f"{door.getsockname()[1]}\n")
        sys.stdout.flush()
        config = uvicorn.Config(front, log_level="error", lifespan="off", access_log=False)
        await uvicorn.Server(config).serve([door])


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
