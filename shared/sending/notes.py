"""What is written into the ledger beside the claims: alarms, rejects, keys that stand for many."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import field

import structlog

from shared.errors import LedgerUnavailable
from shared.sending.identity import PART_MARK, mail_id_of
from shared.sending.letters import Letter
from shared.sending.results import Result
from shared.sending.unknowns import NOTE_EVERY
from shared.stores.ledger import Channel, Ledger, MailRecord
from shared.values import dataclass

log = structlog.get_logger("postbus.sending")

HOUR = 3_600_000
# The key of what is known about a rejected message; no user's key has the mark.
_REJECTED = f"rejected{PART_MARK}"


@dataclass(frozen=True)
class Notes:
    """Writes down what is worth remembering, and never stands in a mail's way.

    Args:
        ledger: the store.
        environment: part of every mail id.
        keep: how long records are kept, in ms.
    """

    ledger: Ledger
    environment: str
    keep: int
    _noted: dict[str, int] = field(default_factory=dict)

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
        mail_id = mail_id_of(self.environment, _REJECTED + identity)
        try:
            return self.ledger.get(mail_id) is not None
        except LedgerUnavailable:
            return False

    def rejected(self, identity: str, reason: str, now: int) -> None:
        """Remember that a message is on the reject queue, so that it goes there once."""
        key = _REJECTED + identity
        record = MailRecord(
            mail_id=mail_id_of(self.environment, key),
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
        mail_id, payload = mail_id_of(self.environment, letter.key), letter.payload
        record = MailRecord(
            mail_id=mail_id,
            key=letter.key,
            state="accepted",
            payload=payload,
            notify=letter.mail.notify,
            **letter.trace,
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

    def sent(self, claim: MailRecord) -> None:
        """Remember that this sender's mail was accepted: its event is to be expected."""
        sender = (claim.sender or "").lower()
        if claim.attempted_at < self._noted.get(sender, 0) + NOTE_EVERY:
            return
        with suppress(LedgerUnavailable):
            self.ledger.note_channel(sender, Channel(sent_at=claim.attempted_at))
            self._noted[sender] = claim.attempted_at
