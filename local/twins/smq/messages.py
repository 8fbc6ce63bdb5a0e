"""The messages of all queues, as rows.

This is the state of a queue and its transitions, without rules about who may ask for them:

    add ──► visible ──take──► in flight ──remove──► gone
              ▲                   │
    add ──► delayed ──promote─────┘    (visible again when due, or moved to the dead-letter queue)

A receipt handle is the message's row number and a secret that every take and every change of
visibility replaces. Hexadecimal and a hyphen: the official SDKs put it into a URL as it is.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from local.twins.smq.database import Database
from local.twins.smq.errors import refusal
from local.twins.smq.model import Message, Property, QueueDepth

_HANDLE = re.compile(r"([0-9a-f]{1,15})-([0-9a-f]{16})\Z")

_COLUMNS = (
    "sequence, id, text, dequeue_count, enqueued_at_ms, first_dequeued_at_ms, due_at_ms, priority,"
    " properties, system_properties"
)
_INSERT = """
INSERT INTO message (queue, id, priority, visible, due_at_ms, expires_at_ms, enqueued_at_ms,
    first_dequeued_at_ms, dequeue_count, secret, properties, system_properties)
VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0, ?, ?, ?)
"""
_VISIBLE = f"""
SELECT {_COLUMNS} FROM message JOIN body USING (sequence)
WHERE queue = ? AND visible = 1 ORDER BY priority, sequence LIMIT ?
"""  # noqa: S608  # the columns are the constant above
_TAKE = """
UPDATE message SET visible = 0, due_at_ms = ?, first_dequeued_at_ms = ?, dequeue_count = ?,
    secret = ? WHERE sequence = ?
"""
# A handle works only while the message waits: once it is due, it is anybody's again.
_HELD = "WHERE sequence = ? AND secret = ? AND queue = ? AND visible = 0 AND due_at_ms > ?"
_REMOVE = f"DELETE FROM message {_HELD}"  # noqa: S608  # the condition is the constant above
_POSTPONE = f"UPDATE message SET due_at_ms = ?, secret = ? {_HELD}"  # noqa: S608  # likewise
_ANYTHING_DUE = """
SELECT EXISTS (SELECT 1 FROM message WHERE visible = 0 AND due_at_ms <= ?)
    OR EXISTS (SELECT 1 FROM message WHERE expires_at_ms <= ?)
"""
_NEXT_DUE = "SELECT due_at_ms FROM message WHERE visible = 0 ORDER BY due_at_ms LIMIT 1"
_DEAD = """
SELECT sequence, id, system_properties FROM message
WHERE visible = 0 AND due_at_ms <= ? AND queue = ? AND dequeue_count >= ?
"""
_MOVE = """
UPDATE message SET queue = ?, id = ?, visible = 1, first_dequeued_at_ms = 0, dequeue_count = 0,
    secret = '', system_properties = ? WHERE sequence = ?
"""
_PROMOTE = "UPDATE message SET visible = 1 WHERE visible = 0 AND due_at_ms <= ?"
_DEPTH = """
SELECT COUNT(*), COALESCE(SUM(visible), 0), COALESCE(SUM(visible = 0 AND dequeue_count > 0), 0),
    MIN(enqueued_at_ms) FROM message WHERE queue = ?
"""


@dataclass(frozen=True)
class Draft:
    """A message that is about to be added; `due_at_ms` only when it is delayed."""

    body: str
    enqueued_at_ms: int
    expires_at_ms: int
    due_at_ms: int | None = None
    priority: int = 8
    properties: Sequence[Property] = ()
    system_properties: Sequence[Property] = ()


@dataclass(frozen=True)
class Policy:
    """One queue's dead-letter policy, with what its messages are told when they move."""

    queue: int
    target: int
    max_receive_count: int
    source_arn: str


def new_id() -> str:
    """A message id, in the service's alphabet."""
    return secrets.token_hex(16).upper()


