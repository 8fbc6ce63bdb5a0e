"""The twin's engine: tables and rows, without HTTP.

Each write reads the row, checks the condition, applies the changes and commits, one at a time.
https://www.alibabacloud.com/help/en/tablestore/developer-reference/updaterow
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.twins.tablestore.conditions import check_condition
from local.twins.tablestore.database import dump, load, open_database, place
from local.twins.tablestore.errors import TablestoreError, invalid
from local.twins.tablestore.faults import Fault
from local.twins.tablestore.limits import (
    INTEGER_MAX,
    check_changes,
    check_key,
    check_name,
    check_schema,
    check_ttl,
)
from local.twins.tablestore.wire import Cells, Change, Key, Value, pb

# A cell's own version may be this far from the time of the write.
DEVIATION_MS = 86_400_000


@dataclass(frozen=True)
class TableInfo:
    """A table: its key's columns with their types, and its time to live in seconds."""

    name: str
    schema: list[tuple[str, int]]
    ttl: int


class Store:
    """Tables of any number of instances, in one file.

    Args:
        database: the SQLite file; made where it is missing.
        clock: seconds since 1970.

    Attributes:
        fault: asked with the operation's name at each request; None for no fault.
        missing_row_fails: a column condition fails where there is no row. The service's
            documentation does not say; False takes the row for one without columns.
    """

    def __init__(self, database: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._connection = open_database(database)
        self._clock = clock
        self.fault: Callable[[str], Fault | None] = lambda _operation: None
        self.missing_row_fails = False

    def close(self) -> None:
        """Close the file; a later call fails."""
        self._connection.close()

    # --- tables ----------------------------------------------------------------------------------

    def ensure_table(
        self, instance: str, name: str, keys: Sequence[str], *, ttl_seconds: int = -1
    ) -> None:
        """Make a table whose key has these columns, all of them strings, unless it is there."""
        if self._find(instance, name) is None:
            self.create_table(instance, name, [(key, pb.STRING) for key in keys], ttl_seconds)

    def create_table(
        self, instance: str, name: str, schema: list[tuple[str, int]], ttl: int
    ) -> None:
        """Make a table.

        Raises:
            TablestoreError: it is there, or outside a limit.
        """
        check_name(name)
        check_schema(schema)
        check_ttl(ttl)
        if self._find(instance, name) is not None:
            raise TablestoreError("OTSObjectAlreadyExist")
        self._connection.execute(
            "INSERT INTO tables VALUES (?, ?, ?, ?)", (instance, name, json.dumps(schema), ttl)
        )

    def delete_table(self, instance: str, name: str) -> None:
        """Delete a table and its rows."""
        self.table(instance, name)
        for statement in (
            "DELETE FROM rows WHERE instance = ? AND name = ?",
            "DELETE FROM tables WHERE instance = ? AND name = ?",
        ):
            self._connection.execute(statement, (instance, name))

    def tables(self, instance: str) -> list[str]:
        """The names of an instance's tables."""
        select = "SELECT name FROM tables WHERE instance = ? ORDER BY name"
        return [name for (name,) in self._connection.execute(select, (instance,))]

    def table(self, instance: str, name: str) -> TableInfo:
        """A table.

        Raises:
            TablestoreError: it is not there.
        """
        found = self._find(instance, name)
        if found is None:
            raise TablestoreError("OTSObjectNotExist")
        return found

    # --- rows ------------------------------------------------------------------------------------

    def put(
        self, instance: str, name: str, key: Key, changes: list[Change], condition: Any
    ) -> None:
        """Replace a whole row, or insert it."""
        table = self._for_write(instance, name, key, changes)
        self._check(condition, self._row(instance, table, key), key)
        if any(change.kind != "put" for change in changes):
            raise invalid("PutRow only puts.")
        self._save(instance, table, key, self._applied([], changes))

    def update(
        self, instance: str, name: str, key: Key, changes: list[Change], condition: Any
    ) -> None:
        """Change columns of a row; without a row condition, of a row that was not there too."""
        table = self._for_write(instance, name, key, changes)
        cells = self._row(instance, table, key)
        self._check(condition, cells, key)
        if not changes:
            raise invalid("No attribute column specified.")
        self._save(instance, table, key, self._applied(cells or [], changes))

    def delete(self, instance: str, name: str, key: Key, condition: Any) -> None:
        """Delete a row; one that is not there is deleted already."""
        table = self._for_write(instance, name, key, [])
        self._check(condition, self._row(instance, table, key), key)
        self._connection.execute(
            "DELETE FROM rows WHERE instance = ? AND name = ? AND place = ?",
            (instance, name, place(key)),
        )

    def row(self, instance: str, name: str, key: Key) -> Cells | None:
        """A row's attribute columns; None without a row."""
        table = self.table(instance, name)
        check_key(key, table.schema)
        return self._row(instance, table, key)

    def rows(
        self, instance: str, name: str, low: Key, high: Key, *, backward: bool = False
    ) -> Iterator[tuple[Key, Cells]]:
        """Rows from one key (included) to another (not included), in their order."""
        table = self.table(instance, name)
        for end in (low, high):
            check_key(end, table.schema, range_end=True)
        first, last = place(low), place(high)
        if (first < last) if backward else (first > last):
            raise invalid("Begin key must less than end key in FORWARD, or the other way round.")
        order = "<= ? AND place > ? ORDER BY place DESC" if backward else (
            ">= ? AND place < ? ORDER BY place"
        )  # fmt: skip
        select = f"SELECT key, cells FROM rows WHERE instance = ? AND name = ? AND place {order}"  # noqa: S608  # one of the two lines above
        for key, cells in self._connection.execute(select, (instance, name, first, last)):
            alive = self._alive(table, load(cells))
            if alive is not None:
                yield load(key), alive

    def _find(self, instance: str, name: str) -> TableInfo | None:
        select = "SELECT key, ttl FROM tables WHERE instance = ? AND name = ?"
        found = self._connection.execute(select, (instance, name)).fetchone()
        if found is None:
            return None
        return TableInfo(name, [(column, kind) for column, kind in json.loads(found[0])], found[1])

    def _for_write(self, instance: str, name: str, key: Key, changes: list[Change]) -> TableInfo:
        table = self.table(instance, name)
        check_key(key, table.schema)
        check_changes(changes, table.schema)
        return table

    def _check(self, condition: Any, cells: Cells | None, key: Key) -> None:
        columns: dict[str, Value] | None = None
        if cells is not None:
            columns = {**dict(key), **{column: value for column, value, _ in cells}}
        check_condition(condition, columns, missing_row_fails=self.missing_row_fails)

    def _row(self, instance: str, table: TableInfo, key: Key) -> Cells | None:
        select = "SELECT cells FROM rows WHERE instance = ? AND name = ? AND place = ?"
        found = self._connection.execute(select, (instance, table.name, place(key))).fetchone()
        return self._alive(table, load(found[0])) if found else None

    def _alive(self, table: TableInfo, cells: Cells) -> Cells | None:
        """The cells that have not expired; a row of which all have is gone."""
        if table.ttl < 0 or not cells:
            return cells
        oldest = self._now() - table.ttl * 1000
        return [cell for cell in cells if cell[2] > oldest] or None

    def _applied(self, cells: Cells, changes: list[Change]) -> Cells:
        now = self._now()
        columns = {name: (value, at) for name, value, at in cells}
        for change in changes:
            at = now if change.timestamp is None else change.timestamp
            if abs(at - now) > DEVIATION_MS and change.kind != "delete-one":
                raise invalid("The version of a cell is too far from now.")
            if change.kind == "put":
                columns[change.name] = (change.value, at)
            elif change.kind == "increment":
                old = columns[change.name][0] if change.name in columns else 0
                columns[change.name] = (_sum(change.name, old, change.value), at)
            elif change.kind == "delete" or columns.get(change.name, (0, 0))[1] == change.timestamp:
                columns.pop(change.name, None)
        return [(name, value, at) for name, (value, at) in sorted(columns.items())]

    def _save(self, instance: str, table: TableInfo, key: Key, cells: Cells) -> None:
        self._connection.execute(
            "INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?, ?)",
            (instance, table.name, place(key), dump(key), dump(cells)),
        )

    def _now(self) -> int:
        return int(self._clock() * 1000)


def _sum(name: str, old: Value, more: Value) -> int:
    if type(old) is not int or type(more) is not int:
        raise invalid(f"Column '{name}' is not an integer.")
    total: int = old + more
    if not -INTEGER_MAX - 1 <= total <= INTEGER_MAX:
        raise invalid(f"Column '{name}' overflows.")
    return total
