"""The ledgers that the contract is kept by, each in a place of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shared.stores.ledger import Ledger
from shared.stores.sqlite import SqliteLedger

# Name of an implementation -> opens the ledger that lives in a folder. Once more for each store.
OPENERS: dict[str, Callable[[Path], Ledger]] = {
    "sqlite": lambda folder: SqliteLedger(folder / "ledger.db"),
}


@pytest.fixture(params=sorted(OPENERS))
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Ledger]]:
    """Opens the same ledger as often as it is called, each time as another process would."""
    opened: list[Ledger] = []

    def open_ledger() -> Ledger:
        opened.append(OPENERS[request.param](tmp_path))
        return opened[-1]

    yield open_ledger
    for each in opened:
        each.close()


@pytest.fixture
def ledger(opener: Callable[[], Ledger]) -> Ledger:
    """An empty ledger."""
    return opener()
