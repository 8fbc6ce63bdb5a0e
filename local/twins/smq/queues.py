"""The queues' definitions, as rows and in memory.

One process owns the file, so the definitions are read once: a send or a receive looks its queue up
in a dict.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace

from local.twins.smq.database import Database
from local.twins.smq.errors import refusal
from local.twins.smq.messages import Policy
from local.twins.smq.model import Queue, QueueAttributes


class QueueTable:
    """The queues of one account, by name.

    Args:
        database: where they are kept.
        arn_prefix: what the name of a queue is appended to in `DLQSourceArn`.
    """

    def __init__(self, database: Database, arn_prefix: str) -> None:
        self._execute = database.execute
        self._arn_prefix = arn_prefix
        rows = self._execute(
            "SELECT id, name, attributes, created_at_ms, modified_at_ms FROM queue"
        )
        self._queues = {
            name: Queue(number, name, QueueAttributes(**json.loads(attributes)), created, modified)
            for number, name, attributes, created, modified in rows
        }

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self._queues)

    def find(self, name: str) -> Queue | None:
        """The queue of that name, or None."""
        return self._queues.get(name)

    def get(self, name: str) -> Queue:
        """The queue of that name; `QueueNotExist` when there is none."""
        queue = self._queues.get(name)
        if queue is None:
            raise refusal("QueueNotExist")
        return queue

    def create(self, name: str, attributes: QueueAttributes, now: int) -> None:
        """Add a queue."""
        stored = json.dumps(asdict(attributes))
        number = self._execute(
            "INSERT INTO queue (name, attributes, created_at_ms, modified_at_ms)"
            " VALUES (?, ?, ?, ?)",
            (name, stored, now, now),
        ).lastrowid
        self._queues[name] = Queue(number or 0, name, attributes, now, now)

    def change(self, name: str, attributes: QueueAttributes, now: int) -> None:
        """Give a queue other attributes; its messages stay as they are."""
        queue = replace(self.get(name), attributes=attributes, modified_at_ms=now)
        self._execute(
            "UPDATE queue SET attributes = ?, modified_at_ms = ? WHERE id = ?",
            (json.dumps(asdict(attributes)), now, queue.id),
        )
        self._queues[name] = queue

    def delete(self, name: str) -> None:
        """Forget a queue."""
        self._execute("DELETE FROM queue WHERE id = ?", (self.get(name).id,))
        del self._queues[name]

    def policies(self) -> list[tuple[Queue, Queue, Policy]]:
        """Each queue that has a dead-letter queue, with that queue and the policy."""
        found = []
        for queue in self._queues.values():
            target = self._queues.get(queue.attributes.dead_letter_queue or "")
            most = queue.attributes.max_receive_count
            if target is not None and most is not None:
                arn = self._arn_prefix + queue.name
                found.append((queue, target, Policy(queue.id, target.id, most, arn)))
        return found
