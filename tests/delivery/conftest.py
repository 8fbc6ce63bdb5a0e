"""Sample events, and a ledger and a publisher in memory that are handed in as parameters."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import pytest

from shared.delivery.facts import DeliveryFact, Unrecognised
from shared.delivery.forward import Forwarder
from shared.delivery.outlet import Outlet
from shared.delivery.read import read_event
from shared.delivery.routing import Routing
from shared.errors import LedgerUnavailable, QueueUnavailable
from shared.sending.identity import MailToken, mail_id_of
from shared.stores.events import RecordedEvent
from shared.stores.ledger import Channel, DeliveryRecord, MailRecord
from shared.stores.recipients import Erased
from shared.triggers.context import Invocation
from shared.triggers.events import read_events

EVENTS = Path(__file__).parents[2] / "events"
ENVIRONMENT = "local"
NOW = 1_800_000_000_000


@dataclass
class MemoryLedger:
    """As much of a ledger as forwarding uses.

    `down` names the methods that fail; `asked` is whose channels were looked up.
    """

    mails: dict[str, MailRecord] = field(default_factory=dict)
    states: list[DeliveryRecord] = field(default_factory=list)
    senders: dict[str, Channel] = field(default_factory=dict)
    channels: list[tuple[str, Channel]] = field(default_factory=list)
    sightings: list[tuple[str, str, int]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
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

    def channel(self, sender: str) -> Channel:
        """See `Ledger.channel`."""
        self._fail("channel")
        self.asked.append(sender)
        return self.senders.get(sender, Channel())

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
    """One message of a sink."""

    body: str
    tag: str
    properties: Mapping[str, str]
    sink: str = ""

    @property
    def event(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass
class MemoryPost:
    """Queues and topics in memory.

    `takes` is how many messages the sinks take altogether; `down` names sinks, and `retries`,
    `dead` and `events`, that take none. `deferred`, `letters` and `dead` are what went there.
    """

    messages: list[Published] = field(default_factory=list)
    takes: int = 1_000_000
    down: set[str] = field(default_factory=set)
    codes: dict[str, str] = field(default_factory=dict)
    deferred: list[tuple[str, int]] = field(default_factory=list)
    letters: list[tuple[Any, int]] = field(default_factory=list)
    dead: list[tuple[str, Any]] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)

    def defer(self, event: str, delay: int) -> str:
        """See `Shelf.defer`."""
        self._fail("events")
        self.deferred.append((event, delay))
        return "deferred"

    def retry(self, letter: str, delay: int) -> str:
        """See `Post.retry`."""
        self._fail("retries")
        self.letters.append((json.loads(letter), delay))
        return "put back"

    def lay_aside(self, letter: str, queue: str) -> str:
        """See `Post.lay_aside`."""
        self._fail("dead")
        self.dead.append((queue, json.loads(letter)))
        return "laid aside"

    def deliver(self, sink: str, body: str, tag: str, properties: Mapping[str, str]) -> str:
        """See `Post.deliver`."""
        self.tried.append(sink)
        self._fail(sink)
        if len(self.messages) >= self.takes:
            raise QueueUnavailable("the topic takes no more")
        self.messages.append(Published(body, tag, dict(properties), sink))
        return f"message-{len(self.messages)}"

    def of(self, sink: str) -> list[Any]:
        """The events that a sink has taken."""
        return [message.event for message in self.messages if message.sink == sink]

    def _fail(self, name: str) -> None:
        if name in self.down:
            raise QueueUnavailable(f"{name} takes nothing", code=self.codes.get(name))


@dataclass
class MemoryEventLog:
    """A log of events in memory; `down` names the methods that fail."""

    events: dict[str, RecordedEvent] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)

    def use(self, invocation: Invocation) -> None:
        """See `EventLog.use`."""

    def knows(self, event_id: str) -> bool:
        """See `EventLog.knows`."""
        self._fail("knows")
        return event_id in self.events

    def record(self, event: RecordedEvent) -> None:
        """See `EventLog.record`."""
        self._fail("record")
        self.events.setdefault(event.id, event)

    def between(self, start: int, end: int) -> Iterator[RecordedEvent]:
        """See `EventLog.between`."""
        yield from (event for event in self.events.values() if start <= event.at < end)

    def forget(self, recipient: str, start: str, may_go_on: Callable[[], bool]) -> Erased:
        """See `EventLog.forget`."""
        raise NotImplementedError(recipient, start, may_go_on)

    def purge(self, now: int) -> int:
        """See `EventLog.purge`."""
        raise NotImplementedError(now)

    def _fail(self, method: str) -> None:
        if method in self.down:
            raise LedgerUnavailable(f"{method} is down")


def one_by_one(work: Callable[[Any], None], lanes: Sequence[Any], _timeout: int) -> list[Any]:
    """An `at_once` without threads: nothing is ever late."""
    for lane in lanes:
        work(lane)
    return []


@dataclass
class Time:
    """A clock that stands still until it is moved."""

    now: int = NOW

    def __call__(self) -> int:
        """The time, in ms since 1970."""
        return self.now


EVENTS_TOPIC = "topic:mail-events"


@dataclass
class Way:
    """The whole way out, with everything beside it in memory."""

    ledger: Any
    post: MemoryPost = field(default_factory=MemoryPost)
    log: MemoryEventLog = field(default_factory=MemoryEventLog)
    clock: Time = field(default_factory=Time)
    routing: Routing = field(default_factory=lambda: Routing((EVENTS_TOPIC,)))
    unmatched: Literal["drop", "forward"] = "drop"
    patience: int = 86_400_000

    @property
    def outlet(self) -> Outlet:
        """A new instance's."""
        return Outlet(
            self.post, self.routing, self.log, one_by_one, lambda: 0.5, self.clock, self.patience
        )

    def forwarder(self) -> Forwarder:
        """A new instance's."""
        return Forwarder(
            self.ledger,
            self.outlet,
            self.post,
            ENVIRONMENT,
            f"postbus/{ENVIRONMENT}",
            self.unmatched,
        )

    def run(self, event: Any, forwarder: Forwarder | None = None) -> dict[str, int]:
        """Forward events (bytes, or a document), as the function does; the counts of their ends."""
        data = event if isinstance(event, bytes) else json.dumps(event).encode()
        call = Invocation("1-abc", "f", self.clock.now + 60_000, None, self.clock)
        return dict((forwarder or self.forwarder()).forward_all(read_events(data), call))


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
def way(ledger: MemoryLedger) -> Way:
    """The way out."""
    return Way(ledger)


@pytest.fixture
def topic(way: Way) -> MemoryPost:
    """What was published, and what waits."""
    return way.post


@pytest.fixture
def forward(way: Way) -> Callable[..., dict[str, int]]:
    """Forwards events (bytes, or a document), as one instance does; the counts of their ends."""
    forwarder = way.forwarder()
    return lambda event: way.run(event, forwarder)
