"""Tablestore's rows as plain mappings, and its conditions as plain values.

Traps that end here: a column condition passes on a missing column unless told otherwise; an
UpdateRow without a row condition makes a row of what it was given; an increment answers nothing.
https://www.alibabacloud.com/help/en/tablestore/developer-reference/updaterow
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from shared.errors import LedgerUnavailable
from shared.stores.tablestore.rows import Columns, Table
from shared.stores.tablestore.sdk import AnswerLost, Client, ots
from shared.values import dataclass

Row = Mapping[str, Any]
Key = tuple[str, ...]

# Rows that one request may ask for by their keys.
# https://www.alibabacloud.com/help/en/tablestore/product-overview/general-limits
BATCH_MAX = 100
# One answer has 5,000 rows or 4 MB at most. A scan of more than this is not for a person to wait
# for, nor for an invocation.
PAGES_MAX = 500


def compare(column: str, comparator: str, value: Any, *, missing: bool = False) -> Any:
    """A comparison of a column with a value; `missing` is the result where it is not there."""
    return ots.SingleColumnCondition(
        column, value, getattr(ots.ComparatorType, comparator), pass_if_missing=missing
    )


def equal(expected: Columns) -> Any:
    """All of these columns are there and have these values."""
    return _joined("AND", [compare(name, "EQUAL", expected[name]) for name in sorted(expected)])


def one_of(column: str, values: Sequence[Any]) -> Any:
    """The column has one of these values."""
    return _joined("OR", [compare(column, "EQUAL", value) for value in values])


def both(first: Any, second: Any) -> Any:
    """Both conditions hold."""
    return _joined("AND", [first, second])


def _joined(operator: str, conditions: Sequence[Any]) -> Any:
    if len(conditions) == 1:
        return conditions[0]
    whole = ots.CompositeColumnCondition(getattr(ots.LogicalOperator, operator))
    for each in conditions:
        whole.add_sub_condition(each)
    return whole


@dataclass(frozen=True)
class Take:
    """An increment: the counter's column, how many, and what it may be at before, at most."""

    column: str
    count: int
    most: int


@dataclass(frozen=True)
class Span:
    """A range of keys.

    Attributes:
        within: only those with this first key.
        start: from this first key on; None for the first row.
        end: up to this first key, itself not included; None for the last row.
        pages: how many answers are read at most.
        rows: how many rows an answer has at most; None for as many as fit.
    """

    within: str | None = None
    start: str | None = None
    end: str | None = None
    pages: int = PAGES_MAX
    rows: int | None = None

    def edges(self, table: Table) -> tuple[Any, Any]:
        """The first key, and the one behind the last."""
        if self.within is not None:
            return _edge(table, self.within, ots.INF_MIN), _edge(table, self.within, ots.INF_MAX)
        rest = ots.INF_MAX if self.end is None else ots.INF_MIN
        return _edge(table, self.start, ots.INF_MIN), _edge(table, self.end, rest)


ALL = Span()


