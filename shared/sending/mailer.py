"""One attempt to send one mail: claim it, call the provider, write down what the answer proves.

Everything here is the same for a mail from a queue, from HTTP and from a timer. What differs,
namely who keeps the mail when it was not sent, is for the caller: it puts the mail somewhere safe
first and then calls `settling.release`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Protocol

from shared.errors import LedgerUnavailable
from shared.sending.answers import Accepted, Answer
from shared.sending.backoff import QUOTA_ZONE_OFFSET
from shared.sending.claims import CALL_MARGIN, CALL_MINIMUM, KEEP, Claims
from shared.sending.compose import OutgoingMail, Policy, compose
from shared.sending.identity import MailToken, mail_id_of
from shared.sending.letters import Letter
from shared.sending.notes import Notes
from shared.sending.pace import Pacer
from shared.sending.results import Carrier, Result
from shared.sending.settling import Settling
from shared.sending.suppress import SuppressionList, TakenOut
from shared.sending.verdicts import verdict_of
from shared.stores.ledger import DeliveryRecord, Ledger, MailRecord
from shared.triggers.context import Invocation
from shared.values import dataclass


class Provider(Protocol):
    """What sends a mail: DirectMail, or its twin."""

    def send(self, mail: OutgoingMail, call: Invocation, timeout: int) -> Answer:
        """Make one call of at most `timeout` ms; never raises for what the provider or net does."""
        ...


@dataclass(frozen=True)
class Mailer:
    """Sends mails, each at most once at a time.

    Args:
        ledger: the store.
        provider: what sends.
        policy: this environment's rules.
        new_owner: makes a new id for each claim.
        grace: how long evidence of an unknown mail is waited for, in ms.
        pacer: gives the account's permits; None asks for none.
        lag: how old the oldest waiting delivery event is, in ms; None where that is not known.
        keep: how long records are kept, in ms.
        suppressions: whom not to write to; None where nobody is suppressed.
    """

    ledger: Ledger
    provider: Provider
    policy: Policy
    new_owner: Callable[[], str]
    grace: int
    pacer: Pacer | None = None
    lag: Callable[[], int | None] = lambda: None
    keep: int = KEEP
    suppressions: SuppressionList | None = None

    @cached_property
    def settling(self) -> Settling:
        """Settles what nobody sends at the moment."""
        return Settling(self.ledger, self.grace, self.lag)

    @cached_property
    def claims(self) -> Claims:
        """Claims mails."""
        return Claims(self.ledger, self.settling, self.new_owner, self.pacer, self.keep)

    @cached_property
    def notes(self) -> Notes:
        """Writes down what else is worth remembering."""
        return Notes(self.ledger, self.policy.environment, self.keep)

    def mail_id(self, key: str) -> str:
        """The id of the mail with that key, in this environment."""
        return mail_id_of(self.policy.environment, key)

    @property
    def quota_zone(self) -> int:
        """Where the quota's day begins, in ms east of UTC."""
        return self.pacer.limits.zone_offset if self.pacer else QUOTA_ZONE_OFFSET

    def compose(self, letter: Letter) -> OutgoingMail:
        """The content of the first call for a letter's mail.

        Raises:
            InvalidMail: this environment does not allow the sender or a recipient.
        """
        token = MailToken(self.policy.environment, self.mail_id(letter.key), 1)
        return compose(letter.mail, self.policy, token)

    def attempt(
        self,
        letter: Letter,
        call: Invocation,
        carrier: Carrier = "queue",
        outgoing: OutgoingMail | None = None,
        *,
        new: bool = False,
    ) -> Result:
        """Try to send a letter's mail.

        Args:
            letter: the mail.
            call: the invocation.
            carrier: who keeps the mail while it is not final.
            outgoing: what `compose` has made of it, where that was done before.
            new: whether the ledger had no row of it a moment ago.

        Raises:
            InvalidMail: this environment does not allow the sender or a recipient.
        """
        mail_id = self.mail_id(letter.key)
        outgoing = outgoing or self.compose(letter)
        if call.remaining() < CALL_MINIMUM + CALL_MARGIN:
            return Result("no-time", mail_id)
        try:
            standing = self.claims.look(letter, outgoing, mail_id, call.now(), carrier, new=new)
            if isinstance(standing, Result):
                return self._with_taken_out(standing, outgoing, call.now())
            left, out = self._take_out(outgoing, call.now())
            if out and new:
                # What is written before the claim is not written on old news.
                return self.attempt(letter, call, carrier, outgoing)
            self._note_taken_out(mail_id, out, call.now())
            outgoing = left
            standing = standing.without(out)
            if outgoing.to:
                claim = self.claims.take(standing, letter, outgoing, call)
            else:
                claim = self.claims.end(standing, "suppressed", call.now())
        except LedgerUnavailable:
            return Result("ledger-down", mail_id)
        result = claim if isinstance(claim, Result) else self._send(claim, outgoing, call)
        return replace(result, taken_out=out) if out else result

    def _take_out(
        self, outgoing: OutgoingMail, now: int
    ) -> tuple[OutgoingMail, tuple[TakenOut, ...]]:
        """Take the suppressed recipients out."""
        return self.suppressions.take_out(outgoing, now) if self.suppressions else (outgoing, ())

    def _note_taken_out(self, mail_id: str, out: Sequence[TakenOut], now: int) -> None:
        """Write down who they are before the claim: who dies after it has left whom to report."""
        for each in out:
            self.ledger.record_delivery(
                DeliveryRecord(mail_id, each.recipient.lower(), 0, "suppressed", now)
            )

    def _with_taken_out(self, result: Result, outgoing: OutgoingMail, now: int) -> Result:
        """What became of a mail, for a copy that comes later: with those it did not go to."""
        record = result.record
        if self.suppressions is None or record is None or not record.suppressed:
            return result
        given = {address.lower(): address for address in (*outgoing.to, *outgoing.bcc)}
        recipients = [
            given.get(row.recipient, row.recipient)
            for row in self.ledger.deliveries(record.mail_id)
            if row.state == "suppressed"
        ]
        still = self.suppressions.check(outgoing.sender_address, recipients, now)
        # Who was lifted meanwhile was suppressed all the same.
        lifted = TakenOut("", record.reason or "", "")
        out = (still.get(address, replace(lifted, recipient=address)) for address in recipients)
        return replace(result, taken_out=tuple(out))

    def _send(self, claim: MailRecord, outgoing: OutgoingMail, call: Invocation) -> Result:
        """Make the call that was claimed."""
        timeout = call.remaining() - CALL_MARGIN
        if timeout < CALL_MINIMUM:
            # Claiming took too long. Or the instance was frozen here and thawed for another
            # invocation: by now the lease may have ended, and somebody else may send.
            self.settling.give_up(claim, call.now())
            return Result("no-time", claim.mail_id)
        if claim.attempt > 1:
            token = MailToken(self.policy.environment, claim.mail_id, claim.attempt)
            outgoing = outgoing.marked(token)
        answer = self.provider.send(outgoing, call, timeout)
        if isinstance(answer, Accepted):
            return self._sent(claim, answer, call)
        return Result(verdict_of(answer), claim.mail_id, claim, answer)

    def _sent(self, claim: MailRecord, answer: Accepted, call: Invocation) -> Result:
        """Write down the proof of a send; the result says whether that went well."""
        try:
            row = self.ledger.prove(
                claim.mail_id,
                envelope_id=answer.envelope_id,
                request_id=answer.request_id,
                evidence="answer",
                at=call.now(),
                claim=claim,
            )
        except LedgerUnavailable:
            told = replace(claim, envelope_id=answer.envelope_id, request_id=answer.request_id)
            return Result("sent", claim.mail_id, told, answer, settled=False)
        self.notes.sent(claim)
        return Result("sent", claim.mail_id, row or claim, answer)
