"""An event on its way out: joined to its mail, written down as evidence, published clean.

Being written down never keeps an event from being published: one whose publishing failed comes
again, and an event that is published twice has the same id both times.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from shared.delivery.facts import DeliveryFact, Unrecognised
from shared.delivery.read import read_event
from shared.errors import LedgerUnavailable
from shared.schema import limits
from shared.schema.mail_event import MailEvent, MailEventData, Smtp, Times
from shared.sending.letters import compact
from shared.sending.unknowns import NOTE_EVERY
from shared.stores.ledger import Channel, DeliveryRecord, Ledger, MailRecord
from shared.times import rfc3339
from shared.triggers.context import Invocation
from shared.triggers.events import ArrivedEvent

log = structlog.get_logger("postbus.delivery")

# What an event that is too long for a message goes without, one after the other until it fits:
# a refused message would come again and again. All of it is text that came from outside.
OMISSIONS: tuple[dict[str, Any], ...] = (
    {"raw": {"omitted": "too large"}},
    {"smtp": Smtp()},
    {"notify": {}},
    {"reason": None, "tag": None, "sender": None, "env_id": None, "recipient": None},
)
# SMQ's protocol is XML 1.0, which can carry all of JSON but these two, not even escaped.
NOT_IN_XML = str.maketrans({"\ufffe": r"\ufffe", "\uffff": r"\uffff"})


# How long an event waits when the ledger does not answer. In ms.
LEDGER_PAUSE = 30_000


class Publisher(Protocol):
    """Where events go; raises `QueueUnavailable` when it was not taken."""

    def defer(self, event: str, delay: int) -> str:
        """Put one of DirectMail's events back on its queue, due in `delay` ms."""
        ...

    def publish(self, body: str, tag: str, properties: Mapping[str, str]) -> str:
        """Publish one event; returns the message id."""
        ...


@dataclass(frozen=True)
class Forwarder:
    """Turns what DirectMail reports into clean events.

    Args:
        ledger: where mails are looked up and evidence is kept.
        publisher: where events go.
        environment: ours; events of another one are not for us.
        source: the CloudEvents `source` of what is published.
    """

    ledger: Ledger
    publisher: Publisher
    environment: str
    source: str
    _noted: dict[str, int] = field(default_factory=dict)

    def forward_all(self, arrived: Sequence[ArrivedEvent], call: Invocation) -> Counter[str]:
        """Forward each event; returns how many ended in what.

        Raises:
            QueueUnavailable: an event could not be published; the whole batch comes again.
        """
        return Counter(self._forward(event, call) for event in arrived)

    def _forward(self, arrived: ArrivedEvent, call: Invocation) -> str:
        fact = read_event(arrived)
        if isinstance(fact, Unrecognised):
            return self._forward_unread(fact, call)
        if fact.token and fact.token.environment != self.environment:
            log.info("event.foreign", event_id=fact.event_id, environment=fact.token.environment)
            return "foreign"
        try:
            mail = self._join(fact)
            if mail is not None:
                self._write_down(fact, mail, call.now())
            elif fact.token is None:
                self._sight(fact, call.now())
        except LedgerUnavailable as error:
            # The event is evidence: it waits until it can be written down.
            self.publisher.defer(compact(fact.raw), LEDGER_PAUSE)
            log.warning("event.deferred", event_id=fact.event_id, error=str(error))
            return "deferred"
        event = clean_event(fact, mail, source=self.source, now=call.now())
        self._publish(event, tag=fact.state)
        log.info(
            "event.forwarded",
            id=event.id,
            state=fact.state,
            mail_id=event.data.mail_id,
            envelope_id=fact.envelope_id,
            matched=mail is not None,
        )
        return fact.state

    def _forward_unread(self, unread: Unrecognised, call: Invocation) -> str:
        event = MailEvent(
            id=_id_of("event", unread.event_id),
            source=self.source,
            type="postbus.event.unrecognised",
            time=rfc3339(call.now()),
            data=MailEventData(reason=unread.why, raw=unread.raw),
        )
        self._publish(event, tag="unrecognised")
        log.warning("event.unrecognised", id=event.id, why=unread.why)
        return "unrecognised"

    def _join(self, fact: DeliveryFact) -> MailRecord | None:
        """The mail that the event is about: by its token, else by DirectMail's id."""
        if fact.token:
            return self.ledger.get(fact.token.mail_id)
        return self.ledger.find_by_envelope_id(fact.envelope_id) if fact.envelope_id else None

    def _write_down(self, fact: DeliveryFact, mail: MailRecord, now: int) -> None:
        # Whatever was reported, the provider must have had the mail: that proves the send.
        self.ledger.prove(
            mail.mail_id, envelope_id=fact.envelope_id, request_id=None, evidence="event", at=now
        )
        attempt, recipient = _attempt(fact, mail), fact.recipient or ""
        self.ledger.record_delivery(
            DeliveryRecord(mail.mail_id, recipient, attempt, fact.state, now)
        )
        # The row knows when its latest attempt was made; an earlier one's event is no sign of it.
        latest = attempt == mail.attempt
        sender = mail.sender or ""
        if latest and mail.attempted_at >= self._noted.get(sender, 0) + NOTE_EVERY:
            self.ledger.note_channel(sender, Channel(proven_at=mail.attempted_at))
            self._noted[sender] = mail.attempted_at

    def _sight(self, fact: DeliveryFact, now: int) -> None:
        """An event of no mail that we know: somebody wrote to that recipient."""
        if fact.sender and fact.recipient:
            self.ledger.sight(fact.sender.lower(), fact.recipient.lower(), now)

    def _publish(self, event: MailEvent, *, tag: str) -> None:
        body = _fitting(event)
        properties = {"id": event.id, "type": event.type}
        if event.data.mail_id:
            properties["mail_id"] = event.data.mail_id
        self.publisher.publish(body, tag, properties)


