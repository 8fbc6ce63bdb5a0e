"""Tables of the ledger in Tablestore: their keys, their columns, and the way back to records.

A column that a condition looks at is never left out: where a condition meets a column that is
missing, Tablestore lets it pass unless told otherwise. So nothing is stored as the empty text,
and a text that is empty, or begins with the sign of escape, is stored with that sign before it.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from shared.stores.ledger import DeliveryRecord, MailRecord
from shared.values import dataclass

DAY_SECONDS = 86_400
ESCAPE = "\0"
# Which write a row is: tells, after a lost answer, whether it was ours, and fences evidence.
STAMP = "stamp"
FOREVER = -1


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        name: after the prefix.
        keys: its primary key's columns, all of them strings; the first one is the partition's.
        ttl_seconds: the store's own time to live. Garbage collection only: what counts are the
            expiry columns. Every write renews all of a row's columns, so a row goes as a whole.
    """

    name: str
    keys: tuple[str, ...]
    ttl_seconds: int


# Mails are kept for 45 days unless the settings say more; the store's own limit lies well behind.
MAILS = Table("mails", ("mail_id",), 120 * DAY_SECONDS)
ENVELOPES = Table("envelopes", ("envelope_id",), 120 * DAY_SECONDS)
DELIVERIES = Table("deliveries", ("mail_id", "recipient", "attempt_state"), 120 * DAY_SECONDS)
PERMITS = Table("permits", ("slice",), 7 * DAY_SECONDS)
CHANNELS = Table("channels", ("sender",), FOREVER)
SIGHTINGS = Table("sightings", ("sender", "recipient"), 60 * DAY_SECONDS)
SUPPRESSIONS = Table("suppressions", ("recipient", "scope"), FOREVER)
# By time, and by id; see `shared.stores.tablestore.events`.
EVENTS = Table("events", ("slot", "id"), 120 * DAY_SECONDS)
EVENT_IDS = Table("event_ids", ("id",), 120 * DAY_SECONDS)
TABLES = (
    CHANNELS,
    DELIVERIES,
    ENVELOPES,
    EVENTS,
    EVENT_IDS,
    MAILS,
    PERMITS,
    SIGHTINGS,
    SUPPRESSIONS,
)

_NULLABLE = frozenset(column.name for column in fields(MailRecord) if column.default is None)
_COLUMNS = tuple(column.name for column in fields(MailRecord) if column.name != "mail_id")

Columns = dict[str, Any]


def spread(key: str) -> str:
    """A key that grows with time, with a hash before it, so that no partition gets every write."""
    return f"{hashlib.sha256(key.encode()).hexdigest()[:8]}:{key}"


def new_stamp() -> str:
    """A stamp that no other write has."""
    return secrets.token_hex(12)


def pack(text: str | None) -> str:
    """A text, or its absence, as one column that is always there."""
    if text is None:
        return ""
    return ESCAPE + text if not text or text.startswith(ESCAPE) else text


def unpack(stored: str) -> str | None:
    """The way back from `pack`."""
    if not stored:
        return None
    return stored[1:] if stored.startswith(ESCAPE) else stored


def mail_columns(record: MailRecord, stamp: str) -> Columns:
    """Every column of a mail's row, beside its key."""
    columns: Columns = {name: getattr(record, name) for name in _COLUMNS}
    columns["notify"] = json.dumps(dict(record.notify), ensure_ascii=False)
    for name in _NULLABLE:
        columns[name] = pack(columns[name])
    columns[STAMP] = stamp
    return columns


def mail_record(mail_id: str, columns: Mapping[str, Any]) -> MailRecord:
    """The record in a mail's row; a column that an earlier version left out has its default."""
    values = {name: columns[name] for name in _COLUMNS if name in columns}
    for name in _NULLABLE & values.keys():
        values[name] = unpack(values[name])
    values["notify"] = json.loads(values.get("notify") or "{}")
    return MailRecord(mail_id, **values)


def mail_condition(record: MailRecord) -> Columns:
    """What must still be so for a change of this mail."""
    return {
        "state": record.state,
        "attempt": record.attempt,
        "owner": record.owner,
        "custody": record.custody,
        "evidence": pack(record.evidence),
    }


def delivery_key(record: DeliveryRecord) -> tuple[str, ...]:
    """The primary key of a recipient's state."""
    return record.mail_id, record.recipient, f"{record.attempt}:{record.state}"


def delivery_record(key: Mapping[str, Any], columns: Mapping[str, Any]) -> DeliveryRecord:
    """The record in a row of `deliveries`."""
    return DeliveryRecord(
        key["mail_id"], key["recipient"], columns["attempt"], columns["state"], columns["at"]
    )
