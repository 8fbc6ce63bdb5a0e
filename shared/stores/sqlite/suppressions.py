"""The embedded store of suppressions: a table in the ledger's file."""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection
from typing import Any

from shared.stores.sqlite.database import Database
from shared.stores.suppressions import (
    Suppression,
    causes_from_json,
    causes_to_json,
)
from shared.triggers.context import Invocation

_SCHEMA = """
CREATE TABLE IF NOT EXISTS suppressions (
    recipient TEXT, scope TEXT, causes TEXT, address TEXT, kept_until INTEGER, stamp TEXT,
    PRIMARY KEY (recipient, scope)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS suppressions_to_purge ON suppressions (kept_until)
    WHERE kept_until > 0;
"""
_SELECT = "SELECT recipient, scope, causes, address, stamp FROM suppressions"
_INSERT = "INSERT OR IGNORE INTO suppressions VALUES (?, ?, ?, ?, ?, ?)"
_UPDATE = """
UPDATE suppressions SET causes = ?, address = ?, kept_until = ?, stamp = ?
WHERE recipient = ? AND scope = ? AND stamp = ?
"""


class SqliteSuppressions:
    """Suppressions in a file; safe for threads and processes.

    Args:
        database: the file, which other stores may live in.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection = database.connection
        with self._connection() as connection:
            connection.executescript(_SCHEMA)

    def use(self, invocation: Invocation) -> None:
        """See `Suppressions.use`; a file asks for no credentials."""

    def find(self, recipients: Collection[str], scopes: Collection[str]) -> list[Suppression]:
        """See `Suppressions.find`; one statement, each pair a step down the key's tree."""
        marks = ", ".join("?" * len(recipients)), ", ".join("?" * len(scopes))
        select = f"{_SELECT} WHERE recipient IN ({marks[0]}) AND scope IN ({marks[1]})"
        return self._rows(select, (*recipients, *scopes))

    def of(self, recipient: str) -> list[Suppression]:
        """See `Suppressions.of`."""
        return self._rows(f"{_SELECT} WHERE recipient = ? ORDER BY scope", (recipient,))

    def page(self, after: tuple[str, str] | None, limit: int) -> list[Suppression]:
        """See `Suppressions.page`."""
        where = "WHERE (recipient, scope) > (?, ?) ORDER BY recipient, scope LIMIT ?"
        return self._rows(f"{_SELECT} {where}", (*(after or ("", "")), limit))

    def swap(self, old: Suppression | None, new: Suppression) -> bool:
        """See `Suppressions.swap`."""
        causes = json.dumps(causes_to_json(new.causes), ensure_ascii=False)
        kept_until, stamp = new.kept_until(), secrets.token_hex(8)
        with self._database.writing, self._connection() as connection:
            if old is None:
                row = (new.recipient, new.scope, causes, new.address, kept_until, stamp)
                return connection.execute(_INSERT, row).rowcount == 1
            values = (causes, new.address, kept_until, stamp, old.recipient, old.scope, old.stamp)
            return connection.execute(_UPDATE, values).rowcount == 1

    def purge(self, now: int) -> int:
        """See `Suppressions.purge`."""
        delete = "DELETE FROM suppressions WHERE kept_until > 0 AND kept_until <= ?"
        with self._database.writing, self._connection() as connection:
            return connection.execute(delete, (now,)).rowcount

    def close(self) -> None:
        """Close this thread's connection."""
        self._database.close()

    def _rows(self, select: str, values: tuple[Any, ...]) -> list[Suppression]:
        with self._connection() as connection:
            rows = connection.execute(select, values).fetchall()
        return [
            Suppression(recipient, scope, causes_from_json(json.loads(causes)), address, stamp)
            for recipient, scope, causes, address, stamp in rows
        ]
