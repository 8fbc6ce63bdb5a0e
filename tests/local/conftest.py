"""A DirectMail twin on real ports, and the official SDK as its client."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from alibabacloud_dm20151123 import models
from alibabacloud_dm20151123.client import Client
from alibabacloud_tea_openapi.utils_models import Config

from local.account import OWNER, AccessKey, Account
from local.activity import Activity
from local.twins.directmail.app import create_app, create_upload_app
from local.twins.directmail.certificate import Certificate, issue_certificate
from local.twins.directmail.outbox import Outbox
from local.twins.directmail.rules import DirectMailRules
from local.twins.directmail.service import DirectMail

SENDER = "noreply@example.com"
RULES = DirectMailRules(
    senders=frozenset({SENDER}),
    domains=frozenset({"verified.example"}),
    tags=frozenset({"welcome", "t" * 128}),
    event_delay_seconds=0.02,
    templates=frozenset({"7"}),
)


@dataclass
class DirectMailTwin:
    """One running twin: its ports, its parts, and what it has emitted so far."""

    service: DirectMail
    outbox: Outbox
    account: Account
    activity: Activity
    certificate: Certificate
    port: int
    upload_port: int
    emitted: list[dict[str, Any]] = field(default_factory=list)

    def client(self, key: AccessKey = OWNER, **changes: Any) -> Any:
        """The official SDK's client, with this key; `changes` are further settings."""
        settings = {
            "protocol": "http",
            "endpoint": f"127.0.0.1:{self.port}",
            "region_id": "cn-hangzhou",
            "access_key_id": key.id,
            "access_key_secret": key.secret,
            "security_token": key.token,
        }
        client = Client(Config(**{**settings, **changes}))
        # Config has a field for it, which the SDK does not read.
        client._open_platform_endpoint = f"127.0.0.1:{self.port}"
        return client

    def send(self, key: AccessKey = OWNER, **changes: Any) -> Any:
        """Send a plain mail through the SDK, with `changes` to its parameters."""
        return self.client(key).single_send_mail(mail(**changes)).body

    def events(self, count: int) -> list[dict[str, Any]]:
        """The first `count` events, waited for."""
        deadline = time.monotonic() + 10
        while len(self.emitted) < count and time.monotonic() < deadline:
            time.sleep(0.005)
        assert len(self.emitted) >= count, self.emitted
        return self.emitted[:count]


def mail(**changes: Any) -> Any:
    """The SDK's request for a plain mail, with `changes` to its parameters."""
    plain = {
        "account_name": SENDER,
        "address_type": 1,
        "reply_to_address": False,
        "to_address": "ann@example.net",
        "subject": "Hello",
        "text_body": "Hello, Ann.",
    }
    return models.SingleSendMailRequest(**{**plain, **changes})


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """One authority for all twins of the session, as a state folder would keep it."""
    return issue_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def shared_directmail(
    tmp_path_factory: pytest.TempPathFactory, certificate: Certificate
) -> Iterator[DirectMailTwin]:
    """A running twin that the tests of a module share: it may hold mails of other tests."""
    with _run(tmp_path_factory.mktemp("shared"), certificate, RULES, time.time) as twin:
        yield twin


@pytest.fixture
def start_directmail(
    tmp_path: Path, certificate: Certificate
) -> Iterator[Callable[..., DirectMailTwin]]:
    """Starts twins that share one state folder: a second one is the first one restarted."""
    with contextlib.ExitStack() as running:

        def start(
            rules: DirectMailRules = RULES, clock: Callable[[], float] = time.time
        ) -> DirectMailTwin:
            return running.enter_context(_run(tmp_path / "directmail", certificate, rules, clock))

        yield start


@pytest.fixture
def directmail(start_directmail: Callable[..., DirectMailTwin]) -> DirectMailTwin:
    """A running twin with the usual rules."""
    return start_directmail()


@contextlib.contextmanager
def _run(
    folder: Path, certificate: Certificate, rules: DirectMailRules, clock: Callable[[], float]
) -> Iterator[DirectMailTwin]:
    doors = [_listen(), _listen()]
    port, upload_port = (door.getsockname()[1] for door in doors)
    outbox, account, activity = Outbox(folder), Account(clock), Activity()
    emitted: list[dict[str, Any]] = []
    service = DirectMail(
        outbox,
        account=account,
        rules=rules,
        emit=emitted.append,
        activity=activity,
        upload_port=upload_port,
        clock=clock,
    )
    quiet = {"log_level": "error", "lifespan": "off"}
    tls = {"ssl_certfile": certificate.cert_file, "ssl_keyfile": certificate.key_file}
    servers = [
        uvicorn.Server(uvicorn.Config(create_app(service), **quiet)),  # type: ignore[arg-type]
        uvicorn.Server(uvicorn.Config(create_upload_app(service), **quiet, **tls)),  # type: ignore[arg-type]
    ]
    over: Future[None] = Future()

    async def serve() -> None:
        reporting = asyncio.create_task(service.run())
        await asyncio.gather(*(s.serve([d]) for s, d in zip(servers, doors, strict=True)))
        reporting.cancel()
        await asyncio.wait([reporting])

    def run() -> None:
        try:
            over.set_result(asyncio.run(serve()))
        except BaseException as error:  # noqa: BLE001  # it belongs to the thread that waits
            over.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    while not all(server.started for server in servers) and not over.done():
        time.sleep(0.005)
    try:
        yield DirectMailTwin(
            service, outbox, account, activity, certificate, port, upload_port, emitted
        )
    finally:
        for server in servers:
            server.should_exit = True
        over.result(timeout=20)
        outbox.close()


def _listen() -> socket.socket:
    # Without its protocol named, asyncio does not turn Nagle's algorithm off for what is accepted,
    # and each answer waits 40 ms for the client's acknowledgement.
    door = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    door.bind(("127.0.0.1", 0))
    door.listen(128)
    return door
