"""Events in any order, several times, before the answer, among others' events: none is lost.

A model of mails and of what happens to each recipient; the same told by events of every dialect;
the real Forwarder and a real ledger between. What comes out is what happened, each thing once.
"""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from local.account import OWNER, Account
from local.twins.tablestore.server import serving
from local.twins.tablestore.store import Store
from shared.delivery.forward import Forwarder
from shared.delivery.outlet import Outlet
from shared.delivery.routing import Routing
from shared.delivery.states import MARKS, STATES, state_of
from shared.sending.identity import MailToken, mail_id_of
from shared.stores.ledger import Channel, MailRecord
from shared.stores.sqlite.events import SqliteEventLog
from shared.stores.sqlite.ledger import SqliteLedger
from shared.stores.tablestore.events import TablestoreEventLog
from shared.stores.tablestore.ledger import TablestoreLedger
from shared.stores.tablestore.rows import TABLES
from shared.triggers.context import Credentials, Invocation
from shared.triggers.events import read_events

SEED = 20261122
NOON = 1_795_348_800_000
SENDER = "noreply@mail.example.com"
BATCH = 20
DAY = 86_400_000
TYPES = {
    "delivered": "Deliver:Succeed",
    "bounced": "Deliver:Fail",
    "opened": "Trace:Open",
    "clicked": "Trace:Click",
    "complained": "Feedback:FblReport",
    "unsubscribed": "Feedback:UnSubscribe",
    "resubscribed": "Feedback:Subscribe",
}
# What can happen to a recipient's copy, and how often it does.
FATES: tuple[tuple[tuple[str, ...], int], ...] = (
    (("delivered",), 40),
    (("bounced",), 12),
    (("delivered", "bounced"), 6),
    (("delivered", "opened"), 12),
    (("delivered", "opened", "opened", "clicked", "clicked"), 12),
    (("delivered", "complained"), 6),
    (("delivered", "unsubscribed"), 6),
    (("delivered", "opened", "unsubscribed", "resubscribed"), 6),
)


@dataclass(frozen=True)
class Fact:
    """One thing that happened."""

    mail: MailRecord
    recipient: str
    state: str
    number: int

    @property
    def told(self) -> tuple[Any, ...]:
        """What must come out once: a state is a state, an open is this one."""
        inner = self.number if self.state in MARKS else None
        return self.mail.mail_id, self.recipient, self.state, inner