class MessageTable:
    """The rows; each method is done wholly or not at all."""

    def __init__(self, database: Database) -> None:
        self._transaction = database.transaction
        self._execute = database.execute
        self._executemany = database.executemany

    def add(self, queue: int, draft: Draft) -> tuple[str, str | None]:
        """Add a message; its id, and its receipt handle when it is delayed."""
        identifier = new_id()
        delayed = draft.due_at_ms is not None
        secret = secrets.token_hex(8) if delayed else ""
        row = (
            queue,
            identifier,
            draft.priority,
            not delayed,
            draft.due_at_ms if delayed else draft.enqueued_at_ms,
            draft.expires_at_ms,
            draft.enqueued_at_ms,
            secret,
            dump(draft.properties),
            dump(draft.system_properties),
        )
        with self._transaction():
            sequence = self._execute(_INSERT, row).lastrowid
            self._execute("INSERT INTO body VALUES (?, ?)", (sequence, draft.body))
        return identifier, f"{sequence:x}-{secret}" if delayed else None

    def look(self, queue: int, count: int) -> list[Message]:
        """The next visible messages, untouched and without handles."""
        return [_message(row) for row in self._execute(_VISIBLE, (queue, count))]

    def take(self, queue: int, count: int, now: int, due_at_ms: int) -> list[Message]:
        """Take the next visible messages in flight until `due_at_ms`."""
        taken, changes = [], []
        for row in self._execute(_VISIBLE, (queue, count)).fetchall():
            secret = secrets.token_hex(8)
            first, dequeued = row[5] or now, row[3] + 1
            changes.append((due_at_ms, first, dequeued, secret, row[0]))
            changed = (*row[:3], dequeued, row[4], first, due_at_ms, *row[7:])
            taken.append(_message(changed, f"{row[0]:x}-{secret}"))
        if changes:
            with self._transaction():
                self._executemany(_TAKE, changes)
        return taken

    def remove(self, queue: int, handle: str, now: int) -> None:
        """Delete the message that the handle still holds."""
        if self._execute(_REMOVE, (*_parse(handle), queue, now)).rowcount != 1:
            raise refusal("MessageNotExist")

    def postpone(self, queue: int, handle: str, now: int, due_at_ms: int) -> str:
        """Let the message that the handle holds wait until another time; the new handle."""
        sequence, secret = _parse(handle)
        new = secrets.token_hex(8)
        changes = (due_at_ms, new, sequence, secret, queue, now)
        if self._execute(_POSTPONE, changes).rowcount != 1:
            raise refusal("MessageNotExist")
        return f"{sequence:x}-{new}"

    def anything_due(self, now: int) -> bool:
        """Whether a message becomes visible, dies or expires by now."""
        return bool(self._execute(_ANYTHING_DUE, (now, now)).fetchone()[0])

    def next_due(self) -> int | None:
        """When the next waiting message becomes visible, of all queues."""
        row = self._execute(_NEXT_DUE).fetchone()
        return None if row is None else int(row[0])

    def expire(self, now: int) -> None:
        """Drop what its queue has kept long enough."""
        self._execute("DELETE FROM message WHERE expires_at_ms <= ?", (now,))

    def bury(self, policy: Policy, now: int) -> list[str]:
        """Move what was received too often to the dead-letter queue; the ids it has there.

        The time it may be kept is not set anew.
        https://help.aliyun.com/en/mns/developer-reference/dead-letter-queue
        """
        dead = self._execute(_DEAD, (now, policy.queue, policy.max_receive_count)).fetchall()
        moved: list[str] = []
        for sequence, identifier, known in dead:
            origin = (
                Property("DLQSourceArn", policy.source_arn),
                Property("DLQOriginMessageId", identifier),
            )
            told = dump((*(p for p in load(known) if not p.name.startswith("DLQ")), *origin))
            moved.append(new_id())
            self._execute(_MOVE, (policy.target, moved[-1], told, sequence))
        return moved

    def promote(self, now: int) -> None:
        """Make visible what has waited long enough."""
        self._execute(_PROMOTE, (now,))

    def depth(self, queue: int) -> QueueDepth:
        """Count a queue's messages by state."""
        total, visible, in_flight, oldest = self._execute(_DEPTH, (queue,)).fetchone()
        return QueueDepth(visible, in_flight, total - visible - in_flight, oldest)

    def clear(self, queue: int) -> None:
        """Delete all messages of a queue."""
        self._execute("DELETE FROM message WHERE queue = ?", (queue,))


def dump(properties: Iterable[Property]) -> str:
    """Properties as they are stored: JSON, or nothing when there are none."""
    rows = [[each.name, each.value, each.type] for each in properties]
    return json.dumps(rows) if rows else ""


def load(stored: str) -> tuple[Property, ...]:
    """Properties out of what `dump` made."""
    return tuple(Property(*row) for row in json.loads(stored)) if stored else ()


def _parse(handle: str) -> tuple[int, str]:
    found = _HANDLE.match(handle)
    if found is None:
        raise refusal("ReceiptHandleError")
    return int(found[1], 16), found[2]


def _message(row: Sequence[Any], handle: str = "") -> Message:
    _, identifier, body, dequeued, enqueued, first, due, priority, properties, system = row
    return Message(
        id=identifier,
        body=body,
        receipt_handle=handle,
        dequeue_count=dequeued,
        enqueued_at_ms=enqueued,
        first_dequeued_at_ms=first,
        next_visible_at_ms=due,
        priority=priority,
        properties=load(properties),
        system_properties=load(system),
    )
