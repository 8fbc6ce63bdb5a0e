"""Which mail an event is about, and what the ledger learns from it."""

from __future__ import annotations

from dataclasses import field

from shared.delivery.clean import attempt_of
from shared.delivery.facts import DeliveryFact
from shared.delivery.states import VALIDATED
from shared.schema.limits import ADDRESS_MAX
from shared.sending.unknowns import NOTE_EVERY
from shared.stores.ledger import Channel, DeliveryRecord, Ledger, MailRecord
from shared.values import dataclass


@dataclass(frozen=True)
class Joining:
    """Finds mails and writes evidence down. Every method raises `LedgerUnavailable`.

    Args:
        ledger: where mails are known.
        environment: ours.
    """

    ledger: Ledger
    environment: str
    _noted: dict[str, int] = field(default_factory=dict)

    def is_foreign(self, fact: DeliveryFact) -> bool:
        """Whether the event says that it is of another environment's mail."""
        return fact.token is not None and fact.token.environment != self.environment

    def find(self, fact: DeliveryFact) -> MailRecord | None:
        """The mail: by our own header, else by DirectMail's id, else by the Message-ID.

        A token without an attempt is the one that a Message-ID tells; complaints have no other.
        DirectMail's id goes before it: of a mail that was sent under a Message-ID of the sender's
        own there is no other way, and both lead to the same mail where there are both.
        """
        token = fact.token
        if token is not None and token.attempt is not None:
            return self.ledger.get(token.mail_id)
        if fact.envelope_id:
            found = self.ledger.find_by_envelope_id(fact.envelope_id)
            if found is not None:
                return found
        return self.ledger.get(token.mail_id) if token is not None else None

    def write_down(self, fact: DeliveryFact, mail: MailRecord, now: int) -> MailRecord:
        """Record evidence and the recipient's state; returns the row as it is then.

        Whatever was reported of whichever recipient, the provider must have had the mail: that
        proves the send. A state that is known already is no second one.
        """
        # A complaint says nothing of the call: its id is the complaint's own or none.
        proven = self.ledger.prove(
            mail.mail_id, envelope_id=fact.envelope_id, request_id=None, evidence="event", at=now
        )
        mail = proven or mail
        attempt = attempt_of(fact, mail)
        recipient = folded(fact.recipient)
        self.ledger.record_delivery(
            DeliveryRecord(mail.mail_id, recipient, attempt, fact.state, now)
        )
        self._note_channel(mail, attempt)
        return mail

    def sight(self, fact: DeliveryFact, now: int) -> None:
        """An event of no mail that we know: somebody wrote to that recipient."""
        if fact.sender and fact.recipient and fact.state != VALIDATED:
            self.ledger.sight(folded(fact.sender), folded(fact.recipient), now)

    def may_be_ours(self, fact: DeliveryFact) -> bool:
        """Whether its mail may only not be known yet: an EnvId, and a sender that we send from.

        The answer of the send, which tells the EnvId, may come after the event.
        """
        if not fact.envelope_id or not fact.sender:
            return False
        sender = folded(fact.sender)
        # A mail may be sent from a domain alone.
        names = (sender, sender.rpartition("@")[2])
        return any(self.ledger.channel(name).sent_at > 0 for name in names)

    def _note_channel(self, mail: MailRecord, attempt: int) -> None:
        # The row knows when its latest attempt was made; an earlier one's event is no sign of it.
        sender = folded(mail.sender)
        if attempt != mail.attempt or mail.attempted_at < self._noted.get(sender, 0) + NOTE_EVERY:
            return
        self.ledger.note_channel(sender, Channel(proven_at=mail.attempted_at))
        self._noted[sender] = mail.attempted_at


def folded(address: str | None) -> str:
    """An address as a key of the ledger: without case, and no longer than an address can be.

    What an event has in an address's place may be anything, and a store may refuse long keys.
    """
    return (address or "").lower()[:ADDRESS_MAX]
