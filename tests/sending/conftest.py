"""A mail's world in miniature: a clock to turn, a ledger, a scripted provider, recording queues.

Every side effect is a numbered step, and the process can be made to die before or after any of
them. Queues are real enough to run a mail to its end: messages are due, and come again when the
function that took them fails.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
import structlog

from shared.errors import LedgerUnavailable, QueueUnavailable
from shared.schema.mail_request import Sender, parse_mail
from shared.sending.announce import Announcer
from shared.sending.answers import Accepted, Answer
from shared.sending.compose import OutgoingMail, Policy
from shared.sending.consumer import Consumer
from shared.sending.identity import HEADER, read_token
from shared.sending.letters import Letter, Settlement
from shared.sending.mailer import Mailer
from shared.sending.opening import Opened
from shared.stores.ledger import Channel, DeliveryRecord, MailRecord
from shared.stores.sqlite.ledger import SqliteLedger
from shared.triggers.context import Invocation
from shared.triggers.queue import QueueMessage

Value = TypeVar("Value")

NOON = 1_795_348_800_000  # 2026-11-22T12:00:00Z
TIMEOUT = 60_000
GRACE = 900_000
# How long SMQ hides a message that a function has taken.
VISIBILITY = 90_000
POLICY = Policy(
    environment="test",
    default_sender=Sender(address="shop@example.com"),
    allowed_recipients=("*",),
)


class Crash(BaseException):
    """The process died here. No `except Exception` sees it, as none sees a kill."""


class Clock:
    """Milliseconds since 1970, turned by hand."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> int:
        """The time."""
        return self.now

    def invocation(self, timeout: int = TIMEOUT) -> Invocation:
        """An invocation that begins now."""
        return Invocation("request-1", "send-mail", self.now + timeout, None, self)


