"""Rows on the wire: PlainBuffer, with the official SDK's own coder.

The SDK reads answers and writes requests; what only a service reads (the kind of a cell's change,
the ends of a range) is added here. https://www.alibabacloud.com/help/en/tablestore/developer-reference/plainbuffer
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from local.twins.tablestore.errors import TablestoreError, invalid
from shared.stores.tablestore.sdk import ots

# The coder's names are written into one module object at import, so it has to be asked by name.
_consts: Any = importlib.import_module("tablestore.const_module")
_crc: Any = importlib.import_module("tablestore.plainbuffer.plain_buffer_crc8").PlainBufferCrc8
_coded: Any = importlib.import_module("tablestore.plainbuffer.plain_buffer_coded_stream")
_stream: Any = importlib.import_module("tablestore.plainbuffer.plain_buffer_stream")
_builder: Any = importlib.import_module("tablestore.plainbuffer.plain_buffer_builder")

pb: Any = importlib.import_module("tablestore.protobuf.table_store_pb2")
filters: Any = importlib.import_module("tablestore.protobuf.table_store_filter_pb2")

Value = Any  # str, int, float, bool or bytearray
Key = list[tuple[str, Value]]
Cells = list[tuple[str, Value, int]]


@dataclass(frozen=True)
class Change:
    """What a write does to one column: `put`, `increment`, `delete` or `delete-one` version."""

    name: str
    kind: str
    value: Value = None
    timestamp: int | None = None


_KINDS = {None: "put", 1: "delete", 3: "delete-one", 4: "increment"}


class _Reader(_coded.PlainBufferCodedInputStream):  # type: ignore[misc]  # the SDK has no types
    """The SDK's reader, and what requests have beside answers."""

    def read_primary_key_value(self, cell_check_sum: int) -> tuple[Value, int]:
        """Read a key's value, or one of the ends of a range."""
        stream = self.input_stream
        for kind, value in (
            (_consts.VT_INF_MIN, ots.INF_MIN),
            (_consts.VT_INF_MAX, ots.INF_MAX),
        ):
            if stream.buffer[stream.cur_pos + 4] == kind:
                stream.read_bytes(5)
                stream.read_tag()
                return value, _crc.crc_int8(cell_check_sum, kind)
        found: tuple[Value, int] = super().read_primary_key_value(cell_check_sum)
        return found

    def read_column(self, row_check_sum: int) -> tuple[str, Change, None, int]:
        """Read a cell with its change; the SDK's own does not know changes."""
        stream = self.input_stream
        stream.read_tag()
        name = stream.read_utf_string(stream.read_raw_little_endian32())
        check = _crc.crc_string(0, name)
        stream.read_tag()
        value = kind = timestamp = None
        if stream.last_tag == _consts.TAG_CELL_VALUE:
            value, check = self.read_column_value(check)
        if stream.last_tag == _consts.TAG_CELL_TYPE:
            kind = ord(stream.read_raw_byte())
            stream.read_tag()
        if stream.last_tag == _consts.TAG_CELL_TIMESTAMP:
            timestamp = stream.read_int64()
            check = _crc.crc_int64(check, timestamp)
            stream.read_tag()
        if kind is not None:
            check = _crc.crc_int8(check, kind)
        if stream.last_tag != _consts.TAG_CELL_CHECKSUM or ord(stream.read_raw_byte()) != check:
            raise ValueError("checksum mismatch")
        stream.read_tag()
        change = Change(name, _KINDS[kind], value, timestamp)
        return name, change, None, _crc.crc_int8(row_check_sum, check)


def read_row(data: bytes) -> tuple[Key, list[Change]]:
    """The key and the changes in a request.

    Raises:
        TablestoreError: it is no row.
    """
    try:
        key, columns = _Reader(_stream.PlainBufferInputStream(data)).read_row()
    except Exception as error:  # the coder fails on garbage in every way there is
        raise invalid(f"Invalid PlainBuffer: {type(error).__name__}.") from error
    return key, [change for _, change, _ in columns]


def read_value(data: bytes) -> Value:
    """The value that a condition compares with."""
    try:
        length = len(data).to_bytes(4, "little")
        stream = _stream.PlainBufferInputStream(_consts.TAG_CELL_VALUE.encode() + length + data)
        stream.read_tag()
        value, _ = _Reader(stream).read_column_value(0)
    except Exception as error:  # as in `read_row`
        raise invalid(f"Invalid value in a filter: {type(error).__name__}.") from error
    return value


def write_row(key: Key, cells: Cells) -> bytes:
    """A row in an answer."""
    return bytes(_builder.PlainBufferBuilder.serialize_for_put_row(key, cells))


def write_rows(rows: Sequence[tuple[Key, Cells]]) -> bytes:
    """Rows in an answer, one after the other behind one header."""
    if not rows:
        return b""
    each = [write_row(key, cells) for key, cells in rows]
    return each[0] + b"".join(row[4:] for row in each[1:])


def write_key(key: Key) -> bytes:
    """The key that a next request begins with."""
    return bytes(_builder.PlainBufferBuilder.serialize_primary_key(key))


def read_message(kind: Any, body: bytes) -> Any:
    """A request's message.

    Raises:
        TablestoreError: it is none.
    """
    message = kind()
    try:
        message.ParseFromString(body)
    except Exception as error:  # which exception depends on protobuf's implementation
        raise invalid("The request cannot be parsed.") from error
    if not message.IsInitialized():
        raise invalid("The request lacks a required field.")
    return message


def write_error(error: TablestoreError) -> bytes:
    """The body of a refusal."""
    body: bytes = pb.Error(code=error.code, message=error.message).SerializeToString()
    return body
