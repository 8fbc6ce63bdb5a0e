"""A whole stack for tests: `postbus up` as a process group, and the SDKs to talk to it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from mns.account import Account
from mns.mns_exception import MNSServerException
from mns.queue import Message, Queue

from local.account import OWNER
from local.twins.directmail.outbox import Outbox

START_SECONDS = 60.0
BATCH = 16


def free_ports() -> int:
    """A free port whose next one is free too."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            with contextlib.suppress(OSError, OverflowError):
                second.bind(("127.0.0.1", port + 1))
                return port


@dataclass
class RunningStack:
    """One stack, in its own process group.

    Attributes:
        state: its folder.
        options: further options of `postbus up`.
    """

    state: Path
    options: tuple[str, ...] = ()
    port: int = field(default_factory=free_ports)
    process: subprocess.Popen[bytes] | None = None
    accounts: list[Account] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [sys.executable, "-m", "local.cli", "up", "--port", str(self.port)]
        log = (self.state.parent / "stack.log").open("ab")
        with log:
            self.process = subprocess.Popen(  # noqa: S603  # our own command
                [*command, "--state", str(self.state), *self.options],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/healthz", trust_env=False).status_code == 200:
                    return
            time.sleep(0.1)
        pytest.fail("the stack did not start: " + (self.state.parent / "stack.log").read_text())

    def kill(self) -> None:
        """SIGKILL to every process of the stack at once, as a power cut would end it."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for account in self.accounts:
            account.mns_client.close_connection()

    def queue(self, name: str, *, base64: bool = True) -> Queue:
        """A queue through the official SDK, by the end of its name."""
        account = Account(self.url, OWNER.id, OWNER.secret, "")
        self.accounts.append(account)
        queue = account.get_queue(f"postbus-local-{name}")
        queue.set_encoding(base64)
        return queue

    def put(self, bodies: list[str], name: str = "mails") -> None:
        """Put messages on a queue, sixteen at a time."""
        queue = self.queue(name)
        for start in range(0, len(bodies), BATCH):
            queue.batch_send_message([Message(body) for body in bodies[start : start + BATCH]])

    def take_events(
        self, enough: Callable[[list[dict[str, Any]]], bool], seconds: float
    ) -> list[dict[str, Any]]:
        """Take mail events from the topic's first subscriber until there are enough."""
        queue = self.queue("mail-events-inbox", base64=False)
        events: list[dict[str, Any]] = []
        deadline = time.monotonic() + seconds
        while not enough(events) and time.monotonic() < deadline:
            with contextlib.suppress(MNSServerException):  # nothing there yet
                messages = queue.batch_receive_message(BATCH, 1)
                events += [json.loads(message.message_body) for message in messages]
                queue.batch_delete_message([message.receipt_handle for message in messages])
        return events

    def take_letters(self, name: str) -> list[dict[str, Any]]:
        """Take whatever letters are on a queue now."""
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
            env={**os.environ, "POSTBUS_URL": self.url, "NO_COLOR": "1"},
        )


MakeStack = Callable[..., RunningStack]


@pytest.fixture
def make_stack(tmp_path: Path) -> Iterator[MakeStack]:
    """Starts stacks and ends them after the test."""
    stacks: list[RunningStack] = []

    def make(*options: str) -> RunningStack:
        stack = RunningStack(tmp_path / f"state-{len(stacks)}", options)
        stack.state.mkdir()
        stacks.append(stack)
        stack.start()
        return stack

    yield make
    for stack in stacks:
        stack.kill()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """One stack for the tests of a module."""
    state = tmp_path_factory.mktemp("stack") / "state"
    state.mkdir()
    running = RunningStack(state)
    running.start()
    yield running
    running.kill()


@pytest.fixture
def mail() -> dict[str, Any]:
    """A mail request with everything that comes back on its event."""
    return {
        "sender": {"address": "noreply@mail.example.com"},
        "to": ["ada@example.net"],
        "subject": "Hello",
        "text": "Hello Ada",
        "tag": "greeting",
        "notify": {"OrderId": "4711", "TraceID": "a/b c=d"},
    }


@pytest.fixture(scope="session")
def proving() -> bool:
    """Whether the proofs run in full (`make prove`)."""
    return os.environ.get("POSTBUS_PROVE") == "1"
