"""The embedded ledger: one SQLite file, shared by any number of processes on one machine."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

from shared.errors import LedgerUnavailable
from shared.stores.ledger import DeliveryRecord, MailRecord

# How long a writer waits for another one. Writes take well under a millisecond, so waiting
# longer means that something is wrong, and an invocation's time is short.
BUSY_SECONDS = 5.0

_COLUMNS = [column.name for column in fields(MailRecord)]
_NAMES = ", ".join(_COLUMNS)
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS mails ({", ".join(
    name + (" TEXT PRIMARY KEY" if name == "mail_id" else "") for name in _COLUMNS
)}) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS mails_by_envelope ON mails (envelope_id) WHERE envelope_id IS NOT NULL;
CREATE TABLE IF NOT EXISTS deliveries (
    mail_id TEXT, recipient TEXT, attempt INTEGER, state TEXT, at INTEGER,
    PRIMARY KEY (mail_id, recipient, attempt, state)
) WITHOUT ROWID;
"""  # fmt: skip
_GET = f"SELECT {_NAMES} FROM mails WHERE mail_id = ?"  # noqa: S608  # column names of our own
_BY_ENVELOPE = f"SELECT {_NAMES} FROM mails WHERE envelope_id = ?"  # noqa: S608  # likewise
_CREATE = f"INSERT OR IGNORE INTO mails ({_NAMES}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608  # likewise
_CHANGE = (
    f"UPDATE mails SET {', '.join(f'{name} = ?' for name in _COLUMNS)} "  # noqa: S608  # likewise
    "WHERE mail_id = ? AND state = ? AND attempt = ? AND owner = ? AND custody = ? "
    "AND evidence IS ?"
)
_PROVE = """
UPDATE mails SET
    state = 'sent', reason = NULL, unknown_since = 0, updated_at = :at,
    envelope_id = coalesce(envelope_id, :envelope_id),
    request_id = coalesce(request_id, :request_id),
    evidence = coalesce(evidence, :evidence)
WHERE mail_id = :mail_id
"""


class SqliteLedger:
    """A ledger in a file; safe for threads and processes.

    Args:
        path: the file; its folder is made where it is missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._connection() as connection:
            connection.executescript(_SCHEMA)

    def get(self, mail_id: str) -> MailRecord | None:
        """See `Ledger.get`."""
        return self._one(_GET, mail_id)

    def create(self, record: MailRecord) -> bool:
        """See `Ledger.create`."""
        with self._connection() as connection:
            return connection.execute(_CREATE, _row(record)).rowcount == 1

    def change(self, old: MailRecord, new: MailRecord) -> bool:
        """See `Ledger.change`."""
        condition = (old.mail_id, old.state, old.attempt, old.owner, old.custody, old.evidence)
        with self._connection() as connection:
            return connection.execute(_CHANGE, (*_row(new), *condition)).rowcount == 1

    def prove(
        self,
        mail_id: str,
        *,
        envelope_id: str | None,
        request_id: str | None,
        evidence: str,
        at: int,
    ) -> MailRecord | None:
        """See `Ledger.prove`."""
        values = {
            "mail_id": mail_id,
            "envelope_id": envelope_id,
            "request_id": request_id,
            "evidence": evidence,
            "at": at,
        }
        with self._connection() as connection:
            connection.execute(_PROVE, values)
        return self.get(mail_id)

    def find_by_envelope_id(self, envelope_id: str) -> MailRecord | None:
        """See `Ledger.find_by_envelope_id`."""
        return self._one(_BY_ENVELOPE, envelope_id)

    def record_delivery(self, record: DeliveryRecord) -> bool:
        """See `Ledger.record_delivery`."""
        with self._connection() as connection:
            insert = "INSERT OR IGNORE INTO deliveries VALUES (?, ?, ?, ?, ?)"
            return connection.execute(insert, astuple(record)).rowcount == 1

    def deliveries(self, mail_id: str) -> list[DeliveryRecord]:
        """See `Ledger.deliveries`."""
        select = "SELECT * FROM deliveries WHERE mail_id = ? ORDER BY at, recipient, state"
        with self._connection() as connection:
            return [DeliveryRecord(*row) for row in connection.execute(select, (mail_id,))]

    def close(self) -> None:
        """Close this thread's connection."""
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None

    def _one(self, statement: str, value: str) -> MailRecord | None:
        with self._connection() as connection:
            row = connection.execute(statement, (value,)).fetchone()
        return _record(row) if row else None

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """This thread's connection; each statement is its own transaction."""
        try:
            connection = getattr(self._local, "connection", None)
            if connection is None:
                connection = sqlite3.connect(self._path, BUSY_SECONDS, isolation_level=None)
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = NORMAL")
                self._local.connection = connection
            yield connection
        except sqlite3.Error as error:
            raise LedgerUnavailable(f"the ledger at {self._path} failed: {error}") from error


def _row(record: MailRecord) -> tuple[Any, ...]:
    return tuple(
        json.dumps(dict(value)) if name == "notify" else value
        for name, value in zip(_COLUMNS, astuple(record), strict=True)
    )


def _record(row: tuple[Any, ...]) -> MailRecord:
    values = dict(zip(_COLUMNS, row, strict=True))
    values["notify"] = json.loads(values["notify"])
    return MailRecord(**values)
