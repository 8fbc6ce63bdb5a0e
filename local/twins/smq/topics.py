"""The topics' definitions, their subscriptions and what was published, as rows.

The service keeps no history that anybody can read; here the latest `HISTORY` messages of each topic
are kept for the person at the console.
"""

from __future__ import annotations

import json
from dataclasses import asdict

from local.twins.smq.database import Database
from local.twins.smq.errors import refusal
from local.twins.smq.messages import dump, load
from local.twins.smq.model import (
    PublishedMessage,
    Subscription,
    Topic,
    TopicAttributes,
)

HISTORY = 10_000

_TOPIC = "SELECT id, name, attributes, published, created_at_ms, modified_at_ms FROM topic"
_SUBSCRIPTION = (
    "SELECT name, endpoint, queue, content_format, filter_tag, notify_strategy, created_at_ms,"
    " modified_at_ms FROM subscription WHERE topic = ?"
)


class TopicTable:
    """The topics of one account, by name."""

    def __init__(self, database: Database) -> None:
        self._execute = database.execute

    def names(self) -> list[str]:
        """All names, sorted."""
        return [name for (name,) in self._execute("SELECT name FROM topic ORDER BY name")]

    def find(self, name: str) -> Topic | None:
        """The topic of that name, or None."""
        row = self._execute(f"{_TOPIC} WHERE name = ?", (name,)).fetchone()
        if row is None:
            return None
        number, name, attributes, published, created, modified = row
        stored = TopicAttributes(**json.loads(attributes))
        return Topic(number, name, stored, published, created, modified)

    def get(self, name: str) -> Topic:
        """The topic of that name; `TopicNotExist` when there is none."""
        topic = self.find(name)
        if topic is None:
            raise refusal("TopicNotExist")
        return topic

    def create(self, name: str, attributes: TopicAttributes, now: int) -> None:
        """Add a topic."""
        self._execute(
            "INSERT INTO topic (name, attributes, published, created_at_ms, modified_at_ms)"
            " VALUES (?, ?, 0, ?, ?)",
            (name, json.dumps(asdict(attributes)), now, now),
        )

    def change(self, topic: Topic, attributes: TopicAttributes, now: int) -> None:
        """Give a topic other attributes."""
        self._execute(
            "UPDATE topic SET attributes = ?, modified_at_ms = ? WHERE id = ?",
            (json.dumps(asdict(attributes)), now, topic.id),
        )

    def delete(self, topic: Topic) -> None:
        """Forget a topic with its subscriptions and its history."""
        for table in ("publication", "subscription"):
            self._execute(f"DELETE FROM {table} WHERE topic = ?", (topic.id,))  # noqa: S608  # constants
        self._execute("DELETE FROM topic WHERE id = ?", (topic.id,))

    def subscriptions(self, topic: Topic) -> list[Subscription]:
        """All subscriptions of a topic, by name."""
        rows = self._execute(f"{_SUBSCRIPTION} ORDER BY name", (topic.id,))
        return [Subscription(*row) for row in rows]

    def subscription(self, topic: Topic, name: str) -> Subscription | None:
        """A topic's subscription of that name, or None."""
        row = self._execute(f"{_SUBSCRIPTION} AND name = ?", (topic.id, name)).fetchone()
        return None if row is None else Subscription(*row)

    def subscribe(self, topic: Topic, wanted: Subscription) -> None:
        """Add a subscription, or put it in the place of the one of that name."""
        self._execute(
            "INSERT OR REPLACE INTO subscription (topic, name, endpoint, queue, content_format,"
            " filter_tag, notify_strategy, created_at_ms, modified_at_ms)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (topic.id, *asdict(wanted).values()),
        )

    def unsubscribe(self, topic: Topic, name: str) -> None:
        """Remove a subscription; it is no error when there is none."""
        self._execute("DELETE FROM subscription WHERE topic = ? AND name = ?", (topic.id, name))

    def record(self, topic: Topic, message: PublishedMessage) -> None:
        """Add a message to a topic's history, and drop the oldest one beyond `HISTORY`."""
        self._execute("UPDATE topic SET published = ? WHERE id = ?", (message.sequence, topic.id))
        self._execute(
            "INSERT INTO publication (topic, sequence, id, body, tag, properties, at_ms)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                topic.id,
                message.sequence,
                message.id,
                message.body,
                message.tag,
                dump(message.properties),
                message.at_ms,
            ),
        )
        self._execute(
            "DELETE FROM publication WHERE topic = ? AND sequence <= ?",
            (topic.id, message.sequence - HISTORY),
        )

    def history(self, topic: Topic, after: int, limit: int) -> list[PublishedMessage]:
        """A topic's messages with a sequence above `after`, oldest first."""
        rows = self._execute(
            "SELECT sequence, id, body, tag, properties, at_ms FROM publication"
            " WHERE topic = ? AND sequence > ? ORDER BY sequence LIMIT ?",
            (topic.id, after, limit),
        )
        return [
            PublishedMessage(sequence, identifier, body, tag, load(stored), at)
            for sequence, identifier, body, tag, stored, at in rows
        ]
