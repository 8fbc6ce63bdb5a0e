"""The ledgers that the contract is kept by, each in a place of its own."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from local.account import OWNER, AccessKey, Account
from local.twins.tablestore.server import serving
from local.twins.tablestore.store import Store
from shared.stores.ledger import Ledger
from shared.stores.sqlite.ledger import SqliteLedger
from shared.stores.tablestore.ledger import TablestoreLedger
from shared.stores.tablestore.rows import TABLES
from shared.triggers.context import Credentials, Invocation

INSTANCE = "postbus"
FAR = 2**60
_numbers = itertools.count(1)


def invocation(key: AccessKey = OWNER, deadline: int = FAR) -> Invocation:
    """An invocation with this access key."""
    credentials = Credentials(key.id, key.secret, key.token or "")
    return Invocation("request", "function", deadline, credentials, _now)


def _now() -> int:
    return time.time_ns() // 1_000_000


@dataclass
class Twin:
    """One running twin of Tablestore: its engine, its address, and whom it knows."""

    store: Store
    endpoint: str
    account: Account

    def prefix(self) -> str:
        """A prefix that no other test has, and its tables."""
        prefix = f"t{next(_numbers)}_"
        for table in TABLES:
            self.store.ensure_table(
                INSTANCE, prefix + table.name, table.keys, ttl_seconds=table.ttl_seconds
            )
        return prefix

    def place(self, prefix: str) -> str:
        """What a setting says after `tablestore:`."""
        return f"{self.endpoint}/{INSTANCE}?prefix={prefix}"

    def ledger(self, prefix: str) -> TablestoreLedger:
        """A ledger with the owner's credentials."""
        ledger = TablestoreLedger.at(self.place(prefix))
        ledger.use(invocation())
        return ledger


@pytest.fixture(scope="session")
def running_twin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twin]:
    """A twin for all tests; each has tables of its own."""
    store, account = Store(tmp_path_factory.mktemp("tablestore") / "twin.db"), Account()
    with serving(store, account) as endpoint:
        yield Twin(store, endpoint, account)
    store.close()


@pytest.fixture
def twin(running_twin: Twin) -> Iterator[Twin]:
    """The twin, behaving well again after the test."""
    yield running_twin
    running_twin.store.fault = lambda _operation: None
    running_twin.store.missing_row_fails = False


@pytest.fixture(params=["sqlite", "tablestore"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty ledger is, as the setting names it."""
    if request.param == "sqlite":
        return f"sqlite:{tmp_path / 'ledger.db'}"
    twin: Twin = request.getfixturevalue("twin")
    return f"tablestore:{twin.place(twin.prefix())}"


@pytest.fixture
def opener(place: str) -> Iterator[Callable[[], Ledger]]:
    """Opens the same ledger as often as it is called, each time as another process would."""
    opened: list[Ledger] = []

    def open_ledger() -> Ledger:
        opened.append(_open(place))
        return opened[-1]

    yield open_ledger
    for each in opened:
        each.close()


def _open(place: str) -> Ledger:
    kind, _, where = place.partition(":")
    if kind == "sqlite":
        return SqliteLedger(Path(where))
    ledger = TablestoreLedger.at(where)
    ledger.use(invocation())
    return ledger


@pytest.fixture
def ledger(opener: Callable[[], Ledger]) -> Ledger:
    """An empty ledger."""
    return opener()
