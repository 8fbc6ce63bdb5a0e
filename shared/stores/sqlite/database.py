"""The file of the embedded stores: its connections, its one writer, its errors."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from shared.errors import LedgerUnavailable

# How long a writer waits for another one. Writes take well under a millisecond, so waiting
# longer means that something is wrong, and an invocation's time is short.
BUSY_SECONDS = 5.0
# The switch to WAL does not wait by itself: of processes that make the file together, one wins.
SWITCH_TRIES = 50
SWITCH_PAUSE = BUSY_SECONDS / SWITCH_TRIES


class Database:
    """One SQLite file; safe for threads and processes.

    Args:
        path: the file; its folder is made where it is missing.

    Attributes:
        writing: to be held by whoever writes. The file has one writer at a time: threads that
            wait here cost nothing; SQLite's own waiting is for other processes, and is sleeping
            and looking again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self.writing = threading.Lock()
        self._use = _Use(path, self._open)
        path.parent.mkdir(parents=True, exist_ok=True)

    def connection(self) -> AbstractContextManager[sqlite3.Connection]:
        """This thread's connection; each statement is its own transaction.

        Raises:
            LedgerUnavailable: on entering or leaving the block: SQLite failed.
        """
        return self._use

    def _open(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self._path, BUSY_SECONDS, isolation_level=None)
            _switch_to_wal(connection)
            connection.execute("PRAGMA synchronous = NORMAL")
            self._local.connection = connection
        return connection

    def close(self) -> None:
        """Close this thread's connection; another thread's ends with its thread."""
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None


class _Use(AbstractContextManager[sqlite3.Connection]):
    """A block that uses a thread's connection. It has no state: one serves every thread.

    (A class, since a generator for each statement costs as much as some statements do.)
    """

    def __init__(self, path: Path, connect: Callable[[], sqlite3.Connection]) -> None:
        self._path = path
        self._connect = connect

    def __enter__(self) -> sqlite3.Connection:
        try:
            return self._connect()
        except sqlite3.Error as error:
            raise self._unavailable(error) from error

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: object
    ) -> None:
        if isinstance(error, sqlite3.Error):
            raise self._unavailable(error) from error

    def _unavailable(self, error: sqlite3.Error) -> LedgerUnavailable:
        return LedgerUnavailable(f"the ledger at {self._path} failed: {error}")


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    for left in range(SWITCH_TRIES, -1, -1):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if not left:
                raise
            time.sleep(SWITCH_PAUSE)
        else:
            return
