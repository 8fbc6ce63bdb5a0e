"""Custody: where a mail is safe until it is final, by what its attempt ended in.

The queue first, the ledger after it: whoever dies in between leaves a copy too many, which the
ledger knows to be old, and never a mail that nobody carries.
"""

from __future__ import annotations

from collections.abc import Callable

from shared.sending.announce import Announcer
from shared.sending.backoff import delay_after, given_up
from shared.sending.letters import REDRIVE_STEP, Letter, Note, Settlement
from shared.sending.mailer import Mailer
from shared.sending.queues import MailQueues
from shared.sending.results import Result
from shared.triggers.context import Invocation
from shared.values import dataclass

# How long a copy waits when it cannot even find out where its mail stands. In ms.
SHORT_WAIT = 5_000
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
# Results that are final, written down already, and announced.
ENDS = frozenset({"sent", "expired", "suppressed"})


@dataclass(frozen=True)
class Custody:
    """Brings mails where their results send them.

    Args:
        mailer: whose results these are.
        queues: where letters go.
        announcer: publishes states.
        chance: gives random numbers from 0 to 1.
    """

    mailer: Mailer
    queues: MailQueues
    announcer: Announcer
    chance: Callable[[], float]

    def follow(self, result: Result, letter: Letter, call: Invocation) -> None:
        """Bring the mail where its result sends it; what is rejected goes elsewhere.

        Raises:
            QueueUnavailable: it could not be brought there.
        """
        kind, now = result.kind, call.now()
        if kind in ENDS:
            self._finish(result, kind, now)
        elif kind == "refused":
            self._refuse(result, letter, now)
        elif kind in ("throttled", "quota", "unavailable"):
            self._try_again(result, letter, now)
        elif kind == "unknown":
            self.queues.put_back(letter.next(Note(now, kind, result.code)), self.mailer.grace)
            self._announce(result, "unknown", now)
            self.release(result, "unknown", letter.custody + 1, now)
        elif kind in BURIED:
            self._bury(result, letter, BURIED[kind], now)
        elif kind in COMES_BACK:
            self._come_back(result, letter, now)
        elif kind == "finished" and result.record and result.record.state in ENDS:
            # These are written down before they are announced. The first delivery may have died
            # in between, or found the topic down; the repeated event has the same id.
            self._announce(result, result.record.state, result.record.updated_at)
        self._announce_taken_out(result, now)

    def release(self, result: Result, state: str, custody: int, now: int) -> None:
        """Give the claim up: the mail is safe elsewhere."""
        if result.record is not None:
            # Whoever carried it before: from now on a queue does, be it the dead letters'.
            self.mailer.settling.release(
                result.record,
                state,
                custody=custody,
                reason=result.code,
                now=now,
                carrier="queue",
            )

    def _refuse(self, result: Result, letter: Letter, now: int) -> None:
        if perhaps_sent_before(result):
            self._bury(result, letter, "held", now)
            return
        self._announce(result, "refused", now)
        self.release(result, "refused", letter.custody, now)

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

    def _announce(self, result: Result, state: str, now: int) -> None:
        if result.record is not None:
            self.announcer.announce(result.record, state, result.code or None, now)

    def _announce_taken_out(self, result: Result, now: int) -> None:
        """Whom the mail does not go to; a later copy says it again, under the same ids."""
        if result.record is not None and result.kind not in COMES_BACK:
            for out in result.taken_out:
                self.announcer.announce_taken_out(result.record, out, now)

    def _try_again(self, result: Result, letter: Letter, now: int) -> None:
        record = result.record
        attempt = record.attempt if record else 1
        if given_up(result.kind, attempt=attempt, age=now - letter.first_seen):
            state = "held" if perhaps_sent_before(result) else "failed"
            self._bury(result, letter, state, now)
            return
        if result.kind == "quota":
            self.mailer.notes.alarm("quota", result, now)
        delay = delay_after(
            result.kind,  # type: ignore[arg-type]  # the three verdicts that `follow` sends here
            result.answer,
            attempt=attempt,
            now=now,
            chance=self.chance(),
            zone_offset=self.mailer.quota_zone,
        )
        self.queues.put_back(letter.next(Note(now, result.kind, result.code)), delay)
        self.release(result, "waiting", letter.custody + 1, now)

    def _bury(self, result: Result, letter: Letter, state: str, now: int) -> None:
        self.queues.bury(letter.next(Note(now, state, result.code), step=REDRIVE_STEP))
        if state == "parked":
            self.mailer.notes.alarm("misconfigured", result, now)
        else:
            self._announce(result, state, now)
        # The row keeps this copy's number: the buried one's is higher, and may try again.
        self.release(result, state, letter.custody, now)


def perhaps_sent_before(result: Result) -> bool:
    """Whether an earlier call may have been accepted, so that "not sent" is said too soon."""
    return result.record is not None and result.record.resent > 0
