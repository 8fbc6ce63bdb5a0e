"""Claims: who may send a mail now.

The rules are those of `shared.sending.protocol`; here they meet the ledger. `look` says where a
copy of a mail stands and writes nothing that permits a send; `take` makes the claim. Between the
two, whoever sends decides to whom the mail still goes, and may `end` it instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

from shared.sending.backoff import LONGEST_DELAY
from shared.sending.compose import OutgoingMail
from shared.sending.letters import Letter
from shared.sending.pace import Denied, Pacer
from shared.sending.protocol import DECISIONS, check_transition, situation_of
from shared.sending.results import Carrier, Result
from shared.sending.settling import Settling
from shared.sending.suppress import TakenOut
from shared.stores.ledger import Ledger, MailRecord, changed
from shared.triggers.context import Invocation
from shared.values import dataclass

# A lease outlives its invocation by this much, for clocks that differ. In ms.
LEASE_MARGIN = 5_000
# What an invocation keeps for itself after a call: writing the answer down. In ms.
CALL_MARGIN = 2_000
# No call is begun with less time than this; a slow answer would be cut off. In ms.
CALL_MINIMUM = 3_000
# Records outlive the event window (30 days) and the stay of a dead letter (7 days). In ms.
KEEP = 45 * 24 * 3_600_000


@dataclass(frozen=True)
class Standing:
    """A mail that this copy may claim.

    Attributes:
        known: its row as it was read, the condition of the claim; None where there is none.
        row: likewise, but None too where it has expired.
        base: the row that the claim is made of.
    """

    known: MailRecord | None
    row: MailRecord | None
    base: MailRecord

    def without(self, out: Sequence[TakenOut]) -> Standing:
        """The same for a mail that these recipients were taken out of."""
        if not out and not self.base.suppressed:
            return self
        reason = out[0].reason if out else self.base.reason
        return replace(self, base=replace(self.base, suppressed=len(out), reason=reason))

    @property
    def perhaps_sent(self) -> bool:
        """Whether nobody can say that it was not sent before."""
        row = self.row
        return row is not None and (row.resent > 0 or row.state in ("unknown", "held"))


@dataclass(frozen=True)
class Claims:
    """Claims mails for one instance.

    Args:
        ledger: the store.
        settling: settles what is unknown.
        new_owner: makes a new id for each claim.
        pacer: gives the account's permits; None asks for none.
        keep: how long records are kept, in ms.
    """

    ledger: Ledger
    settling: Settling
    new_owner: Callable[[], str]
    pacer: Pacer | None
    keep: int

    def look(  # noqa: PLR0913  # the parts of a claim
        self,
        letter: Letter,
        outgoing: OutgoingMail,
        mail_id: str,
        now: int,
        carrier: Carrier,
        *,
        new: bool,
    ) -> Standing | Result:
        """Whether this copy may claim its mail; if not, what became of it.

        A mail is taken for `new` unread: its claim inserts a row, and fails where there is one.

        Raises:
            LedgerUnavailable: the ledger did not answer.
        """
        known = None if new else self.ledger.get(mail_id)
        # A record that has expired counts as not there, but it is in the way of a new one.
        row = None if known and 0 < known.expires_at <= now else known
        situation = situation_of(
            row, payload=letter.payload, custody=letter.custody, now=now, grace=self.settling.grace
        )
        decision = DECISIONS[situation]
        if row is not None and decision == "settle-unknown":
            settled = self.settling.without_evidence(row, letter, outgoing, now)
            if settled is not None:
                return settled
            row = replace(row, resent=row.resent + 1)
        elif row is not None and decision == "make-unknown":
            return self.settling.abandoned(row, now)
        elif row is not None and decision != "claim":
            wait = {
                "in-progress": row.lease_until - now,
                "unknown-early": row.unknown_since + self.settling.grace - now,
            }
            return Result(situation, mail_id, row, wait=wait.get(situation, 0))
        base = self._base(row, letter, outgoing, mail_id, now, carrier)
        return Standing(known, row, base)

    def take(
        self, standing: Standing, letter: Letter, outgoing: OutgoingMail, call: Invocation
    ) -> MailRecord | Result:
        """Claim the mail, once there is a permit for it.

        Raises:
            LedgerUnavailable: the ledger did not answer.
        """
        now, mail_id = call.now(), standing.base.mail_id
        if _expired(letter, now):
            return self.end(standing, "expired", now)
        denied = self._permit(outgoing, call)
        if denied is not None:
            wait = min(denied.wait, LONGEST_DELAY)
            return Result("no-permit", mail_id, standing.row, wait=wait, denied=denied.kind)
        claim = self._claimed(standing.base, call)
        return claim if self._write(standing, claim) else Result("race", mail_id)

    def end(self, standing: Standing, state: Literal["expired", "suppressed"], now: int) -> Result:
        """End a mail that is not sent any more, for a reason of our own.

        Raises:
            LedgerUnavailable: the ledger did not answer.
        """
        base = standing.base
        if standing.perhaps_sent:
            # It is not sent now, but nobody can say that it was not sent before.
            return Result("unknown-late", base.mail_id, standing.known)
        ended = replace(base, state=state, unknown_since=0, lease_until=0, updated_at=now)
        if not self._write(standing, ended):
            return Result("race", base.mail_id)
        return Result(state, base.mail_id, ended)

    def _base(  # noqa: PLR0913, PLR0917  # the parts of a row
        self,
        row: MailRecord | None,
        letter: Letter,
        outgoing: OutgoingMail,
        mail_id: str,
        now: int,
        carrier: Carrier,
    ) -> MailRecord:
        """The row that a claim is made of: a new one, or the one that is there."""
        if row is None:
            return MailRecord(
                mail_id=mail_id,
                key=letter.key,
                state="waiting",
                payload=letter.payload,
                custody=letter.custody,
                sender=outgoing.sender_address,
                unsubscribe_filter=outgoing.unsubscribe_filter,
                tag=outgoing.tag,
                notify=letter.mail.notify,
                **letter.trace,
                created_at=now,
                carrier=carrier,
                expires_at=now + self.keep,
            )
        return replace(
            row,
            custody=max(row.custody, letter.custody),
            sender=outgoing.sender_address,
            unsubscribe_filter=outgoing.unsubscribe_filter,
            carrier=carrier,
            expires_at=now + self.keep,
        )

    def _write(self, standing: Standing, new: MailRecord) -> bool:
        """Write the row if it still is as it was read; else it is a race."""
        known = standing.known
        check_transition(known, new)
        return self.ledger.create(new) if known is None else self.ledger.change(known, new)

    def _permit(self, outgoing: OutgoingMail, call: Invocation) -> Denied | None:
        """Wait for a permit of the account, within the invocation's time."""
        if self.pacer is None:
            return None
        spare = call.remaining() - CALL_MINIMUM - CALL_MARGIN
        return self.pacer.take(len(outgoing.to) + len(outgoing.bcc), spare)

    def _claimed(self, base: MailRecord, call: Invocation) -> MailRecord:
        now = call.now()
        return changed(
            base,
            state="sending",
            attempt=base.attempt + 1,
            owner=self.new_owner(),
            lease_until=call.deadline + LEASE_MARGIN,
            unknown_since=0,
            reason=None,
            updated_at=now,
            attempted_at=now,
        )


def _expired(letter: Letter, now: int) -> bool:
    expiry = letter.mail.expires_at
    return expiry is not None and now >= expiry.timestamp() * 1000
