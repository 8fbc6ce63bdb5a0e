"""Real servers for the adapters: both twins on real ports, and some that misbehave on purpose."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
import trustme
import uvicorn
from darabonba.core import DaraCore

from local.account import OWNER, AccessKey, Account
from local.activity import Activity
from local.twins.directmail import app as directmail_app
from local.twins.directmail.certificate import Certificate, issue_certificate
from local.twins.directmail.outbox import Outbox, StoredMail
from local.twins.directmail.rules import DirectMailRules
from local.twins.directmail.service import DirectMail as DirectMailTwin
from local.twins.smq import app as smq_app
from local.twins.smq.broker import Broker, QueueAttributes
from shared.schema.mail_request import Sender
from shared.sending.compose import OutgoingMail
from shared.triggers.context import Credentials, Invocation

WAIT_SECONDS = 10
SENDER = "noreply@mail.example.com"


@pytest.fixture(autouse=True)
def clean_sdk(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No proxy in the way, and no connection of one test left for another."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    yield
    for session in DaraCore._sessions.values():
        session.close()
    DaraCore._sessions.clear()


# --- Twins ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Running:
    """Applications in a thread with an event loop of its own."""

    loop: asyncio.AbstractEventLoop

    def do(self, action: Callable[[], Any]) -> Any:
        """Run a plain function in the loop's thread, where the twins live."""

        async def run() -> Any:
            return action()

        return self.wait(run())

    def wait(self, coroutine: Any) -> Any:
        """Run a coroutine in the loop's thread."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(WAIT_SECONDS)


@contextlib.contextmanager
def serving(*doors: tuple[Any, socket.socket, Certificate | None]) -> Iterator[Running]:
    """Serve applications on listening sockets, over TLS where there is a certificate."""
    servers = []
    for app, _, certificate in doors:
        options: dict[str, Any] = {"log_level": "error", "lifespan": "off", "access_log": False}
        if certificate:
            options["ssl_certfile"] = certificate.cert_file
            options["ssl_keyfile"] = certificate.key_file
        servers.append(uvicorn.Server(uvicorn.Config(app, **options)))
    loop: Future[asyncio.AbstractEventLoop] = Future()

    async def serve() -> None:
        loop.set_result(asyncio.get_running_loop())
        sockets = [door for _, door, _ in doors]
        await asyncio.gather(*(s.serve([d]) for s, d in zip(servers, sockets, strict=True)))

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    while not all(server.started for server in servers):
        assert thread.is_alive()
        time.sleep(0.005)
    try:
        yield Running(loop.result())
    finally:
        for server in servers:
            server.should_exit = True
        thread.join(WAIT_SECONDS)


def listening() -> socket.socket:
    """A socket that listens on a free port of this machine."""
    door = socket.socket()
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    door.bind(("127.0.0.1", 0))
    door.listen(128)
    return door


@pytest.fixture(scope="session")
def account() -> Account:
    """The local account; tests assume roles in it."""
    return Account()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A certificate for this machine, and the authority that made it."""
    return issue_certificate(tmp_path_factory.mktemp("certificate"))


@dataclass(frozen=True)
class RunningDirectMail:
    """The DirectMail twin on its ports."""

    outbox: Outbox
    running: Running
    port: int
    tls_port: int

    def mails(self) -> list[StoredMail]:
        """All accepted mails."""
        stored: list[StoredMail] = self.running.do(lambda: self.outbox.mails(limit=1_000))
        return stored

    def latest(self) -> StoredMail:
        """The mail that was accepted last."""
        return self.mails()[-1]


@pytest.fixture(scope="session")
def directmail_twin(
    tmp_path_factory: pytest.TempPathFactory, account: Account, certificate: Certificate
) -> Iterator[RunningDirectMail]:
    """One running DirectMail twin, over HTTP and HTTPS."""
    doors = [listening() for _ in range(3)]
    port, tls_port, upload_port = (door.getsockname()[1] for door in doors)
    outbox = Outbox(tmp_path_factory.mktemp("outbox"))
    service = DirectMailTwin(
        outbox,
        account=account,
        rules=DirectMailRules(senders=frozenset({SENDER}), domains=frozenset({"auth.example"})),
        emit=lambda _event: None,
        activity=Activity(),
        upload_port=upload_port,
    )
    app, uploads = directmail_app.create_app(service), directmail_app.create_upload_app(service)
    with serving(
        (app, doors[0], None), (app, doors[1], certificate), (uploads, doors[2], certificate)
    ) as running:
        yield RunningDirectMail(outbox, running, port, tls_port)
        running.do(outbox.close)