@dataclass
class Steps:
    """Counts side effects, and dies before or after the chosen ones.

    Attributes:
        crashes: (number of the step from 1, `before` or `after`); each happens once.
    """

    crashes: set[tuple[int, str]] = field(default_factory=set)
    names: list[str] = field(default_factory=list)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Wrap one side effect."""
        self.names.append(name)
        number = len(self.names)
        if (number, "before") in self.crashes:
            raise Crash(f"before step {number}, {name}")
        yield
        if (number, "after") in self.crashes:
            raise Crash(f"after step {number}, {name}")


class WatchedLedger:
    """A real ledger whose calls are steps, and can be refused.

    Attributes:
        down: methods that fail without doing anything.
        deaf: methods that do their work and whose answer is lost.
        meanwhile: what happens once, just before a method does its work.
    """

    def __init__(self, steps: Steps) -> None:
        self.inner = SqliteLedger(Path(":memory:"))
        self.steps = steps
        self.down: set[str] = set()
        self.deaf: set[str] = set()
        self.meanwhile: dict[str, Callable[[], object]] = {}

    def use(self, invocation: Invocation) -> None:
        """See `Ledger.use`."""
        self.inner.use(invocation)

    def get(self, mail_id: str) -> MailRecord | None:
        """See `Ledger.get`."""
        return self._run("get", lambda: self.inner.get(mail_id))

    def get_many(self, mail_ids: Collection[str]) -> dict[str, MailRecord]:
        """See `Ledger.get_many`."""
        return self._run("get_many", lambda: self.inner.get_many(mail_ids))

    def create(self, record: MailRecord) -> bool:
        """See `Ledger.create`."""
        return self._run("create", lambda: self.inner.create(record))

    def change(self, old: MailRecord, new: MailRecord) -> bool:
        """See `Ledger.change`."""
        return self._run("change", lambda: self.inner.change(old, new))

    def prove(  # as the ledger has it
        self,
        mail_id: str,
        *,
        envelope_id: str | None,
        request_id: str | None,
        evidence: str,
        at: int,
        claim: MailRecord | None = None,
    ) -> MailRecord | None:
        """See `Ledger.prove`."""
        return self._run(
            "prove",
            lambda: self.inner.prove(
                mail_id,
                envelope_id=envelope_id,
                request_id=request_id,
                evidence=evidence,
                at=at,
                claim=claim,
            ),
        )

    def find_by_envelope_id(self, envelope_id: str) -> MailRecord | None:
        """See `Ledger.find_by_envelope_id`."""
        return self._run("find", lambda: self.inner.find_by_envelope_id(envelope_id))

    def record_delivery(self, record: DeliveryRecord) -> bool:
        """See `Ledger.record_delivery`."""
        return self._run("record_delivery", lambda: self.inner.record_delivery(record))

    def deliveries(self, mail_id: str) -> list[DeliveryRecord]:
        """See `Ledger.deliveries`."""
        return self._run("deliveries", lambda: self.inner.deliveries(mail_id))

    def by_state(self, states: Collection[str], limit: int) -> list[MailRecord]:
        """See `Ledger.by_state`."""
        return self._run("by_state", lambda: self.inner.by_state(states, limit))

    def take_permits(self, slice_id: str, count: int, limit: int, expires_at: int) -> bool:
        """See `Ledger.take_permits`."""
        return self._run(
            "take_permits", lambda: self.inner.take_permits(slice_id, count, limit, expires_at)
        )

    def channel(self, sender: str) -> Channel:
        """See `Ledger.channel`."""
        return self._run("channel", lambda: self.inner.channel(sender))

    def note_channel(self, sender: str, channel: Channel) -> None:
        """See `Ledger.note_channel`."""
        self._run("note_channel", lambda: self.inner.note_channel(sender, channel))

    def sight(self, sender: str, recipient: str, at: int) -> None:
        """See `Ledger.sight`."""
        self._run("sight", lambda: self.inner.sight(sender, recipient, at))

    def sighted_at(self, sender: str, recipient: str) -> int:
        """See `Ledger.sighted_at`."""
        return self._run("sighted_at", lambda: self.inner.sighted_at(sender, recipient))

    def purge(self, now: int) -> int:
        """See `Ledger.purge`."""
        return self._run("purge", lambda: self.inner.purge(now))

    def close(self) -> None:
        """See `Ledger.close`."""
        self.inner.close()

    def _run(self, name: str, work: Callable[[], Value]) -> Value:
        with self.steps.step(name):
            if name in self.down:
                raise LedgerUnavailable("the ledger is down")
            self.meanwhile.pop(name, lambda: None)()
            value = work()
            if name in self.deaf:
                raise LedgerUnavailable("the ledger's answer was lost")
            return value


@dataclass(frozen=True)
class Say:
    """One line of the provider's script.

    Attributes:
        answer: what the caller is told.
        accepted: whether the mail really went out; None: as the answer says.
        meanwhile: what happens during the call.
    """

    answer: Answer
    accepted: bool | None = None
    meanwhile: Callable[[], object] = lambda: None


class Provider:
    """Answers by a script, then accepts everything.

    Attributes:
        script: the answers to come.
        calls: every call, with its time-out.
        accepts: the mail ids of the mails that really went out, in order.
    """

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self.script: list[Say] = []
        self.calls: list[tuple[OutgoingMail, int]] = []
        self.accepts: list[str] = []

    def send(self, mail: OutgoingMail, call: Invocation, timeout: int) -> Answer:
        """See `Provider.send`."""
        assert timeout <= call.remaining()
        with self.steps.step("send"):
            number = len(self.calls) + 1
            self.calls.append((mail, timeout))
            say = self.script.pop(0) if self.script else Say(Accepted(f"env-{number}", "req-1"))
            say.meanwhile()
            if isinstance(say.answer, Accepted) if say.accepted is None else say.accepted:
                token = read_token(dict(mail.headers)[HEADER])
                assert token is not None
                self.accepts.append(token.mail_id)
            return say.answer


class Queues:
    """Keeps what it is given; any of its methods can be refused.

    Attributes:
        down: methods that fail.
        mails: (when due, message id, body) of what is on the mail queue.
        delays: the delay of every put-back.
    """

    def __init__(self, clock: Clock, steps: Steps) -> None:
        self.clock = clock
        self.steps = steps
        self.down: set[str] = set()
        self.mails: list[tuple[int, str, bytes]] = []
        self.delays: list[int] = []
        self.rejected: list[dict[str, Any]] = []
        self.dead: list[bytes] = []
        self.published: list[tuple[str, dict[str, Any]]] = []
        self._ids = (f"message-{number}" for number in itertools.count(1))

    def put_back(self, letter: Letter, delay: int) -> str:
        """See `MailQueues.put_back`."""
        with self._step("put_back"):
            self.delays.append(delay)
            return self.put(letter.body().encode(), delay)

    def reject(self, body: str) -> str:
        """See `MailQueues.reject`."""
        with self._step("reject"):
            self.rejected.append(json.loads(body))
            return next(self._ids)

    def settle(self, settlement: Settlement, delay: int) -> str:
        """See `MailQueues.settle`."""
        with self._step("settle"):
            return self.put(settlement.body().encode(), delay)

    def publish(self, body: str, tag: str, properties: Mapping[str, str]) -> None:
        """See `Publisher.publish`."""
        assert properties["id"]
        with self._step("publish"):
            self.published.append((tag, json.loads(body)))

    def bury(self, letter: Letter) -> str:
        """See `MailQueues.bury`."""
        with self._step("bury"):
            self.dead.append(letter.body().encode())
            return next(self._ids)

    def put(self, body: bytes, delay: int = 0) -> str:
        """Put a message on the mail queue, as a producer does."""
        identity = next(self._ids)
        self.mails.append((self.clock.now + delay, identity, body))
        return identity

    def letters(self) -> list[dict[str, Any]]:
        """The bodies on the mail queue, read."""
        return [json.loads(body) for _, _, body in self.mails]

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        with self.steps.step(name):
            if name in self.down:
                raise QueueUnavailable("the queue is down")
            yield


def one_by_one(
    work: Callable[[Opened], None], batch: Sequence[Opened], _timeout: int
) -> list[Opened]:
    """An `at_once` without threads: nothing is ever late."""
    for opened in batch:
        work(opened)
    return []


@dataclass
class World:
    """Everything that a mail meets.

    Attributes:
        events: the events of accepted mails come in.
        announced: the states that are published.
        alive: the events of the sender's other mails come in.
    """

    clock: Clock = field(default_factory=Clock)
    steps: Steps = field(default_factory=Steps)
    policy: Policy = POLICY
    events: bool = False
    announced: frozenset[str] = frozenset()
    alive: bool = False

    def __post_init__(self) -> None:
        self.ledger = WatchedLedger(self.steps)
        self.provider = Provider(self.steps)
        self.queues = Queues(self.clock, self.steps)
        owners = (f"owner-{number}" for number in itertools.count(1))
        self.mailer = Mailer(self.ledger, self.provider, self.policy, lambda: next(owners), GRACE,
                             lag=lambda: 0 if self.alive else None)  # fmt: skip
        self.announcer = Announcer(self.queues, "postbus/test", self.announced)
        self.consumer = Consumer(self.mailer, self.queues, self.announcer, lambda: 0.5, one_by_one)

    def letter(self, *, custody: int = 0, **fields: Any) -> Letter:
        """A letter with a good mail; the key is `k`."""
        given = {"to": ["ada@example.net"], "subject": "Hello", "text": "Hi.", **fields}
        return Letter(given, parse_mail(given), "k", custody, NOON)

    def row(self, key: str = "k") -> MailRecord:
        """The mail's row, which must be there."""
        row = self.ledger.inner.get(self.mailer.mail_id(key))
        assert row is not None
        return row

    def has_row(self, key: str = "k") -> bool:
        """Whether there is a row for that key."""
        return self.ledger.inner.get(self.mailer.mail_id(key)) is not None

    def write(self, **fields: Any) -> MailRecord:
        """Put a row for key `k` into the ledger."""
        mail_id = self.mailer.mail_id("k")
        row = replace(MailRecord(mail_id=mail_id, key="k", state="waiting"), **fields)
        assert self.ledger.inner.create(row)
        return row

    def prove(self, key: str = "k") -> None:
        """A delivery event proves the send."""
        self.ledger.inner.prove(
            self.mailer.mail_id(key),
            envelope_id="env-event",
            request_id=None,
            evidence="event",
            at=self.clock.now,
        )

    def deliver(self, *bodies: bytes | Letter, timeout: int = TIMEOUT) -> None:
        """One invocation with a batch of messages."""
        messages = [
            QueueMessage(f"batch-{n}", body if isinstance(body, bytes) else body.body().encode())
            for n, body in enumerate(bodies)
        ]
        self.consumer.settle_all(messages, self.clock.invocation(timeout))

    def run(self, *, at_most: int | None = None, limit: int = 200) -> None:
        """Let time pass until the mail queue is empty; a batch that fails comes again.

        Args:
            at_most: stop after so many deliveries.
            limit: fail after so many.
        """
        for number in range(limit):
            if not self.queues.mails or number == at_most:
                return
            self.queues.mails.sort(key=lambda message: message[0])
            due, identity, body = self.queues.mails.pop(0)
            self._pass_time(due)
            call = self.clock.invocation()
            try:
                self.consumer.settle_all([QueueMessage(identity, body)], call)
            except (Crash, QueueUnavailable):
                self.queues.mails.append((self.clock.now + VISIBILITY, identity, body))
        pytest.fail(f"the queue is not empty after {limit} deliveries")

    def _pass_time(self, due: int) -> None:
        self.clock.now = max(self.clock.now, due)
        if self.events:
            self.prove_all()
        if self.alive:
            self.show_life()

    def show_life(self) -> None:
        """Another mail of the sender's, called for just now, has its event."""
        self.alive = True
        proof = Channel(sent_at=self.clock.now, proven_at=self.clock.now)
        self.ledger.inner.note_channel("shop@example.com", proof)

    def prove_all(self) -> None:
        """The events of all accepted mails come in."""
        for mail_id in self.provider.accepts:
            self.ledger.inner.prove(
                mail_id,
                envelope_id="env-event",
                request_id=None,
                evidence="event",
                at=self.clock.now,
            )


def _drop(_logger: Any, _method: str, _event: Any) -> Any:
    raise structlog.DropEvent


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """No log lines: to print them takes longer than what they tell about."""
    structlog.configure(processors=[_drop])
    yield
    structlog.reset_defaults()


@pytest.fixture
def world() -> Iterator[World]:
    """A fresh world."""
    fresh = World()
    yield fresh
    fresh.ledger.close()


@pytest.fixture
def new_world() -> Iterator[Callable[..., World]]:
    """Makes worlds, for tests that need many."""
    worlds: list[World] = []

    def make(**fields: Any) -> World:
        worlds.append(World(**fields))
        return worlds[-1]

    yield make
    for each in worlds:
        each.ledger.close()
