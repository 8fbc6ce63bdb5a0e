"""The queue half of the engine: messages, their states, and who waits for them.

A message is delivered at least once: whoever receives it has until its visibility time-out to
delete it, then anybody may have it again, with a new receipt handle.
https://www.alibabacloud.com/help/en/mns/developer-reference/receivemessage
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from local.account import ACCOUNT_ID, REGION
from local.activity import Activity
from local.twins.smq import limits
from local.twins.smq.database import Database
from local.twins.smq.messages import Draft, MessageTable
from local.twins.smq.model import (
    Message,
    Property,
    Queue,
    QueueAttributes,
    QueueDepth,
    SentMessage,
)
from local.twins.smq.notification import body_md5
from local.twins.smq.queues import QueueTable
from local.twins.smq.waiting import WaitingRoom

ARN = f"acs:mns:{REGION}:{ACCOUNT_ID}:queues/"


class QueueEngine:
    """The queues of the local account; `Broker` adds the topics."""

    def __init__(
        self, database: Database, *, activity: Activity, clock: Callable[[], float]
    ) -> None:
        self._activity = activity
        self._clock = clock
        self._database = database
        self._queues = QueueTable(database, ARN)
        self._messages = MessageTable(database)
        self._room = WaitingRoom(self._settle_and_look_ahead)

    def queues(self) -> list[str]:
        """The names of all queues, sorted."""
        return self._queues.names()

    def queue(self, name: str) -> Queue:
        """A queue's definition."""
        return self._queues.get(name)

    def ensure_queue(self, name: str, attributes: QueueAttributes) -> None:
        """Create the queue, or give the one there is these attributes; its messages stay."""
        limits.check_name("queue", name)
        limits.check_queue(name, attributes)
        queue, now = self._queues.find(name), self._now()
        if queue is None:
            self._queues.create(name, attributes, now)
        elif queue.attributes != attributes:
            self._queues.change(name, attributes, now)

    def delete_queue(self, name: str) -> None:
        """Delete a queue with its messages; as in the service it is no error when there is none."""
        queue = self._queues.find(name)
        if queue is not None:
            with self._database.transaction():
                self._messages.clear(queue.id)
                self._queues.delete(name)
            self._room.ring(name)

    def depth(self, queue: str) -> QueueDepth:
        """How many messages the queue holds, by state."""
        self._settle(self._now())
        return self._messages.depth(self._queues.get(queue).id)

    def send(  # noqa: PLR0913  # the parameters of SendMessage
        self,
        queue: str,
        body: str,
        *,
        delay_seconds: int | None = None,
        priority: int = limits.DEFAULT_PRIORITY,
        properties: Sequence[Property] = (),
        system_properties: Sequence[Property] = (),
    ) -> SentMessage:
        """Put a message on a queue.

        Args:
            queue: its name.
            body: kept and returned exactly as it is; 64 KB at most, counted in UTF-8.
            delay_seconds: until it can be received; None is the queue's own delay.
            priority: 1 (first) to 16.
            properties: the sender's own values beside the body.
            system_properties: values of the transport (`traceparent` and its kin).
        """
        target = self._queues.get(queue)
        attributes = target.attributes
        size = limits.check_body(body, attributes.maximum_message_size)
        delay = attributes.delay_seconds if delay_seconds is None else delay_seconds
        limits.check_range("DelaySeconds", delay, limits.DELAY_SECONDS)
        limits.check_range("Priority", priority, limits.PRIORITY)
        limits.check_properties(properties)
        limits.check_properties(system_properties)
        identifier, handle = self._add(target, body, delay, priority, properties, system_properties)
        self._activity.record("smq.sent", queue=queue, message_id=identifier, bytes=size)
        return SentMessage(identifier, body_md5(body), handle)

    def _add(  # noqa: PLR0913, PLR0917  # the parameters of SendMessage
        self,
        queue: Queue,
        body: str,
        delay_seconds: int,
        priority: int,
        properties: Sequence[Property],
        system_properties: Sequence[Property],
    ) -> tuple[str, str | None]:
        """Add a checked message and wake who waits, which happens after a running transaction."""
        now = self._now()
        draft = Draft(
            body=body,
            enqueued_at_ms=now,
            expires_at_ms=now + queue.attributes.message_retention_seconds * 1000,
            due_at_ms=now + delay_seconds * 1000 if delay_seconds else None,
            priority=priority,
            properties=properties,
            system_properties=system_properties,
        )
        added = self._messages.add(queue.id, draft)
        if delay_seconds:
            self._room.due_in(delay_seconds)
        else:
            self._room.ring(queue.name)
        return added

    async def receive(
        self,
        queue: str,
        *,
        count: int = 1,
        wait_seconds: float = 0,
        visibility_seconds: float | None = None,
    ) -> list[Message]:
        """Take up to `count` messages in flight, in the order of priority and then of arrival.

        Args:
            queue: its name.
            count: 1 to 16.
            wait_seconds: for how long to wait (at most 30) while there is none.
            visibility_seconds: until others may have them; None is the queue's own time-out.
        """
        limits.check_range("numOfMessages", count, (1, limits.BATCH))
        limits.check_range("waitseconds", wait_seconds, limits.POLLING_SECONDS)
        loop = asyncio.get_running_loop()
        end = loop.time() + wait_seconds
        while True:
            messages = self._take(queue, count, visibility_seconds)
            remaining = end - loop.time()
            if messages or remaining <= 0:
                return messages
            await self._room.wait(queue, remaining)

    def _take(self, queue: str, count: int, visibility_seconds: float | None) -> list[Message]:
        source = self._queues.get(queue)
        now = self._now()
        self._settle(now)
        seconds = visibility_seconds
        if seconds is None:
            seconds = source.attributes.visibility_timeout_seconds
        taken = self._messages.take(source.id, count, now, now + int(seconds * 1000))
        if taken:
            self._room.due_in(seconds)
        return taken

    def peek(self, queue: str, count: int = 1) -> list[Message]:
        """Look at the next messages; they stay where they are and have no handle."""
        limits.check_range("numOfMessages", count, (1, limits.BATCH))
        return self.look(queue, count)

    def look(self, queue: str, count: int) -> list[Message]:
        """Like `peek`, for any number of messages: for this machine's console, not the protocol."""
        self._settle(self._now())
        return self._messages.look(self._queues.get(queue).id, count)

    def delete(self, queue: str, receipt_handle: str) -> None:
        """Delete a message in flight (or delayed) by its latest handle."""
        self._messages.remove(self._queues.get(queue).id, receipt_handle, self._now())

    def change_visibility(self, queue: str, receipt_handle: str, seconds: float) -> tuple[str, int]:
        """Give a message in flight a new time-out, counted from now.

        Returns:
            The handle that replaces the old one, and when the message is visible again (ms).
        """
        limits.check_range("VisibilityTimeout", seconds, limits.VISIBILITY_CHANGE_SECONDS)
        now = self._now()
        due = now + int(seconds * 1000)
        handle = self._messages.postpone(self._queues.get(queue).id, receipt_handle, now, due)
        self._settle(now)
        self._room.due_in(seconds)
        return handle, due

    def _now(self) -> int:
        return int(self._clock() * 1000)

    def _settle(self, now: int) -> None:
        """Do what time has brought: expiry, dead letters, messages that are visible again."""
        if not self._messages.anything_due(now):
            return
        buried: list[tuple[str, str, str]] = []
        with self._database.transaction():
            self._messages.expire(now)
            for source, target, policy in self._queues.policies():
                moved = self._messages.bury(policy, now)
                buried += [(source.name, target.name, identifier) for identifier in moved]
            self._messages.promote(now)
        for queue, to, identifier in buried:
            self._activity.record("smq.dead_lettered", queue=queue, message_id=identifier, to=to)
        self._room.ring_all()

    def _settle_and_look_ahead(self) -> float | None:
        now = self._now()
        self._settle(now)
        due = self._messages.next_due()
        return None if due is None else (due - now) / 1000
