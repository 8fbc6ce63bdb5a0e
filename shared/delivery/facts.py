"""What an event of DirectMail reports, in the field's words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal

from shared.sending.identity import MailToken
from shared.values import dataclass

Bounce = Literal["permanent", "temporary", "sender-side"]


@dataclass(frozen=True)
class DeliveryFact:
    """One thing that was reported about one recipient of one mail.

    Times are RFC 3339 in UTC, None where they were not told.

    Attributes:
        event_id: source and id of the event; equal for its repeats.
        state: `delivered` or `bounced`; a mark: `opened`, `clicked`, `complained`,
            `unsubscribed`, `resubscribed`; or `validated`: an address was checked, no mail.
        recipient: the address, as it came.
        token: which mail and attempt, where the event says so itself.
        envelope_id: DirectMail's id of the call (EnvId).
        message_id: the mail's Message-ID without angle brackets; all that a complaint carries.
        bounce: of a bounce, whom it concerns: `permanent` is the address for good, `temporary` may
            succeed later, `sender-side` is the mail or its sender and says nothing of the address.
        reason: why a mail bounced, or was complained about, in Postbus's words (`reasons.py`).
        classification: DirectMail's own (`failed_type`), as it came.
        smtp_code: the remote server's answer, e.g. 250.
        smtp_message: its text, as it came.
        sender: the address the mail was sent from.
        account: the sender address that the call was authorised by, where it is told.
        tag: the mail's tag.
        notify: what the sender wanted back; names as the event spells them.
        url: of a click, the link.
        user_agent: of an open or click, likewise `client_ip` (also of an unsubscription).
        isp: who runs the recipient's mail host, as far as DirectMail tells.
        sent_at: when DirectMail took the mail on.
        delivered_at: when the recipient's host answered for the last time.
        occurred_at: when the reported thing happened.
        raw: the event as it came.
    """

    event_id: str
    state: str
    recipient: str | None = None
    token: MailToken | None = None
    envelope_id: str | None = None
    message_id: str | None = None
    bounce: Bounce | None = None
    reason: str | None = None
    classification: str | None = None
    smtp_code: int | None = None
    smtp_message: str | None = None
    sender: str | None = None
    account: str | None = None
    tag: str | None = None
    notify: Mapping[str, str] = field(default_factory=dict)
    url: str | None = None
    user_agent: str | None = None
    client_ip: str | None = None
    isp: str | None = None
    sent_at: str | None = None
    delivered_at: str | None = None
    occurred_at: str | None = None
    raw: Any = None

    @classmethod
    def of(cls, **fields: Any) -> DeliveryFact:
        """A fact of all its fields, made fast: every event is one.

        A frozen dataclass sets each field by a call of its own, which took a fifth of reading.
        """
        fact = cls.__new__(cls)
        fact.__dict__.update(fields)
        return fact

    @property
    def permanent(self) -> bool | None:
        """Of a bounce, whether another mail to that address is useless; else None."""
        return None if self.bounce is None else self.bounce == "permanent"


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
