"""Rows that are not claimed but settled: given back, found abandoned, unknown for too long."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from shared.errors import LedgerUnavailable
from shared.sending.compose import OutgoingMail
from shared.sending.letters import Letter
from shared.sending.protocol import check_transition
from shared.sending.results import Carrier, Result
from shared.sending.unknowns import channel_is_alive, settle
from shared.stores.ledger import Ledger, MailRecord
from shared.values import dataclass


@dataclass(frozen=True)
class Settling:
    """Writes down what became of a mail that nobody sends at the moment.

    Args:
        ledger: the store.
        grace: how long evidence of an unknown mail is waited for, in ms.
        lag: how old the oldest waiting delivery event is, in ms; None where that is not known.
    """

    ledger: Ledger
    grace: int
    lag: Callable[[], int | None]

    def release(  # noqa: PLR0913  # each by its name
        self,
        record: MailRecord,
        state: str,
        *,
        custody: int,
        reason: str,
        now: int,
        carrier: Carrier | None = None,
    ) -> bool:
        """Give up a claim: the mail was not sent (or nobody knows), and is safe elsewhere.

        Args:
            record: the claim.
            state: what the mail is now.
            custody: the number of the newest copy that carries it.
            reason: a code.
            now: ms since 1970.
            carrier: who carries it from now on; None leaves that as it is.

        Returns:
            False where somebody else changed the row meanwhile: an event proved the send, or the
            ledger did not answer. Both are safe: the row then says `sent`, or the lease ends.
        """
        new = replace(
            record,
            state=state,
            custody=max(custody, record.custody),
            carrier=carrier or record.carrier,
            reason=reason or None,
            unknown_since=(record.unknown_since or now) if state in ("unknown", "held") else 0,
            lease_until=0,
            updated_at=now,
        )
        check_transition(record, new)
        try:
            return self.ledger.change(record, new)
        except LedgerUnavailable:
            return False

    def give_up(self, claim: MailRecord, now: int) -> None:
        """A claim that was not used: as if it had not been made."""
        waiting = replace(
            claim, state="waiting", attempt=claim.attempt - 1, lease_until=0, updated_at=now
        )
        with suppress(LedgerUnavailable):
            self.ledger.change(claim, waiting)

    def abandoned(self, row: MailRecord, now: int) -> Result:
        """An ended lease: the mail is unknown; the grace runs from now, whoever finds it first.

        Raises:
            LedgerUnavailable: the ledger did not answer.
        """
        unknown = replace(row, state="unknown", unknown_since=now, lease_until=0, updated_at=now)
        if not self.ledger.change(row, unknown):
            return Result("race", row.mail_id)
        return Result("unknown-early", row.mail_id, unknown, wait=self.grace, news=True)

    def without_evidence(
        self, row: MailRecord, letter: Letter, outgoing: OutgoingMail, now: int
    ) -> Result | None:
        """The grace is over without evidence: None to send again, else what to do instead.

        Raises:
            LedgerUnavailable: the ledger did not answer.
        """
        sender = (row.sender or "").lower()
        addresses = (*outgoing.to, *outgoing.bcc)
        decided = settle(
            wish=letter.mail.on_unknown or "resend",
            alive=channel_is_alive(
                self.ledger.channel(sender),
                attempted_at=row.attempted_at,
                lag=self.lag(),
                grace=self.grace,
            ),
            sighted=any(
                self.ledger.sighted_at(sender, address.lower()) >= row.attempted_at
                for address in addresses
            ),
            resent=row.resent,
            unknown_since=row.unknown_since,
            now=now,
            grace=self.grace,
        )
        if decided == "resend":
            return None
        if decided == "hold":
            return Result("unknown-late", row.mail_id, row)
        return Result("unknown-early", row.mail_id, row, wait=max(1_000, self.grace // 2))
