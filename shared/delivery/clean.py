"""The clean event: what goes downstream for a fact. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from shared.delivery.facts import DeliveryFact, Unrecognised
from shared.delivery.states import STATES, VALIDATED
from shared.schema import mail_event
from shared.schema.mail_event import MailEvent, MailEventData
from shared.stores.ledger import MailRecord
from shared.times import rfc3339


def clean_event(fact: DeliveryFact, mail: MailRecord | None, *, source: str, now: int) -> MailEvent:
    """The event as it goes downstream, deterministic but for `time` where the event has none."""
    mail_id = mail_id_of_fact(fact, mail)
    state = None if fact.state == VALIDATED else fact.state
    # One document, checked in one go: four models made one by one take twice as long.
    document = {
        "id": event_id(fact, mail),
        "source": source,
        "type": f"{mail_event.MAIL_TYPE_PREFIX}{state}" if state else mail_event.VALIDATED,
        "subject": mail_id,
        "time": fact.occurred_at or rfc3339(now),
        "traceparent": mail.traceparent if mail else None,
        "tracestate": mail.tracestate if mail else None,
        "data": {
            "mail_id": mail_id,
            "key": mail.key if mail else None,
            "env_id": fact.envelope_id,
            "recipient": fact.recipient,
            "state": state,
            "reason": fact.reason,
            "classification": fact.classification,
            "bounce": fact.bounce,
            "permanent": fact.permanent,
            "smtp": {"code": fact.smtp_code, "message": fact.smtp_message},
            "tag": fact.tag or (mail.tag if mail else None),
            "sender": fact.sender or (mail.sender if mail else None),
            "notify": _notify(fact.notify, mail),
            "times": {
                "sent_at": fact.sent_at,
                "delivered_at": fact.delivered_at if state == "delivered" else None,
                "occurred_at": fact.occurred_at,
            },
            "url": fact.url,
            "user_agent": fact.user_agent,
            "client_ip": fact.client_ip,
            "raw": fact.raw,
        },
    }
    return MailEvent.model_validate(document)


def unread_event(unread: Unrecognised, *, source: str, now: int) -> MailEvent:
    """The event for what cannot be read; it carries what came."""
    return MailEvent(
        id=_hashed("event", unread.event_id),
        source=source,
        type=mail_event.UNRECOGNISED,
        time=rfc3339(now),
        data=MailEventData(reason=unread.why, raw=unread.raw),
    )


def event_id(fact: DeliveryFact, mail: MailRecord | None) -> str:
    """The id of what a fact reports, by whichever way and in whatever dialect it came.

    A state is the same state each time it is told of the same recipient and attempt. An open, a
    click, a complaint may happen more than once; which one it is, only the event's own id says.
    """
    mail_id = mail_id_of_fact(fact, mail)
    if mail_id is None or fact.state not in STATES:
        return _hashed(fact.event_id)
    recipient = fact.recipient.lower() if fact.recipient else fact.recipient
    return _hashed(mail_id, recipient, attempt_of(fact, mail), fact.state)


def mail_id_of_fact(fact: DeliveryFact, mail: MailRecord | None) -> str | None:
    """The mail's id: the ledger's, else what the event says itself."""
    if mail is not None:
        return mail.mail_id
    return fact.token.mail_id if fact.token else None


def attempt_of(fact: DeliveryFact, mail: MailRecord | None) -> int:
    """Which attempt it was. An event that does not say is of the latest one.

    That does not change any more: an event is evidence of the send, and what is proven is not
    sent again.
    """
    if fact.token and fact.token.attempt is not None:
        return fact.token.attempt
    return mail.attempt if mail else 0


def _notify(came_back: Mapping[str, str], mail: MailRecord | None) -> dict[str, str]:
    """What the sender wanted back, with its names as the sender spelled them.

    The ledger knows the spelling; where the header was lost on the way, it knows the values too.
    """
    if mail is None:
        return dict(came_back)
    spelled = {name.lower(): name for name in mail.notify}
    restored = {spelled.get(name.lower(), name): value for name, value in came_back.items()}
    return {**mail.notify, **restored}


def _hashed(*parts: Any) -> str:
    text = "\0".join(str(part) for part in parts)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