def clean_event(fact: DeliveryFact, mail: MailRecord | None, *, source: str, now: int) -> MailEvent:
    """The event as it goes downstream, deterministic but for `time` where the event has none."""
    token = fact.token
    mail_id = mail.mail_id if mail else (token.mail_id if token else None)
    attempt = _attempt(fact, mail)
    # A state has an id made of what it says, so that its repeats are recognised at the next hop,
    # whichever way they came.
    identity = (mail_id, fact.recipient, attempt, fact.state) if mail_id else (fact.event_id,)
    return MailEvent(
        id=_id_of(*identity),
        source=source,
        type=f"postbus.mail.{fact.state}",
        subject=mail_id,
        time=fact.occurred_at or rfc3339(now),
        data=MailEventData(
            mail_id=mail_id,
            key=mail.key if mail else None,
            env_id=fact.envelope_id,
            recipient=fact.recipient,
            state=fact.state,
            reason=fact.reason,
            permanent=fact.permanent,
            smtp=Smtp(code=fact.smtp_code, message=fact.smtp_message),
            tag=fact.tag or (mail.tag if mail else None),
            sender=fact.sender or (mail.sender if mail else None),
            notify=_notify(fact.notify, mail),
            times=Times(
                sent_at=fact.sent_at,
                delivered_at=fact.delivered_at if fact.state == "delivered" else None,
                occurred_at=fact.occurred_at,
            ),
            raw=fact.raw,
        ),
    )


def _notify(came_back: Mapping[str, str], mail: MailRecord | None) -> dict[str, str]:
    """What the sender wanted back, with its names as the sender spelled them.

    The ledger knows the spelling; where the header was lost on the way, it knows the values too.
    """
    if mail is None:
        return dict(came_back)
    spelled = {name.lower(): name for name in mail.notify}
    restored = {spelled.get(name.lower(), name): value for name, value in came_back.items()}
    return {**mail.notify, **restored}


def _attempt(fact: DeliveryFact, mail: MailRecord | None) -> int:
    if fact.token and fact.token.attempt is not None:
        return fact.token.attempt
    return mail.attempt if mail else 0


def _id_of(*parts: Any) -> str:
    text = "\0".join(str(part) for part in parts)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _fitting(event: MailEvent) -> str:
    """The event's text, without as many of its longest parts as do not fit into a message."""
    text = _text(event)
    for omitted in OMISSIONS:
        if len(text.encode()) <= limits.QUEUE_BODY_MAX:
            break
        event = event.model_copy(update={"data": event.data.model_copy(update=omitted)})
        text = _text(event)
    return text


def _text(event: MailEvent) -> str:
    return event.to_json().translate(NOT_IN_XML)
