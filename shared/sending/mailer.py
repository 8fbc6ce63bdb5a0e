"""One attempt to send one mail: claim it, call the provider, settle what the answer proves.

Everything here is the same for a mail from a queue, from HTTP and from a timer. What differs,
namely who keeps the mail when it was not sent, is for the caller: it puts the mail somewhere safe
first and then calls `release`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from shared.errors import LedgerUnavailable
from shared.sending.answers import Accepted, Answer, Broken, Rejected
from shared.sending.compose import OutgoingMail, Policy, compose
from shared.sending.identity import MailToken, mail_id_of, payload_hash
from shared.sending.letters import Letter
from shared.sending.protocol import DECISIONS, TRANSITIONS, Situation, situation_of
from shared.sending.verdicts import Verdict, verdict_of
from shared.stores.ledger import Ledger, MailRecord
from shared.triggers.context import Invocation

# A lease outlives its invocation by this much, for clocks that differ. In ms.
LEASE_MARGIN = 5_000
# What an invocation keeps for itself after a call: writing the answer down. In ms.
CALL_MARGIN = 2_000
# No call is begun with less time than this; a slow answer would be cut off. In ms.
CALL_MINIMUM = 3_000

ResultKind = Verdict | Situation | Literal["no-time", "ledger-down", "race"]


class Provider(Protocol):
    """What sends a mail: DirectMail, or its twin."""

    def send(self, mail: OutgoingMail, call: Invocation, timeout: int) -> Answer:
        """Make one call of at most `timeout` ms; never raises for what the provider or net does."""
        ...


@dataclass(frozen=True)
class Result:
    """What one attempt ended in.

    Attributes:
        kind: the verdict of the call; or why there was none.
        mail_id: the mail's id.
        record: the row as this attempt left it; None where the ledger did not say.
        answer: the provider's answer, where there was a call.
        wait: in how many ms to come back, where that is known.
        settled: False where the ledger could not be told that the mail was sent.
    """

    kind: ResultKind
    mail_id: str
    record: MailRecord | None = None
    answer: Answer | None = None
    wait: int = 0
    settled: bool = True

    @property
    def code(self) -> str:
        """The provider's code, or the kind of the break, for logs and histories."""
        if isinstance(self.answer, Rejected):
            return self.answer.code
        return self.answer.kind if isinstance(self.answer, Broken) else ""


