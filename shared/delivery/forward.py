"""An event on its way out: joined to its mail, written down as evidence, published clean.

    read ─► foreign? ─► joined ─► repeated? ─► evidence ─► clean ─► sinks ─► recorded

An event is recorded after it was published, so that a crash between the two repeats it under the
same id instead of losing it; one that is recorded is dropped when it comes again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import field
from functools import cached_property
from typing import Any, Literal

import structlog

from shared.delivery.clean import clean_event, event_id, unread_event
from shared.delivery.facts import DeliveryFact, Unrecognised
from shared.delivery.joining import Joining
from shared.delivery.outgoing import Outgoing
from shared.delivery.outlet import RESERVE, Outlet
from shared.delivery.post import Shelf
from shared.delivery.read import read_event
from shared.delivery.sink_letters import (
    ReplayedEvent,
    SinkLetter,
    WaitingEvent,
    fitting_event,
    read_own_letter,
)
from shared.delivery.suppressing import Suppressor
from shared.errors import LedgerUnavailable, QueueUnavailable
from shared.schema.mail_event import MailEvent
from shared.sending.letters import compact
from shared.stores.ledger import Ledger, MailRecord
from shared.triggers.context import Invocation
from shared.triggers.events import ArrivedEvent
from shared.values import dataclass

log = structlog.get_logger("postbus.delivery")

# How long an event waits when the ledger does not answer. In ms.
LEDGER_PAUSE = 30_000
# How long an event waits for its mail, each time that it is not known yet. In ms.
MAIL_PAUSES = (30_000, 120_000, 600_000)

Unmatched = Literal["drop", "forward"]


@dataclass(frozen=True)
class Forwarder:
    """Turns what DirectMail reports into clean events.

    Args:
        ledger: where mails are looked up and evidence is kept.
        outlet: publishes, and knows what was published.
        shelf: keeps what has to wait.
        environment: ours; events of another one are not for us.
        source: the CloudEvents `source` of what is published.
        unmatched: what becomes of events that belong to no mail of Postbus's.
        suppressor: takes bounces, complaints and unsubscriptions as suppressions.
    """

    ledger: Ledger
    outlet: Outlet
    shelf: Shelf
    environment: str
    source: str
    unmatched: Unmatched = "drop"
    suppressor: Suppressor | None = None

    @cached_property
    def joining(self) -> Joining:
        """Finds mails and writes evidence down."""
        return Joining(self.ledger, self.environment)

    def forward_all(self, arrived: Sequence[ArrivedEvent], call: Invocation) -> Counter[str]:
        """Forward each event; returns how many ended in what.

        Raises:
            QueueUnavailable: an event is not safe anywhere; the whole batch comes again.
        """
        batch, stuck = _Batch(), None
        for event in arrived:
            try:
                batch.ends[self._take(event, batch, call)] += 1
            except QueueUnavailable as error:
                stuck = error  # the batch comes again for its sake; the others go out all the same
        budget = max(0, call.remaining() - RESERVE)
        self.outlet.send(list(batch.events.values()), budget, batch.letters)
        for told in batch.told:
            log.info("event.forwarded", **told)
        if stuck is not None:
            raise stuck
        return batch.ends

    def _take(self, arrived: ArrivedEvent, batch: _Batch, call: Invocation) -> str:
        """Make one arrival ready to go out; the word for its end."""
        letter, tries = read_own_letter(arrived.document), 0
        if isinstance(letter, SinkLetter):
            batch.letters.append(letter)
            return "retried"
        if isinstance(letter, ReplayedEvent):
            sinks = self.outlet.routing.sinks_of(letter.event)
            batch.letters += [SinkLetter(sink, letter.event) for sink in sinks]
            return "replayed"
        if isinstance(letter, WaitingEvent):
            arrived, tries = ArrivedEvent(dict(letter.event), b"", arrived.id), letter.tries
        fact = read_event(arrived)
        if isinstance(fact, Unrecognised):
            return self._take_unread(fact, batch, call)
        try:
            return self._take_fact(fact, tries, batch, call)
        except LedgerUnavailable as error:
            # The event is evidence: it waits until it can be written down.
            self.shelf.defer(compact(fitting_event(fact.raw)), LEDGER_PAUSE)
            log.warning("event.deferred", event_id=fact.event_id, error=str(error))
            return "deferred"

    def _take_fact(self, fact: DeliveryFact, tries: int, batch: _Batch, call: Invocation) -> str:
        if self.joining.is_foreign(fact):
            log.info("event.foreign", event_id=fact.event_id)
            return "foreign"
        mail = self.joining.find(fact)
        expected = event_id(fact, mail)
        if self._is_repeated(expected, batch):
            # The bounce is known, but perhaps from a report that did not say it was for good.
            if fact.permanent:
                self._suppress(fact, mail, call.now())
            return "repeated"
        if mail is not None:
            mail = self.joining.write_down(fact, mail, call.now())
            self._suppress(fact, mail, call.now())
        elif fact.token is None and (end := self._without_mail(fact, tries, call.now())):
            return end
        event = clean_event(fact, mail, source=self.source, now=call.now())
        # Writing it down may have told which attempt it was.
        if event.id != expected and self._is_repeated(event.id, batch):
            return "repeated"
        batch.add(event, envelope_id=fact.envelope_id, matched=mail is not None)
        return fact.state

    def _suppress(self, fact: DeliveryFact, mail: MailRecord | None, now: int) -> None:
        if mail is not None and self.suppressor is not None:
            self.suppressor.note(fact, mail, now)

    def _take_unread(self, unread: Unrecognised, batch: _Batch, call: Invocation) -> str:
        event = unread_event(unread, source=self.source, now=call.now())
        with suppress(LedgerUnavailable):  # it is no evidence, so it does not wait
            if self._is_repeated(event.id, batch):
                return "repeated"
        batch.add(event, envelope_id=None, matched=False)
        log.warning("event.unrecognised", id=event.id, why=unread.why)
        return "unrecognised"

    def _is_repeated(self, identity: str, batch: _Batch) -> bool:
        return identity in batch.events or self.outlet.events.knows(identity)

    def _without_mail(self, fact: DeliveryFact, tries: int, now: int) -> str:
        """What becomes of an event whose mail is not known; nothing where it goes on."""
        if not tries:
            self.joining.sight(fact, now)
        waits = tries < len(MAIL_PAUSES) and isinstance(fact.raw, dict)
        if waits and self.joining.may_be_ours(fact):
            self.shelf.retry(WaitingEvent(fact.raw, tries + 1).body(), MAIL_PAUSES[tries])
            return "waiting"
        if self.unmatched == "forward":
            return ""
        log.info("event.unmatched", event_id=fact.event_id, state=fact.state)
        return "unmatched"


@dataclass
class _Batch:
    """What is to go out for one invocation.

    Attributes:
        ends: how many arrivals ended in what.
        events: by their ids.
        letters: what single sinks are to be given again.
        told: what is to be logged of each event, once it is out.
    """

    ends: Counter[str] = field(default_factory=Counter)
    events: dict[str, Outgoing] = field(default_factory=dict)
    letters: list[SinkLetter] = field(default_factory=list)
    told: list[dict[str, Any]] = field(default_factory=list)

    def add(self, event: MailEvent, *, envelope_id: str | None, matched: bool) -> None:
        """Let an event go out."""
        self.events[event.id] = Outgoing.of(event)
        self.told.append(
            {
                "id": event.id,
                "type": event.type,
                "mail_id": event.data.mail_id,
                "envelope_id": envelope_id,
                "matched": matched,
            }
        )
