"""The ledger: one row per mail, one per recipient's state. It holds facts about mails, not mails.

The protocol of a mail (who may change what) is in `shared.sending.protocol`; a store keeps its
conditions, each in one atomic step. Times are milliseconds since 1970, ids are text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class MailRecord:
    """What is known about one mail.

    Attributes:
        mail_id: the primary key, derived from environment and key.
        key: the idempotency key.
        state: one of the states of the protocol.
        attempt: how many provider calls were begun.
        custody: the number of the newest copy known to be on the queue; older copies are dropped.
        owner: who claimed it last; only the owner may settle it negatively.
        lease_until: when the owner's invocation must have ended.
        payload: the fingerprint of what was asked for.
        unknown_since: when its outcome became unknown; 0 where it is not.
        envelope_id: DirectMail's id of the accepted call: evidence of the strongest kind.
        evidence: where the proof of a send came from: `answer` or `event`; None without one.
        reason: why it was refused, parked, held or failed; a code, never a body.
        notify: what the sender wanted back on every event, names as given.
    """

    mail_id: str
    key: str
    state: str
    attempt: int = 0
    custody: int = 0
    owner: str = ""
    lease_until: int = 0
    payload: str = ""
    unknown_since: int = 0
    envelope_id: str | None = None
    request_id: str | None = None
    evidence: str | None = None
    reason: str | None = None
    sender: str | None = None
    tag: str | None = None
    notify: Mapping[str, str] = field(default_factory=dict)
    created_at: int = 0
    updated_at: int = 0


@dataclass(frozen=True)
class DeliveryRecord:
    """What is known about one recipient of one attempt of a mail."""

    mail_id: str
    recipient: str
    attempt: int
    state: str
    at: int


class Ledger(Protocol):
    """What a store does. Every method raises `LedgerUnavailable` when the store does not answer."""

    def get(self, mail_id: str) -> MailRecord | None:
        """The mail's row."""
        ...

    def create(self, record: MailRecord) -> bool:
        """Insert the row if there is none; False where there is one already."""
        ...

    def change(self, old: MailRecord, new: MailRecord) -> bool:
        """Replace the row if state, attempt, owner, custody and evidence are still the old ones."""
        ...

    def prove(self, mail_id: str, *, envelope_id: str | None, request_id: str | None,
              evidence: str, at: int) -> MailRecord | None:  # fmt: skip
        """Record evidence of a send, from whomever and however late, and so the state `sent`.

        Returns:
            The row as it now is; None (and no new row) where the mail is not known.
        """
        ...

    def find_by_envelope_id(self, envelope_id: str) -> MailRecord | None:
        """The mail whose accepted call has that id."""
        ...

    def record_delivery(self, record: DeliveryRecord) -> bool:
        """Record a recipient's state; False where exactly this was known already."""
        ...

    def deliveries(self, mail_id: str) -> list[DeliveryRecord]:
        """What is known about the mail's recipients."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...
