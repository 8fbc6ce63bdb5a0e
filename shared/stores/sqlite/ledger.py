"""The embedded ledger."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection
from contextlib import suppress
from dataclasses import astuple, fields
from operator import attrgetter
from pathlib import Path
from typing import Any

from shared.stores.ledger import Channel, DeliveryRecord, MailRecord
from shared.stores.sqlite.database import Database
from shared.triggers.context import Invocation

_COLUMNS = [column.name for column in fields(MailRecord)]
_NAMES = ", ".join(_COLUMNS)
_VALUES = attrgetter(*_COLUMNS)
_NOTIFY = _COLUMNS.index("notify")
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS mails ({", ".join(
    name + (" TEXT PRIMARY KEY" if name == "mail_id" else "") for name in _COLUMNS
)}) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS mails_by_envelope ON mails (envelope_id) WHERE envelope_id IS NOT NULL;
CREATE TABLE IF NOT EXISTS deliveries (
    mail_id TEXT, recipient TEXT, attempt INTEGER, state TEXT, at INTEGER,
    PRIMARY KEY (mail_id, recipient, attempt, state)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS permits (
    slice TEXT PRIMARY KEY, used INTEGER, expires_at INTEGER
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS channels (
    sender TEXT PRIMARY KEY, sent_at INTEGER, proven_at INTEGER
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sightings (
    sender TEXT, recipient TEXT, at INTEGER, PRIMARY KEY (sender, recipient)
) WITHOUT ROWID;
"""  # fmt: skip
_GET = f"SELECT {_NAMES} FROM mails WHERE mail_id = ?"  # noqa: S608  # column names of our own
_GET_MANY = f"SELECT {_NAMES} FROM mails WHERE mail_id IN "  # noqa: S608  # likewise
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
# Who knows what the row was knows what it is now: telling it costs as much as writing it.
_PROVE_CLAIM = (
    f"{_PROVE} AND state = :state AND attempt = :attempt AND owner = :owner "
    "AND custody = :custody AND evidence IS :known"
)
# One statement instead of two, where SQLite is 3.35 or later.
_RETURNS = sqlite3.sqlite_version_info >= (3, 35)
_PROVE_AND_GET = f"{_PROVE} RETURNING {_NAMES}"
# The insert takes from a new slice, the update from one that others have taken from.
_TAKE = """
INSERT INTO permits SELECT :slice, :count, :expires_at WHERE :count <= :limit
ON CONFLICT (slice) DO UPDATE SET used = used + :count WHERE used <= :limit - :count
"""
_NOTE = """
INSERT INTO channels VALUES (:sender, :sent_at, :proven_at)
ON CONFLICT (sender) DO UPDATE SET
    sent_at = max(sent_at, :sent_at), proven_at = max(proven_at, :proven_at)
"""
_SIGHT = """
INSERT INTO sightings VALUES (?, ?, ?)
ON CONFLICT (sender, recipient) DO UPDATE SET at = max(at, excluded.at)
"""
# Values that one statement may have, in every version of SQLite.
IDS_AT_ONCE = 900
# Deliveries go with their mail, sightings after the events' own window.
_PURGE = (
    """DELETE FROM deliveries WHERE mail_id IN
    (SELECT mail_id FROM mails WHERE expires_at > 0 AND expires_at <= :now)""",
    "DELETE FROM mails WHERE expires_at > 0 AND expires_at <= :now",
    "DELETE FROM permits WHERE expires_at <= :now",
    "DELETE FROM sightings WHERE at <= :now - 45 * 86400000",
)


