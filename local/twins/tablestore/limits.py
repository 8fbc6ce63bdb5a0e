"""What may be in a table and in a row.

https://www.alibabacloud.com/help/en/tablestore/product-overview/general-limits
"""

from __future__ import annotations

import re
from typing import Any

from local.twins.tablestore.errors import TablestoreError, invalid
from local.twins.tablestore.wire import Change, Key, Value, pb
from shared.stores.tablestore.sdk import ots

KEY_COLUMNS_MAX = 4
KEY_BYTES_MAX = 1024
COLUMNS_MAX = 1024
CELL_BYTES_MAX = 2 * 1024 * 1024
NAME_BYTES_MAX = 255
TTL_MIN_SECONDS = 86_400
BODY_BYTES_MAX = 5 * 1024 * 1024
INTEGER_MAX = 2**63 - 1

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_TYPES: dict[int, type] = {pb.INTEGER: int, pb.STRING: str, pb.BINARY: bytearray}


def check_name(name: str) -> None:
    """Refuse what cannot be the name of a table or a column."""
    if not _NAME.match(name) or len(name) > NAME_BYTES_MAX:
        raise invalid(f"Invalid name: '{name[:NAME_BYTES_MAX]}'.")


def check_ttl(seconds: int) -> None:
    """Refuse a time to live that is neither -1 nor a day at least."""
    if seconds != -1 and seconds < TTL_MIN_SECONDS:
        raise invalid(f"Invalid time to live: {seconds}, minimum is {TTL_MIN_SECONDS}.")


def check_schema(columns: list[tuple[str, int]]) -> None:
    """Refuse a primary key that is none, has too many columns, or one of an unknown type."""
    if not 1 <= len(columns) <= KEY_COLUMNS_MAX:
        raise invalid(f"The number of primary key columns must be in [1, {KEY_COLUMNS_MAX}].")
    if len({name for name, _ in columns}) != len(columns):
        raise invalid("Duplicated primary key name.")
    for name, kind in columns:
        check_name(name)
        if kind not in _TYPES:
            raise invalid("Invalid type of a primary key column.")


def check_key(key: Key, schema: list[tuple[str, int]], *, range_end: bool = False) -> None:
    """Refuse a key that is not the table's.

    Args:
        key: the request's.
        schema: the table's columns and their types.
        range_end: the key is an end of a range, so the least and the greatest value are values.
    """
    if [name for name, _ in key] != [name for name, _ in schema]:
        raise TablestoreError("OTSInvalidPK", "Validate PK name fail.")
    for (name, value), (_, kind) in zip(key, schema, strict=True):
        if range_end and (value is ots.INF_MIN or value is ots.INF_MAX):
            continue
        if type(value) is not _TYPES[kind]:
            raise TablestoreError("OTSInvalidPK", f"Validate PK type fail: '{name}'.")
        if _size(value) > KEY_BYTES_MAX:
            raise invalid(
                f"The length of primary key column '{name}' must not exceed {KEY_BYTES_MAX} bytes."
            )


def check_changes(changes: list[Change], schema: list[tuple[str, int]]) -> None:
    """Refuse changes that no row takes."""
    if len(changes) > COLUMNS_MAX:
        raise TablestoreError("OTSOutOfColumnCountLimit")
    keys = {name for name, _ in schema}
    for change in changes:
        check_name(change.name)
        if change.name in keys:
            raise invalid(f"Attribute column '{change.name}' is a primary key column.")
        if change.kind in {"put", "increment"} and change.value is None:
            raise invalid(f"Attribute column '{change.name}' has no value.")
        if _size(change.value) > CELL_BYTES_MAX:
            raise invalid(
                f"The length of attribute column '{change.name}' exceeds {CELL_BYTES_MAX} bytes."
            )
    names = [change.name for change in changes]
    if len(set(names)) != len(names):
        raise invalid("Duplicated attribute column name.")


def _size(value: Value | Any) -> int:
    if isinstance(value, str):
        return len(value.encode())
    return len(value) if isinstance(value, bytearray) else 0
