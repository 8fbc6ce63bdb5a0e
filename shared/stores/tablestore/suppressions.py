"""Suppressions in Tablestore: one row for a recipient in a scope, looked up a hundred at a time.

A write is one row on the condition that its stamp is still the one that was read. Where an answer
is lost, the row's stamp tells whether the write was done.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from itertools import islice
from typing import Any

from shared.stores.suppressions import Suppression, causes_from_json, causes_to_json
from shared.stores.tablestore import rows
from shared.stores.tablestore.purge import expired
from shared.stores.tablestore.sdk import AnswerLost
from shared.stores.tablestore.tables import Row, Span, Tables, equal
from shared.triggers.context import Invocation

_TABLE = rows.SUPPRESSIONS


class TablestoreSuppressions:
    """Suppressions in a Tablestore instance; safe for threads.

    Args:
        tables: the ledger's.
    """

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def use(self, invocation: Invocation) -> None:
        """Take this invocation's credentials and remaining time for the calls that follow."""
        self._tables.client.use(invocation)

    def find(self, recipients: Collection[str], scopes: Collection[str]) -> list[Suppression]:
        """See `Suppressions.find`; one request for a hundred pairs."""
        keys = [(recipient, scope) for recipient in recipients for scope in scopes]
        return [_read(key, row) for key, row in self._tables.get_many(_TABLE, keys)]

    def of(self, recipient: str) -> list[Suppression]:
        """See `Suppressions.of`."""
        return [_read(key, row) for key, row in self._tables.scan(_TABLE, Span(within=recipient))]

    def page(self, after: tuple[str, str] | None, limit: int) -> list[Suppression]:
        """See `Suppressions.page`."""
        # From the recipient's first row on: a range begins with the first part of a key here.
        span = Span(start=after[0] if after else None, rows=limit + 1)
        found = (_read(key, row) for key, row in self._tables.scan(_TABLE, span))
        rest = (each for each in found if after is None or (each.recipient, each.scope) > after)
        return list(islice(rest, limit))

    def swap(self, old: Suppression | None, new: Suppression) -> bool:
        """See `Suppressions.swap`."""
        key, stamp = (new.recipient, new.scope), rows.new_stamp()
        columns: rows.Columns = {
            "causes": json.dumps(causes_to_json(new.causes), ensure_ascii=False),
            "address": rows.pack(new.address),
            "kept_until": new.kept_until(),
            rows.STAMP: stamp,
        }
        try:
            if old is None:
                return self._tables.put_new(_TABLE, key, columns)
            return self._tables.update(_TABLE, key, columns, equal({rows.STAMP: old.stamp}))
        except AnswerLost:
            row = self._tables.get(_TABLE, *key)
            return row is not None and row.get(rows.STAMP) == stamp

    def purge(self, now: int) -> int:
        """See `Suppressions.purge`. A part of the table at a time."""
        return sum(
            self._tables.delete(
                _TABLE, (key["recipient"], key["scope"]), equal({rows.STAMP: row[rows.STAMP]})
            )
            for key, row in expired(self._tables, _TABLE, "kept_until", now, more=(rows.STAMP,))
        )

    def close(self) -> None:
        """Close idle connections; a later call opens new ones."""
        self._tables.client.close()


def _read(key: Row, row: Row) -> Suppression:
    stored: list[list[Any]] = json.loads(row.get("causes", "[]"))
    return Suppression(
        key["recipient"],
        key["scope"],
        causes_from_json(stored),
        rows.unpack(row.get("address", "")),
        row.get(rows.STAMP, ""),
    )
