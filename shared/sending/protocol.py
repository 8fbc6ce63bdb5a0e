"""The protocol of a mail: which state may follow which, and what a copy of it may do.

The theory. Every source delivers at least once, DirectMail has no idempotency key, and a read
time-out leaves nobody knowing. So a mail has one row in the ledger, and whoever wants to send it
claims the row first.

1. A claim is a conditional write: no row yet, or a row that waits. Of any number of copies, on any
   number of instances, one claims.
2. A claim whose lease has ended says nothing about the mail: its owner may have died before the
   call, in it, or after it. So an ended lease never permits a send; it makes the mail `unknown`.
3. Only the owner may say "not sent" (refused, throttled …), since only the owner saw the answer.
   Anybody may say "sent": the provider's id and a delivery event are proof, however late.
4. `unknown` ends by evidence; or, once the grace is over without any, by a resend that is itself a
   claim on "still unknown, still no evidence", or by `held`, for a person to decide.
5. Until a mail is final, a queue message carries it. A copy that was put back has a higher custody
   number than the one it replaces, and the row remembers the highest: a copy whose number is lower
   was replaced, and is dropped. A redriven letter's number is at least `REDRIVE_STEP` higher than
   the row's it was parked with, and that is its permission to try again. (A number one higher is
   none: whoever dies between putting a copy back and writing that down leaves such a copy behind.)

`situation_of` reads rule 1 to 5 from a row and a copy; `DECISIONS` says what to do in each.
"""

from __future__ import annotations

from typing import Literal

from shared.sending.letters import REDRIVE_STEP
from shared.stores.ledger import MailRecord

FINAL = frozenset({"sent", "refused", "expired", "suppressed", "cancelled", "failed"})

# state -> the states that may follow. `sent` may follow everything: evidence always counts.
TRANSITIONS: dict[str, frozenset[str]] = {
    "accepted": frozenset({"sending", "expired", "cancelled", "suppressed"}),
    "waiting": frozenset({"sending", "held", "expired", "cancelled", "suppressed"}),
    "sending": frozenset({"sent", "refused", "waiting", "unknown", "held", "parked", "failed"}),
    "unknown": frozenset({"sent", "sending", "held"}),
    "held": frozenset({"sent", "sending", "unknown", "cancelled"}),
    "parked": frozenset({"sending", "expired", "cancelled", "suppressed"}),
    "failed": frozenset({"sending", "expired", "suppressed"}),  # redriven by hand
    "sent": frozenset(),
    "refused": frozenset(),
    "expired": frozenset(),
    "suppressed": frozenset(),
    "cancelled": frozenset(),
}

Situation = Literal[
    "new",  # no row
    "other-payload",  # the key was used for another mail
    "finished",  # final
    "replaced",  # a newer copy is on the queue
    "due",  # it waits, and this is the copy that carries it
    "in-progress",  # claimed, the lease runs
    "abandoned",  # claimed, the lease has ended
    "unknown-early",  # its outcome is unknown, and evidence may still come
    "unknown-late",  # likewise, and the grace is over
    "held",  # a person decides
    "stopped",  # parked or failed, and this copy was there when it was
    "redriven",  # parked, failed or held, and this copy was put back by hand
]

Decision = Literal["claim", "refuse", "read", "drop", "come-back", "make-unknown", "settle-unknown"]

DECISIONS: dict[Situation, Decision] = {
    "new": "claim",
    "other-payload": "refuse",
    "finished": "read",
    "replaced": "drop",
    "due": "claim",
    "in-progress": "come-back",
    "abandoned": "make-unknown",
    "unknown-early": "come-back",
    "unknown-late": "settle-unknown",
    "held": "read",
    "stopped": "read",
    "redriven": "claim",
}


def check_transition(old: MailRecord | None, new: MailRecord) -> None:
    """Make sure that the table allows a change; a row that expired counts as not there.

    Raises:
        ValueError: it does not: a bug.
    """
    if old is None or 0 < old.expires_at <= new.updated_at:
        return
    if old.state != new.state and new.state not in TRANSITIONS[old.state]:
        raise ValueError(f"{old.state} -> {new.state} is not in the protocol")


def situation_of(
    row: MailRecord | None, *, payload: str, custody: int, now: int, grace: int
) -> Situation:
    """Where a copy of a mail stands.

    Args:
        row: the mail's row, or None.
        payload: the copy's fingerprint.
        custody: the copy's number.
        now: ms since 1970.
        grace: how long evidence is waited for, in ms.
    """
    if row is None:
        return "new"
    if row.payload != payload:
        return "other-payload"
    if row.state == "held" and row.carrier == "caller":
        # No queue carries it; the caller's repeat is what it waits for.
        return "unknown-early" if now < row.unknown_since + grace else "unknown-late"
    if row.state in ("parked", "failed", "held"):
        if custody >= row.custody + REDRIVE_STEP:
            return "redriven"
        return "held" if row.state == "held" else "stopped"
    if row.state in FINAL:
        return "finished"
    if custody < row.custody:
        return "replaced"
    if row.state == "sending":
        return "in-progress" if now < row.lease_until else "abandoned"
    if row.state == "unknown":
        return "unknown-early" if now < row.unknown_since + grace else "unknown-late"
    return "due"
