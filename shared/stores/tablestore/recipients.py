"""Erasing a recipient from Tablestore.

No table has the recipient first in its key, and an index for a request that comes a few times a
year would cost a write for every event. So the tables are read through, a part in each call.
"""

from __future__ import annotations

from collections.abc import Callable

from shared.stores.recipients import Erased
from shared.stores.tablestore import rows
from shared.stores.tablestore.tables import Span, Tables
from shared.triggers.context import Invocation

_TABLES = (rows.DELIVERIES, rows.SIGHTINGS)
# So many answers, each of up to 5,000 rows: more than any account has.
_PAGES = 1_000_000


class TablestoreRecipients:
    """Recipients in a Tablestore instance.

    Args:
        tables: the ledger's.
    """

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def use(self, invocation: Invocation) -> None:
        """Take this invocation's credentials and remaining time for the calls that follow."""
        self._tables.client.use(invocation)

    def erase(self, recipient: str, start: str, may_go_on: Callable[[], bool]) -> Erased:
        """See `Recipients.erase`. `start` is the table's name and the first part of a key."""
        name, _, first = start.partition(":")
        gone, begun = 0, not name
        for table in _TABLES:
            begun = begun or table.name == name
            if not begun:
                continue
            span = Span(start=first if table.name == name else None, pages=_PAGES)
            for key, _ in self._tables.scan(table, span, columns=("at",)):
                if not may_go_on():
                    return Erased(gone, f"{table.name}:{key[table.keys[0]]}")
                if key["recipient"].lower() == recipient.lower():
                    gone += self._tables.delete(table, tuple(key[part] for part in table.keys))
        return Erased(gone)
