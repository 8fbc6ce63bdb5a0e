"""The embedded log of events: a table in the ledger's file."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from shared.stores.events import RecordedEvent
from shared.stores.recipients import Erased
from shared.stores.sqlite.database import Database
from shared.triggers.context import Invocation

_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    id TEXT PRIMARY KEY, at INTEGER, tag TEXT, recipient TEXT, body TEXT
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS events_by_time ON events (at);
CREATE INDEX IF NOT EXISTS events_by_recipient ON events (recipient) WHERE recipient <> '';
"""
# As many are read at a time, so that a long log does not hold a read transaction open.
_PAGE = 500
_BETWEEN = """
SELECT id, at, tag, recipient, body FROM events
WHERE (at, id) > (?, ?) AND at < ? AND body <> '' ORDER BY at, id LIMIT ?
"""


class SqliteEventLog:
    """A log of events in a file; safe for threads and processes.

    Args:
        database: the file, which other stores may live in.
        keep: how long events are kept, in ms.
    """

    def __init__(self, database: Database, keep: int) -> None:
        self._database = database
        self._keep = keep
        with database.connection() as connection:
            connection.executescript(_SCHEMA)

    def use(self, invocation: Invocation) -> None:
        """See `EventLog.use`; a file asks for no credentials."""

    def knows(self, event_id: str) -> bool:
        """See `EventLog.knows`."""
        with self._database.connection() as connection:
            found = connection.execute("SELECT 1 FROM events WHERE id = ?", (event_id,)).fetchone()
        return found is not None

    def record(self, event: RecordedEvent) -> None:
        """See `EventLog.record`."""
        row = (event.id, event.at, event.tag, event.recipient.lower(), event.body)
        with self._database.writing, self._database.connection() as connection:
            connection.execute("INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?)", row)

    def between(self, start: int, end: int) -> Iterator[RecordedEvent]:
        """See `EventLog.between`; here the oldest come first."""
        last = (start - 1, "\U0010ffff")
        while True:
            with self._database.connection() as connection:
                page = connection.execute(_BETWEEN, (*last, end, _PAGE)).fetchall()
            yield from (RecordedEvent(*row) for row in page)
            if len(page) < _PAGE:
                return
            last = (page[-1][1], page[-1][0])

    def forget(
        self,
        recipient: str,
        start: str,  # noqa: ARG002  # an index leads to all of them in one go
        may_go_on: Callable[[], bool],  # noqa: ARG002  # likewise
    ) -> Erased:
        """See `EventLog.forget`; the row stays, with nothing but its id and its time."""
        empty = "UPDATE events SET recipient = '', body = '' WHERE recipient = ?"
        if not recipient:
            return Erased(0)
        with self._database.writing, self._database.connection() as connection:
            return Erased(connection.execute(empty, (recipient.lower(),)).rowcount)

    def purge(self, now: int) -> int:
        """See `EventLog.purge`; here it is all of it."""
        with self._database.writing, self._database.connection() as connection:
            cut = (now - self._keep,)
            return connection.execute("DELETE FROM events WHERE at <= ?", cut).rowcount
