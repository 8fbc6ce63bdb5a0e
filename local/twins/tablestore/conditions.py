"""Conditions of a write and filters of a read: both are the same trees of comparisons.

A comparison with a column that is missing passes or fails as its sender says.
https://www.alibabacloud.com/help/en/tablestore/developer-reference/conditional-update
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from local.twins.tablestore.errors import TablestoreError, invalid
from local.twins.tablestore.wire import Value, filters, pb, read_message, read_value

COMPARISONS_MAX = 10

Columns = Mapping[str, Value]
Predicate = Callable[[Columns], bool]

_COMPARE: dict[int, Callable[[Any, Any], bool]] = {
    filters.CT_EQUAL: operator.eq,
    filters.CT_NOT_EQUAL: operator.ne,
    filters.CT_GREATER_THAN: operator.gt,
    filters.CT_GREATER_EQUAL: operator.ge,
    filters.CT_LESS_THAN: operator.lt,
    filters.CT_LESS_EQUAL: operator.le,
}


def read_filter(data: bytes) -> Predicate:
    """The predicate that a request has.

    Raises:
        TablestoreError: it cannot be read, or has more than `COMPARISONS_MAX` comparisons.
    """
    predicate, count = _read(read_message(filters.Filter, data))
    if count > COMPARISONS_MAX:
        raise invalid(f"A filter may have {COMPARISONS_MAX} conditions.")
    return predicate


def check_condition(condition: Any, columns: Columns | None, *, missing_row_fails: bool) -> None:
    """Let a write pass, or refuse it.

    Args:
        condition: the request's.
        columns: the row as it is; None without a row.
        missing_row_fails: a column condition fails without a row; otherwise it is as with a row
            without columns. Which of the two the service does is not documented.

    Raises:
        TablestoreError: `OTSConditionCheckFail`.
    """
    exists = columns is not None
    expected = {pb.EXPECT_EXIST: True, pb.EXPECT_NOT_EXIST: False}.get(condition.row_existence)
    if expected is not None and exists != expected:
        raise TablestoreError("OTSConditionCheckFail")
    if not condition.HasField("column_condition") or not condition.column_condition:
        return
    holds = read_filter(condition.column_condition)
    if (not exists and missing_row_fails) or not holds(columns or {}):
        raise TablestoreError("OTSConditionCheckFail")


def _read(message: Any) -> tuple[Predicate, int]:
    if message.type == filters.FT_SINGLE_COLUMN_VALUE:
        return _comparison(read_message(filters.SingleColumnValueFilter, message.filter)), 1
    if message.type == filters.FT_COMPOSITE_COLUMN_VALUE:
        return _composite(read_message(filters.CompositeColumnValueFilter, message.filter))
    raise TablestoreError("OTSUnsupportOperation", "The twin has no pagination filter.")


def _comparison(message: Any) -> Predicate:
    compare = _COMPARE.get(message.comparator)
    if compare is None or message.HasField("value_trans_rule"):
        raise TablestoreError("OTSUnsupportOperation", "The twin compares with no expression.")
    expected = read_value(message.column_value)

    def holds(columns: Columns) -> bool:
        if message.column_name not in columns:
            return not message.filter_if_missing
        value = columns[message.column_name]
        if type(value) is not type(expected):
            return bool(message.comparator == filters.CT_NOT_EQUAL)
        if isinstance(value, str):
            return compare(value.encode(), expected.encode())
        return compare(value, expected)

    return holds


def _composite(message: Any) -> tuple[Predicate, int]:
    parts = [_read(part) for part in message.sub_filters]
    predicates = [predicate for predicate, _ in parts]
    count = sum(part for _, part in parts)
    if message.combinator == filters.LO_NOT:
        if len(predicates) != 1:
            raise invalid("NOT takes one condition.")
        return lambda columns: not predicates[0](columns), count
    if len(predicates) < 2:  # noqa: PLR2004  # a pair
        raise invalid("AND and OR take two conditions at least.")
    every = all if message.combinator == filters.LO_AND else any
    return lambda columns: every(predicate(columns) for predicate in predicates), count
