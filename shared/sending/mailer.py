"""One attempt to send one mail: claim it, call the provider, settle what the answer proves.

Everything here is the same for a mail from a queue, from HTTP and from a timer. What differs,
namely who keeps the mail when it was not sent, is for the caller: it puts the mail somewhere safe
first and then calls `release`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Protocol

import structlog

from shared.errors import LedgerUnavailable
from shared.sending.answers import Accepted, Answer
from shared.sending.backoff import LONGEST_DELAY, QUOTA_ZONE_OFFSET
from shared.sending.compose import OutgoingMail, Policy, compose
from shared.sending.identity import PART_MARK, MailToken, mail_id_of, payload_hash
from shared.sending.letters import Letter
from shared.sending.pace import Denied, Pacer
from shared.sending.protocol import DECISIONS, check_transition, situation_of
from shared.sending.results import Carrier, Result
from shared.sending.unknowns import NOTE_EVERY, channel_is_alive, settle
from shared.sending.verdicts import verdict_of
from shared.stores.ledger import Channel, Ledger, MailRecord
from shared.triggers.context import Invocation

log = structlog.get_logger("postbus.sending")

# A lease outlives its invocation by this much, for clocks that differ. In ms.
LEASE_MARGIN = 5_000
# What an invocation keeps for itself after a call: writing the answer down. In ms.
CALL_MARGIN = 2_000
# No call is begun with less time than this; a slow answer would be cut off. In ms.
CALL_MINIMUM = 3_000

# Records outlive the event window (30 days) and the stay of a dead letter (7 days). In ms.
KEEP = 45 * 24 * 3_600_000

HOUR = 3_600_000
# The key of what is known about a rejected message; no user's key has the mark.
_REJECTED = f"rejected{PART_MARK}"


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
    """

    ledger: Ledger
    provider: Provider
    policy: Policy
    new_owner: Callable[[], str]
    grace: int
    pacer: Pacer | None = None
    lag: Callable[[], int | None] = lambda: None
    keep: int = KEEP
    _noted: dict[str, int] = field(default_factory=dict)

    def mail_id(self, key: str) -> str:
        """The id of the mail with that key, in this environment."""
        return mail_id_of(self.policy.environment, key)

    @property
    def quota_zone(self) -> int:
        """Where the quota's day begins, in ms east of UTC."""
        return self.pacer.limits.zone_offset if self.pacer else QUOTA_ZONE_OFFSET

    def attempt(self, letter: Letter, call: Invocation, carrier: Carrier = "queue") -> Result:
        """Try to send a letter's mail.

        Args:
            letter: the mail.
            call: the invocation.
            carrier: who keeps the mail while it is not final.

        Raises:
            InvalidMail: this environment does not allow the sender or a recipient.
        """
        mail_id = self.mail_id(letter.key)
        outgoing = compose(letter.mail, self.policy, MailToken(self.policy.environment, mail_id, 1))
        if call.remaining() < CALL_MINIMUM + CALL_MARGIN:
            return Result("no-time", mail_id)
        try:
            claimed = self._claim(letter, outgoing, mail_id, call, carrier)
        except LedgerUnavailable:
            return Result("ledger-down", mail_id)
        if isinstance(claimed, Result):
            return claimed
        return self._send(claimed, letter, outgoing, call)

    def alarm(self, what: str, result: Result, now: int) -> None:
        """Tell an operator, once an hour for each fault and not once for each mail."""
        hour = now // HOUR
        try:
            first = self.ledger.take_permits(
                f"alarm:{what}:{result.code}:{hour}", 1, 1, (hour + 2) * HOUR
            )
        except LedgerUnavailable:
            first = True
        if first:
            log.error(f"alarm.{what}", code=result.code, mail_id=result.mail_id)  # noqa: G004  # structlog's event name

    def is_rejected(self, identity: str) -> bool:
        """Whether a message is known to be on the reject queue; no, when the ledger is down."""
        try:
            return self.ledger.get(self.mail_id(_REJECTED + identity)) is not None
        except LedgerUnavailable:
            return False

    def note_rejected(self, identity: str, reason: str, now: int) -> None:
        """Remember that a message is on the reject queue, so that it goes there once."""
        key = _REJECTED + identity
        record = MailRecord(
            mail_id=self.mail_id(key),
            key=key,
            state="refused",
            reason=reason,
            created_at=now,
            updated_at=now,
            expires_at=now + self.keep,
        )
        with suppress(LedgerUnavailable):
            self.ledger.create(record)

    def register(self, letter: Letter, now: int) -> bool:
        """Write down what a key stands for, for a mail that goes as many mails.

        Returns:
            False where the key stands for another mail already.

        Raises:
            LedgerUnavailable: the ledger did not answer.
        """
        mail_id, payload = self.mail_id(letter.key), payload_hash(letter.given)
        record = MailRecord(
            mail_id=mail_id,
            key=letter.key,
            state="accepted",
            payload=payload,
            notify=letter.mail.notify,
            tag=letter.mail.tag,
            created_at=now,
            updated_at=now,
            expires_at=now + self.keep,
        )
        if self.ledger.create(record):
            return True
        known = self.ledger.get(mail_id)
        if known is not None and 0 < known.expires_at <= now:
            return self.ledger.change(known, record)
        return known is not None and known.payload == payload

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

    def _claim(
        self,
        letter: Letter,
        outgoing: OutgoingMail,
        mail_id: str,
        call: Invocation,
        carrier: Carrier,
    ) -> MailRecord | Result:
        """Claim the mail's row, or say why not."""
        known = self.ledger.get(mail_id)
        now = call.now()
        payload = payload_hash(letter.given)
        # A record that has expired counts as not there, but it is in the way of a new one.
        row = None if known and 0 < known.expires_at <= now else known
        situation = situation_of(
            row, payload=payload, custody=letter.custody, now=now, grace=self.grace
        )
        decision = DECISIONS[situation]
        if row is not None and decision == "settle-unknown":
            settled = self._settle_unknown(row, letter, outgoing, now)
            if settled is not None:
                return settled
            row = replace(row, resent=row.resent + 1)
        elif row is not None and decision == "make-unknown":
            return self._make_unknown(row, now)
        elif row is not None and decision != "claim":
            wait = {
                "in-progress": row.lease_until - now,
                "unknown-early": row.unknown_since + self.grace - now,
            }
            return Result(situation, mail_id, row, wait=wait.get(situation, 0))
        base = row or MailRecord(
            mail_id=mail_id,
            key=letter.key,
            state="waiting",
            payload=payload,
            tag=outgoing.tag,
            notify=letter.mail.notify,
            created_at=now,
        )
        base = replace(
            base,
            custody=max(base.custody, letter.custody),
            sender=outgoing.sender_address,
            carrier=carrier,
            expires_at=now + self.keep,
        )
        if _expired(letter, now):
            if row is not None and (row.resent or row.state in ("unknown", "held")):
                # It is not sent now, but nobody can say that it was not sent in time.
                return Result("unknown-late", mail_id, known)
            return self._write(known, self._expired(base, now), Result("expired", mail_id))
        denied = self._permit(outgoing, call)
        if denied is not None:
            most = min(denied.wait, LONGEST_DELAY)
            return Result("no-permit", mail_id, row, wait=most, denied=denied.kind)
        claim = self._claimed(base, call)
        return self._write(known, claim, claim)

    def _write(
        self, known: MailRecord | None, new: MailRecord, then: MailRecord | Result
    ) -> MailRecord | Result:
        """Write the row if it still is as it was read; else it is a race."""
        check_transition(known, new)
        written = self.ledger.create(new) if known is None else self.ledger.change(known, new)
        if not written:
            return Result("race", new.mail_id)
        return replace(then, record=new) if isinstance(then, Result) else then

    def _permit(self, outgoing: OutgoingMail, call: Invocation) -> Denied | None:
        """Wait for a permit of the account, within the invocation's time."""
        if self.pacer is None:
            return None
        spare = call.remaining() - CALL_MINIMUM - CALL_MARGIN
        return self.pacer.take(len(outgoing.to) + len(outgoing.bcc), spare)

    def _expired(self, row: MailRecord, now: int) -> MailRecord:
        return replace(row, state="expired", unknown_since=0, lease_until=0, updated_at=now)

    def _claimed(self, row: MailRecord, call: Invocation) -> MailRecord:
        now = call.now()
        return replace(
            row,
            state="sending",
            attempt=row.attempt + 1,
            owner=self.new_owner(),
            lease_until=call.deadline + LEASE_MARGIN,
            unknown_since=0,
            reason=None,
            updated_at=now,
            attempted_at=now,
        )

    def _settle_unknown(
        self, row: MailRecord, letter: Letter, outgoing: OutgoingMail, now: int
    ) -> Result | None:
        """The grace is over without evidence: None to send again, else what to do instead."""
        sender = row.sender or ""
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
                self.ledger.sighted_at(sender.lower(), address.lower()) >= row.attempted_at
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

    def _make_unknown(self, row: MailRecord, now: int) -> Result:
        """An ended lease: the grace runs from now, whoever finds it first."""
        unknown = replace(row, state="unknown", unknown_since=now, lease_until=0, updated_at=now)
        if not self.ledger.change(row, unknown):
            return Result("race", row.mail_id)
        return Result("unknown-early", row.mail_id, unknown, wait=self.grace, news=True)

    def _give_up(self, claim: MailRecord, now: int) -> None:
        """A claim that was not used: as if it had not been made."""
        waiting = replace(
            claim, state="waiting", attempt=claim.attempt - 1, lease_until=0, updated_at=now
        )
        with suppress(LedgerUnavailable):
            self.ledger.change(claim, waiting)

    def _send(
        self, claim: MailRecord, letter: Letter, outgoing: OutgoingMail, call: Invocation
    ) -> Result:
        timeout = call.remaining() - CALL_MARGIN
        if timeout < CALL_MINIMUM:
            # Claiming took too long. Or the instance was frozen here and thawed for another
            # invocation: by now the lease may have ended, and somebody else may send.
            self._give_up(claim, call.now())
            return Result("no-time", claim.mail_id)
        if claim.attempt > 1:
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
        self._note_channel(claim)
        return Result("sent", claim.mail_id, row or claim, answer)

    def _note_channel(self, claim: MailRecord) -> None:
        """Remember that this sender's mail was accepted: its event is to be expected."""
        sender = claim.sender or ""
        if claim.attempted_at < self._noted.get(sender, 0) + NOTE_EVERY:
            return
        with suppress(LedgerUnavailable):
            self.ledger.note_channel(sender, Channel(sent_at=claim.attempted_at))
            self._noted[sender] = claim.attempted_at


def _expired(letter: Letter, now: int) -> bool:
    expiry = letter.mail.expires_at
    return expiry is not None and now >= expiry.timestamp() * 1000
