"""The ledger: one row per mail, one per recipient's state. It holds facts about mails, not mails.

The protocol of a mail (who may change what) is in `shared.sending.protocol`; a store keeps its
conditions, each in one atomic step. Times are milliseconds since 1970, ids are text.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from shared.triggers.context import Invocation

__all__ = ["Channel", "DeliveryRecord", "Ledger", "MailRecord", "changed"]

if TYPE_CHECKING:
    from dataclasses import replace as changed
else:

    def changed(record: MailRecord, **values: Any) -> MailRecord:
        """The same row with other values: what `dataclasses.replace` makes, in a fifth of the time.

        Each mail's row is changed twice on its way, and a constructor sets 28 fields one by one.
        """
        new = object.__new__(MailRecord)
        new.__dict__.update(record.__dict__, **values)
        return new


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
        attempted_at: when the latest call was begun, in ms since 1970.
        carrier: who carries the mail while it is not final: the `queue`, or the HTTP `caller`.
        expires_at: from when on the row counts as not there; 0 for never.
        resent: how often it was sent again because nobody knew and no evidence came.
        notify: what the sender wanted back on every event, names as given.
        traceparent: the trace that the mail's producer was in (W3C Trace Context); likewise
            `tracestate`.
        unsubscribe_filter: for which mails an unsubscription from this one counts, as given.
        suppressed: how many recipients were taken out of it.
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
    attempted_at: int = 0
    carrier: str = "queue"
    expires_at: int = 0
    resent: int = 0
    traceparent: str | None = None
    tracestate: str | None = None
    unsubscribe_filter: str | None = None
    suppressed: int = 0

    def proven(
        self, *, envelope_id: str | None, request_id: str | None, evidence: str, at: int
    ) -> MailRecord:
        """The row once it is proven that the mail was sent; proof that it has already stays."""
        return changed(
            self,
            state="sent",
            reason=None,
            unknown_since=0,
            envelope_id=envelope_id if self.envelope_id is None else self.envelope_id,
            request_id=request_id if self.request_id is None else self.request_id,
            evidence=evidence if self.evidence is None else self.evidence,
            updated_at=at,
        )


@dataclass(frozen=True)
class DeliveryRecord:
    """What is known about one recipient of one attempt of a mail."""

    mail_id: str
    recipient: str
    attempt: int
    state: str
    at: int


@dataclass(frozen=True)
class Channel:
    """Whether a sender's delivery events come in.

    Attributes:
        sent_at: when the latest call that DirectMail accepted was made; 0 for never.
        proven_at: when the latest call was made of which an event has come in; 0 for never.
    """

    sent_at: int = 0
    proven_at: int = 0


class Ledger(Protocol):
    """What a store does. Every method raises `LedgerUnavailable` when the store does not answer."""

    def use(self, invocation: Invocation) -> None:
        """Take this invocation's credentials and remaining time for the calls that follow."""
        ...

    def get(self, mail_id: str) -> MailRecord | None:
        """The mail's row."""
        ...

    def get_many(self, mail_ids: Collection[str]) -> dict[str, MailRecord]:
        """The rows of those of these mails that have one, by mail id; read together."""
        ...

    def create(self, record: MailRecord) -> bool:
        """Insert the row if there is none; False where there is one already."""
        ...

    def change(self, old: MailRecord, new: MailRecord) -> bool:
        """Replace the row if state, attempt, owner, custody and evidence are still the old ones."""
        ...

    def prove(  # noqa: PLR0913  # each by its name
        self,
        mail_id: str,
        *,
        envelope_id: str | None,
        request_id: str | None,
        evidence: str,
        at: int,
        claim: MailRecord | None = None,
    ) -> MailRecord | None:
        """Record evidence of a send, from whomever and however late, and so the state `sent`.

        Args:
            mail_id: which mail's.
            envelope_id: DirectMail's id of the accepted call, where it is known.
            request_id: likewise.
            evidence: where it comes from: `answer` or `event`.
            at: when it came, in ms since 1970.
            claim: the row as the caller has written it; where it still is so, as `change` has it,
                nobody needs to read it.

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

    def by_state(self, states: Collection[str], limit: int) -> list[MailRecord]:
        """Mails in one of these states, oldest first; for a person's questions, not for a send."""
        ...

    def take_permits(self, slice_id: str, count: int, limit: int, expires_at: int) -> bool:
        """Take `count` permits of a time slice, if at most `limit` are taken with them.

        One conditional increment. When the answer is lost it raises, and the permits count as
        taken.
        """
        ...

    def channel(self, sender: str) -> Channel:
        """What is known about a sender's delivery events."""
        ...

    def note_channel(self, sender: str, channel: Channel) -> None:
        """Raise the sender's times to these, where they are later."""
        ...

    def sight(self, sender: str, recipient: str, at: int) -> None:
        """Remember an event that belongs to no known mail: a mail of somebody's did go out."""
        ...

    def sighted_at(self, sender: str, recipient: str) -> int:
        """When such an event was last seen, in ms since 1970; 0 for never."""
        ...

    def purge(self, now: int) -> int:
        """Delete what has expired; how many rows."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...
