"""Forwarding hands facts of our mails to the suppressor, between evidence and event."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from shared.delivery.facts import DeliveryFact
from shared.delivery.forward import LEDGER_PAUSE
from shared.delivery.suppressing import reason_of
from shared.errors import LedgerUnavailable
from shared.stores.ledger import MailRecord
from tests.delivery.conftest import MemoryLedger, Way

Document = Callable[..., dict[str, Any]]


@dataclass
class Suppressor:
    """Remembers what it is told, and how much evidence there was then."""

    ledger: MemoryLedger
    down: bool = False
    noted: list[tuple[str, str, int]] = field(default_factory=list)
    facts: list[DeliveryFact] = field(default_factory=list)

    def note(self, fact: DeliveryFact, mail: MailRecord | None, now: int) -> None:
        """See `Suppressor.note`."""
        assert now > 0
        if self.down:
            raise LedgerUnavailable("the list is down")
        assert mail is not None
        self.facts.append(fact)
        self.noted.append((fact.state, mail.mail_id, len(self.ledger.states)))


@pytest.fixture
def suppressor(ledger: MemoryLedger) -> Suppressor:
    """One that works."""
    return Suppressor(ledger)


def run(way: Way, suppressor: Suppressor, event: Any) -> dict[str, int]:
    """Forward one event."""
    return way.run(event, replace(way.forwarder(), suppressor=suppressor))


def test_a_fact_of_our_mail_is_noted_after_its_evidence(
    way: Way, suppressor: Suppressor, document: Document, mail: MailRecord
) -> None:
    """The suppressor sees the fact, the mail it is joined to, and the evidence written down."""
    assert run(way, suppressor, document()) == {"delivered": 1}
    assert suppressor.noted == [("delivered", mail.mail_id, 1)]


def test_a_repeat_is_not_noted_again(way: Way, suppressor: Suppressor, document: Document) -> None:
    """What is known to have gone out was noted before."""
    run(way, suppressor, document())
    assert run(way, suppressor, document()) == {"repeated": 1}
    assert len(suppressor.noted) == 1


def test_a_second_report_of_a_bounce_may_be_the_one_that_suppresses(
    way: Way, suppressor: Suppressor, document: Document
) -> None:
    """The bounce goes out once; that the address is gone for good counts whenever it is told."""
    first, second = (
        {**document(failed_type=why, status="4", err_code=code), "type": "dm:Deliver:Fail", "id": n}
        for n, why, code in (("1", "SysOutConnError", "421"), ("2", "SmtpNxBox", "550"))
    )
    assert run(way, suppressor, first) == {"bounced": 1}
    assert run(way, suppressor, second) == {"repeated": 1}
    assert run(way, suppressor, first) == {"repeated": 1}
    assert [reason_of(fact) for fact in suppressor.facts] == [None, "bounce"]


def test_no_foreign_event_is_noted(
    way: Way, suppressor: Suppressor, document: Document, mail: MailRecord
) -> None:
    """Neither another environment's, nor one of no mail of ours, even if it may be forwarded."""
    way = replace(way, unmatched="forward")
    foreign = {"X-User-Notify-Postbus": f"v1.production.{mail.mail_id}.1"}
    unknown = {"X-User-Notify-Postbus": f"v1.local.{'a' * 26}.1"}
    run(way, suppressor, document(header=foreign))
    run(way, suppressor, document(header=unknown, env_id="1"))
    run(way, suppressor, document(header=None, env_id="2", msg_id="x@y.example"))
    assert suppressor.noted == []


def test_a_list_that_is_down_lets_the_event_wait(
    way: Way, suppressor: Suppressor, document: Document
) -> None:
    """A bounce that could not suppress is not published either: it comes again."""
    suppressor.down = True
    assert run(way, suppressor, document()) == {"deferred": 1}
    assert way.post.messages == []
    ((event, delay),) = way.post.deferred
    assert (json.loads(event)["type"], delay) == ("dm:Deliver:Succeed", LEDGER_PAUSE)
    suppressor.down = False
    assert run(way, suppressor, json.loads(event)) == {"delivered": 1}
