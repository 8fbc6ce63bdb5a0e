"""The states of a mail and of its recipients, as they are told to the outside."""

from __future__ import annotations

# Of a mail, until it is sent or will not be.
MAIL_STATES = (
    "accepted",
    "waiting",
    "sending",
    "sent",
    "refused",
    "unknown",
    "held",
    "parked",
    "expired",
    "suppressed",
    "cancelled",
    "failed",
)

# Of one recipient of a mail that was sent: what became of it ...
RECIPIENT_STATES = ("delivered", "bounced")

# ... and what the recipient did with it. More than one of these can hold.
RECIPIENT_MARKS = ("opened", "clicked", "complained", "unsubscribed", "resubscribed")

STATES = (*MAIL_STATES, *RECIPIENT_STATES, *RECIPIENT_MARKS)
