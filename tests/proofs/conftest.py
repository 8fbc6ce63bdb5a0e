"""What the proofs share: stacks whose times are scaled, worker processes that die, figures."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.account import OWNER
from local.faults.rules import PATH, Rule
from local.pytest_plugin import (  # noqa: F401  # an imported fixture is a fixture here
    MakePostbus,
    Postbus,
    make_postbus,
    postbus,
)
from shared.sending.identity import mail_id_of
from shared.sending.protocol import FINAL
from shared.stores.ledger import Ledger, MailRecord
from shared.stores.sqlite.ledger import SqliteLedger

ROOT = Path(__file__).parents[2]
# The platform's times are shorter here. A mail whose process died is unknown once its lease is
# over (the time-out and 5 s), and settled one grace later: 14 s instead of 17 minutes.
FUNCTION_SECONDS = 6  # 120 in the template
GRACE_SECONDS = 3  # 900 by default
SCALE = f"time-out 120 -> {FUNCTION_SECONDS} s, grace 900 -> {GRACE_SECONDS} s"
SETTLED = FINAL | {"held", "parked"}
MAIL = {
    "sender": {"address": "noreply@mail.example.com"},
    "to": ["ada@example.net"],
    "text": "Hello Ada",
}


@pytest.fixture(scope="session")
def proving() -> bool:
    """Whether the proofs run in full (`make prove`)."""
    return os.environ.get("POSTBUS_PROVE") == "1"


@dataclass
class Workers:
    """Worker processes with a root of their own (`worker.py`), and what they have noted."""

    notes: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, stack: Postbus, **plan: Any) -> None:
        """Start instances of a function.

        Args:
            stack: whose queues and twins they use.
            plan: see `worker.py`.
        """
        self.notes.mkdir(exist_ok=True)
        whole = {
            "instances": 4,
            "batch": 1,
            "timeout": FUNCTION_SECONDS,
            "notes": str(self.notes),
            "kills": {},
            **plan,
        }
        file = self.notes.with_name(f"plan-{len(self.processes)}.json")
        file.write_text(json.dumps(whole))
        with self.notes.with_name("workers.log").open("ab") as log:
            self.processes.append(
                subprocess.Popen(  # noqa: S603  # our own program
                    [sys.executable, str(Path(__file__).with_name("worker.py")), str(file)],
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    env={**os.environ, **worker_environment(stack)},
                )
            )

    def kill(self) -> None:
        """Kill -9 to all of them."""
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.processes.clear()

    def noted(self) -> list[dict[str, Any]]:
        """What they have written down so far; the order is each process's own."""
        lines = [
            line for file in self.notes.glob("*.jsonl") for line in file.read_text().splitlines()
        ]
        return [json.loads(line) for line in lines]

    def deaths(self) -> int:
        """How many have died by the plan."""
        return sum(1 for file in self.notes.iterdir() if file.suffix != ".jsonl")


def worker_environment(stack: Postbus) -> dict[str, str]:
    """The variables that the template and the stack give the functions."""
    return {
        "PYTHONPATH": str(ROOT),
        "ALIBABA_CLOUD_ACCESS_KEY_ID": OWNER.id,
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": OWNER.secret,
        "POSTBUS_ENVIRONMENT": "local",
        "POSTBUS_MAILS_QUEUE": "postbus-local-mails",
        "POSTBUS_REJECTED_QUEUE": "postbus-local-rejected",
        "POSTBUS_DEAD_QUEUE": "postbus-local-mails-dead",
        "POSTBUS_DELIVERY_EVENTS_QUEUE": "postbus-local-delivery-events",
        "POSTBUS_EVENTS_TOPIC": "postbus-local-mail-events",
        "POSTBUS_SMQ_ENDPOINT": stack.url,
        "POSTBUS_DIRECTMAIL_ENDPOINT": stack.url,
        "POSTBUS_LEDGER": f"sqlite:{stack.state.resolve() / 'ledger.db'}",
        "POSTBUS_ALLOWED_RECIPIENTS": "*",
        "POSTBUS_CALLS_PER_SECOND": "0",
        "POSTBUS_UNKNOWN_GRACE_SECONDS": str(GRACE_SECONDS),
        "POSTBUS_THREADS": "16",
    }


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Workers]:
    """Worker processes, killed after the test."""
    made = Workers(tmp_path / "notes")
    yield made
    made.kill()


ScaledStack = Callable[..., Postbus]


