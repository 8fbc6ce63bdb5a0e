"""The log of events in Tablestore: by time in one table, and known by its id in another.

The table by time has a key of a shard and an hour, so that an hour's events lie together and no
partition gets every write. The other one holds ids alone and answers whether an event is known; it
is written last, so that what is known can be found.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timezone

from shared.stores.events import RecordedEvent
from shared.stores.recipients import Erased
from shared.stores.tablestore import rows
from shared.stores.tablestore.sdk import AnswerLost
from shared.stores.tablestore.tables import Span, Tables
from shared.triggers.context import Invocation

HOUR = 3_600_000
# The end of time as a date can tell it, in ms since 1970.
LATEST = 253_402_300_799_000
SHARDS = "0123456789abcdef"
# Each deletion is a request; an invocation is short. What is left, the next purge or the tables'
# time to live takes.
PURGED_MAX = 500


class TablestoreEventLog:
    """A log of events in a Tablestore instance; safe for threads.

    Args:
        tables: of the instance.
        keep: how long events are kept, in ms.
        purged_max: how many events a purge deletes at most.
    """

    def __init__(self, tables: Tables, keep: int, purged_max: int = PURGED_MAX) -> None:
        self._tables = tables
        self._keep = keep
        self._purged_max = purged_max

    def use(self, invocation: Invocation) -> None:
        """Take this invocation's credentials and remaining time for the calls that follow."""
        self._tables.client.use(invocation)

    def knows(self, event_id: str) -> bool:
        """See `EventLog.knows`."""
        return self._tables.get(rows.EVENT_IDS, event_id) is not None

    def record(self, event: RecordedEvent) -> None:
        """See `EventLog.record`. A write is put down again where its answer was lost."""
        columns: rows.Columns = {
            "at": event.at,
            "tag": event.tag,
            "recipient": event.recipient.lower(),
            "body": event.body,
        }
        self._put(rows.EVENTS, (_slot(event.id, event.at), event.id), columns)
        self._put(rows.EVENT_IDS, (event.id,), {"at": event.at})

    def between(self, start: int, end: int) -> Iterator[RecordedEvent]:
        """See `EventLog.between`."""
        for shard in SHARDS:
            span = Span(start=_named(shard, start), end=_named(shard, end + HOUR))
            for key, row in self._tables.scan(rows.EVENTS, span):
                if start <= row["at"] < end:
                    yield RecordedEvent(
                        key["id"], row["at"], row["tag"], row["recipient"], row["body"]
                    )

    def forget(self, recipient: str, start: str, may_go_on: Callable[[], bool]) -> Erased:
        """See `EventLog.forget`. It reads the table through; `start` is a slot."""
        gone = 0
        for shard in SHARDS if recipient else ():
            first, end = _named(shard, 0), _named(shard, LATEST)
            if start >= end:
                continue
            span = Span(start=max(first, start), end=end)
            for key, row in self._tables.scan(rows.EVENTS, span, columns=("recipient",)):
                if not may_go_on():
                    return Erased(gone, key["slot"])
                if row["recipient"] == recipient.lower():
                    gone += self._tables.delete(rows.EVENTS, (key["slot"], key["id"]))
        return Erased(gone)

    def purge(self, now: int) -> int:
        """See `EventLog.purge`. Whole hours at a time."""
        gone = 0
        for shard in SHARDS:
            span = Span(start=_named(shard, 0), end=_named(shard, now - self._keep), pages=1)
            for key, _ in self._tables.scan(rows.EVENTS, span, columns=("at",)):
                if gone >= self._purged_max:
                    return gone
                # The id first: an event that is known can then always be found by its time.
                self._tables.delete(rows.EVENT_IDS, (key["id"],))
                gone += self._tables.delete(rows.EVENTS, (key["slot"], key["id"]))
        return gone

    def _put(self, table: rows.Table, key: tuple[str, ...], columns: rows.Columns) -> None:
        with suppress(AnswerLost):
            self._tables.put_new(table, key, columns)
            return
        self._tables.put_new(table, key, columns)


def _slot(event_id: str, at: int) -> str:
    return _named(hashlib.sha256(event_id.encode()).hexdigest()[0], at)


def _named(shard: str, at: int) -> str:
    """A slot: the shard, then the hour in UTC."""
    moment = datetime.fromtimestamp(min(max(at, 0), LATEST) / 1000, timezone.utc)
    return f"{shard}:{moment:%Y%m%d%H}"
