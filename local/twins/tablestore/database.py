"""The twin's SQLite file: tables, and rows in the order of their keys.

A commit is in the operating system's hands before a call returns, so that it survives the death of
the process (kill -9).
"""

from __future__ import annotations

import base64
import json
import sqlite3
import struct
from pathlib import Path
from typing import Any

from local.twins.tablestore.wire import Cells, Key
from shared.stores.tablestore.sdk import ots

VERSION = 1
_SCHEMA = """
CREATE TABLE tables (
    instance TEXT, name TEXT, key TEXT, ttl INTEGER, PRIMARY KEY (instance, name)
) WITHOUT ROWID;
CREATE TABLE rows (
    instance TEXT, name TEXT, place BLOB, key TEXT, cells TEXT,
    PRIMARY KEY (instance, name, place)
) WITHOUT ROWID;
"""


def open_database(path: Path) -> sqlite3.Connection:
    """Open or make the file.

    Raises:
        RuntimeError: it was written by another version of the twin.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # One thread at a time uses it, but not always the one that opened it.
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=5000"):
        connection.execute(f"PRAGMA {pragma}")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == 0:
        # In one transaction: a process killed here leaves an empty file, not half a schema.
        connection.executescript(f"BEGIN IMMEDIATE;{_SCHEMA}PRAGMA user_version={VERSION};COMMIT;")
    elif version != VERSION:
        connection.close()
        raise RuntimeError(f"{path} is another version's; remove it to start anew")
    return connection


def place(key: Key) -> bytes:
    """Bytes that are in the order of keys: texts by their UTF-8, numbers by their size."""
    parts: list[bytes] = []
    for _, value in key:
        if value is ots.INF_MIN:
            parts.append(b"\x00")
        elif value is ots.INF_MAX:
            parts.append(b"\xff")
        elif isinstance(value, int):
            parts.append(b"\x01" + struct.pack(">Q", value + 2**63))
        else:
            raw = value.encode() if isinstance(value, str) else bytes(value)
            # The end has to sort before everything that goes on.
            parts.append(b"\x01" + raw.replace(b"\0", b"\0\xff") + b"\0\0")
    return b"".join(parts)


def dump(values: Key | Cells) -> str:
    """A key or cells as text."""
    return json.dumps([[name, *_dumped(value), *more] for name, value, *more in values])


def load(text: str) -> list[Any]:
    """The way back from `dump`."""
    return [(name, _loaded(kind, value), *more) for name, kind, value, *more in json.loads(text)]


def _dumped(value: Any) -> tuple[str, Any]:
    if isinstance(value, bytearray):
        return "b", base64.b64encode(value).decode()
    return "v", value


def _loaded(kind: str, value: Any) -> Any:
    return bytearray(base64.b64decode(value)) if kind == "b" else value
