"""A mail's world as a Hypothesis state machine, over a real ledger: see test_machine.py."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shared.api.mails import Mails
from shared.delivery.forward import Forwarder
from shared.delivery.outlet import Outlet
from shared.delivery.routing import Routing
from shared.errors import LedgerUnavailable, QueueUnavailable
from shared.schema.mail_request import Sender
from shared.sending.announce import Announcer
from shared.sending.answers import Accepted, Answer, Broken, Rejected
from shared.sending.clockwork import SWEEP, Clockwork
from shared.sending.compose import OutgoingMail, Policy
from shared.sending.consumer import Consumer
from shared.sending.identity import HEADER, mail_id_of, read_token
from shared.sending.letters import Letter, Settlement
from shared.sending.mailer import Mailer
from shared.sending.protocol import FINAL
from shared.stores.events import RecordedEvent
from shared.stores.ledger import Ledger, MailRecord
from shared.stores.recipients import Erased
from shared.triggers.context import Invocation
from shared.triggers.events import read_events
from shared.triggers.http import Request
from shared.triggers.queue import QueueMessage
from shared.triggers.timer import TimerEvent

NOON = 1_795_348_800_000
TIMEOUT, GRACE, VISIBILITY = 60_000, 900_000, 90_000
SENDER = "shop@example.com"
POLICY = Policy("test", Sender(address=SENDER), allowed_recipients=("*",))
# The key says what is to happen to the mail when its outcome is unknown.
KEYS = ("hold-0", "hold-1", "resend-0")

# name -> (what the caller is told, whether the mail went out)
ANSWERS: dict[str, tuple[Answer | None, bool]] = {
    "accepted": (None, True),
    "answer lost after": (Broken("read-timeout"), True),
    "answer lost before": (Broken("reset"), False),
    "internal error after": (Rejected("InternalError", 500), True),
    "throttled": (Rejected("Throttling.User", 400), False),
    "unavailable": (Broken("connect"), False),
    "quota": (Rejected("InvalidSendMail.Spam", 400), False),
    "misconfigured": (Rejected("NoPermission", 403), False),
    "refused": (Rejected("InvalidToAddress", 400), False),
}


class Crash(BaseException):
    """The process died here."""


class Mortal:
    """Stands before something whose calls are side effects, any of which may be the last.

    Args:
        inner: what is called.
        world: says when to die, and what is down.
    """

    def __init__(self, inner: Any, world: MailMachine) -> None:
        self._inner, self._world = inner, world

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._inner, name)

        def mortal(*arguments: Any, **named: Any) -> Any:
            world = self._world
            world.countdown -= 1
            if world.countdown == 0 and not world.dies_after:
                raise Crash
            if world.down == "ledger" and isinstance(self._inner, Ledgerly):
                raise LedgerUnavailable("down")
            if world.down == "queues" and isinstance(self._inner, Queues):
                raise QueueUnavailable("down")
            value = call(*arguments, **named)
            if world.countdown == 0:
                raise Crash
            if world.down == "deaf" and isinstance(self._inner, Ledgerly):
                raise LedgerUnavailable("the answer was lost")
            return value

        return mortal


class Ledgerly:
    """A mark for the ledger, whatever its class is."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)


class Unlogged:
    """A log of events that knows none: here each of them is evidence, however often it comes."""

    def use(self, invocation: Invocation) -> None:
        """See `EventLog.use`."""

    def knows(self, _event_id: str) -> bool:
        """See `EventLog.knows`."""
        return False

    def record(self, event: RecordedEvent) -> None:
        """See `EventLog.record`."""

    def between(self, _start: int, _end: int) -> Iterator[RecordedEvent]:
        """See `EventLog.between`."""
        return iter(())

    def forget(self, _recipient: str, _start: str, _may_go_on: Any) -> Erased:
        """See `EventLog.forget`."""
        return Erased(0)

    def purge(self, _now: int) -> int:
        """See `EventLog.purge`."""
        return 0


@dataclass
class Message:
    """A message on the mail queue; due in ms since 1970."""

    due: int
    id: str
    body: bytes

    @property
    def key(self) -> str:
        """The key of the mail in it; empty for a settlement."""
        return str(json.loads(self.body).get("key", ""))


