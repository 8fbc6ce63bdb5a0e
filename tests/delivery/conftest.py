"""Sample events, and a ledger and a publisher in memory that are handed in as parameters."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from shared.delivery.facts import DeliveryFact, Unrecognised
from shared.delivery.forward import Forwarder
from shared.delivery.read import read_event
from shared.errors import LedgerUnavailable, QueueUnavailable
from shared.sending.identity import MailToken, mail_id_of
from shared.stores.ledger import Channel, DeliveryRecord, MailRecord
from shared.triggers.context import Invocation
from shared.triggers.events import read_events

EVENTS = Path(__file__).parents[2] / "events"
ENVIRONMENT = "local"
NOW = 1_800_000_000_000


@dataclass
class MemoryLedger:
    """As much of a ledger as forwarding uses; `down` names the methods that fail."""

    mails: dict[str, MailRecord] = field(default_factory=dict)
    states: list[DeliveryRecord] = field(default_factory=list)
    channels: list[tuple[str, Channel]] = field(default_factory=list)
    sightings: list[tuple[str, str, int]] = field(default_factory=list)
    down: frozenset[str] = frozenset()

    def get(self, mail_id: str) -> MailRecord | None:
        """See `Ledger.get`."""
        self._fail("get")
        return self.mails.get(mail_id)

    def find_by_envelope_id(self, envelope_id: str) -> MailRecord | None:
        """See `Ledger.find_by_envelope_id`."""
        self._fail("find_by_envelope_id")
        found = (mail for mail in self.mails.values() if mail.envelope_id == envelope_id)
        return next(found, None)

    def prove(self, mail_id: str, *, envelope_id: str | None, request_id: str | None,
              evidence: str, at: int) -> MailRecord | None:  # fmt: skip
        """See `Ledger.prove`."""
        self._fail("prove")
        mail = self.mails[mail_id]
        self.mails[mail_id] = replace(
            mail,
            state="sent",
            envelope_id=mail.envelope_id or envelope_id,
            request_id=mail.request_id or request_id,
            evidence=mail.evidence or evidence,
            updated_at=at,
        )
        return self.mails[mail_id]

    def record_delivery(self, record: DeliveryRecord) -> bool:
        """See `Ledger.record_delivery`."""
        self._fail("record_delivery")
        self.states.append(record)
        return True

    def note_channel(self, sender: str, channel: Channel) -> None:
        """See `Ledger.note_channel`."""
        self._fail("note_channel")
        self.channels.append((sender, channel))

    def sight(self, sender: str, recipient: str, at: int) -> None:
        """See `Ledger.sight`."""
        self._fail("sight")
        self.sightings.append((sender, recipient, at))

    def _fail(self, method: str) -> None:
        if method in self.down:
            raise LedgerUnavailable(f"{method} is down")


@dataclass(frozen=True)
class Published:
    """One message of the topic."""

    body: str
    tag: str
    properties: Mapping[str, str]

    @property
    def event(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass
class MemoryTopic:
    """A topic that keeps what it takes; `takes` is how many messages that is.

    `deferred` are the events that went back on their queue, with their delays.
    """

    messages: list[Published] = field(default_factory=list)
    takes: int = 1_000
    deferred: list[tuple[str, int]] = field(default_factory=list)

    def defer(self, event: str, delay: int) -> str:
        """See `Publisher.defer`."""
        if not self.takes:
            raise QueueUnavailable("the queue takes nothing")
        self.deferred.append((event, delay))
        return f"deferred-{len(self.deferred)}"

    def publish(self, body: str, tag: str, properties: Mapping[str, str]) -> str:
        """See `Publisher.publish`."""
        if len(self.messages) >= self.takes:
            raise QueueUnavailable("the topic takes no more")
        self.messages.append(Published(body, tag, dict(properties)))
        return f"message-{len(self.messages)}"


@pytest.fixture(scope="session")
def sample() -> Callable[[str], bytes]:
    """Reads a file of `events/`."""
    return lambda name: (EVENTS / name).read_bytes()


@pytest.fixture(scope="session")
def read_one() -> Callable[[Any], DeliveryFact | Unrecognised]:
    """Reads one event: bytes as they come, or a document."""

    def read(event: Any) -> DeliveryFact | Unrecognised:
        data = event if isinstance(event, bytes) else json.dumps(event).encode()
        (arrived,) = read_events(data)
        return read_event(arrived)

    return read


@pytest.fixture
def document(sample: Callable[[str], bytes]) -> Callable[..., dict[str, Any]]:
    """The delivered sample with `changes` to its data; None leaves a member out."""

    def change(**changes: Any) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(sample("directmail-deliver-succeed.json"))
        data = {**event["data"], **changes}
        return {**event, "data": {name: v for name, v in data.items() if v is not None}}

    return change


@pytest.fixture(scope="session")
def mail() -> MailRecord:
    """The mail that the delivered sample is about, as the ledger knows it after its send."""
    return MailRecord(
        mail_id=mail_id_of(ENVIRONMENT, "order-4711"),
        key="order-4711",
        state="sent",
        attempt=1,
        envelope_id="600000192837465010",
        evidence="answer",
        sender="noreply@mail.example.com",
        tag="order-shipped",
        notify={"OrderId": "4711", "Service": "shipping"},
        attempted_at=NOW - 60_000,
    )


@pytest.fixture(scope="session")
def token(mail: MailRecord) -> MailToken:
    """What the packed header of that mail says."""
    return MailToken(ENVIRONMENT, mail.mail_id, 1)


@pytest.fixture
def ledger(mail: MailRecord) -> MemoryLedger:
    """A ledger that knows that mail."""
    return MemoryLedger({mail.mail_id: mail})


@pytest.fixture
def topic() -> MemoryTopic:
    """An empty topic."""
    return MemoryTopic()


@pytest.fixture
def forward(ledger: Any, topic: MemoryTopic) -> Callable[..., dict[str, int]]:
    """Forwards events (bytes, or a document), as the function does; the counts of their ends."""
    forwarder = Forwarder(ledger, topic, ENVIRONMENT, f"postbus/{ENVIRONMENT}")
    call = Invocation("1-abc", "delivery-events", NOW + 60_000, None, lambda: NOW)

    def run(event: Any) -> dict[str, int]:
        data = event if isinstance(event, bytes) else json.dumps(event).encode()
        return dict(forwarder.forward_all(read_events(data), call))

    return run
