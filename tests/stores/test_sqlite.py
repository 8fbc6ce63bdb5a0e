"""What is SQLite's own beside the contract."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from shared.errors import LedgerUnavailable
from shared.stores.ledger import MailRecord
from shared.stores.sqlite import SqliteLedger


def test_the_folder_is_made(tmp_path: Path) -> None:
    """A path whose folders are missing works at once."""
    ledger = SqliteLedger(tmp_path / "a" / "b" / "ledger.db")
    assert ledger.create(MailRecord("m", "k", "accepted")) is True
    ledger.close()


def test_it_is_in_wal_mode(tmp_path: Path) -> None:
    """Readers and the writer do not stand in each other's way."""
    SqliteLedger(tmp_path / "ledger.db").close()
    connection = sqlite3.connect(tmp_path / "ledger.db")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    """A store that cannot be read says so with the house's own error, and leaves it as it is."""
    content = b"this is no database" * 999
    (tmp_path / "ledger.db").write_bytes(content)
    with pytest.raises(LedgerUnavailable, match="not a database"):
        SqliteLedger(tmp_path / "ledger.db")
    assert (tmp_path / "ledger.db").read_bytes() == content


def test_a_path_that_is_a_folder(tmp_path: Path) -> None:
    """A store that cannot be opened says so with the house's own error."""
    with pytest.raises(LedgerUnavailable, match=str(tmp_path)):
        SqliteLedger(tmp_path)


def test_it_can_be_closed_twice(tmp_path: Path) -> None:
    """Closing is harmless, and a closed ledger opens again when it is used."""
    ledger = SqliteLedger(tmp_path / "ledger.db")
    ledger.close()
    ledger.close()
    assert ledger.get("m") is None
    ledger.close()
