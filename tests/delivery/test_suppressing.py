"""Which fact suppresses whom, and where; and that nothing foreign does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shared.delivery.facts import DeliveryFact
from shared.delivery.suppressing import Suppressing, reason_of
from shared.sending.identity import MailToken
from shared.sending.suppress import SuppressionList
from shared.stores.ledger import MailRecord
from shared.stores.sqlite.database import Database
from shared.stores.sqlite.suppressions import SqliteSuppressions
from shared.times import rfc3339

NOON = 1_795_348_800_000
ADA = "Ada@example.net"
MAIL = MailRecord("m", "k", "sent", sender="news@example.com", attempt=1)
FACT = DeliveryFact("acs.dm/1", "bounced", ADA, MailToken("test", "m", 1), bounce="permanent",
                    reason="mailbox-not-found", occurred_at=rfc3339(NOON - 5_000))  # fmt: skip


@pytest.fixture
def suppressing(tmp_path: Path) -> Iterator[Suppressing]:
    """One with an empty list."""
    database = Database(tmp_path / "list.db")
    yield Suppressing(SuppressionList(SqliteSuppressions(database), b"k" * 32))
    database.close()


def noted(suppressing: Suppressing) -> list[tuple[str, str]]:
    """Scope and reason of everything that suppresses Ada now."""
    rows = suppressing.suppressions.of(suppressing.suppressions.who(ADA))
    return [(row.scope, cause.reason) for row in rows for cause in row.active(NOON)]


@pytest.mark.parametrize(
    ("fields", "level", "expected"),
    [
        ({}, None, [("account", "bounce")]),
        ({"reason": "suppressed-by-provider"}, None, [("account", "bounce")]),
        ({"reason": "complaint"}, None, [("account", "complaint")]),
        ({"reason": "unsubscribed"}, None, [("news@example.com", "unsubscribe")]),
        ({"bounce": "temporary"}, None, []),
        ({"bounce": "sender-side", "reason": "content-spam"}, None, []),
        ({"state": "complained", "bounce": None}, None, [("account", "complaint")]),
        ({"state": "unsubscribed", "bounce": None}, None, [("news@example.com", "unsubscribe")]),
        ({"state": "unsubscribed", "bounce": None}, "edm_id", [("account", "unsubscribe")]),
        (
            {"state": "unsubscribed", "bounce": None},
            "mailfrom_domain",
            [("@example.com", "unsubscribe")],
        ),
        ({"state": "resubscribed", "bounce": None}, None, []),
        *(
            ({"state": state, "bounce": None}, None, [])
            for state in ("delivered", "opened", "clicked", "validated")
        ),
    ],
)
def test_what_suppresses(
    suppressing: Suppressing, fields: dict[str, Any], level: str | None, expected: list[Any]
) -> None:
    """Permanent bounces and complaints do for the account, unsubscriptions where they count."""
    mail = replace(MAIL, unsubscribe_filter=level)
    suppressing.note(replace(FACT, **fields), mail, NOON)
    assert noted(suppressing) == expected


@pytest.mark.parametrize(
    ("fact", "mail"),
    [
        (FACT, None),
        (replace(FACT, recipient=None), MAIL),
        (replace(FACT, sender=None), replace(MAIL, sender=None)),
    ],
    ids=["no mail of ours", "no recipient", "no sender"],
)
def test_what_belongs_to_nobody(
    suppressing: Suppressing, fact: DeliveryFact, mail: MailRecord | None
) -> None:
    """A fact that is not joined to a mail of ours, or names nobody, suppresses nobody."""
    suppressing.note(fact, mail, NOON)
    assert suppressing.suppressions.store.page(None, 10) == []


def test_what_is_kept_of_it(suppressing: Suppressing) -> None:
    """When it happened, DirectMail's reason in our words, and which event told it."""
    suppressing.note(FACT, MAIL, NOON)
    (row,) = suppressing.suppressions.store.page(None, 10)
    (cause,) = row.causes
    assert (cause.at, cause.detail, cause.source) == (NOON - 5_000, "mailbox-not-found", "acs.dm/1")
    assert row.address == "ada@example.net"


def test_repeats_change_nothing(suppressing: Suppressing) -> None:
    """The same fact again leaves the very row that is there."""
    suppressing.note(FACT, MAIL, NOON)
    (row,) = suppressing.suppressions.store.page(None, 10)
    suppressing.note(FACT, MAIL, NOON + 1)
    (again,) = suppressing.suppressions.store.page(None, 10)
    assert (again, again.stamp) == (row, row.stamp)


@pytest.mark.parametrize("level", [None, "mailfrom_domain", "edm_id"])
def test_resubscribing_lifts(suppressing: Suppressing, level: str | None) -> None:
    """Who subscribes again is written to again, whatever scope the unsubscription was of."""
    mail = replace(MAIL, unsubscribe_filter=level)
    suppressing.note(replace(FACT, bounce=None, state="unsubscribed"), mail, NOON)
    assert noted(suppressing) != []
    later = replace(FACT, bounce=None, state="resubscribed", occurred_at=rfc3339(NOON - 1_000))
    suppressing.note(later, MAIL, NOON)
    assert noted(suppressing) == []


def test_within_a_second_the_order_of_arrival_counts(suppressing: Suppressing) -> None:
    """DirectMail tells whole seconds: of two in the same one, what comes last holds."""
    for state, expected in (("unsubscribed", 1), ("resubscribed", 0), ("unsubscribed", 1)):
        suppressing.note(replace(FACT, state=state, bounce=None), MAIL, NOON)
        assert len(noted(suppressing)) == expected


def test_resubscribing_lifts_nothing_else(suppressing: Suppressing) -> None:
    """A mailbox that is not there is not there for subscribers either."""
    suppressing.note(FACT, MAIL, NOON)
    suppressing.note(replace(FACT, state="complained", bounce=None), MAIL, NOON)
    again = replace(FACT, state="resubscribed", bounce=None, occurred_at=rfc3339(NOON))
    suppressing.note(again, MAIL, NOON)
    assert noted(suppressing) == [("account", "bounce"), ("account", "complaint")]


def test_an_unsubscription_that_comes_late(suppressing: Suppressing) -> None:
    """One that happened before the resubscription, and is told after it, does not count."""
    early = replace(FACT, state="unsubscribed", bounce=None)
    late = replace(FACT, state="resubscribed", bounce=None, occurred_at=rfc3339(NOON))
    suppressing.note(late, MAIL, NOON)
    suppressing.note(early, MAIL, NOON)
    assert noted(suppressing) == []
    suppressing.note(replace(early, occurred_at=rfc3339(NOON + 1)), MAIL, NOON + 1)
    assert noted(suppressing) == [("news@example.com", "unsubscribe")]


@pytest.mark.parametrize("told", [None, rfc3339(NOON + 3_600_000)])
def test_the_time_of_a_fact(suppressing: Suppressing, told: str | None) -> None:
    """One without a time, or from the future, happened now, and wins over nothing to come."""
    suppressing.note(replace(FACT, occurred_at=told), MAIL, NOON)
    (row,) = suppressing.suppressions.store.page(None, 10)
    assert row.causes[0].at == NOON


def test_every_state_is_judged() -> None:
    """A bounce without a class suppresses nobody: it may be temporary."""
    assert reason_of(replace(FACT, bounce=None)) is None
