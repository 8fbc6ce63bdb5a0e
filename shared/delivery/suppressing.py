"""What DirectMail reports, as suppressions: which fact suppresses whom, and where.

| fact | suppresses | scope |
|---|---|---|
| a permanent bounce | the address: there is no such mailbox, whoever writes | the account |
| a complaint | the person: another mail of ours would be the next complaint | the account |
| an unsubscription | the person, for what was unsubscribed from | as the mail's filter level says |
| a resubscription | nobody; it lifts unsubscriptions of that mail's scopes | |

A bounce that is temporary, or the sender's own fault, suppresses nobody. Only a fact that is joined
to a mail of ours counts: the event bus is shared, and what others sent is not ours to judge.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

import structlog

from shared.delivery.facts import DeliveryFact
from shared.sending.scopes import ACCOUNT, kind_of, scopes_of, unsubscribe_scope
from shared.sending.suppress import BOUNCE, COMPLAINT, UNSUBSCRIBE, SuppressionList
from shared.stores.ledger import MailRecord
from shared.stores.suppressions import Cause
from shared.values import dataclass

log = structlog.get_logger("postbus.delivery")

# Permanent bounces by which DirectMail says that it did not even try, because of what the person
# once did: reasons of `reasons.py` -> ours.
_REFUSED_BY_PERSON = {"complaint": COMPLAINT, "unsubscribed": UNSUBSCRIBE}


class Suppressor(Protocol):
    """Takes facts that were written down as evidence."""

    def note(self, fact: DeliveryFact, mail: MailRecord | None, now: int) -> None:
        """Suppress or lift what the fact asks for; raises `LedgerUnavailable`."""
        ...


@dataclass(frozen=True)
class Suppressing:
    """Suppresses by facts.

    Args:
        suppressions: the list they go to.
    """

    suppressions: SuppressionList

    def note(self, fact: DeliveryFact, mail: MailRecord | None, now: int) -> None:
        """Suppress or lift what the fact asks for; the same again changes nothing.

        Args:
            fact: what was reported.
            mail: the mail that it is joined to; None changes nothing.
            now: ms since 1970.

        Raises:
            LedgerUnavailable: the store did not answer; the fact has to come again.
        """
        sender = mail.sender or fact.sender if mail is not None else None
        if mail is None or not fact.recipient or not sender:
            return
        reason = reason_of(fact)
        if reason is not None:
            level = mail.unsubscribe_filter
            scope = unsubscribe_scope(sender, level) if reason == UNSUBSCRIBE else ACCOUNT
            cause = Cause(
                reason,
                _happened(fact, now),
                detail=fact.reason or "",
                source=fact.event_id,
            )
            self.suppressions.suppress(self.suppressions.who(fact.recipient), scope, cause)
            log.info(
                "recipient.suppressed", mail_id=mail.mail_id, reason=reason, scope=kind_of(scope)
            )
        elif fact.state == "resubscribed":
            self._lift(fact.recipient, sender, mail, fact, _happened(fact, now))

    def _lift(
        self, recipient: str, sender: str, mail: MailRecord, fact: DeliveryFact, at: int
    ) -> None:
        who = self.suppressions.who(recipient)
        usual = unsubscribe_scope(sender, mail.unsubscribe_filter)
        self.suppressions.note_lifted(who, usual, UNSUBSCRIBE, at, fact.event_id)
        for scope in scopes_of(sender):
            if scope != usual:
                self.suppressions.lift(who, scope, UNSUBSCRIBE, at)
        log.info("recipient.resubscribed", mail_id=mail.mail_id)


def reason_of(fact: DeliveryFact) -> str | None:
    """Why a fact suppresses its recipient; None where it does not."""
    if fact.state == "bounced" and fact.bounce == "permanent":
        return _REFUSED_BY_PERSON.get(fact.reason or "", BOUNCE)
    return {"complained": COMPLAINT, "unsubscribed": UNSUBSCRIBE}.get(fact.state)


def _happened(fact: DeliveryFact, now: int) -> int:
    """When, in ms since 1970; never in the future, where it would win over what is to come."""
    if fact.occurred_at is None:
        return now
    moment = datetime.fromisoformat(fact.occurred_at.replace("Z", "+00:00"))
    return min(int(moment.timestamp() * 1000), now)
