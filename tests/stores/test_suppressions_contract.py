"""What every store of suppressions keeps, in a file and in Tablestore alike."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from local.twins.tablestore.errors import TablestoreError
from local.twins.tablestore.faults import Fault
from shared.errors import LedgerUnavailable
from shared.stores.ledger import Ledger
from shared.stores.sqlite.ledger import SqliteLedger
from shared.stores.sqlite.suppressions import SqliteSuppressions
from shared.stores.suppressions import LIFTED_KEPT_MS, Cause, Suppression, Suppressions
from shared.stores.tablestore.ledger import TablestoreLedger
from shared.stores.tablestore.sdk import ots
from shared.stores.tablestore.suppressions import TablestoreSuppressions
from tests.stores.conftest import Twin

DAY = 86_400_000
NOON = 1_795_348_800_000
BOUNCE = Cause("bounce", NOON, detail="mailbox-not-found", source="acs:dm/1")
ADA = Suppression("ada", "account", (BOUNCE,), "ada@example.net")


def beside(ledger: Ledger) -> Suppressions:
    """The store of suppressions that lives where the ledger does."""
    if isinstance(ledger, SqliteLedger):
        return SqliteSuppressions(ledger.database)
    assert isinstance(ledger, TablestoreLedger)
    return TablestoreSuppressions(ledger.tables)


@pytest.fixture
def store(ledger: Ledger) -> Suppressions:
    """An empty store."""
    return beside(ledger)


def test_what_is_written_is_found_whole(store: Suppressions) -> None:
    """A row is read as it was written: its causes, its address, and None where there is none."""
    nobody = Suppression("eve", "@example.com", (Cause("manual", NOON, NOON + DAY),), None)
    assert store.swap(None, ADA)
    assert store.swap(None, nobody)
    assert store.find(["ada"], ["account"]) == [ADA]
    assert store.find(["eve"], ["@example.com"]) == [nobody]


def test_a_lookup_reads_every_pair_and_no_other(store: Suppressions) -> None:
    """Of recipients and scopes, exactly the rows come whose pair was asked for."""
    pairs = [(who, scope) for who in ("ada", "bob", "eve") for scope in ("account", "@a", "@b")]
    for who, scope in pairs:
        assert store.swap(None, Suppression(who, scope, (BOUNCE,)))
    found = store.find(["ada", "eve", "nobody"], ["account", "@b", "@c"])
    assert {(each.recipient, each.scope) for each in found} == {
        ("ada", "account"), ("ada", "@b"), ("eve", "account"), ("eve", "@b")}  # fmt: skip


def test_a_lookup_for_a_whole_mail(store: Suppressions) -> None:
    """A mail's 102 recipients in 3 scopes, more than one request takes, are looked up in one go."""
    recipients = [f"reader-{number:03}" for number in range(102)]
    chosen = recipients[::17]
    for who in chosen:
        assert store.swap(None, Suppression(who, "a@example.com", (BOUNCE,)))
    found = store.find(recipients, ["account", "@example.com", "a@example.com"])
    assert sorted(each.recipient for each in found) == chosen


def test_nothing_is_there(store: Suppressions) -> None:
    """An empty store finds nothing and has an empty page."""
    assert store.find(["ada"], ["account"]) == []
    assert store.of("ada") == []
    assert store.page(None, 10) == []


def test_rows_of_one_recipient(store: Suppressions) -> None:
    """All scopes of a recipient are found by the hash alone, in their order."""
    for scope in ("account", "@b", "a@b"):
        store.swap(None, Suppression("ada", scope, (BOUNCE,)))
    store.swap(None, Suppression("adab", "account", (BOUNCE,)))
    assert [each.scope for each in store.of("ada")] == ["@b", "a@b", "account"]


def test_pages_join(store: Suppressions) -> None:
    """Pages of three, one after the other, are all rows once and in order."""
    keys = sorted((f"r{number}", scope) for number in range(5) for scope in ("@a", "account"))
    for who, scope in reversed(keys):
        store.swap(None, Suppression(who, scope, (BOUNCE,)))
    seen: list[tuple[str, str]] = []
    while page := store.page(seen[-1] if seen else None, 3):
        assert len(page) <= 3
        seen += [(each.recipient, each.scope) for each in page]
    assert seen == keys


def test_a_row_is_inserted_once(store: Suppressions) -> None:
    """A row that is there already is not written over by one who did not know of it."""
    other = Suppression("ada", "account", (Cause("manual", NOON),))
    assert store.swap(None, ADA)
    assert not store.swap(None, other)
    assert store.find(["ada"], ["account"]) == [ADA]


def test_only_what_was_read_is_replaced(store: Suppressions) -> None:
    """Of two who read the same row and change it, the second one is told to read again."""
    store.swap(None, ADA)
    (read,) = store.find(["ada"], ["account"])
    first = read.with_cause(Cause("manual", NOON + 1))
    second = read.with_cause(Cause("complaint", NOON + 1))
    assert store.swap(read, first)
    assert not store.swap(read, second)
    assert store.find(["ada"], ["account"]) == [first]


