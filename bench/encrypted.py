# ruff: noqa: INP001  # programs, not a package: nobody imports them
"""The twins of DirectMail, SMQ and Tablestore over TLS, in a process of their own.

    python bench/encrypted.py FOLDER

It prints one line of JSON: the address of each, the file of the authority to trust (`authority`),
and a file that has the public ones in it as well (`ca_file`), so that reading it takes as long as
reading those.
`GET /-/connections` of DirectMail's address tells how many connections it has taken.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from pathlib import Path
from typing import Any

import certifi
import uvicorn
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from local.account import Account
from local.activity import Activity
from local.faults.protocol import ResettableProtocol
from local.twins.directmail import app as directmail
from local.twins.directmail.certificate import Certificate, issue_certificate
from local.twins.directmail.outbox import Outbox
from local.twins.directmail.rules import DirectMailRules
from local.twins.directmail.service import DirectMail
from local.twins.smq import app as smq
from local.twins.smq.broker import Broker
from local.twins.smq.model import QueueAttributes
from local.twins.tablestore import app as tablestore
from local.twins.tablestore.store import Store
from shared.stores.tablestore.rows import TABLES

INSTANCE = "pb-bench"
SENDER = "noreply@mail.example.com"
QUEUES = ("mails", "rejected", "dead", "delivery-events")


class Counting(ResettableProtocol):
    """Counts the connections of DirectMail's address."""

    taken = 0

    def connection_made(self, transport: Any) -> None:
        """Called by asyncio for each connection, after its handshake."""
        Counting.taken += 1
        super().connection_made(transport)


def counted(app: ASGIApp) -> ASGIApp:
    """An application that also tells the count; asking for it counts as well."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        which = JSONResponse(Counting.taken) if scope["path"] == "/-/connections" else app
        await which(scope, receive, send)

    return answer


def applications(folder: Path) -> dict[str, ASGIApp]:
    """The twins, by name."""
    account, activity = Account(), Activity()
    broker = Broker(folder / "smq.db", activity=activity)
    broker.ensure_topic("events")
    for queue in QUEUES:
        broker.ensure_queue(queue, QueueAttributes())
    store = Store(folder / "tablestore.db")
    for table in TABLES:
        store.ensure_table(INSTANCE, table.name, table.keys, ttl_seconds=table.ttl_seconds)
    service = DirectMail(
        Outbox(folder / "outbox"),
        account=account,
        rules=DirectMailRules(senders=frozenset({SENDER})),
        emit=lambda _event: None,
        activity=activity,
        upload_port=None,
    )
    return {
        "directmail": counted(directmail.create_app(service)),
        "smq": smq.create_app(broker, account),
        "tablestore": tablestore.create_app(store, account),
    }


def trusted(folder: Path, certificate: Certificate) -> Path:
    """The file of what a client trusts: the public certificates, and the twins' own."""
    file = folder / "trusted.pem"
    file.write_bytes(Path(certifi.where()).read_bytes() + certificate.ca_file.read_bytes())
    return file


async def main(folder: Path) -> None:
    """Serve until killed."""
    certificate = issue_certificate(folder)
    told = {
        "authority": str(certificate.ca_file),
        "ca_file": str(trusted(folder, certificate)),
    }
    doors = {}
    for name, app in applications(folder).items():
        # asyncio sends answers without delay only over a socket that says that it is TCP.
        door = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        door.bind(("127.0.0.1", 0))
        door.listen(256)
        doors[door] = server(app, certificate, Counting if name == "directmail" else "auto")
        told[name] = f"https://127.0.0.1:{door.getsockname()[1]}"
    sys.stdout.write(f"{json.dumps(told)}\n")
    sys.stdout.flush()
    await asyncio.gather(*(each.serve([door]) for door, each in doors.items()))


def server(app: ASGIApp, certificate: Certificate, http: Any) -> uvicorn.Server:
    """A server of one twin, over TLS."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=http,
            log_level="error",
            lifespan="off",
            access_log=False,
            timeout_keep_alive=75,
            ssl_certfile=str(certificate.cert_file),
            ssl_keyfile=str(certificate.key_file),
        )
    )


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