@dataclass
class World:
    """The mails, what happens, and what is told of it."""

    dice: random.Random
    mails: dict[str, MailRecord] = field(default_factory=dict)
    early: set[str] = field(default_factory=set)
    facts: list[Fact] = field(default_factory=list)
    events: list[bytes] = field(default_factory=list)
    foreign: int = 0
    strange: int = 0
    _by_mail: dict[str, list[Fact]] = field(default_factory=dict)

    def make(self, count: int) -> None:
        """Make so many mails with their facts and events."""
        for number in range(count):
            key = f"mail-{number}"
            mail = MailRecord(
                mail_id=mail_id_of("local", key),
                key=key,
                state="sent",
                attempt=1,
                envelope_id=f"6000{number:09}",
                evidence="answer",
                sender=SENDER,
                notify={"Order": str(number)},
                created_at=NOON,
                attempted_at=NOON,
                expires_at=NOON + 45 * DAY,
            )
            self.mails[mail.mail_id] = mail
            if number % 20 == 0:  # 5 %
                self.early.add(mail.mail_id)
            for index in range(self.dice.choice((1, 1, 2))):
                fates, weights = zip(*FATES, strict=True)
                for state in self.dice.choices(fates, weights)[0]:
                    address = f"person{index}.of{number}@example.net"
                    self.facts.append(Fact(mail, address, state, len(self.facts)))
        for fact in self.facts:
            self._tell(fact)
        self._others(count // 4)
        self.dice.shuffle(self.events)

    def facts_of(self, mail_id: str) -> list[Fact]:
        """What happened to a mail."""
        if not self._by_mail:
            for fact in self.facts:
                self._by_mail.setdefault(fact.mail.mail_id, []).append(fact)
        return self._by_mail.get(mail_id, [])

    def _tell(self, fact: Fact) -> None:
        """One to five events of a fact: the same one again, or a state under another id."""
        styles = {
            "complained": ("message-id",),
            "unsubscribed": ("header", "env-id"),
            "resubscribed": ("header", "env-id"),
        }.get(fact.state, ("header", "lower", "text", "message-id", "env-id"))
        style = self.dice.choice(styles)
        for again in range(self.dice.randint(1, 5)):
            renamed = fact.state in STATES and again and self.dice.random() < 0.3
            event = document(fact, style, f"-{again}" if renamed else "", self.dice)
            self.events.append(json.dumps(event).encode())

    def _others(self, count: int) -> None:
        """Events of another environment, and of the account's other senders."""
        for number in range(count):
            alien = MailRecord(mail_id_of("staging", str(number)), str(number), "sent", attempt=1)
            fact = Fact(alien, f"alien{number}@example.org", "delivered", -number)
            event = document(fact, "header", f"f{number}", self.dice)
            event["data"]["header"] = {
                "X-User-Notify-Postbus": str(MailToken("staging", alien.mail_id, 1))
            }
            strange = document(fact, "env-id", f"s{number}", self.dice)
            strange["data"]["env_id"] = f"7000{number}"
            strange["data"]["from"] = "newsletter@other.example.com"
            self.events += [json.dumps(event).encode(), json.dumps(strange).encode()]
            self.foreign += 1
            self.strange += 1


def document(fact: Fact, style: str, suffix: str, dice: random.Random) -> dict[str, Any]:
    """An event of DirectMail's about a fact.

    Args:
        fact: what happened.
        style: what leads to the mail: our header (as given, in lower case, as text), the
            Message-ID alone, or the EnvId alone.
        suffix: of the event's id.
        dice: for what does not matter.
    """
    mail = fact.mail
    ours = {"X-User-Notify-Postbus": str(MailToken("local", mail.mail_id, 1))}
    header: Any = {
        "header": ours,
        "lower": {name.lower(): value for name, value in ours.items()},
        "text": json.dumps(ours),
    }.get(style)
    # Its Message-ID is told by header and Message-ID style; the twin's others are rewritten.
    message_id = "x@y.example" if style == "env-id" else f"{mail.mail_id}.local@mail.example.com"
    minute, second = divmod(abs(fact.number) % 3600, 60)
    at = f"2026-11-22T20:{minute:02}:{second:02}"
    if fact.state == "complained":
        data: dict[str, Any] = {
            "send_email": SENDER,
            "block_email": fact.recipient,
            "message_id": f"<{message_id}>",
            "block_time": str(1_795_348_800 + abs(fact.number)),
        }
    elif fact.state.endswith("subscribed"):
        data = {"envid": mail.envelope_id, "from": SENDER, "rcpt": fact.recipient}
        data |= {"operate_time": at, **({"header": header} if header else {})}
    else:
        data = {
            "env_id": mail.envelope_id,
            "msg_id": message_id,
            "from": SENDER,
            "rcpt": fact.recipient if dice.random() < 0.8 else fact.recipient.upper(),
            "status": "0" if fact.state != "bounced" else "2",
            "err_code": "250" if fact.state != "bounced" else "550",
            "deliver_time": at,
            "operate_time": at,
            **({"header": header} if header else {}),
        }
    return {
        "id": f"event-{fact.number}{suffix}",
        "source": dice.choice(("acs:dm", "acs.dm")) if fact.state in STATES else "acs.dm",
        "specversion": "1.0",
        "type": f"dm:{TYPES[fact.state]}",
        "time": f"{at}+08:00",
        "data": data,
    }


class Street:
    """Queues and topics: what was published, and what waits and until when."""

    def __init__(self) -> None:
        self.published: list[Any] = []
        self.waiting: list[tuple[int, bytes]] = []
        self.now = NOON

    def deliver(self, _sink: str, body: str, tag: str, properties: Any) -> str:
        """See `Post.deliver`."""
        event = json.loads(body)
        assert (tag, properties["id"]) == (event["data"]["state"], event["id"])
        self.published.append(event)
        return "id"

    def retry(self, letter: str, delay: int) -> str:
        """See `Post.retry`."""
        self.waiting.append((self.now + delay, letter.encode()))
        return "id"

    def lay_aside(self, letter: str, _queue: str) -> str:
        """See `Post.lay_aside`."""
        raise AssertionError(letter)

    def defer(self, event: str, delay: int) -> str:
        """See `Shelf.defer`."""
        return self.retry(event, delay)

    def due(self) -> list[bytes]:
        """What has waited long enough."""
        due = [letter for at, letter in self.waiting if at <= self.now]
        self.waiting = [(at, letter) for at, letter in self.waiting if at > self.now]
        return due


@contextmanager
def stores(kind: str, folder: Path) -> Iterator[tuple[Any, Any]]:
    """A ledger and a log of events."""
    if kind == "sqlite":
        with closing(SqliteLedger(folder / "ledger.db")) as ledger:
            yield ledger, SqliteEventLog(ledger.database, 45 * DAY)
        return
    store, account = Store(folder / "twin.db"), Account()
    with serving(store, account) as endpoint:
        for table in TABLES:
            store.ensure_table("postbus", table.name, table.keys, ttl_seconds=table.ttl_seconds)
        cloud = TablestoreLedger.at(f"{endpoint}/postbus")
        key = Credentials(OWNER.id, OWNER.secret)
        cloud.use(Invocation("r", "f", 2**60, key, lambda: time.time_ns() // 1_000_000))
        yield cloud, TablestoreEventLog(cloud.tables, 45 * DAY)
    store.close()


def one_by_one(work: Any, lanes: Any, _timeout: int) -> list[Any]:
    """An `at_once` without threads."""
    for lane in lanes:
        work(lane)
    return []


@pytest.mark.parametrize(("kind", "full", "reduced"), [("sqlite", 10_000, 400),
                                                       ("tablestore", 400, 25)])  # fmt: skip
def test_what_comes_out_is_what_happened(
    tmp_path: Path, proving: bool, kind: str, full: int, reduced: int
) -> None:
    """Distinct ids downstream are the facts, each published once; the states are the model's."""
    dice = random.Random(SEED)
    world, street = World(dice), Street()
    world.make(full if proving else reduced)
    begun = time.monotonic()
    with stores(kind, tmp_path) as (ledger, log):
        ends = _run(world, street, ledger, log)
        seconds = time.monotonic() - begun
        wrong = [mail for mail in world.mails.values() if not _is_right(ledger, world, mail)]
    told = Counter(_told(event) for event in street.published)
    ids = {event["id"] for event in street.published}
    expected = {fact.told for fact in world.facts}
    print(
        f"\nevents, {kind}: seed {SEED}: {len(world.mails)} mails ({len(world.early)} of them "
        f"answered after events), {len(world.facts)} facts, {len(world.events)} events "
        f"({world.foreign} of another environment, {world.strange} of other senders); published "
        f"{len(street.published)}, distinct ids {len(ids)}, wrong states {len(wrong)}; "
        f"{dict(ends)}; {len(world.events) / seconds:.0f} events/s"
    )
    assert set(told) == expected
    assert len(ids) == len(expected) == len(street.published)
    assert (ends["foreign"], ends["unmatched"]) == (world.foreign, world.strange)
    assert wrong == []


def _run(world: World, street: Street, ledger: Any, log: Any) -> Counter[str]:
    """Send every event through, the late answers among them."""
    for mail in world.mails.values():
        ledger.create(replace(mail, state="sending", envelope_id=None, evidence=None))
        if mail.mail_id not in world.early:
            _answer(ledger, mail, NOON)
    ledger.note_channel(SENDER, Channel(sent_at=NOON))
    outlet = Outlet(
        street, Routing(("topic:t",)), log, one_by_one, lambda: 0.5, lambda: street.now, DAY
    )
    forwarder = Forwarder(ledger, outlet, street, "local", "postbus/local")
    answers = sorted(world.early)
    world.dice.shuffle(answers)
    batches = [world.events[at : at + BATCH] for at in range(0, len(world.events), BATCH)]
    ends: Counter[str] = Counter()
    for number, batch in enumerate(batches):
        # Answers come in at any time before the last batch.
        while answers and len(answers) / len(world.early) > 1 - number / len(batches):
            _answer(ledger, world.mails[answers.pop()], street.now)
        # A run takes twelve minutes, in which an event without its mail is looked at again.
        street.now += 720_000 // len(batches)
        ends += _forward(forwarder, batch + street.due(), street)
    for mail_id in answers:
        _answer(ledger, world.mails[mail_id], street.now)
    while street.waiting:
        street.now = max(at for at, _ in street.waiting)
        ends += _forward(forwarder, street.due(), street)
    return ends


def _answer(ledger: Any, mail: MailRecord, now: int) -> None:
    ledger.prove(
        mail.mail_id, envelope_id=mail.envelope_id, request_id="r", evidence="answer", at=now
    )


def _forward(forwarder: Forwarder, bodies: list[bytes], street: Street) -> Counter[str]:
    call = Invocation("r", "f", street.now + 60_000, None, lambda: street.now)
    return forwarder.forward_all(
        [arrived for body in bodies for arrived in read_events(body)], call
    )


def _told(event: Any) -> tuple[Any, ...]:
    """What a published event says, as a fact says it."""
    data = event["data"]
    inner = int(data["raw"]["id"].split("-")[1]) if data["state"] in MARKS else None
    return data["mail_id"], data["recipient"].lower(), data["state"], inner


def _is_right(ledger: Any, world: World, mail: MailRecord) -> bool:
    """Whether the ledger knows of a mail what happened, and that it was sent."""
    known: dict[str, set[str]] = {}
    for record in ledger.deliveries(mail.mail_id):
        assert record.attempt == 1
        known.setdefault(record.recipient, set()).add(record.state)
    expected: dict[str, set[str]] = {}
    for fact in world.facts_of(mail.mail_id):
        expected.setdefault(fact.recipient, set()).add(fact.state)
    row = ledger.get(mail.mail_id)
    states = {recipient: state_of(words) for recipient, words in known.items()}
    return (
        known == expected
        and states == {recipient: state_of(words) for recipient, words in expected.items()}
        and (row.state, row.envelope_id) == ("sent", mail.envelope_id)
    )
