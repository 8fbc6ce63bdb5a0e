"""Mail events of Postbus's own: what became of a mail before DirectMail had anything to report."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from shared.schema.mail_event import MailEvent, MailEventData, Times
from shared.stores.ledger import MailRecord
from shared.times import rfc3339


class Publisher(Protocol):
    """Where events go; raises `QueueUnavailable` when one was not taken."""

    def publish(self, body: str, tag: str, properties: Mapping[str, str]) -> str:
        """Publish one event; returns the message id."""
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
        event = state_event(record, state, reason, source=self.source, now=now)
        properties = {"id": event.id, "type": event.type, "mail_id": record.mail_id}
        self.publisher.publish(event.to_json(), state, properties)


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
