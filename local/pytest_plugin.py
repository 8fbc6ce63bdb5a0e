"""A whole Postbus for your own tests, whose twins misbehave when a test says so.

In the `conftest.py` at the top of your tests:

    pytest_plugins = ["local.pytest_plugin"]

and then:

    def test_a_lost_answer_is_not_sent_twice(postbus):
        postbus.faults.set("directmail", "SingleSendMail", "timeout-after", count=1, seconds=5)
        postbus.put({"to": ["ada@example.net"], "subject": "Hello", "text": "Hello", "key": "1"})
        told = {event["type"] for event in postbus.events(2, seconds=60)}
        assert told == {"postbus.mail.unknown", "postbus.mail.delivered"}
        assert postbus.outbox().count() == 1

Each test gets its own stack, on free ports and in a temporary folder, as a process group that
`kill()` ends as a power cut would. docs/testing.md tells more.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from mns.account import Account
from mns.mns_exception import MNSServerException
from mns.queue import Message, Queue

from local.account import OWNER
from local.faults.switches import FaultSwitches
from local.twins.directmail.outbox import Outbox

START_SECONDS = 60.0
BATCH = 16
# Below the range that Linux gives to outgoing connections (32768 and up).
PORTS = (20_000, 32_000)
ROOT = Path(__file__).resolve().parent.parent

Body = str | Mapping[str, Any]
Event = dict[str, Any]


def free_ports() -> int:
    """A free port whose next one is free too.

    None of those that the system gives to outgoing connections: somebody else's could take it
    before the stack does, above all while a stack is killed and started again.
    """
    while True:
        port = random.randrange(*PORTS)  # noqa: S311  # keeps no secret
        with (
            contextlib.suppress(OSError),
            socket.socket() as first,
            socket.socket() as second,
        ):
            first.bind(("127.0.0.1", port))
            second.bind(("127.0.0.1", port + 1))
            return port


@dataclass
class Postbus:
    """One stack, in its own process group.

    Attributes:
        state: the folder that it keeps everything in.
        options: further options of `postbus up`.
        port: of its one address; uploads take the next one.
        process: the running stack; None before the start.
    """

    state: Path
    options: tuple[str, ...] = ()
    port: int = field(default_factory=free_ports)
    process: subprocess.Popen[bytes] | None = None
    _accounts: list[Account] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """What the stack has printed."""
        return self.state.with_name(f"{self.state.name}.log")

    @property
    def faults(self) -> FaultSwitches:
        """Lets its twins misbehave."""
        return FaultSwitches(self.url, self._fault_file)

    @property
    def _fault_file(self) -> Path:
        return self.state.with_name(f"{self.state.name}-faults.json")

    def start(self) -> None:
        """Start it and wait until it answers; a stack that was killed goes on with its state.

        Raises:
            RuntimeError: it did not start; the message is what it printed.
        """
        self.state.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "local.cli", "up", "--port", str(self.port)]
        faults = ["--faults", str(self._fault_file)] if self._fault_file.exists() else []
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603  # our own command
                [*command, "--state", str(self.state), *faults, *self.options],
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=_environment(),
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/healthz", trust_env=False).is_success:
                    return
            time.sleep(0.1)
        self.kill()
        raise RuntimeError(f"the stack did not start: {self.log.read_text()}")

    def kill(self) -> None:
        """SIGKILL to every process of the stack at once, as a power cut would end it."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        for account in self._accounts:
            account.mns_client.close_connection()
        self._accounts.clear()

    def restart(self) -> None:
        """Kill it and start it again with the same state and the same faults."""
        self.kill()
        self.start()

    def queue(self, name: str, *, base64: bool = True) -> Queue:
        """A queue through the official SDK, by the end of its name, e.g. `mails`."""
        account = Account(self.url, OWNER.id, OWNER.secret, "")
        self._accounts.append(account)
        queue = account.get_queue(f"postbus-local-{name}")
        queue.set_encoding(base64)
        return queue

    def put(self, bodies: Body | Sequence[Body], name: str = "mails") -> None:
        """Put mail requests on a queue, sixteen at a time.

        Args:
            bodies: one or many, each as JSON text or as what is to become JSON.
            name: the end of the queue's name.
        """
        several = [bodies] if isinstance(bodies, (str, Mapping)) else bodies
        texts = [body if isinstance(body, str) else json.dumps(body) for body in several]
        queue = self.queue(name)
        for start in range(0, len(texts), BATCH):
            queue.batch_send_message([Message(text) for text in texts[start : start + BATCH]])

    def events(self, count: int = 1, seconds: float = 30) -> list[Event]:
        """Take mail events from the downstream topic until there are so many.

        Args:
            count: how many different ones; an event may come more than once.
            seconds: how long to wait at most; then fewer are returned.
        """

        def enough(found: list[Event]) -> bool:
            return len({event["id"] for event in found}) >= count

        return self.take_events(enough, seconds)

    def take_events(self, enough: Callable[[list[Event]], bool], seconds: float) -> list[Event]:
        """Take mail events from the topic's first subscriber until there are enough."""
        queue = self.queue("mail-events-inbox", base64=False)
        events: list[Event] = []
        deadline = time.monotonic() + seconds
        while not enough(events) and time.monotonic() < deadline:
            with contextlib.suppress(MNSServerException):  # nothing there yet
                messages = queue.batch_receive_message(BATCH, 1)
                events += [json.loads(message.message_body) for message in messages]
                queue.batch_delete_message([message.receipt_handle for message in messages])
        return events

    def take_letters(self, name: str) -> list[dict[str, Any]]:
        """Take whatever letters are on a queue now, e.g. `rejected` or `mails-dead`."""
        queue = self.queue(name)
        letters: list[dict[str, Any]] = []
        with contextlib.suppress(MNSServerException):  # until nothing is there
            while True:
                messages = queue.batch_receive_message(BATCH, 0)
                letters += [json.loads(message.message_body) for message in messages]
                queue.batch_delete_message([message.receipt_handle for message in messages])
        return letters

    def outbox(self) -> Outbox:
        """What DirectMail's twin has accepted, read from its files."""
        return Outbox(self.state / "outbox")

    def command(self, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run the `postbus` command against this stack."""
        return subprocess.run(  # noqa: S603  # our own command
            [sys.executable, "-m", "local.cli", *arguments],
            input=stdin,
            capture_output=True,
            timeout=60,
            check=False,
            env={
                **_environment(),
                "POSTBUS_URL": self.url,
                "POSTBUS_STATE": str(self.state),
                "NO_COLOR": "1",
            },
        )


def _environment() -> dict[str, str]:
    """The environment, in which `local` is found from any folder."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


MakePostbus = Callable[..., Postbus]


@pytest.fixture
def make_postbus(tmp_path: Path) -> Iterator[MakePostbus]:
    """Starts stacks, each with its own options of `postbus up`, and ends them after the test."""
    made: list[Postbus] = []

    def make(*options: str) -> Postbus:
        made.append(Postbus(tmp_path / f"postbus-{len(made)}", options))
        made[-1].start()
        return made[-1]

    yield make
    for each in made:
        each.kill()


@pytest.fixture
def postbus(make_postbus: MakePostbus) -> Postbus:
    """A running stack for this test: see `Postbus`."""
    return make_postbus()
