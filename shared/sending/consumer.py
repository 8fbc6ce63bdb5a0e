"""Messages of the mail queue: each is settled by itself, and a bad one stops nobody else.

Function Compute delivers a whole batch again when the function fails and knows no partial answer.
So every message ends in exactly one of: done; refused, on the reject queue with the reason; put
back, due later; or parked on the dead-letter queue. Only when even that fails does the function
fail, and the claims in the ledger make the repeat safe.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import structlog

from shared.errors import LedgerUnavailable, QueueUnavailable
from shared.schema.problems import Problem
from shared.sending.announce import Announcer
from shared.sending.claims import CALL_MARGIN, LEASE_MARGIN
from shared.sending.custody import SHORT_WAIT, Custody, perhaps_sent_before
from shared.sending.letters import Letter, Settlement, fan_out
from shared.sending.mailer import Mailer
from shared.sending.opening import Opened, open_batch
from shared.sending.queues import MailQueues
from shared.sending.rejects import reject_letters
from shared.sending.reports import log_result, other_payload, place_in_log, refusal_of
from shared.sending.results import Result
from shared.times import rfc3339
from shared.triggers.context import Invocation
from shared.triggers.queue import QueueMessage, fingerprint
from shared.values import dataclass

log = structlog.get_logger("postbus.sending")

# A copy that lost a race looks again at once; the winner's row says what to do.
RACES_MAX = 5
# Verdicts after which it is proven that no mail went out.
NOT_SENT = frozenset({"refused", "misconfigured", "throttled", "quota", "unavailable"})


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
    at_once: Callable[[Callable[[Opened], None], Sequence[Opened], int], list[Opened]]

    @cached_property
    def custody(self) -> Custody:
        """Where mails are safe."""
        return Custody(self.mailer, self.queues, self.announcer, self.chance)

    def settle_all(self, messages: Sequence[QueueMessage], call: Invocation) -> None:
        """Settle each message of a batch.

        A message whose call hangs goes back on the queue before the platform ends the invocation,
        due when its claim's lease has ended; the ledger then says what became of it.
        """
        opened = open_batch(messages, self.mailer, call)
        late = self.at_once(
            lambda each: self.settle(each, call), opened, call.remaining() - CALL_MARGIN
        )
        for each in late:
            if each.letter is None:
                raise QueueUnavailable("the reject queue did not answer in time") from each.error
            self.queues.put_back(each.letter, call.remaining() + LEASE_MARGIN)
            log.warning("mail.late", mail_id=self.mailer.mail_id(each.letter.key))

    def settle(self, opened: Opened, call: Invocation) -> None:
        """Settle one message.

        Raises:
            QueueUnavailable: the message could not be settled in any way; it has to come again.
        """
        message, letter = opened.message, opened.letter
        if opened.error is not None:
            raise opened.error
        if opened.settlement is not None:
            self._prove(opened.settlement, call.now())
        elif opened.reason or letter is None:
            self._reject(message, opened.reason, opened.problems, call)
        elif letter.goes_as_many:
            self._separate(letter, message, call)
        else:
            self._send(letter, opened, call)

    def _separate(self, letter: Letter, message: QueueMessage, call: Invocation) -> None:
        """Put a letter for each recipient on the queue, under the key that stands for them."""
        if not self._register(letter, message, call):
            return
        for part in fan_out(letter):
            self.queues.put_back(part, 0)
        log.info("mail.separated", key_mail_id=self.mailer.mail_id(letter.key),
                 mails=len(letter.mail.to))  # fmt: skip

    def _register(self, letter: Letter, message: QueueMessage, call: Invocation) -> bool:
        """Write down what the key of a `separate` mail stands for; False where it is taken."""
        try:
            known = self.mailer.notes.register(letter, call.now())
        except LedgerUnavailable:
            self.queues.put_back(letter, SHORT_WAIT)
            return False
        if not known:
            self._reject(message, "other-payload", (other_payload(letter.key),), call)
        return known

    def _send(self, letter: Letter, opened: Opened, call: Invocation) -> None:
        result = self.mailer.attempt(letter, call, outgoing=opened.outgoing, new=opened.new)
        for _ in range(RACES_MAX):
            if result.kind != "race":
                break
            result = self.mailer.attempt(letter, call, outgoing=opened.outgoing)
        try:
            self._follow(result, letter, opened.message, call)
        except QueueUnavailable:
            # This very message comes again, and carries the mail on.
            if result.kind in NOT_SENT:
                self.custody.release(result, "waiting", letter.custody, call.now())
            raise
        log_result(result, letter)

    def _follow(
        self, result: Result, letter: Letter, message: QueueMessage, call: Invocation
    ) -> None:
        """What is rejected is told so first; then the mail goes where its result sends it."""
        if result.kind == "other-payload":
            self._reject(message, "other-payload", (other_payload(letter.key),), call)
        elif result.kind == "refused" and not perhaps_sent_before(result):
            self._reject(message, "refused-by-provider", (refusal_of(result),), call)
        self.custody.follow(result, letter, call)

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

    def _reject(
        self,
        message: QueueMessage,
        reason: str,
        problems: Sequence[Problem],
        call: Invocation,
    ) -> None:
        identity = f"{message.id}/{fingerprint(message.body)}"
        if self.mailer.notes.is_rejected(identity):
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
        self.mailer.notes.rejected(identity, reason, call.now())
        log.warning("mail.rejected", message_id=message.id, reason=reason,
                    problems=[place_in_log(each) for each in problems[:5]])  # fmt: skip
