"""The ledger in the cloud: Tablestore, through its official SDK.

Every write is one row on a condition. A write whose answer is lost is resolved by reading the row:
each carries a stamp of its own, so that it is known whether the row there is ours. Evidence is
never put over: it is added to the very row that was read, or read again.
https://www.alibabacloud.com/help/en/tablestore/developer-reference/conditional-update
"""

from __future__ import annotations

import heapq
import random
import re
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

from shared.errors import LedgerUnavailable, SettingsError
from shared.stores.ledger import Channel, DeliveryRecord, MailRecord
from shared.stores.tablestore import rows
from shared.stores.tablestore.purge import purge
from shared.stores.tablestore.sdk import AnswerLost
from shared.stores.tablestore.tables import Row, Span, Tables, Take, equal, one_of
from shared.triggers.context import Invocation

# Lost answers and lost races that are put up with before the store counts as unavailable.
RESOLVE_TRIES = 2
PROVE_TRIES = 30
PROVE_PAUSE_SECONDS = 0.01
# A condition takes ten comparisons. https://www.alibabacloud.com/help/en/tablestore/product-overview/general-limits
STATES_AT_ONCE = 10

_PREFIX = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}\Z")
_INSTANCE = re.compile(r"[A-Za-z][A-Za-z0-9-]{1,14}[A-Za-z0-9]\Z")


