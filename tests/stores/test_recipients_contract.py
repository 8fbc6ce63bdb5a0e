"""Forgetting a recipient, in a file and in Tablestore alike."""

from __future__ import annotations

import pytest

from shared.stores.ledger import DeliveryRecord, Ledger
from shared.stores.recipients import Recipients
from shared.stores.sqlite.ledger import SqliteLedger
from shared.stores.sqlite.recipients import SqliteRecipients
from shared.stores.tablestore.ledger import TablestoreLedger
from shared.stores.tablestore.recipients import TablestoreRecipients

NOON = 1_795_348_800_000
ADA, BOB = "ada@example.net", "bob@example.net"


@pytest.fixture
def recipients(ledger: Ledger) -> Recipients:
    """The store beside a ledger in which two people have got two mails each."""
    for mail in ("mail-1", "mail-2"):
        for who in ("Ada@Example.net", BOB):
            for state in ("delivered", "opened"):
                ledger.record_delivery(DeliveryRecord(mail, who, 1, state, NOON))
    for who in (ADA, BOB):
        ledger.sight("shop@example.com", who, NOON)
    if isinstance(ledger, SqliteLedger):
        return SqliteRecipients(ledger.database)
    assert isinstance(ledger, TablestoreLedger)
    return TablestoreRecipients(ledger.tables)


def known(ledger: Ledger) -> dict[str, int]:
    """How many rows of states each person has."""
    rows = [d.recipient.lower() for mail in ("mail-1", "mail-2") for d in ledger.deliveries(mail)]
    return {who: rows.count(who) for who in (ADA, BOB)}


def test_one_is_erased_and_no_other(ledger: Ledger, recipients: Recipients) -> None:
    """Every row of the address goes, however it is spelled; everybody else's stays."""
    erased = recipients.erase(ADA.upper(), "", lambda: True)
    assert (erased.rows, erased.following) == (5, "")
    assert known(ledger) == {ADA: 0, BOB: 4}
    assert ledger.sighted_at("shop@example.com", ADA) == 0
    assert ledger.sighted_at("shop@example.com", BOB) == NOON


def test_again_erases_nothing(recipients: Recipients) -> None:
    """What is gone is not there to be erased."""
    recipients.erase(ADA, "", lambda: True)
    assert recipients.erase(ADA, "", lambda: True).rows == 0


def test_in_parts(ledger: Ledger, recipients: Recipients) -> None:
    """Work that is cut off goes on where it was, and comes to its end."""
    rows, following, parts = 0, "", 0
    while not parts or following:
        left = iter([True] * 3)
        erased = recipients.erase(ADA, following, lambda left=left: next(left, False))  # type: ignore[misc]  # bound now
        rows, following, parts = rows + erased.rows, erased.following, parts + 1
        assert parts < 50
    assert rows == 5
    assert known(ledger) == {ADA: 0, BOB: 4}
