"""What the twin has accepted: SQLite rows with the parameters as sent, and one .eml per mail.

The rows of a mail and of the events it causes are written in one transaction, after its .eml and
before the answer: what was answered with an EnvId is on disk, and its events survive a kill -9.
Other processes may read along (write-ahead log).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS mails (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    env_id TEXT NOT NULL UNIQUE,
    request_id TEXT NOT NULL,
    at REAL NOT NULL,
    recipients TEXT NOT NULL,
    bcc TEXT NOT NULL,
    parameters TEXT NOT NULL,
    facts TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS events (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    mail INTEGER NOT NULL REFERENCES mails (sequence),
    recipient TEXT NOT NULL,
    kind TEXT NOT NULL,
    due_at REAL NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    emitted_at REAL
);
CREATE INDEX IF NOT EXISTS events_pending ON events (due_at, sequence) WHERE emitted_at IS NULL;
"""


@dataclass(frozen=True)
class StoredMail:
    """One accepted mail.

    Attributes:
        sequence: its place in the order of acceptance, from 1.
        at: when it was accepted, in seconds since 1970.
        parameters: every parameter of the call, decoded, as it arrived on the wire.
        eml_path: the mail as a file.
    """

    sequence: int
    env_id: str
    request_id: str
    at: float
    recipients: tuple[str, ...]
    bcc: tuple[str, ...]
    parameters: dict[str, str]
    eml_path: Path


@dataclass(frozen=True)
class Planned:
    """An event to come: for whom, of which kind (see `fates`), when (seconds since 1970)."""

    recipient: str
    kind: str
    due_at: float


@dataclass(frozen=True)
class DueEvent(Planned):
    """A planned event whose time has come, with what its mail's events need to know."""

    sequence: int
    tries: int
    env_id: str
    facts: dict[str, Any]


@dataclass(frozen=True)
class Posted:
    """An accepted mail, as its events tell of it; `recipients` are all, blind copies included."""

    env_id: str
    recipients: tuple[str, ...]
    facts: dict[str, Any]


class Outbox:
    """The accepted mails of one twin and their events to come.

    Args:
        directory: where the database and the .eml files are kept; made if it is not there.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._mails = directory / "mails"
        self._mails.mkdir(parents=True, exist_ok=True)
        # One thread at a time uses it, not always the one that opened it.
        self._database = sqlite3.connect(
            directory / "outbox.db", timeout=30, isolation_level=None, check_same_thread=False
        )
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        self._database.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def count(self) -> int:
        """How many mails were accepted."""
        (count,) = self._database.execute("SELECT count(*) FROM mails").fetchone()
        return int(count)

    def mails(self, *, after: int = 0, limit: int = 100) -> list[StoredMail]:
        """Accepted mails in order, those with a greater sequence than `after`."""
        rows = self._database.execute(
            "SELECT sequence, env_id, request_id, at, recipients, bcc, parameters FROM mails"
            " WHERE sequence > ? ORDER BY sequence LIMIT ?",
            (after, limit),
        )
        return [
            StoredMail(
                sequence=sequence,
                env_id=env_id,
                request_id=request_id,
                at=at,
                recipients=tuple(json.loads(recipients)),
                bcc=tuple(json.loads(bcc)),
                parameters=json.loads(parameters),
                eml_path=self.eml_path(env_id),
            )
            for sequence, env_id, request_id, at, recipients, bcc, parameters in rows
        ]

    def find(self, *, env_id: str | None = None, told: str | None = None) -> Posted | None:
        """The latest mail of an EnvId, or that says something; without either, the latest.

        Args:
            env_id: the EnvId.
            told: a text within what is kept of the mail for its events.
        """
        row = self._database.execute(
            "SELECT env_id, recipients, bcc, facts FROM mails"
            " WHERE (? IS NULL OR env_id = ?) AND (? IS NULL OR instr(facts, ?))"
            " ORDER BY sequence DESC LIMIT 1",
            (env_id, env_id, told, told),
        ).fetchone()
        if row is None:
            return None
        return Posted(row[0], (*json.loads(row[1]), *json.loads(row[2])), json.loads(row[3]))

    def eml_path(self, env_id: str) -> Path:
        """Where the mail of that EnvId is, or is to be written."""
        return self._mails / f"{env_id}.eml"

    def add(self, mail: StoredMail, facts: dict[str, Any], events: Iterable[Planned]) -> None:
        """Record a mail, whose .eml is written, with the events it will cause.

        Args:
            mail: the mail; its sequence is given by the outbox and not read.
            facts: what `bodies.data` will want to know of it.
            events: the events to come.
        """
        with self._database:
            self._database.execute("BEGIN IMMEDIATE")
            cursor = self._database.execute(
                "INSERT INTO mails (env_id, request_id, at, recipients, bcc, parameters, facts)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    mail.env_id,
                    mail.request_id,
                    mail.at,
                    json.dumps(mail.recipients),
                    json.dumps(mail.bcc),
                    json.dumps(mail.parameters, ensure_ascii=False),
                    json.dumps(facts),
                ),
            )
            self._database.executemany(
                "INSERT INTO events (mail, recipient, kind, due_at) VALUES (?, ?, ?, ?)",
                [(cursor.lastrowid, e.recipient, e.kind, e.due_at) for e in events],
            )

    def due(self, now: float, limit: int) -> list[DueEvent]:
        """Events whose time has come and that were not emitted, the oldest first."""
        rows = self._database.execute(
            "SELECT events.sequence, recipient, kind, due_at, tries, env_id, facts"
            " FROM events JOIN mails ON mails.sequence = events.mail"
            " WHERE emitted_at IS NULL AND due_at <= ? ORDER BY due_at, events.sequence LIMIT ?",
            (now, limit),
        )
        return [
            DueEvent(recipient, kind, due_at, sequence, tries, env_id, json.loads(facts))
            for sequence, recipient, kind, due_at, tries, env_id, facts in rows
        ]

    def next_due_at(self) -> float | None:
        """When the next event is due; None where none is to come."""
        row = self._database.execute(
            "SELECT due_at FROM events WHERE emitted_at IS NULL ORDER BY due_at LIMIT 1"
        ).fetchone()
        return None if row is None else float(row[0])

    def settle(
        self, emitted: Sequence[DueEvent], later: Sequence[tuple[float, DueEvent]], now: float
    ) -> None:
        """Mark events as done, and put others off to a later time with one more try counted."""
        with self._database:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.executemany(
                "UPDATE events SET emitted_at = ? WHERE sequence = ?",
                [(now, event.sequence) for event in emitted],
            )
            self._database.executemany(
                "UPDATE events SET due_at = ?, tries = tries + 1 WHERE sequence = ?",
                [(due_at, event.sequence) for due_at, event in later],
            )
