"""The operations: from the message of a request to the message of its answer.

https://www.alibabacloud.com/help/en/tablestore/developer-reference/api-overview
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from local.twins.tablestore.conditions import Predicate, read_filter
from local.twins.tablestore.errors import TablestoreError, invalid
from local.twins.tablestore.store import Store
from local.twins.tablestore.wire import (
    Cells,
    Key,
    pb,
    read_message,
    read_row,
    write_key,
    write_row,
    write_rows,
)

# Rows of one BatchGetRow.
# https://www.alibabacloud.com/help/en/tablestore/product-overview/general-limits
BATCH_ROWS = 100
# What one GetRange reads at most.
SCAN_ROWS = 5000
SCAN_BYTES = 4 * 1024 * 1024

Operation = Callable[[Store, str, bytes], Any]


def create_table(store: Store, instance: str, body: bytes) -> Any:
    """CreateTable."""
    request = read_message(pb.CreateTableRequest, body)
    options = request.table_options
    if options.max_versions not in {0, 1}:
        raise TablestoreError("OTSUnsupportOperation", "The twin keeps one version of a cell.")
    schema = [(column.name, column.type) for column in request.table_meta.primary_key]
    ttl = options.time_to_live if options.HasField("time_to_live") else -1
    store.create_table(instance, request.table_meta.table_name, schema, ttl)
    return pb.CreateTableResponse()


def list_table(store: Store, instance: str, _body: bytes) -> Any:
    """ListTable."""
    return pb.ListTableResponse(table_names=store.tables(instance))


def describe_table(store: Store, instance: str, body: bytes) -> Any:
    """DescribeTable."""
    table = store.table(instance, read_message(pb.DescribeTableRequest, body).table_name)
    answer = pb.DescribeTableResponse()
    answer.table_meta.table_name = table.name
    for name, kind in table.schema:
        answer.table_meta.primary_key.add(name=name, type=kind)
    answer.reserved_throughput_details.capacity_unit.read = 0
    answer.reserved_throughput_details.capacity_unit.write = 0
    answer.reserved_throughput_details.last_increase_time = 0
    answer.table_options.time_to_live = table.ttl
    answer.table_options.max_versions = 1
    answer.table_options.deviation_cell_version_in_sec = 86_400
    return answer


def delete_table(store: Store, instance: str, body: bytes) -> Any:
    """DeleteTable."""
    store.delete_table(instance, read_message(pb.DeleteTableRequest, body).table_name)
    return pb.DeleteTableResponse()


def put_row(store: Store, instance: str, body: bytes) -> Any:
    """PutRow."""
    request = read_message(pb.PutRowRequest, body)
    key, changes = read_row(request.row)
    store.put(instance, request.table_name, key, changes, request.condition)
    return _written(pb.PutRowResponse(), request, key)


def update_row(store: Store, instance: str, body: bytes) -> Any:
    """UpdateRow. What an increment came to is not told, as the SDK could not read it."""
    request = read_message(pb.UpdateRowRequest, body)
    key, changes = read_row(request.row_change)
    store.update(instance, request.table_name, key, changes, request.condition)
    return _written(pb.UpdateRowResponse(), request, key)


def delete_row(store: Store, instance: str, body: bytes) -> Any:
    """DeleteRow."""
    request = read_message(pb.DeleteRowRequest, body)
    key, _ = read_row(request.primary_key)
    store.delete(instance, request.table_name, key, request.condition)
    return _written(pb.DeleteRowResponse(), request, key)


def get_row(store: Store, instance: str, body: bytes) -> Any:
    """GetRow."""
    request = read_message(pb.GetRowRequest, body)
    _check_versions(request)
    key, _ = read_row(request.primary_key)
    cells = store.row(instance, request.table_name, key)
    chosen = None if cells is None else _chosen(key, cells, request)
    answer = pb.GetRowResponse(row=write_row(*chosen) if chosen else b"")
    _consumed(answer, read=1)
    return answer


def batch_get_row(store: Store, instance: str, body: bytes) -> Any:
    """BatchGetRow. A row that cannot be read fails by itself; one that is not there is empty."""
    request = read_message(pb.BatchGetRowRequest, body)
    if not 0 < sum(len(part.primary_key) for part in request.tables) <= BATCH_ROWS:
        raise invalid(f"Rows count must be in [1, {BATCH_ROWS}].")
    answer = pb.BatchGetRowResponse()
    for part in request.tables:
        _check_versions(part)
        told = answer.tables.add(table_name=part.table_name)
        for primary_key in part.primary_key:
            _read_one(store, instance, part, primary_key, told.rows.add())
    return answer


def _read_one(store: Store, instance: str, part: Any, primary_key: bytes, told: Any) -> None:
    try:
        key, _ = read_row(primary_key)
        cells = store.row(instance, part.table_name, key)
    except TablestoreError as error:
        told.is_ok = False
        told.error.code, told.error.message = error.code, error.message
        return
    told.is_ok = True
    chosen = None if cells is None else _chosen(key, cells, part)
    told.row = write_row(*chosen) if chosen else b""
    _consumed(told, read=1)


def get_range(store: Store, instance: str, body: bytes) -> Any:
    """GetRange. A filter is applied to what was read, so an answer may be empty and not the end."""
    request = read_message(pb.GetRangeRequest, body)
    _check_versions(request)
    if request.HasField("limit") and request.limit <= 0:
        raise invalid("The limit must be greater than 0.")
    low, _ = read_row(request.inclusive_start_primary_key)
    high, _ = read_row(request.exclusive_end_primary_key)
    backward = request.direction == pb.BACKWARD
    found: list[tuple[Key, Cells]] = []
    answer = pb.GetRangeResponse()
    size = 0
    rows = store.rows(instance, request.table_name, low, high, backward=backward)
    for count, (key, cells) in enumerate(rows):
        full = request.HasField("limit") and len(found) == request.limit
        if full or count == SCAN_ROWS or size >= SCAN_BYTES:
            answer.next_start_primary_key = write_key(key)
            break
        size += sum(len(name) + len(str(value)) for name, value, _ in cells)
        chosen = _chosen(key, cells, request)
        if chosen:
            found.append(chosen)
    answer.rows = write_rows(found)
    _consumed(answer, read=-(-size // 4096) or 1)
    return answer


OPERATIONS: dict[str, Operation] = {
    "BatchGetRow": batch_get_row,
    "CreateTable": create_table,
    "DeleteRow": delete_row,
    "DeleteTable": delete_table,
    "DescribeTable": describe_table,
    "GetRange": get_range,
    "GetRow": get_row,
    "ListTable": list_table,
    "PutRow": put_row,
    "UpdateRow": update_row,
}


def _chosen(key: Key, cells: Cells, request: Any) -> tuple[Key, Cells] | None:
    """The columns that were asked for; None where the row has none of them, or does not pass.

    The filter comes after the choice of columns, as documented.
    """
    wanted: Sequence[str] = request.columns_to_get
    if wanted:
        chosen_key = [part for part in key if part[0] in wanted]
        cells = [cell for cell in cells if cell[0] in wanted]
        if not chosen_key and not cells:
            return None
    if request.HasField("filter") and request.filter:
        holds: Predicate = read_filter(request.filter)
        if not holds({**dict(key), **{name: value for name, value, _ in cells}}):
            return None
    return key, cells


def _check_versions(request: Any) -> None:
    if not request.HasField("max_versions") and not request.HasField("time_range"):
        raise invalid("No version condition is specified while querying row.")


def _written(answer: Any, request: Any, key: Key) -> Any:
    _consumed(answer, write=1)
    if request.return_content.return_type == pb.RT_PK:
        answer.row = write_row(key, [])
    return answer


def _consumed(answer: Any, *, read: int = 0, write: int = 0) -> None:
    answer.consumed.capacity_unit.read = read
    answer.consumed.capacity_unit.write = write