@pytest.fixture
def scaled_stack(make_postbus: MakePostbus, tmp_path: Path) -> ScaledStack:  # noqa: F811  # the fixture, as an argument
    """Starts stacks whose time-outs and graces are scaled.

    Its arguments: options of `postbus up`; `visibility`, in seconds, of a mail that was taken;
    `off`, how many of the two queue triggers (mails, delivery events) stay off, for workers.
    """

    def make(*options: str, visibility: int = 2, off: int = 0) -> Postbus:
        text = (ROOT / "template.yml").read_text()
        for old, new, times in (
            ("Timeout: 120", f"Timeout: {FUNCTION_SECONDS}", -1),
            ("VisibilityTimeout: 180", f"VisibilityTimeout: {visibility}", -1),
            ("triggerEnable: true", "triggerEnable: false", off),
        ):
            assert old in text
            text = text.replace(old, new, times)
        template = tmp_path / "template.yml"
        template.write_text(text)
        grace = f"POSTBUS_UNKNOWN_GRACE_SECONDS={GRACE_SECONDS}"
        scaled = ("--template", str(template), "--set", grace, "--event-delay", "0.1")
        return make_postbus(*scaled, *options)

    return make


def set_rules(stack: Postbus, rules: Iterable[Rule]) -> None:
    """Let the twins misbehave by these rules, and no others."""
    document = {"rules": [rule.as_json() for rule in rules]}
    httpx.put(f"{stack.url}{PATH}", json=document, trust_env=False).raise_for_status()


def mail_of(key: str, **fields: Any) -> dict[str, Any]:
    """A mail request whose subject is its key, so that the twin's outbox tells it."""
    return {**MAIL, "key": key, "subject": key, **fields}


def mail_id(key: str) -> str:
    """The id of a key's mail in a local stack."""
    return mail_id_of("local", key)


def accepts(stack: Postbus) -> Counter[str]:
    """How often the twin has accepted each key's mail."""
    outbox = stack.outbox()
    return Counter(mail.parameters["Subject"] for mail in outbox.mails(limit=1_000_000))


def ledger_of(stack: Postbus) -> SqliteLedger:
    """The stack's ledger."""
    return SqliteLedger(stack.state / "ledger.db")


def rows_of(ledger: Ledger, keys: Iterable[str]) -> dict[str, MailRecord | None]:
    """The row of each key."""
    return {key: ledger.get(mail_id(key)) for key in keys}


def waiting_on(stack: Postbus, name: str = "mails") -> int:
    """How many messages a queue has, in whatever state."""
    status = httpx.get(f"{stack.url}/_local/status", trust_env=False).json()
    depth = status["queues"][f"postbus-local-{name}"]
    return int(depth["visible"] + depth["in_flight"] + depth["delayed"])


def published(stack: Postbus) -> list[dict[str, Any]]:
    """Every event that the topic has taken."""
    events: list[dict[str, Any]] = []
    after = 0
    url = f"{stack.url}/_local/topics/postbus-local-mail-events/messages"
    while page := httpx.get(url, params={"after": after}, trust_env=False).json():
        after = page[-1]["sequence"]
        events += [json.loads(message["body"]) for message in page]
    return events


def settle(
    stack: Postbus,
    ledger: Ledger,
    keys: Collection[str],
    seconds: float,
    meanwhile: Callable[[], object] = lambda: None,
) -> dict[str, MailRecord | None]:
    """Wait until every key's mail is final or held, and the mail queue is empty.

    Args:
        stack: the stack.
        ledger: its ledger.
        keys: of the mails.
        seconds: how long at most.
        meanwhile: is done about twice a second.

    Returns:
        The rows as they are then.
    """
    end = time.monotonic() + seconds
    while True:
        rows = rows_of(ledger, keys)
        settled = all(row is not None and row.state in SETTLED for row in rows.values())
        if (settled and not waiting_on(stack)) or time.monotonic() > end:
            return rows
        meanwhile()
        time.sleep(0.5)


def lost(rows: Mapping[str, MailRecord | None], elsewhere: Collection[str]) -> set[str]:
    """The keys that are neither final, nor held, nor on one of the queues."""
    return {
        key
        for key, row in rows.items()
        if (row is None or row.state not in SETTLED) and key not in elsewhere
    }


def events_by_key(events: Sequence[Mapping[str, Any]]) -> dict[str, set[str]]:
    """Key -> the states that were announced."""
    found: dict[str, set[str]] = {}
    for event in events:
        if event["data"].get("key"):
            found.setdefault(event["data"]["key"], set()).add(event["data"]["state"])
    return found