def test_a_deleted_row_is_not_replaced(store: Suppressions) -> None:
    """Who read a row that was purged since, and there is a new one, is told to read again."""
    old = Suppression("ada", "account", (Cause("manual", NOON, NOON + 1),))
    store.swap(None, old)
    (read,) = store.find(["ada"], ["account"])
    assert store.purge(NOON + 2) == 1
    assert not store.swap(read, read.with_cause(BOUNCE))
    store.swap(None, old)
    assert not store.swap(read, read.with_cause(BOUNCE))


def test_at_once_one_wins(opener: Callable[[], Ledger]) -> None:
    """Of eight who insert the same row at the same time, in as many stores, one has done it."""
    stores = [beside(opener()) for _ in range(8)]
    causes = [Cause("manual", NOON + number) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        rows = [Suppression("ada", "account", (cause,)) for cause in causes]
        won = list(pool.map(lambda store, row: store.swap(None, row), stores, rows))
    assert won.count(True) == 1
    assert stores[0].find(["ada"], ["account"]) == [rows[won.index(True)]]


@pytest.mark.parametrize(
    ("causes", "gone"),
    [
        ((Cause("manual", NOON - DAY, expires_at=NOON),), True),
        ((Cause("manual", NOON - DAY, expires_at=NOON + 1),), False),
        ((BOUNCE,), False),
        ((Cause("bounce", NOON - LIFTED_KEPT_MS, lifted=True),), True),
        ((Cause("bounce", NOON - LIFTED_KEPT_MS + 1, lifted=True),), False),
        ((BOUNCE, Cause("manual", NOON - DAY, expires_at=NOON)), False),
        ((Cause("bounce", NOON - DAY, lifted=True), Cause("manual", 1, 2)), False),
    ],
)
def test_purge(store: Suppressions, causes: tuple[Cause, ...], gone: bool) -> None:
    """A row goes when every cause has expired or was lifted long ago, and not before."""
    store.swap(None, Suppression("ada", "account", causes))
    assert store.purge(NOON) == int(gone)
    assert (store.find(["ada"], ["account"]) == []) is gone


def test_it_outlives_its_process(opener: Callable[[], Ledger]) -> None:
    """What one process wrote another one finds."""
    assert beside(opener()).swap(None, ADA)
    assert beside(opener()).find(["ada"], ["account"]) == [ADA]


# --- Tablestore's own ----------------------------------------------------------------------------


@pytest.fixture
def cloud(twin: Twin) -> TablestoreSuppressions:
    """An empty store in Tablestore."""
    return TablestoreSuppressions(twin.ledger(twin.prefix()).tables)


def test_one_request_for_a_mail_with_one_recipient(
    twin: Twin, cloud: TablestoreSuppressions
) -> None:
    """The three scopes of a recipient are one request, and 102 recipients are four."""
    asked: list[str] = []
    twin.store.fault = asked.append
    scopes = ["account", "@example.com", "a@example.com"]
    cloud.find(["ada"], scopes)
    assert asked == ["BatchGetRow"]
    cloud.find([f"reader-{number}" for number in range(102)], scopes)
    assert asked == ["BatchGetRow"] * 5


@pytest.mark.parametrize("kind", ["busy", "down"])
def test_a_lookup_without_an_answer_raises(
    twin: Twin, cloud: TablestoreSuppressions, kind: Any
) -> None:
    """A lookup that got no answer is not an empty one."""
    twin.store.fault = lambda _operation: Fault(kind)
    with pytest.raises(LedgerUnavailable):
        cloud.find(["ada"], ["account"])


def test_a_lookup_that_knows_only_some_rows_raises(
    twin: Twin, cloud: TablestoreSuppressions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where one row of a batch cannot be read, nobody is taken for not suppressed."""
    read = twin.store.row

    def row(instance: str, name: str, key: Any) -> Any:
        if key[1][1] == "@b":
            raise TablestoreError("OTSServerBusy")
        return read(instance, name, key)

    monkeypatch.setattr(twin.store, "row", row)
    with pytest.raises(LedgerUnavailable, match="OTSServerBusy"):
        cloud.find(["ada"], ["account", "@b"])


def test_a_lost_answer_to_a_write_is_found_out(twin: Twin, cloud: TablestoreSuppressions) -> None:
    """A write whose answer was lost is known as done by the stamp of the row."""
    once = [Fault("lost-answer")]
    twin.store.fault = lambda operation: once.pop() if operation == "PutRow" and once else None
    assert cloud.swap(None, ADA)
    (read,) = cloud.find(["ada"], ["account"])
    again = [Fault("lost-answer")]
    twin.store.fault = lambda operation: again.pop() if operation == "UpdateRow" and again else None
    assert cloud.swap(read, read.with_cause(Cause("manual", NOON)))
    (read,) = cloud.find(["ada"], ["account"])
    assert [cause.reason for cause in read.causes] == ["bounce", "manual"]


def test_the_twin_takes_a_hundred_rows_at_once(twin: Twin) -> None:
    """As the service: the hundred and first row of a request is refused, not left out."""
    tables = twin.ledger(twin.prefix()).tables
    keys = [[("recipient", f"r{number}"), ("scope", "account")] for number in range(101)]
    request = ots.BatchGetRowRequest()
    request.add(ots.TableInBatchGetRowItem(f"{tables._prefix}suppressions", keys, max_version=1))
    with pytest.raises(LedgerUnavailable, match="OTSParameterInvalid"):
        tables.client.read(lambda sdk: sdk.batch_get_row(request))