class Tables:
    """The ledger's tables in one instance.

    Args:
        endpoint: `https://<instance>.<region>.ots.aliyuncs.com`.
        instance: the instance's name.
        prefix: of the tables' names.
        ca_file: certificates to trust instead of the system's.
    """

    def __init__(self, endpoint: str, instance: str, prefix: str, ca_file: str | None) -> None:
        self.client = Client(endpoint, instance, ca_file)
        self._prefix = prefix

    def get(self, table: Table, *key: str) -> Row | None:
        """The attribute columns of a row, or None where there is no row."""
        _, row, _ = self.client.read(
            lambda sdk: sdk.get_row(self._name(table), _key(table, key), max_version=1)
        )
        return _columns(row) if row is not None else None

    def get_many(self, table: Table, keys: Sequence[Key]) -> Iterator[tuple[Row, Row]]:
        """The rows of these keys that are there, read `BATCH_MAX` at a time.

        Yields:
            The columns of the key, and the other columns.
        """
        for first in range(0, len(keys), BATCH_MAX):
            for item in self._batch(table, keys[first : first + BATCH_MAX]):
                if item.row is not None and item.row.primary_key:
                    yield dict(item.row.primary_key), _columns(item.row)

    def put_new(self, table: Table, key: Key, columns: Columns) -> bool:
        """Insert a row; False where there is one."""
        row = ots.Row(_key(table, key), list(columns.items()))
        condition = ots.Condition(ots.RowExistenceExpectation.EXPECT_NOT_EXIST)
        return self.client.write(lambda sdk: sdk.put_row(self._name(table), row, condition))

    def update(self, table: Table, key: Key, columns: Columns, where: Any) -> bool:
        """Set columns of a row that is there and for which the condition holds."""
        return self._update(table, key, {"PUT": list(columns.items())}, where, "EXPECT_EXIST")

    def add(self, table: Table, key: Key, take: Take, columns: Columns) -> bool:
        """Add to a counter and set other columns, in one step; without a row it is at 0."""
        changes = {"PUT": list(columns.items()), "INCREMENT": [(take.column, take.count)]}
        where = compare(take.column, "LESS_EQUAL", take.most, missing=True)
        if self._update(table, key, changes, where, "IGNORE"):
            return True
        return self._first(table, key, {take.column: take.count, **columns})

    def lift(self, table: Table, key: Key, column: str, value: int) -> None:
        """Set a column, of a row that need not be there, unless it is as high already."""
        changes = {"PUT": [(column, value)]}
        where = compare(column, "LESS_THAN", value, missing=True)
        try:
            done = self._update(table, key, changes, where, "IGNORE")
        except AnswerLost:  # done twice is as good as once
            done = self._update(table, key, changes, where, "IGNORE")
        if not done:
            self._first(table, key, {column: value})

    def delete(self, table: Table, key: Key, where: Any | None = None) -> bool:
        """Delete a row for which the condition holds; False where it does not, or is gone."""
        row = ots.Row(_key(table, key))
        condition = ots.Condition(ots.RowExistenceExpectation.EXPECT_EXIST, where)
        return self.client.write(lambda sdk: sdk.delete_row(self._name(table), row, condition))

    def scan(
        self,
        table: Table,
        span: Span = ALL,
        *,
        where: Any | None = None,
        columns: Sequence[str] = (),
    ) -> Iterator[tuple[Row, Row]]:
        """Rows in the order of their keys.

        Args:
            table: where they are.
            span: of which keys.
            where: only those for which this holds.
            columns: only these; they include those that the condition looks at.

        Yields:
            The columns of the key, and the other columns.

        Raises:
            LedgerUnavailable: no answer; or `PAGES_MAX` pages have been read, and there are more.
        """
        low, high = span.edges(table)
        for _ in range(span.pages):
            low, found = self._page(table, (low, high), where, columns, span.rows)
            for row in found:
                yield dict(row.primary_key), _columns(row)
            if not low:
                return
        if span.pages == PAGES_MAX:
            raise LedgerUnavailable(f"Tablestore: {table.name} is too big to be read through")

    def _batch(self, table: Table, keys: Sequence[Key]) -> list[Any]:
        """One answer's rows, in the order of the keys; all of them could be read."""
        name = self._name(table)
        wanted = [_key(table, key) for key in keys]
        request = ots.BatchGetRowRequest()
        request.add(ots.TableInBatchGetRowItem(name, wanted, max_version=1))

        def ask(sdk: Any) -> list[Any]:
            items: list[Any] = sdk.batch_get_row(request).get_result_by_table(name) or []
            failed = next((item for item in items if not item.is_ok), None)
            if failed is not None:
                # Rows fail one by one; a lookup that knows only some of them knows nothing.
                raise ots.OTSServiceError(503, failed.error_code, failed.error_message)
            if len(items) != len(keys):
                raise LedgerUnavailable("Tablestore: an answer has not every row asked for")
            return items

        return self.client.read(ask)

    def _page(
        self,
        table: Table,
        ends: tuple[Any, Any],
        where: Any,
        columns: Sequence[str],
        limit: int | None,
    ) -> tuple[Any, Any]:
        low, high = ends
        _, following, found, _ = self.client.read(
            lambda sdk: sdk.get_range(
                self._name(table),
                ots.Direction.FORWARD,
                low,
                high,
                columns_to_get=list(columns) or None,
                limit=limit,
                column_filter=where,
                max_version=1,
            )
        )
        return following, found

    def _update(
        self, table: Table, key: Key, changes: dict[str, Any], where: Any, existence: str
    ) -> bool:
        row = ots.Row(_key(table, key), changes)
        condition = ots.Condition(existence, where)
        return self.client.write(lambda sdk: sdk.update_row(self._name(table), row, condition))

    def _first(self, table: Table, key: Key, columns: Columns) -> bool:
        """Insert the row where a condition failed because there was none.

        What a column condition makes of a row that is not there is not documented.
        """
        return self.get(table, *key) is None and self.put_new(table, key, columns)

    def _name(self, table: Table) -> str:
        return self._prefix + table.name


def _key(table: Table, values: Sequence[str]) -> list[tuple[str, str]]:
    return list(zip(table.keys, values, strict=True))


def _edge(table: Table, first: str | None, rest: Any) -> list[tuple[str, Any]]:
    return [
        (name, first if place == 0 and first is not None else rest)
        for place, name in enumerate(table.keys)
    ]


def _columns(row: Any) -> Row:
    return {name: value for name, value, _ in row.attribute_columns}
