"""What is SQLite's own beside the contract."""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from shared.errors import LedgerUnavailable
from shared.stores.ledger import MailRecord
from shared.stores.sqlite.ledger import SqliteLedger


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


def _as_an_earlier_version_made_it(path: Path) -> None:
    """A file of the time before leases had carriers, with one mail in it."""
    connection = sqlite3.connect(path)
    connection.executescript(
        """
        CREATE TABLE mails (mail_id TEXT PRIMARY KEY, key, state, attempt, custody, owner,
            lease_until, payload, unknown_since, envelope_id, request_id, evidence, reason,
            sender, tag, notify, created_at, updated_at) WITHOUT ROWID;
        INSERT INTO mails VALUES ('m', 'k', 'waiting', 2, 1, 'o', 0, '1:p', 0, NULL, NULL, NULL,
            'Throttling.User', 'shop@example.com', NULL, '{"OrderId": "1"}', 5, 6);
        """
    )
    connection.close()


def test_a_file_of_an_earlier_version(tmp_path: Path) -> None:
    """The columns it lacks are added with their defaults; its mails go on where they were."""
    path = tmp_path / "ledger.db"
    _as_an_earlier_version_made_it(path)
    ledger = SqliteLedger(path)
    old = ledger.get("m")
    assert old == MailRecord(
        mail_id="m",
        key="k",
        state="waiting",
        attempt=2,
        custody=1,
        owner="o",
        payload="1:p",
        reason="Throttling.User",
        sender="shop@example.com",
        notify={"OrderId": "1"},
        created_at=5,
        updated_at=6,
    )
    new = replace(old, state="sending", carrier="caller", attempted_at=7, expires_at=8, resent=1)
    assert ledger.change(old, new) is True
    assert ledger.get("m") == new
    assert ledger.create(MailRecord("n", "l", "accepted")) is True
    ledger.close()


def test_several_processes_open_a_file_of_an_earlier_version(tmp_path: Path) -> None:
    """All of them add what is missing, and none stumbles over another."""
    path = tmp_path / "ledger.db"
    _as_an_earlier_version_made_it(path)
    start, seen = threading.Barrier(8), []

    def work() -> None:
        start.wait()
        ledger = SqliteLedger(path)
        seen.append(ledger.get("m"))
        ledger.close()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8
    assert len(set(map(str, seen))) == 1


@pytest.mark.parametrize("returns", [True, False])
def test_proof_is_told_by_any_sqlite(
    returns: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before 3.35 SQLite returned nothing from an update; the row is read then."""
    monkeypatch.setattr("shared.stores.sqlite.ledger._RETURNS", returns)
    ledger = SqliteLedger(tmp_path / "ledger.db")
    ledger.create(MailRecord(mail_id="m", key="k", state="sending"))
    told = {"envelope_id": "e", "request_id": "r", "evidence": "answer", "at": 5}
    proven = ledger.prove("m", **told)  # type: ignore[arg-type]  # by their names
    assert proven == ledger.get("m")
    assert proven is not None
    assert proven.state == "sent"
    assert ledger.prove("other", **told) is None  # type: ignore[arg-type]  # likewise
    assert ledger.prove("m", **told, claim=MailRecord("m", "k", "sending")) == proven  # type: ignore[arg-type]  # likewise