@dataclass(frozen=True)
class Mailer:
    """Sends mails, each at most once at a time.

    Args:
        ledger: the store.
        provider: what sends.
        policy: this environment's rules.
        new_owner: makes a new id for each claim.
        grace: how long evidence of an unknown mail is waited for, in ms.
    """

    ledger: Ledger
    provider: Provider
    policy: Policy
    new_owner: Callable[[], str]
    grace: int

    def mail_id(self, key: str) -> str:
        """The id of the mail with that key, in this environment."""
        return mail_id_of(self.policy.environment, key)

    def attempt(self, letter: Letter, call: Invocation) -> Result:
        """Try to send a letter's mail.

        Raises:
            InvalidMail: this environment does not allow the sender or a recipient.
        """
        mail_id = self.mail_id(letter.key)
        outgoing = compose(letter.mail, self.policy, MailToken(self.policy.environment, mail_id, 1))
        if call.remaining() < CALL_MINIMUM + CALL_MARGIN:
            return Result("no-time", mail_id)
        try:
            claimed = self._claim(letter, outgoing, mail_id, call)
        except LedgerUnavailable:
            return Result("ledger-down", mail_id)
        if isinstance(claimed, Result):
            return claimed
        return self._send(claimed, letter, call)

    def release(
        self, record: MailRecord, state: str, *, custody: int, reason: str, now: int
    ) -> bool:
        """Give up a claim: the mail was not sent (or nobody knows), and is safe elsewhere.

        Returns:
            False where somebody else changed the row meanwhile: an event proved the send, or the
            ledger did not answer. Both are safe: the row then says `sent`, or the lease ends.
        """
        if state != record.state and state not in TRANSITIONS[record.state]:
            raise ValueError(f"{record.state} -> {state} is not in the protocol")
        new = replace(
            record,
            state=state,
            custody=max(custody, record.custody),
            reason=reason or None,
            unknown_since=(record.unknown_since or now) if state == "unknown" else 0,
            lease_until=0,
            updated_at=now,
        )
        try:
            return self.ledger.change(record, new)
        except LedgerUnavailable:
            return False

    def _claim(
        self, letter: Letter, outgoing: OutgoingMail, mail_id: str, call: Invocation
    ) -> MailRecord | Result:
        """Claim the mail's row, or say why not."""
        row = self.ledger.get(mail_id)
        now = call.now()
        payload = payload_hash(letter.given)
        situation = situation_of(
            row, payload=payload, custody=letter.custody, now=now, grace=self.grace
        )
        if row is None:
            claim = self._claimed(
                MailRecord(
                    mail_id=mail_id,
                    key=letter.key,
                    state="sending",
                    custody=letter.custody,
                    payload=payload,
                    sender=outgoing.sender_address,
                    tag=outgoing.tag,
                    notify=letter.mail.notify,
                    created_at=now,
                ),
                call,
            )
            return claim if self.ledger.create(claim) else Result("race", mail_id)
        decision = DECISIONS[situation]
        if decision == "claim":
            custody = max(row.custody, letter.custody)
            known = replace(row, custody=custody, sender=outgoing.sender_address)
            claim = self._claimed(known, call)
            return claim if self.ledger.change(row, claim) else Result("race", mail_id)
        if decision == "make-unknown":
            return self._make_unknown(row, now)
        wait = {"in-progress": row.lease_until - now, "unknown-early": self._grace_left(row, now)}
        return Result(situation, mail_id, row, wait=wait.get(situation, 0))

    def _claimed(self, row: MailRecord, call: Invocation) -> MailRecord:
        return replace(
            row,
            state="sending",
            attempt=row.attempt + 1,
            owner=self.new_owner(),
            lease_until=call.deadline + LEASE_MARGIN,
            unknown_since=0,
            reason=None,
            updated_at=call.now(),
        )

    def _make_unknown(self, row: MailRecord, now: int) -> Result:
        """An ended lease: the grace runs from now, whoever finds it first."""
        unknown = replace(row, state="unknown", unknown_since=now, lease_until=0, updated_at=now)
        if not self.ledger.change(row, unknown):
            return Result("race", row.mail_id)
        return Result("unknown-early", row.mail_id, unknown, wait=self.grace)

    def _grace_left(self, row: MailRecord, now: int) -> int:
        return row.unknown_since + self.grace - now

    def _give_up(self, claim: MailRecord, now: int) -> None:
        """A claim that was not used: as if it had not been made."""
        waiting = replace(
            claim, state="waiting", attempt=claim.attempt - 1, lease_until=0, updated_at=now
        )
        with suppress(LedgerUnavailable):
            self.ledger.change(claim, waiting)

    def _send(self, claim: MailRecord, letter: Letter, call: Invocation) -> Result:
        timeout = call.remaining() - CALL_MARGIN
        if timeout < CALL_MINIMUM:
            # Claiming took too long. Or the instance was frozen here and thawed for another
            # invocation: by now the lease may have ended, and somebody else may send.
            self._give_up(claim, call.now())
            return Result("no-time", claim.mail_id)
        token = MailToken(self.policy.environment, claim.mail_id, claim.attempt)
        outgoing = compose(letter.mail, self.policy, token)
        answer = self.provider.send(outgoing, call, timeout)
        verdict = verdict_of(answer)
        if not isinstance(answer, Accepted):
            return Result(verdict, claim.mail_id, claim, answer)
        try:
            row = self.ledger.prove(
                claim.mail_id,
                envelope_id=answer.envelope_id,
                request_id=answer.request_id,
                evidence="answer",
                at=call.now(),
            )
        except LedgerUnavailable:
            told = replace(claim, envelope_id=answer.envelope_id, request_id=answer.request_id)
            return Result("sent", claim.mail_id, told, answer, settled=False)
        return Result("sent", claim.mail_id, row or claim, answer)
