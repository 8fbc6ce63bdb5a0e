"""A queue trigger at work: collect a batch, push it, delete it, and repeat what fails.

    receive up to N messages within T seconds -> push -> delete
                                                  | failed: pause, push the same batch again
                                                  | out of repeats: dead-letter queue, drop or block

The platform has no partial answer: a function that fails gets its whole batch again.
https://www.alibabacloud.com/help/en/functioncompute/fc/mns-queue-triggers
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from local.activity import Activity
from local.host.instances.invocation import Invocation
from local.host.model import QueueTrigger
from local.host.tasks import together
from local.host.triggers.envelopes import Origin, envelope
from local.host.triggers.leases import Lease
from local.host.triggers.retries import push_pauses
from local.twins.smq.broker import Broker
from local.twins.smq.model import Message

# SMQ's own limits of one receive call.
_RECEIVE_LIMIT = 16
_POLL_SECONDS = 30
# Bodies in one push: JSON may write a byte as six, and a push holds 32 MB.
_BATCH_BYTES = 5 * 1024 * 1024
_LOGGER = logging.getLogger("postbus.host")

Push = Callable[[bytes, int], Awaitable[Invocation]]
"""Invokes the function with an event that holds so many messages; waits in line for an instance."""


@dataclass(frozen=True)
class StreamOptions:
    """How a stream runs here.

    Attributes:
        origin: account and region for the envelopes.
        pushes: how many batches may be under way at a time.
        time_scale: what the platform's waiting times are multiplied with.
        lease_seconds: how long a received message stays invisible before it is extended.
    """

    origin: Origin
    pushes: int
    time_scale: float
    lease_seconds: int


class Stream:
    """The stream of one queue trigger."""

    def __init__(
        self,
        trigger: QueueTrigger,
        options: StreamOptions,
        *,
        broker: Broker,
        push: Push,
        activity: Activity,
    ) -> None:
        self.trigger = trigger
        self.blocked = False
        self._options = options
        self._broker = broker
        self._push = push
        self._activity = activity
        self._collecting = asyncio.Lock()

    async def run(self) -> None:
        """Push batches until cancelled, or until the stream blocks (`errorsTolerance: NONE`).

        What is under way at a cancellation is not deleted: it comes back by its visibility.
        """
        await together(self._work() for _ in range(self._options.pushes))

    async def _work(self) -> None:
        while not self.blocked:
            lease = Lease(self._broker, self.trigger.queue, self._options.lease_seconds)
            async with lease.extended():
                # One collects at a time, so that batches get full.
                async with self._collecting:
                    batch = await self._collect(lease)
                if batch and not self.blocked:
                    await self._settle(batch, lease)

    async def _collect(self, lease: Lease) -> list[Message]:
        """A batch: full, or what came within the window after the first message."""
        wanted = self.trigger.batch_count if self.trigger.streaming else 1
        batch = await self._receive(wanted, _POLL_SECONDS, lease)
        end = time.monotonic() + self.trigger.batch_seconds * self._options.time_scale
        while batch and len(batch) < wanted and _size(batch) < _BATCH_BYTES:
            left = end - time.monotonic()
            if left <= 0:
                break
            batch += await self._receive(wanted - len(batch), left, lease)
        return batch

    async def _receive(self, wanted: int, wait_seconds: float, lease: Lease) -> list[Message]:
        messages = await self._broker.receive(
            self.trigger.queue,
            count=min(wanted, _RECEIVE_LIMIT),
            wait_seconds=wait_seconds,
            visibility_seconds=self._options.lease_seconds,
        )
        lease.add(messages)
        return messages

    async def _settle(self, batch: list[Message], lease: Lease) -> None:
        """Push a batch until it is done or given up."""
        event = envelope(self.trigger, batch, self._options.origin, time.time())
        if await self._pushed(event, len(batch)):
            lease.delete()
        elif self.trigger.tolerate_errors:
            self._give_up(batch)
            lease.delete()
        else:
            self._block()

    async def _pushed(self, event: bytes, messages: int) -> bool:
        """Push, with the trigger's repeats; the event stays the same to the byte."""
        for pause in push_pauses(self.trigger.retry):
            if (await self._push(event, messages)).ok:
                return True
            await asyncio.sleep(pause * self._options.time_scale)
        return (await self._push(event, messages)).ok

    def _give_up(self, batch: list[Message]) -> None:
        to = self.trigger.dead_letter_queue
        for message in batch:
            if to is not None:
                self._broker.send(to, message.body, properties=message.properties)
            self._activity.record(
                "trigger.dead_lettered", queue=self.trigger.queue, message_id=message.id, to=to
            )

    def _block(self) -> None:
        self.blocked = True
        self._activity.record(
            "trigger.blocked", trigger=self.trigger.name, function=self.trigger.function
        )
        _LOGGER.error("trigger %s is blocked: its function fails", self.trigger.name)


def _size(batch: list[Message]) -> int:
    return sum(len(message.body) for message in batch)