@dataclass(frozen=True)
class RunningSmq:
    """The SMQ twin on its ports."""

    broker: Broker
    running: Running
    port: int
    tls_port: int

    def take(self, queue: str, count: int = 16) -> list[Any]:
        """Receive and delete messages of a queue."""
        messages: list[Any] = self.running.wait(self.broker.receive(queue, count=count))
        for message in messages:
            self.running.do(lambda m=message: self.broker.delete(queue, m.receipt_handle))  # type: ignore[misc]  # bound now, not later
        return messages

    def published(self, topic: str) -> list[Any]:
        """What was ever published on a topic."""
        messages: list[Any] = self.running.do(lambda: self.broker.published(topic, limit=1_000))
        return messages


@pytest.fixture(scope="session")
def smq_twin(
    tmp_path_factory: pytest.TempPathFactory, account: Account, certificate: Certificate
) -> Iterator[RunningSmq]:
    """One running SMQ twin, over HTTP and HTTPS, with a queue `q` and a topic `t`."""
    doors = [listening(), listening()]
    made: list[Broker] = []

    # The broker belongs to the thread that made it, and that is the server's.
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await smq_app.create_app(made[0], account)(scope, receive, send)

    with serving((app, doors[0], None), (app, doors[1], certificate)) as running:
        database = tmp_path_factory.mktemp("smq") / "smq.db"
        broker = running.do(lambda: Broker(database, activity=Activity()))
        made.append(broker)
        running.do(lambda: broker.ensure_queue("q", QueueAttributes()))
        running.do(lambda: broker.ensure_topic("t"))
        yield RunningSmq(broker, running, *(door.getsockname()[1] for door in doors))
        running.do(broker.close)


# --- Servers that do as they are told ---------------------------------------------------------

Act = bytes | Literal["hang", "reset", "close", "half"]


def http(status: int, body: object = b"", **headers: str) -> bytes:
    """One HTTP answer; what is not bytes or text goes as JSON."""
    if isinstance(body, str):
        body = body.encode()
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Reason", f"Content-Length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + content


