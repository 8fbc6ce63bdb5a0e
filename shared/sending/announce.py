"""Mail events of Postbus's own: what became of a mail before DirectMail had anything to report."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from typing import Protocol

from shared.delivery.outgoing import properties_of
from shared.schema.mail_event import MailEvent, MailEventData, Times
from shared.sending.suppress import TakenOut
from shared.stores.ledger import MailRecord
from shared.times import rfc3339
from shared.values import dataclass

SUPPRESSED = "suppressed"


class Publisher(Protocol):
    """Where events go; raises `QueueUnavailable` when one was not taken."""

    def publish(self, body: str, tag: str, properties: Mapping[str, str]) -> None:
        """Publish one event."""
        ...


@dataclass(frozen=True)
class Announcer:
    """Publishes the states that somebody wants to hear of.

    Args:
        publisher: where to.
        source: the CloudEvents `source`.
        states: which states; `sent` is not among the defaults.
    """

    publisher: Publisher
    source: str
    states: Collection[str]

    def announce(self, record: MailRecord, state: str, reason: str | None, now: int) -> None:
        """Publish that a mail is in this state, if anybody wants to hear of it.

        Raises:
            QueueUnavailable: it was not taken.
        """
        if state not in self.states:
            return
        self._publish(state_event(record, state, reason, source=self.source, now=now))

    def announce_taken_out(self, record: MailRecord, out: TakenOut, now: int) -> None:
        """Publish that a recipient was taken out of a mail, if anybody wants to hear of it.

        Raises:
            QueueUnavailable: it was not taken.
        """
        if SUPPRESSED in self.states:
            self._publish(taken_out_event(record, out, source=self.source, now=now))

    def _publish(self, event: MailEvent) -> None:
        self.publisher.publish(event.to_json(), event.data.state or "", properties_of(event))


def taken_out_event(record: MailRecord, out: TakenOut, *, source: str, now: int) -> MailEvent:
    """The event of a suppressed recipient; of one mail and recipient it always has the same id."""
    event = state_event(record, SUPPRESSED, out.reason or None, source=source, now=now)
    identity = f"{record.mail_id}\0{out.recipient.lower()}\0\0{SUPPRESSED}"
    return event.model_copy(
        update={
            "id": hashlib.sha256(identity.encode()).hexdigest()[:32],
            "data": event.data.model_copy(update={"recipient": out.recipient}),
        }
    )


def state_event(
    record: MailRecord, state: str, reason: str | None, *, source: str, now: int
) -> MailEvent:
    """The event of a mail as a whole. The same state of the same attempt has the same id."""
    identity = "\0".join((record.mail_id, "", str(record.attempt), state))
    return MailEvent(
        id=hashlib.sha256(identity.encode()).hexdigest()[:32],
        source=source,
        type=f"postbus.mail.{state}",
        subject=record.mail_id,
        time=rfc3339(now),
        traceparent=record.traceparent,
        tracestate=record.tracestate,
        data=MailEventData(
            mail_id=record.mail_id,
            key=record.key,
            env_id=record.envelope_id,
            state=state,
            reason=reason,
            tag=record.tag,
            sender=record.sender,
            notify=dict(record.notify),
            times=Times(occurred_at=rfc3339(now)),
        ),
    )
