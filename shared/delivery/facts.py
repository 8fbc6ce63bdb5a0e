"""What an event of DirectMail reports, in the field's words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.sending.identity import MailToken


@dataclass(frozen=True)
class DeliveryFact:
    """One thing that was reported about one recipient of one mail.

    Attributes:
        event_id: source and id of the event; equal for its repeats.
        state: `delivered` or `bounced`.
        recipient: the address.
        token: which mail and attempt, where the event says so itself.
        envelope_id: DirectMail's id of the call.
        permanent: for a bounce, whether another try could help; else None.
        smtp_code: the remote server's answer, e.g. 250.
        smtp_message: its text, as it came.
        reason: DirectMail's own classification, as it came.
        notify: what the sender wanted back; names as the event spells them.
        sent_at: RFC 3339 in UTC, likewise `delivered_at` and `occurred_at`; None where not told.
        raw: the event as it came.
    """

    event_id: str
    state: str
    recipient: str | None
    token: MailToken | None
    envelope_id: str | None
    permanent: bool | None
    smtp_code: int | None
    smtp_message: str | None
    reason: str | None
    sender: str | None
    tag: str | None
    notify: Mapping[str, str] = field(default_factory=dict)
    sent_at: str | None = None
    delivered_at: str | None = None
    occurred_at: str | None = None
    raw: Any = None


@dataclass(frozen=True)
class Unrecognised:
    """An event that this version cannot read; it is forwarded as it came.

    Attributes:
        event_id: source and id, or an id made from its bytes.
        why: what is not understood.
        raw: the event as it came; text where it is not JSON.
    """

    event_id: str
    why: str
    raw: Any = None