class Queues:
    """The queues and the topic, in memory."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self.clock = clock
        self.mails: list[Message] = []
        self.dead: list[bytes] = []
        self.rejected: list[str] = []
        self._ids = itertools.count(1)

    def put_back(self, letter: Letter, delay: int) -> str:
        """See `MailQueues.put_back`."""
        return self.put(letter.body().encode(), delay)

    def settle(self, settlement: Settlement, delay: int) -> str:
        """See `MailQueues.settle`."""
        return self.put(settlement.body().encode(), delay)

    def bury(self, letter: Letter) -> str:
        """See `MailQueues.bury`."""
        self.dead.append(letter.body().encode())
        return "dead"

    def reject(self, body: str) -> str:
        """See `MailQueues.reject`."""
        self.rejected.append(body)
        return "rejected"

    def publish(self, _body: str, _tag: str, _properties: Mapping[str, str]) -> None:
        """See `Publisher.publish`."""

    def deliver(self, _sink: str, _body: str, _tag: str, _properties: Mapping[str, str]) -> str:
        """See `Post.deliver`."""
        return "delivered"

    def retry(self, _letter: str, _delay: int) -> str:
        """See `Post.retry`."""
        return "put back"

    def lay_aside(self, _letter: str, _queue: str) -> str:
        """See `Post.lay_aside`."""
        return "laid aside"

    def defer(self, _event: str, _delay: int) -> str:
        """See `Shelf.defer`: here the event comes again by a rule."""
        return "deferred"

    def put(self, body: bytes, delay: int = 0) -> str:
        """Put a message on the mail queue."""
        identity = f"message-{next(self._ids)}"
        self.mails.append(Message(self.clock() + delay, identity, body))
        return identity


class MailMachine(RuleBasedStateMachine):
    """Producers, deliveries, deaths, events, sweeps, jumps of the clock and deploys."""

    # How an empty ledger is opened: a function of the example's number, called once per deploy.
    open_ledger: Callable[[int], Ledger]
    steps: Counter[str]
    numbers = itertools.count()

    def __init__(self) -> None:
        super().__init__()
        self.now = NOON
        self.number = next(self.numbers)
        self.countdown, self.dies_after, self.down = 0, False, ""
        self.answer, self.meanwhile, self.early = "accepted", False, False
        self.queues = Queues(self.clock)
        self.accepts: Counter[str] = Counter()
        self.redriven: Counter[str] = Counter()
        self.sent: list[tuple[str, str]] = []  # (mail id, EnvId) of what really went out
        self.in_flight: list[tuple[str, str, int]] = []  # (mail id, owner, end of the lease)
        self.seen: dict[str, MailRecord] = {}
        self.moved: set[str] = set()  # keys that were redriven since the last look
        self.owners = (f"owner-{number}" for number in itertools.count())
        self.taken: list[Message] = []
        self.raw: Ledger | None = None
        self._build()

    def clock(self) -> int:
        """The time."""
        return self.now

    def call(self) -> Invocation:
        """An invocation that begins now."""
        return Invocation("request", "function", self.now + TIMEOUT, None, self.clock)

    def _build(self) -> None:
        if self.raw is not None:
            self.raw.close()
        self.raw = type(self).open_ledger(self.number)
        ledger: Any = Mortal(Ledgerly(self.raw), self)
        queues: Any = Mortal(self.queues, self)
        mailer = Mailer(
            ledger, Mortal(self, self), POLICY, lambda: next(self.owners), GRACE, lag=lambda: 0
        )
        announcer = Announcer(queues, "postbus/test", {"held", "unknown", "failed"})
        self.consumer = Consumer(mailer, queues, announcer, lambda: 0.5, self._one_by_one)
        self.mails = Mails(
            mailer, ledger, queues, announcer, lambda: "none", lambda: 0.5, lambda work, _: work()
        )
        self.clockwork = Clockwork(self.consumer, ledger, announcer)
        outlet = Outlet(
            queues, Routing(("topic:t",)), Unlogged(), self._one_by_one, lambda: 0.5, self.clock, 1
        )
        self.forwarder = Forwarder(ledger, outlet, queues, "test", "postbus/test")

    @staticmethod
    def _one_by_one(work: Callable[[Any], None], messages: Any, _timeout: int) -> list[Any]:
        for message in messages:
            work(message)
        return []

    def teardown(self) -> None:
        """Close the ledger."""
        assert self.raw is not None
        self.raw.close()

    # --- The provider -------------------------------------------------------------------------

    def send(self, mail: OutgoingMail, call: Invocation, _timeout: int) -> Answer:
        """See `Provider.send`; nobody else may be sending this mail under a claim that runs."""
        token = read_token(dict(mail.headers)[HEADER])
        assert token is not None
        assert self.raw is not None
        row = self.raw.get(token.mail_id)
        assert row is not None
        assert row.state == "sending"
        assert row.attempt == token.attempt
        assert call.now() < row.lease_until
        for mail_id, owner, lease in self.in_flight:
            assert mail_id != row.mail_id or lease <= self.now or owner == row.owner, "two senders"
        answer, out = ANSWERS[self.answer]
        self.in_flight.append((row.mail_id, row.owner, row.lease_until))
        try:
            if self.meanwhile and self.taken:
                # Another delivery of the same message, in another instance, in the same moment.
                self.meanwhile = False
                countdown, self.countdown = self.countdown, 0
                self._settle(self.taken[-1])
                self.countdown = countdown
        finally:
            self.in_flight.pop()
        envelope_id = f"env-{len(self.sent)}"
        if out:
            self.accepts[row.key] += 1
            self.sent.append((str(token), envelope_id))
            if self.early:
                # The event overtakes the answer.
                self.early = False
                countdown, self.countdown = self.countdown, 0
                self._report(str(token), envelope_id)
                self.countdown = countdown
        return answer or Accepted(envelope_id, "request")

    # --- Rules --------------------------------------------------------------------------------

    def _settle(self, message: Message) -> None:
        self.consumer.settle_all([QueueMessage(message.id, message.body)], self.call())

    def _mail(self, key: str) -> dict[str, Any]:
        wish = key.partition("-")[0]
        return {"key": key, "to": ["ada@example.net"], "subject": key, "text": "x",
                "on_unknown": wish}  # fmt: skip

    @initialize()
    def begin(self) -> None:
        """A mail of each kind is on the queue."""
        for key in KEYS:
            self.produce(key)

    @rule(key=st.sampled_from(KEYS))
    def produce(self, key: str) -> None:
        """A producer puts a mail on the queue, for the first time or again."""
        self.steps["send"] += 1
        self.queues.put(json.dumps(self._mail(key)).encode())

    @precondition(lambda self: self.queues.mails)
    @rule(answer=st.sampled_from(sorted(ANSWERS)), crash=st.integers(1, 9))
    def deliver_and_die(self, answer: str, crash: int) -> None:
        """A message is delivered, and the process dies at one of its side effects."""
        self.deliver_one(0, answer, crash, dies_after=True, down="", again=False, meanwhile=False)

    @precondition(lambda self: self.queues.mails)
    @rule(answer=st.sampled_from(sorted(ANSWERS)), early=st.booleans())
    def deliver_well(self, answer: str, *, early: bool) -> None:
        """A message is delivered; its event may come before the answer, if it goes out at all."""
        self.early = early
        self.deliver_one(0, answer, 0, dies_after=False, down="", again=False, meanwhile=False)

    @precondition(lambda self: self.queues.mails)
    @rule(
        which=st.integers(0, 3),
        answer=st.sampled_from([*["accepted"] * 3, *ANSWERS]),
        crash=st.integers(0, 12),
        dies_after=st.booleans(),
        down=st.sampled_from(["", "", "", "", "ledger", "deaf", "queues"]),
        again=st.booleans(),
        meanwhile=st.booleans(),
    )
    def deliver(self, which: int, answer: str, crash: int, *, dies_after: bool, down: str,
                again: bool, meanwhile: bool) -> None:  # fmt: skip
        """A message is delivered; the process may die, something may be down, it may come again."""
        self.deliver_one(which, answer, crash, dies_after=dies_after, down=down, again=again,
                         meanwhile=meanwhile)  # fmt: skip

    def deliver_one(self, which: int, answer: str, crash: int, *, dies_after: bool, down: str,
                    again: bool, meanwhile: bool) -> None:  # fmt: skip
        """Deliver one of the messages that are due first."""
        self.queues.mails.sort(key=lambda message: message.due)
        message = self.queues.mails.pop(min(which, len(self.queues.mails) - 1))
        self.now = max(self.now, message.due)
        crash = crash if crash < 10 else 0
        self.steps["crash" if crash else "duplicate" if again or meanwhile else "deliver"] += 1
        self.answer, self.meanwhile = answer, meanwhile
        self.early = self.early or (meanwhile and not again)
        self.taken.append(message)
        gone = self._mortally(
            lambda: self._settle(message), crash, dies_after=dies_after, down=down
        )
        self.taken.pop()
        self.early = False
        if not gone or again:
            self.queues.mails.append(Message(self.now + VISIBILITY, message.id, message.body))

    @rule(
        key=st.sampled_from(KEYS),
        answer=st.sampled_from(sorted(ANSWERS)),
        crash=st.integers(0, 12),
        dies_after=st.booleans(),
    )
    def post(self, key: str, answer: str, crash: int, *, dies_after: bool) -> None:
        """A caller posts a mail over HTTP."""
        self.steps["http"] += 1
        self.answer, self.meanwhile, self.early = answer, False, False
        body = json.dumps(self._mail(key)).encode()
        request = Request("POST", "/v1/mails", {"content-type": "application/json"}, body=body)
        crash = crash if crash < 9 else 0
        self._mortally(lambda: self.mails.post(request, self.call()), crash,
                       dies_after=dies_after, down="")  # fmt: skip

    def _mortally(
        self, work: Callable[[], object], crash: int, *, dies_after: bool, down: str
    ) -> bool:
        self.countdown, self.dies_after, self.down = crash, dies_after, down
        try:
            work()
        except (Crash, QueueUnavailable, LedgerUnavailable):
            return False
        else:
            return True
        finally:
            self.countdown, self.down, self.in_flight = 0, "", []

    @precondition(lambda self: self.sent)
    @rule(which=st.integers(0, 30), stripped=st.booleans())
    def event(self, which: int, *, stripped: bool) -> None:
        """DirectMail reports a mail that really went out; the header may be lost on the way."""
        self.steps["event"] += 1
        token, envelope_id = self.sent[which % len(self.sent)]
        self._report("" if stripped else token, envelope_id)

    @rule(what=st.sampled_from(["timer", "deploy", "test", "other", ""]))
    def from_outside(self, what: str) -> None:
        """A sweep, a deploy, or an event of nobody's (of which environment, or without ids)."""
        if what == "timer":
            self.steps["timer"] += 1
            self.clockwork.tick(TimerEvent("t", "now", json.dumps(SWEEP).encode()), self.call())
        elif what == "deploy":
            # Every instance is replaced; the ledger stays.
            self.steps["deploy"] += 1
            self._build()
        else:
            self._foreign_event(what)

    def _foreign_event(self, environment: str) -> None:
        self.steps["foreign event"] += 1
        assert self.raw is not None
        before = len(self.raw.by_state(tuple(FINAL | {"unknown", "sending", "waiting"}), 100))
        stranger = mail_id_of("elsewhere", "k")
        token = f"v1.{environment}.{stranger}.1" if environment else ""
        self._report(token, "env-foreign", rcpt="stranger@example.net")
        assert self.raw.get(stranger) is None
        after = len(self.raw.by_state(tuple(FINAL | {"unknown", "sending", "waiting"}), 100))
        assert after == before

    def _report(self, token: str, envelope_id: str, rcpt: str = "ada@example.net") -> None:
        data = {"env_id": envelope_id, "rcpt": rcpt, "from": SENDER,
                "header": {HEADER: token} if token else {}}  # fmt: skip
        document = {"id": "e", "type": "dm:Deliver:Succeed", "source": "acs:dm", "data": data}
        try:
            self.forwarder.forward_all(read_events(json.dumps(document).encode()), self.call())
        finally:
            # Now, too, and not only after the step: this may be in the middle of a call, whose end
            # must not take back what the event has proven.
            self._look()

    @rule(ms=st.sampled_from([-2_000, 1_000, 70_000, GRACE + 1, 9 * GRACE]))
    def jump(self, ms: int) -> None:
        """The clock jumps."""
        self.steps["clock jump"] += 1
        self.now += ms

    @precondition(lambda self: self.queues.dead)
    @rule()
    def redrive(self) -> None:
        """An operator puts a dead letter back."""
        self.steps["redrive"] += 1
        body = self.queues.dead.pop(0)
        self.queues.put(body)
        key = json.loads(body)["key"]
        self.redriven[key] += 1
        self.moved.add(key)

    # --- What must hold -----------------------------------------------------------------------

    @invariant()
    def all_is_well(self) -> None:
        """What must hold after every step."""
        self._look()
        assert self.raw is not None
        on_queues = {message.key for message in self.queues.mails}
        on_queues |= {json.loads(body)["key"] for body in self.queues.dead}
        for key in KEYS:
            row = self.raw.get(mail_id_of("test", key))
            if key.startswith("hold"):
                assert self.accepts[key] <= 1 + self.redriven[key], f"{key} was sent twice"
            if row is None:
                assert not self.accepts[key], "sent without a claim"
                continue
            if row.state not in FINAL:
                assert key in on_queues or row.carrier == "caller", f"{key} is lost: {row.state}"
        assert not self.queues.rejected or all(
            '"refused-by' in each for each in self.queues.rejected
        )
        self.moved.clear()

    def _look(self) -> None:
        """Compare each row with what it was when it was last looked at."""
        assert self.raw is not None
        for key in KEYS:
            row = self.raw.get(mail_id_of("test", key))
            old = self.seen.get(key)
            if row is None:
                assert old is None, "a row has vanished"
                continue
            if old is not None:
                self._compare(old, row)
            self.seen[key] = row

    def _compare(self, old: MailRecord, row: MailRecord) -> None:
        assert row.attempt >= old.attempt - 1, "attempts are counted"
        if old.evidence:
            assert row.state == "sent", "evidence was lost"
            assert row.evidence == old.evidence
            assert row.envelope_id == old.envelope_id or not old.envelope_id
        elif old.state in FINAL and row.state != old.state:
            assert row.state == "sent" or self.redriven[row.key], f"{old.state} -> {row.state}"
