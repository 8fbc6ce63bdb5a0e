"""Erasing a recipient from the embedded ledger."""

from __future__ import annotations

from collections.abc import Callable

from shared.stores.recipients import Erased
from shared.stores.sqlite.database import Database
from shared.triggers.context import Invocation

_DELETE = (
    "DELETE FROM deliveries WHERE lower(recipient) = ?",
    "DELETE FROM sightings WHERE lower(recipient) = ?",
)


class SqliteRecipients:
    """Recipients in a file.

    Args:
        database: the ledger's file.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def use(self, invocation: Invocation) -> None:
        """See `Recipients.use`; a file asks for no credentials."""

    def erase(
        self,
        recipient: str,
        start: str,  # noqa: ARG002  # a file is read through in one go
        may_go_on: Callable[[], bool],  # noqa: ARG002  # likewise
    ) -> Erased:
        """See `Recipients.erase`."""
        address = recipient.lower()
        with self._database.writing, self._database.connection() as connection:
            rows = sum(connection.execute(each, (address,)).rowcount for each in _DELETE)
        return Erased(rows)