class SqliteLedger:
    """A ledger in a file; safe for threads and processes.

    Args:
        path: the file; its folder is made where it is missing.

    Attributes:
        database: the file, for the other stores that live in it.
    """

    def __init__(self, path: Path) -> None:
        self.database = Database(path)
        self._writing = self.database.writing
        self._connection = self.database.connection
        with self._connection() as connection:
            connection.executescript(_SCHEMA)
            _add_columns(connection)

    def use(self, invocation: Invocation) -> None:
        """See `Ledger.use`; a file asks for no credentials."""

    def get(self, mail_id: str) -> MailRecord | None:
        """See `Ledger.get`."""
        return self._one(_GET, mail_id)

    def get_many(self, mail_ids: Collection[str]) -> dict[str, MailRecord]:
        """See `Ledger.get_many`."""
        asked, rows = list(mail_ids), []
        for first in range(0, len(asked), IDS_AT_ONCE):
            part = asked[first : first + IDS_AT_ONCE]
            select = f"{_GET_MANY}({', '.join('?' * len(part))})"
            with self._connection() as connection:
                rows += connection.execute(select, part).fetchall()
        return {record.mail_id: record for record in map(_record, rows)}

    def create(self, record: MailRecord) -> bool:
        """See `Ledger.create`."""
        with self._writing, self._connection() as connection:
            return connection.execute(_CREATE, _row(record)).rowcount == 1

    def change(self, old: MailRecord, new: MailRecord) -> bool:
        """See `Ledger.change`."""
        condition = (old.mail_id, old.state, old.attempt, old.owner, old.custody, old.evidence)
        with self._writing, self._connection() as connection:
            return connection.execute(_CHANGE, (*_row(new), *condition)).rowcount == 1

    def prove(  # noqa: PLR0913  # each by its name
        self,
        mail_id: str,
        *,
        envelope_id: str | None,
        request_id: str | None,
        evidence: str,
        at: int,
        claim: MailRecord | None = None,
    ) -> MailRecord | None:
        """See `Ledger.prove`."""
        values = {
            "mail_id": mail_id,
            "envelope_id": envelope_id,
            "request_id": request_id,
            "evidence": evidence,
            "at": at,
        }
        if claim is not None and self._prove_claim(claim, values):
            return claim.proven(
                envelope_id=envelope_id, request_id=request_id, evidence=evidence, at=at
            )
        with self._writing, self._connection() as connection:
            if _RETURNS:
                # All rows are fetched, so that the statement, and with it its transaction, ends.
                rows = connection.execute(_PROVE_AND_GET, values).fetchall()
                return _record(rows[0]) if rows else None
            connection.execute(_PROVE, values)
        return self.get(mail_id)

    def find_by_envelope_id(self, envelope_id: str) -> MailRecord | None:
        """See `Ledger.find_by_envelope_id`."""
        return self._one(_BY_ENVELOPE, envelope_id)

    def record_delivery(self, record: DeliveryRecord) -> bool:
        """See `Ledger.record_delivery`."""
        with self._writing, self._connection() as connection:
            insert = "INSERT OR IGNORE INTO deliveries VALUES (?, ?, ?, ?, ?)"
            return connection.execute(insert, astuple(record)).rowcount == 1

    def deliveries(self, mail_id: str) -> list[DeliveryRecord]:
        """See `Ledger.deliveries`."""
        select = "SELECT * FROM deliveries WHERE mail_id = ? ORDER BY at, recipient, state"
        with self._connection() as connection:
            return [DeliveryRecord(*row) for row in connection.execute(select, (mail_id,))]

    def by_state(self, states: Collection[str], limit: int) -> list[MailRecord]:
        """See `Ledger.by_state`."""
        marks = ", ".join("?" * len(states))
        select = (
            f"SELECT {_NAMES} FROM mails WHERE state IN ({marks}) "  # noqa: S608  # names and marks of our own
            "ORDER BY created_at LIMIT ?"
        )
        with self._connection() as connection:
            rows = connection.execute(select, (*states, limit)).fetchall()
        return [_record(row) for row in rows]

    def take_permits(self, slice_id: str, count: int, limit: int, expires_at: int) -> bool:
        """See `Ledger.take_permits`."""
        values = {"slice": slice_id, "count": count, "limit": limit, "expires_at": expires_at}
        with self._writing, self._connection() as connection:
            return connection.execute(_TAKE, values).rowcount == 1

    def channel(self, sender: str) -> Channel:
        """See `Ledger.channel`."""
        select = "SELECT sent_at, proven_at FROM channels WHERE sender = ?"
        with self._connection() as connection:
            row = connection.execute(select, (sender,)).fetchone()
        return Channel(*row) if row else Channel()

    def note_channel(self, sender: str, channel: Channel) -> None:
        """See `Ledger.note_channel`."""
        values = {
            "sender": sender,
            "sent_at": channel.sent_at,
            "proven_at": channel.proven_at,
        }
        with self._writing, self._connection() as connection:
            connection.execute(_NOTE, values)

    def sight(self, sender: str, recipient: str, at: int) -> None:
        """See `Ledger.sight`."""
        with self._writing, self._connection() as connection:
            connection.execute(_SIGHT, (sender, recipient, at))

    def sighted_at(self, sender: str, recipient: str) -> int:
        """See `Ledger.sighted_at`."""
        select = "SELECT at FROM sightings WHERE sender = ? AND recipient = ?"
        with self._connection() as connection:
            row = connection.execute(select, (sender, recipient)).fetchone()
        return int(row[0]) if row else 0

    def purge(self, now: int) -> int:
        """See `Ledger.purge`."""
        with self._writing, self._connection() as connection:
            return sum(connection.execute(each, {"now": now}).rowcount for each in _PURGE)

    def close(self) -> None:
        """Close this thread's connection."""
        self.database.close()

    def _prove_claim(self, claim: MailRecord, values: dict[str, Any]) -> bool:
        """Write the proof into the very row that the claim is; False where it is another."""
        condition = {
            "state": claim.state,
            "attempt": claim.attempt,
            "owner": claim.owner,
            "custody": claim.custody,
            "known": claim.evidence,
        }
        with self._writing, self._connection() as connection:
            return connection.execute(_PROVE_CLAIM, {**values, **condition}).rowcount == 1

    def _one(self, statement: str, value: str) -> MailRecord | None:
        with self._connection() as connection:
            row = connection.execute(statement, (value,)).fetchone()
        return _record(row) if row else None


def _add_columns(connection: sqlite3.Connection) -> None:
    """Bring a file of an earlier version up to date: the columns it lacks, with their defaults."""
    there = {row[1] for row in connection.execute("PRAGMA table_info (mails)")}
    for column in fields(MailRecord):
        if column.name in there:
            continue
        default = column.default if isinstance(column.default, (int, str)) else None
        with suppress(sqlite3.OperationalError):  # another process was quicker
            quoted = connection.execute("SELECT quote(?)", (default,)).fetchone()[0]
            connection.execute(f"ALTER TABLE mails ADD COLUMN {column.name} DEFAULT {quoted}")


def _row(record: MailRecord) -> tuple[Any, ...]:
    # `astuple` would copy every value; this is the hot path.
    values = list(_VALUES(record))
    values[_NOTIFY] = json.dumps(dict(record.notify))
    return tuple(values)


def _record(row: tuple[Any, ...]) -> MailRecord:
    # By position, in the columns' order: this is the hot path, too.
    values = list(row)
    values[_NOTIFY] = json.loads(values[_NOTIFY])
    return MailRecord(*values)