@dataclass
class Scripted:
    """A server that answers each request with the next act of its script, the last one for ever.

    Bytes are sent as they are and the connection is kept; `hang` never answers, `reset` and
    `close` end the connection after the whole request was read, `half` does so within an answer.
    """

    script: list[Act]
    tls: ssl.SSLContext | None = None
    delay_seconds: float = 0
    requests: list[tuple[int, bytes]] = field(default_factory=list)  # (connection, head and body)
    connections: int = 0

    def __post_init__(self) -> None:
        self._door = listening()
        self.port = self._door.getsockname()[1]
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._open: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def stop(self) -> None:
        """Close everything."""
        self._over.set()
        for each in (self._door, *self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(WAIT_SECONDS)
        self._door.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while not self._over.is_set():
                connection, _ = self._door.accept()
                self.connections += 1
                self._open.add(connection)
                thread = threading.Thread(
                    target=self._serve, args=(connection, self.connections), daemon=True
                )
                self._threads.append(thread)
                thread.start()

    def _serve(self, raw: socket.socket, number: int) -> None:
        connection = raw
        try:
            if self.tls:
                connection = self.tls.wrap_socket(raw, server_side=True)
                self._open.add(connection)
            while request := _read_request(connection):
                if not self._act(connection, number, request):
                    return
        except (ssl.SSLError, OSError):
            pass
        finally:
            self._open -= {raw, connection}
            connection.close()
            raw.close()

    def _act(self, connection: socket.socket, number: int, request: bytes) -> bool:
        with self._lock:
            act = self.script[min(len(self.requests), len(self.script) - 1)]
            self.requests.append((number, request))
        self._over.wait(self.delay_seconds)
        if act == "hang":
            self._over.wait(WAIT_SECONDS)
        elif act == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif act == "half":
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{")
        elif isinstance(act, bytes):
            connection.sendall(act)
            return True
        return False


def _read_request(connection: socket.socket) -> bytes:
    """One whole request; empty when the client has gone."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(65_536)
        if not chunk:
            return b""
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    wanted = int(lengths[0].split(b":")[1]) if lengths else 0
    while len(body) < wanted:
        body += connection.recv(65_536)
    return head + b"\r\n\r\n" + body


@pytest.fixture
def script() -> Iterator[Callable[..., Scripted]]:
    """Starts servers that follow a script."""
    with contextlib.ExitStack() as running:

        def start(*acts: Act, **options: Any) -> Scripted:
            server = Scripted(list(acts), **options)
            running.callback(server.stop)
            return server

        yield start


@pytest.fixture
def respond() -> Callable[..., bytes]:
    """Makes one HTTP answer."""
    return http


@pytest.fixture
def closed_port() -> int:
    """A port on which nobody listens."""
    with listening() as door:
        port: int = door.getsockname()[1]
    return port


@pytest.fixture
def full_port() -> Iterator[int]:
    """A port whose queue of connections is full: another one is neither taken nor refused."""
    with contextlib.ExitStack() as sockets:
        door = sockets.enter_context(socket.socket())
        door.bind(("127.0.0.1", 0))
        door.listen(0)
        for _ in range(3):
            waiting = sockets.enter_context(socket.socket())
            waiting.setblocking(False)  # noqa: FBT003  # the socket's own signature
            waiting.connect_ex(door.getsockname())
        yield door.getsockname()[1]


@dataclass(frozen=True)
class Tls:
    """Certificates of one authority: a good one, one for another host, and one of a stranger."""

    ca_file: str
    good: ssl.SSLContext
    other_host: ssl.SSLContext
    stranger: ssl.SSLContext


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    """What a server can prove, and what a client trusts."""
    authority, stranger = trustme.CA(), trustme.CA()

    def context(certificate: trustme.LeafCert) -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(made)
        return made

    ca_file: Path = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    return Tls(
        str(ca_file),
        context(authority.issue_cert("127.0.0.1")),
        context(authority.issue_cert("other.example")),
        context(stranger.issue_cert("127.0.0.1")),
    )


# --- What is called ---------------------------------------------------------------------------


def now_ms() -> int:
    """The time, in ms since 1970."""
    return time.time_ns() // 1_000_000


@pytest.fixture
def call() -> Callable[..., Invocation]:
    """Makes an invocation with this key and time left."""

    def make(key: AccessKey | None = OWNER, left_ms: int = 60_000) -> Invocation:
        credentials = Credentials(key.id, key.secret, key.token or "") if key else None
        return Invocation("1-abc", "function", now_ms() + left_ms, credentials, now_ms)

    return make


@pytest.fixture
def outgoing() -> Callable[..., OutgoingMail]:
    """Makes a plain mail, with `changes`."""

    def make(**changes: Any) -> OutgoingMail:
        plain: dict[str, Any] = {
            "sender": Sender(address=SENDER),
            "address_type": "sender",
            "domain_auth": False,
            "ip_pool_id": None,
            "to": ("ada@example.net",),
            "bcc": (),
            "subject": "Hello",
            "html": None,
            "text": "Hello, Ada.",
            "template": None,
            "reply_to_console": False,
            "reply_address": None,
            "tag": None,
            "track_clicks": False,
            "unsubscribe_link": None,
            "unsubscribe_filter": None,
            "headers": (("X-User-Notify-OrderId", "4711"),),
            "attachments": (),
        }
        return OutgoingMail(**{**plain, **changes})

    return make


@pytest.fixture
def together() -> Callable[..., list[Any]]:
    """Runs a function in several threads that start at the same moment; its values."""

    def run(count: int, work: Callable[[int], Any]) -> list[Any]:
        barrier = threading.Barrier(count)
        futures: list[Future[Any]] = [Future() for _ in range(count)]

        def one(number: int) -> None:
            barrier.wait(WAIT_SECONDS)
            try:
                futures[number].set_result(work(number))
            except BaseException as error:  # noqa: BLE001  # it belongs to the test's thread
                futures[number].set_exception(error)

        threads = [threading.Thread(target=one, args=(n,), daemon=True) for n in range(count)]
        for thread in threads:
            thread.start()
        return [future.result(3 * WAIT_SECONDS) for future in futures]

    return run
