"""What has expired in Tablestore, deleted a part at a time.

A purge reads a few pages from a random place on, so that the next one sees others; mail ids are
hashes, so each gets its turn. A row is deleted only as it was read. What a busy store leaves over,
the tables' TTL takes some weeks later.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from shared.stores.tablestore import rows
from shared.stores.tablestore.tables import Row, Span, Tables, both, compare, equal

PAGES = 4
# Each deletion is a request; an invocation is short.
ROWS_MAX = 500
SIGHTINGS_KEPT_MS = 45 * 86_400_000
# What mail ids, and the hashes before other keys, begin with.
_FIRST = "0123456789abcdefghijklmnopqrstuvwxyz"


def purge(tables: Tables, now: int) -> int:
    """Delete mails with their deliveries, permits and sightings that have expired.

    Args:
        tables: the ledger's.
        now: ms since 1970.

    Returns:
        How many rows are gone, pointers from envelope ids not counted.
    """
    gone = 0
    for key, row in expired(tables, rows.MAILS, "expires_at", now, more=("envelope_id",)):
        gone += _forget(tables, key["mail_id"], row)
    for table, column, until in (
        (rows.PERMITS, "expires_at", now),
        (rows.SIGHTINGS, "at", now - SIGHTINGS_KEPT_MS),
    ):
        for key, row in expired(tables, table, column, until):
            names = tuple(key[name] for name in table.keys)
            gone += tables.delete(table, names, equal({column: row[column]}))
    return gone


def _forget(tables: Tables, mail_id: str, row: Row) -> int:
    """Delete a mail, last of all, so that a purge that is cut off comes back to it."""
    gone = 0
    for key, _ in tables.scan(rows.DELIVERIES, Span(within=mail_id), columns=("at",)):
        gone += tables.delete(rows.DELIVERIES, tuple(key[name] for name in rows.DELIVERIES.keys))
    envelope_id = rows.unpack(row.get("envelope_id", ""))
    if envelope_id is not None:
        ours = equal({"mail_id": mail_id})
        tables.delete(rows.ENVELOPES, (rows.spread(envelope_id),), ours)
    return gone + tables.delete(rows.MAILS, (mail_id,), equal({"expires_at": row["expires_at"]}))


def expired(
    tables: Tables, table: rows.Table, column: str, until: int, more: tuple[str, ...] = ()
) -> Iterator[tuple[Row, Row]]:
    """Rows whose time is over, from a random place of the table on, `ROWS_MAX` of them at most.

    Args:
        tables: where the table is.
        table: which one; in mails and suppressions 0 stands for never.
        column: the time, in ms since 1970.
        until: up to when it is over.
        more: further columns that are wanted.
    """
    where = compare(column, "LESS_EQUAL", until)
    if table in (rows.MAILS, rows.SUPPRESSIONS):
        where = both(compare(column, "GREATER_THAN", 0), where)
    middle = "".join(random.choices(_FIRST, k=2))  # noqa: S311  # a place to begin, not a secret
    left = ROWS_MAX
    for start, end in ((middle, None), (None, middle)):
        span = Span(start=start, end=end, pages=PAGES)
        for found in tables.scan(table, span, where=where, columns=(column, *more)):
            if not left:
                return
            left -= 1
            yield found
