"""The broker's SQLite file: one connection, write-ahead log, schema.

A commit is in the operating system's hands before a call returns, so that it survives the death of
the process (kill -9). `synchronous=NORMAL` gives up only the last commits before a power cut, which
a twin may.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VERSION = 1

# A message is `visible`, or it waits (delayed or in flight) until `due_at_ms`. The two partial
# indices keep "the next visible one" and "the next one due" cheap whatever the other holds. Bodies
# lie apart, so that a change of state does not write 64 KB again.
_SCHEMA = """
CREATE TABLE queue (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    attributes TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    modified_at_ms INTEGER NOT NULL
);
CREATE TABLE message (
    sequence INTEGER PRIMARY KEY,
    queue INTEGER NOT NULL,
    id TEXT NOT NULL,
    priority INTEGER NOT NULL,
    visible INTEGER NOT NULL,
    due_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    enqueued_at_ms INTEGER NOT NULL,
    first_dequeued_at_ms INTEGER NOT NULL,
    dequeue_count INTEGER NOT NULL,
    secret TEXT NOT NULL,
    properties TEXT NOT NULL,
    system_properties TEXT NOT NULL
);
CREATE TABLE body (sequence INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TRIGGER body_follows AFTER DELETE ON message
BEGIN DELETE FROM body WHERE sequence = old.sequence; END;
CREATE INDEX message_visible ON message (queue, priority, sequence) WHERE visible = 1;
CREATE INDEX message_due ON message (due_at_ms) WHERE visible = 0;
CREATE INDEX message_expiry ON message (expires_at_ms);
CREATE TABLE topic (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    attributes TEXT NOT NULL,
    published INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL,
    modified_at_ms INTEGER NOT NULL
);
CREATE TABLE subscription (
    topic INTEGER NOT NULL,
    name TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    queue TEXT NOT NULL,
    content_format TEXT NOT NULL,
    filter_tag TEXT,
    notify_strategy TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    modified_at_ms INTEGER NOT NULL,
    PRIMARY KEY (topic, name)
) WITHOUT ROWID;
CREATE TABLE publication (
    topic INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    id TEXT NOT NULL,
    body TEXT NOT NULL,
    tag TEXT,
    properties TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (topic, sequence)
);
"""


class Database:
    """A connection that commits each statement by itself, or a whole `transaction`.

    Args:
        path: the file; it and its folder are made when missing.

    Raises:
        RuntimeError: the file was written by another version of the twin.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        # One thread at a time uses it, but not always the one that opened it.
        self._connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        self.execute = self._connection.execute
        self.executemany = self._connection.executemany
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=5000"):
            self.execute(f"PRAGMA {pragma}")
        self._create(path)

    def _create(self, path: Path) -> None:
        (version,) = self.execute("PRAGMA user_version").fetchone()
        if version == 0:
            # In one transaction: a process killed here leaves an empty file, not half a schema.
            self._connection.executescript(
                f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version={VERSION}; COMMIT;"
            )
        elif version != VERSION:
            self.close()
            raise RuntimeError(
                f"{path} was written by another version of the SMQ twin; remove it to start anew"
            )

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit all of the block, or nothing of it when it raises; inside another, join it."""
        if self._connection.in_transaction:
            yield
            return
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.execute("ROLLBACK")
            raise
        self.execute("COMMIT")

    def close(self) -> None:
        """Close the file; a later call fails."""
        self._connection.close()
