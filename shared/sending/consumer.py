"""Messages of the mail queue: each is settled by itself, and a bad one stops nobody else.

Function Compute delivers a whole batch again when the function fails and knows no partial answer.
So every message ends in exactly one of: done; refused, on the reject queue with the reason; put
back, due later; or parked on the dead-letter queue. Only when even that fails does the function
fail, and the claims in the ledger make the repeat safe.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from shared.errors import LedgerUnavailable, QueueUnavailable
from shared.schema.problems import InvalidMail, Problem
from shared.sending.announce import Announcer
from shared.sending.answers import Rejected
from shared.sending.backoff import delay_after, given_up
from shared.sending.compose import check
from shared.sending.letters import (
    REDRIVE_STEP,
    Letter,
    Note,
    Settlement,
    check_size,
    fan_out,
    read_letter,
    read_settlement,
)
from shared.sending.mailer import CALL_MARGIN, LEASE_MARGIN, Mailer
from shared.sending.rejects import reject_letters
from shared.sending.results import Result
from shared.times import rfc3339
from shared.triggers.context import Invocation
from shared.triggers.queue import QueueMessage, fingerprint

log = structlog.get_logger("postbus.sending")

# How long a copy waits when it cannot even find out where its mail stands. In ms.
SHORT_WAIT = 5_000
# A copy that lost a race looks again at once; the winner's row says what to do.
RACES_MAX = 5
LEDGER_WAIT_MAX = 600_000
# Results after which a person has to do something, and the state the mail waits for that in.
BURIED = {"misconfigured": "parked", "unknown-late": "held"}
# Results after which the same copy simply comes back: not before so many ms.
COMES_BACK = {
    "in-progress": 1_000,
    "unknown-early": 1_000,
    "no-permit": 1_000,
    "no-time": 1_000,
    "race": 0,
    "ledger-down": SHORT_WAIT,
}
# Verdicts after which it is proven that no mail went out.
NOT_SENT = frozenset({"refused", "misconfigured", "throttled", "quota", "unavailable"})


class MailQueues(Protocol):
    """Where letters go; each method raises `QueueUnavailable` when SMQ did not take it."""

    def put_back(self, letter: Letter, delay: int) -> str:
        """Put a letter on the mail queue, due in `delay` ms; returns the message id."""
        ...

    def settle(self, settlement: Settlement, delay: int) -> str:
        """Put proof of a send on the mail queue, due in `delay` ms."""
        ...

    def reject(self, body: str) -> str:
        """Put a body on the reject queue."""
        ...

    def bury(self, letter: Letter) -> str:
        """Put a letter on the dead-letter queue, for redrive."""
        ...


@dataclass(frozen=True)
class Consumer:
    """Settles messages.

    Args:
        mailer: sends.
        queues: where letters go.
        chance: gives random numbers from 0 to 1.
        announcer: publishes states.
        at_once: runs a function over messages, several at a time, for so many ms at most; gives
            back the messages whose work has not ended by then.
    """

    mailer: Mailer
    queues: MailQueues
    announcer: Announcer
    chance: Callable[[], float]
    at_once: Callable[
        [Callable[[QueueMessage], None], Sequence[QueueMessage], int], list[QueueMessage]
    ]

    def settle_all(self, messages: Sequence[QueueMessage], call: Invocation) -> None:
        """Settle each message of a batch.

        A message whose call hangs goes back on the queue before the platform ends the invocation,
        due when its claim's lease has ended; the ledger then says what became of it.
        """
        late = self.at_once(
            lambda message: self.settle(message, call), messages, call.remaining() - CALL_MARGIN
        )
        for message in late:
            try:
                letter = read_letter(message, call.now())
            except InvalidMail as invalid:
                raise QueueUnavailable("the reject queue did not answer in time") from invalid
            self.queues.put_back(letter, call.remaining() + LEASE_MARGIN)
            log.warning("mail.late", mail_id=self.mailer.mail_id(letter.key))

    def settle(self, message: QueueMessage, call: Invocation) -> None:
        """Settle one message.

        Raises:
            QueueUnavailable: the message could not be settled in any way; it has to come again.
        """
        if message.broken:
            problem = Problem(pointer="", type="bad-trigger-event", detail=message.broken)
            self._reject(message, "bad-trigger-event", (problem,), call)
            return
        settlement = read_settlement(message)
        if settlement is not None:
            self._prove(settlement, call.now())
            return
        try:
            letter = read_letter(message, call.now())
            check_size(letter)
            check(letter.mail, self.mailer.policy)
        except InvalidMail as invalid:
            self._reject(message, "invalid-mail", invalid.problems, call)
            return
        if letter.mail.separate and len(letter.mail.to) > 1:
            if not self._register(letter, message, call):
                return
            for part in fan_out(letter):
                self.queues.put_back(part, 0)
            log.info("mail.separated", key_mail_id=self.mailer.mail_id(letter.key),
                     mails=len(letter.mail.to))  # fmt: skip
            return
        self._send(letter, message, call)

    def _register(self, letter: Letter, message: QueueMessage, call: Invocation) -> bool:
        """Write down what the key of a `separate` mail stands for; False where it is taken."""
        try:
            known = self.mailer.register(letter, call.now())
        except LedgerUnavailable:
            self.queues.put_back(letter, SHORT_WAIT)
            return False
        if not known:
            self._reject(message, "other-payload", (other_payload(letter.key),), call)
        return known

    def _send(self, letter: Letter, message: QueueMessage, call: Invocation) -> None:
        result = self.mailer.attempt(letter, call)
        for _ in range(RACES_MAX):
            if result.kind != "race":
                break
            result = self.mailer.attempt(letter, call)
        try:
            self._follow(result, letter, message, call)
        except QueueUnavailable:
            # This very message comes again, and carries the mail on.
            if result.kind in NOT_SENT:
                self._release(result, "waiting", letter.custody, call.now())
            raise
        log_result(result, letter)

    def _follow(
        self, result: Result, letter: Letter, message: QueueMessage, call: Invocation
    ) -> None:
        """Bring the mail where its result sends it."""
        kind, now = result.kind, call.now()
        if kind == "refused":
            self._refuse(result, letter, message, call)
        elif kind == "other-payload":
            self._reject(message, kind, (other_payload(letter.key),), call)
        elif kind in ("throttled", "quota", "unavailable"):
            self._try_again(result, letter, call)
        elif kind == "unknown":
            self.queues.put_back(letter.next(Note(now, kind, result.code)), self.mailer.grace)
            self._announce(result, "unknown", now)
            self._release(result, "unknown", letter.custody + 1, now)
        elif kind in BURIED:
            self._bury(result, letter, BURIED[kind], now)
        elif kind in COMES_BACK:
            self._come_back(result, letter, now)
        elif kind in ("sent", "expired"):
            self._finish(result, kind, now)
        elif kind == "finished" and result.record and result.record.state in ("sent", "expired"):
            # These are written down before they are announced. The first delivery may have died
            # in between, or found the topic down; the repeated event has the same id.
            self._announce(result, result.record.state, result.record.updated_at)

    def _refuse(
        self, result: Result, letter: Letter, message: QueueMessage, call: Invocation
    ) -> None:
        now = call.now()
        if result.record is not None and result.record.resent:
            # The first of its calls may have been accepted: "refused" would be said too soon.
            self._bury(result, letter, "held", now)
            return
        self._reject(message, "refused-by-provider", (refusal_of(result),), call)
        self._announce(result, "refused", now)
        self._release(result, "refused", letter.custody, now)

    def _come_back(self, result: Result, letter: Letter, now: int) -> None:
        """The same copy again, later."""
        least = COMES_BACK[result.kind]
        if result.kind == "ledger-down":
            # Nothing drops copies while the ledger is down: the longer it is, the rarer they come,
            # so that they cannot breed.
            least = min(LEDGER_WAIT_MAX, max(least, (now - letter.first_seen) // 2))
        self.queues.put_back(letter, max(result.wait, least))
        if result.news:
            self._announce(result, "unknown", now)

    def _finish(self, result: Result, state: str, now: int) -> None:
        """A mail that is final: its proof is safe in the ledger, or goes on the queue."""
        record = result.record
        if record is None:
            return
        if not result.settled and record.envelope_id:
            proof = Settlement(record.mail_id, record.envelope_id, record.request_id)
            self.queues.settle(proof, SHORT_WAIT)
        self._announce(result, state, now)

    def _prove(self, settlement: Settlement, now: int) -> None:
        """Write proof down that an earlier invocation could not."""
        try:
            self.mailer.ledger.prove(
                settlement.mail_id,
                envelope_id=settlement.envelope_id,
                request_id=settlement.request_id,
                evidence="answer",
                at=now,
            )
        except LedgerUnavailable:
            self.queues.settle(settlement, SHORT_WAIT)

    def _announce(self, result: Result, state: str, now: int) -> None:
        if result.record is not None:
            self.announcer.announce(result.record, state, result.code or None, now)

    def _try_again(self, result: Result, letter: Letter, call: Invocation) -> None:
        now = call.now()
        record = result.record
        attempt = record.attempt if record else 1
        if given_up(result.kind, attempt=attempt, age=now - letter.first_seen):
            # After a resend, the first call may still have been accepted.
            state = "held" if record is not None and record.resent else "failed"
            self._bury(result, letter, state, now)
            return
        if result.kind == "quota":
            self.mailer.alarm("quota", result, now)
        delay = delay_after(
            result.kind,  # type: ignore[arg-type]  # the three verdicts that `_follow` sends here
            result.answer,
            attempt=attempt,
            now=now,
            chance=self.chance(),
            zone_offset=self.mailer.quota_zone,
        )
        self.queues.put_back(letter.next(Note(now, result.kind, result.code)), delay)
        self._release(result, "waiting", letter.custody + 1, now)

    def _bury(self, result: Result, letter: Letter, state: str, now: int) -> None:
        self.queues.bury(letter.next(Note(now, state, result.code), step=REDRIVE_STEP))
        if state == "parked":
            self.mailer.alarm("misconfigured", result, now)
        else:
            self._announce(result, state, now)
        # The row keeps this copy's number: the buried one's is higher, and may try again.
        self._release(result, state, letter.custody, now)

    def _release(self, result: Result, state: str, custody: int, now: int) -> None:
        if result.record is not None:
            # Whoever carried it before: from now on a queue does, be it the dead letters'.
            self.mailer.release(
                result.record,
                state,
                custody=custody,
                reason=result.code,
                now=now,
                carrier="queue",
            )

    def _reject(
        self,
        message: QueueMessage,
        reason: str,
        problems: Sequence[Problem],
        call: Invocation,
    ) -> None:
        identity = f"{message.id}/{fingerprint(message.body)}"
        if self.mailer.is_rejected(identity):
            # The batch has come again; its letter is there.
            return
        letters = reject_letters(
            message.body,
            message_id=message.id,
            reason=reason,
            problems=problems,
            at=rfc3339(call.now()),
        )
        for body in letters:
            self.queues.reject(body)
        self.mailer.note_rejected(identity, reason, call.now())
        log.warning("mail.rejected", message_id=message.id, reason=reason,
                    problems=[f"{p.pointer}: {p.type}" for p in problems[:5]])  # fmt: skip


def refusal_of(result: Result) -> Problem:
    """The provider's refusal as a problem of the mail."""
    message = result.answer.message if isinstance(result.answer, Rejected) else ""
    return Problem(pointer="", type="refused-by-provider", detail=message[:500], given=result.code)


def other_payload(key: str) -> Problem:
    """The problem of a key that was used for another mail."""
    return Problem(
        pointer="/key",
        type="other-payload",
        detail="this key was used for a mail with other content; the first one stands",
        given=key[:80],
    )


def log_result(result: Result, letter: Letter) -> None:
    """The one line that each mail has in the log."""
    fields: dict[str, Any] = {"mail_id": result.mail_id, "recipients": len(letter.mail.to)}
    if result.record is not None:
        fields["attempt"] = result.record.attempt
        fields["envelope_id"] = result.record.envelope_id
    if result.code:
        fields["code"] = result.code
    write = log.info if result.kind in ("sent", "finished", "replaced") else log.warning
    write(f"mail.{result.kind}", **fields)
