"""The ledger, and the other stores in its place: one SQLite file, or one Tablestore instance."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from shared.errors import SettingsError
from shared.settings import Settings

if TYPE_CHECKING:
    from shared.stores.events import EventLog
    from shared.stores.recipients import Recipients
    from shared.stores.sqlite.ledger import SqliteLedger
    from shared.stores.suppressions import Suppressions
    from shared.stores.tablestore.ledger import TablestoreLedger

# The tables of the ledger have a time to live of 120 days, counted from the last write.
RECORD_DAYS_MAX = 110


def open_stores(settings: Settings) -> SqliteStores | TablestoreStores:
    """Choose by `POSTBUS_LEDGER`.

    Raises:
        SettingsError: it names no place.
    """
    kind, _, place = settings.ledger.partition(":")
    keep = kept_ms(settings)
    if kind == "sqlite" and place:
        from shared.stores.sqlite.ledger import SqliteLedger  # noqa: PLC0415  # chosen by settings

        return SqliteStores(SqliteLedger(Path(place)), keep)
    if kind == "tablestore":
        from shared.stores.tablestore.ledger import TablestoreLedger  # noqa: PLC0415  # likewise

        return TablestoreStores(TablestoreLedger.at(place, settings.ca_file or None), keep)
    raise SettingsError(
        "POSTBUS_LEDGER is `sqlite:<path>` or `tablestore:https://<instance>.<region>.ots."
        f"aliyuncs.com/<instance>`; it is {settings.ledger!r}"
    )


def kept_ms(settings: Settings) -> int:
    """How long rows are kept, in ms."""
    return min(settings.record_days, RECORD_DAYS_MAX) * 86_400_000


class SqliteStores:
    """Tables of one file, each store opened when a function first asks for it.

    Args:
        ledger: the mails.
        keep: how long events are kept, in ms.
    """

    def __init__(self, ledger: SqliteLedger, keep: int) -> None:
        self.ledger = ledger
        self._keep = keep

    @cached_property
    def events(self) -> EventLog:
        """The events that went out."""
        from shared.stores.sqlite.events import SqliteEventLog  # noqa: PLC0415  # for who asks

        return SqliteEventLog(self.ledger.database, self._keep)

    @cached_property
    def suppressions(self) -> Suppressions:
        """Whom not to write to."""
        from shared.stores.sqlite.suppressions import SqliteSuppressions  # noqa: PLC0415  # likewise

        return SqliteSuppressions(self.ledger.database)

    @cached_property
    def recipients(self) -> Recipients:
        """What is known of people."""
        from shared.stores.sqlite.recipients import SqliteRecipients  # noqa: PLC0415  # likewise

        return SqliteRecipients(self.ledger.database)


class TablestoreStores:
    """Tables of one instance; see `SqliteStores`."""

    def __init__(self, ledger: TablestoreLedger, keep: int) -> None:
        self.ledger = ledger
        self._keep = keep

    @cached_property
    def events(self) -> EventLog:
        """The events that went out."""
        from shared.stores.tablestore.events import TablestoreEventLog  # noqa: PLC0415  # for who asks

        return TablestoreEventLog(self.ledger.tables, self._keep)

    @cached_property
    def suppressions(self) -> Suppressions:
        """Whom not to write to."""
        from shared.stores.tablestore.suppressions import (  # noqa: PLC0415  # likewise
            TablestoreSuppressions,
        )

        return TablestoreSuppressions(self.ledger.tables)

    @cached_property
    def recipients(self) -> Recipients:
        """What is known of people."""
        from shared.stores.tablestore.recipients import (  # noqa: PLC0415  # likewise
            TablestoreRecipients,
        )

        return TablestoreRecipients(self.ledger.tables)