class TablestoreLedger:
    """A ledger in a Tablestore instance; safe for threads.

    Args:
        endpoint: `https://<instance>.<region>.ots.aliyuncs.com`.
        instance: the instance's name.
        prefix: of the tables' names.
        ca_file: certificates to trust instead of the system's.

    Attributes:
        tables: the instance's, for the other stores that live in it.

    Raises:
        ValueError: one of them cannot be one.
    """

    def __init__(
        self, endpoint: str, instance: str, *, prefix: str = "", ca_file: str | None = None
    ) -> None:
        address = urlsplit(endpoint)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise ValueError(f"not an endpoint: {endpoint!r}")
        if not _INSTANCE.match(instance):
            raise ValueError(f"not the name of an instance: {instance!r}")
        if prefix and not _PREFIX.match(prefix):
            raise ValueError(f"not the beginning of a table's name: {prefix!r}")
        self.tables = self._tables = Tables(endpoint, instance, prefix, ca_file)

    @classmethod
    def at(cls, place: str, ca_file: str | None = None) -> TablestoreLedger:
        """Open the ledger that a setting names.

        Args:
            place: `https://<instance>.<region>.ots.aliyuncs.com/<instance>[?prefix=<prefix>]`.
            ca_file: certificates to trust instead of the system's.

        Raises:
            SettingsError: it is not of that form.
        """
        try:
            address = urlsplit(place)
            return cls(
                f"{address.scheme}://{address.netloc}",
                address.path.strip("/"),
                prefix=_prefix_in(address.query),
                ca_file=ca_file,
            )
        except ValueError as error:
            raise SettingsError(
                "POSTBUS_LEDGER is `tablestore:https://<instance>.<region>.ots.aliyuncs.com/"
                f"<instance>[?prefix=<prefix>]`: {error}"
            ) from None

    def use(self, invocation: Invocation) -> None:
        """Take this invocation's credentials and remaining time for the calls that follow."""
        self._tables.client.use(invocation)

    def get(self, mail_id: str) -> MailRecord | None:
        """See `Ledger.get`."""
        row = self._tables.get(rows.MAILS, mail_id)
        return rows.mail_record(mail_id, row) if row else None

    def get_many(self, mail_ids: Collection[str]) -> dict[str, MailRecord]:
        """See `Ledger.get_many`. Each of them once: one key has one row in an answer."""
        keys = [(mail_id,) for mail_id in dict.fromkeys(mail_ids)]
        found = self._tables.get_many(rows.MAILS, keys)
        return {key["mail_id"]: rows.mail_record(key["mail_id"], row) for key, row in found}

    def create(self, record: MailRecord) -> bool:
        """See `Ledger.create`."""
        stamp = rows.new_stamp()
        columns = rows.mail_columns(record, stamp)

        def ours(row: Row | None) -> bool | None:
            if row is None:
                return None
            # It may have been changed since; a claim's owner is unlike any other.
            return row.get(rows.STAMP) == stamp or bool(record.owner == row.get("owner") != "")

        key = (record.mail_id,)
        return self._settle(
            rows.MAILS, key, lambda: self._tables.put_new(rows.MAILS, key, columns), ours
        )

    def change(self, old: MailRecord, new: MailRecord) -> bool:
        """See `Ledger.change`."""
        stamp = rows.new_stamp()
        columns = rows.mail_columns(new, stamp)
        expected = rows.mail_condition(old)

        def ours(row: Row | None) -> bool | None:
            if row is None:
                return False
            if row.get(rows.STAMP) == stamp:
                return True
            # Still as it was: not done, and not done by anybody else. Otherwise somebody was
            # quicker, or has already gone on from ours: whoever asked has to read either way.
            return None if all(row.get(n) == value for n, value in expected.items()) else False

        key = (old.mail_id,)
        return self._settle(
            rows.MAILS,
            key,
            lambda: self._tables.update(rows.MAILS, key, columns, equal(expected)),
            ours,
        )

    def prove(  # noqa: PLR0913  # each by its name
        self,
        mail_id: str,
        *,
        envelope_id: str | None,
        request_id: str | None,
        evidence: str,
        at: int,
        claim: MailRecord | None = None,
    ) -> MailRecord | None:
        """See `Ledger.prove`. Nothing is written where nothing is new."""

        def proven(known: MailRecord) -> MailRecord:
            return known.proven(
                envelope_id=envelope_id, request_id=request_id, evidence=evidence, at=at
            )

        if claim is not None:
            new = proven(claim)
            if self._put_proof(claim, new, rows.mail_condition(claim)):
                return new
        for turn in range(PROVE_TRIES):
            row = self._tables.get(rows.MAILS, mail_id)
            if row is None:
                return None
            known = rows.mail_record(mail_id, row)
            new = proven(known)
            if replace(new, updated_at=known.updated_at) == known:
                return known
            if self._put_proof(known, new, {rows.STAMP: row.get(rows.STAMP, "")}):
                return new
            time.sleep(PROVE_PAUSE_SECONDS * random.random() * turn)  # noqa: S311  # so that writers part, not a secret
        raise LedgerUnavailable("Tablestore: too many changes of one mail at once")

    def find_by_envelope_id(self, envelope_id: str) -> MailRecord | None:
        """See `Ledger.find_by_envelope_id`."""
        row = self._tables.get(rows.ENVELOPES, rows.spread(envelope_id))
        found = self.get(row["mail_id"]) if row else None
        return found if found and found.envelope_id == envelope_id else None

    def record_delivery(self, record: DeliveryRecord) -> bool:
        """See `Ledger.record_delivery`."""
        stamp = rows.new_stamp()
        columns: rows.Columns = {
            "attempt": record.attempt,
            "state": record.state,
            "at": record.at,
            rows.STAMP: stamp,
        }

        def ours(row: Row | None) -> bool | None:
            return None if row is None else row.get(rows.STAMP) == stamp

        key = rows.delivery_key(record)
        return self._settle(
            rows.DELIVERIES, key, lambda: self._tables.put_new(rows.DELIVERIES, key, columns), ours
        )

    def deliveries(self, mail_id: str) -> list[DeliveryRecord]:
        """See `Ledger.deliveries`."""
        found = self._tables.scan(rows.DELIVERIES, Span(within=mail_id))
        records = [rows.delivery_record(key, row) for key, row in found]
        return sorted(records, key=lambda record: (record.at, record.recipient, record.state))

    def by_state(self, states: Collection[str], limit: int) -> list[MailRecord]:
        """See `Ledger.by_state`. It reads the whole table: for a person's questions only."""
        asked = sorted(set(states))
        found = (
            rows.mail_record(key["mail_id"], row)
            for first in range(0, len(asked), STATES_AT_ONCE)
            for key, row in self._tables.scan(
                rows.MAILS, where=one_of("state", asked[first : first + STATES_AT_ONCE])
            )
        )
        return heapq.nsmallest(limit, found, key=lambda mail: (mail.created_at, mail.mail_id))

    def take_permits(self, slice_id: str, count: int, limit: int, expires_at: int) -> bool:
        """See `Ledger.take_permits`."""
        take = Take("used", count, limit - count)
        key = (rows.spread(slice_id),)
        return count <= limit and self._tables.add(
            rows.PERMITS, key, take, {"expires_at": expires_at}
        )

    def channel(self, sender: str) -> Channel:
        """See `Ledger.channel`."""
        row = self._tables.get(rows.CHANNELS, sender) or {}
        return Channel(row.get("sent_at", 0), row.get("proven_at", 0))

    def note_channel(self, sender: str, channel: Channel) -> None:
        """See `Ledger.note_channel`."""
        for name, at in (("sent_at", channel.sent_at), ("proven_at", channel.proven_at)):
            if at:
                self._tables.lift(rows.CHANNELS, (sender,), name, at)

    def sight(self, sender: str, recipient: str, at: int) -> None:
        """See `Ledger.sight`."""
        self._tables.lift(rows.SIGHTINGS, (sender, recipient), "at", at)

    def sighted_at(self, sender: str, recipient: str) -> int:
        """See `Ledger.sighted_at`."""
        row = self._tables.get(rows.SIGHTINGS, sender, recipient) or {}
        return int(row.get("at", 0))

    def purge(self, now: int) -> int:
        """See `Ledger.purge`. A part of the tables at a time; the TTL takes what is missed."""
        return purge(self._tables, now)

    def close(self) -> None:
        """Close idle connections; a later call opens new ones."""
        self._tables.client.close()

    def _put_proof(self, known: MailRecord, new: MailRecord, expected: rows.Columns) -> bool:
        """Write proof into the row that was read; False where it is another, or nobody knows."""
        if known.envelope_id is None and new.envelope_id is not None:
            # Before the row, so that a proven mail is always found; `find` looks at the row.
            self._point(new.envelope_id, new.mail_id)
        columns = rows.mail_columns(new, rows.new_stamp())
        try:
            return self._tables.update(rows.MAILS, (new.mail_id,), columns, equal(expected))
        except AnswerLost:
            return False

    def _point(self, envelope_id: str, mail_id: str) -> None:
        """Let an envelope id lead to its mail; one that does already stays."""
        key = (rows.spread(envelope_id),)

        def ours(row: Row | None) -> bool | None:
            return None if row is None else True

        self._settle(
            rows.ENVELOPES,
            key,
            lambda: self._tables.put_new(rows.ENVELOPES, key, {"mail_id": mail_id}),
            ours,
        )

    def _settle(
        self,
        table: rows.Table,
        key: tuple[str, ...],
        write: Callable[[], bool],
        ours: Callable[[Row | None], bool | None],
    ) -> bool:
        """Write on a condition, and find out what became of it where the answer is lost.

        Args:
            table: where the row is.
            key: which row it is.
            write: does it once; whether the condition held.
            ours: whether the row that is there is what was written; None where the write was not
                done and may be done again.
        """
        lost = False
        for _ in range(RESOLVE_TRIES):
            try:
                done = write()
            except AnswerLost:
                lost = True
            else:
                if done or not lost:
                    return done
            verdict = ours(self._tables.get(table, *key))
            if verdict is not None:
                return verdict
        raise AnswerLost("Tablestore: the answers to a write were lost")


def _prefix_in(query: str) -> str:
    values = parse_qs(query, keep_blank_values=True, strict_parsing=bool(query))
    prefixes = values.pop("prefix", [""])
    if values or len(prefixes) > 1:
        raise ValueError("only one `prefix` is known after the question mark")
    return prefixes[0]
