"""What the way out needs of queues and topics; `shared.cloud.queues` has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Post(Protocol):
    """Queues and topics. Every method raises `QueueUnavailable`."""

    def deliver(self, sink: str, body: str, tag: str, properties: Mapping[str, str]) -> str:
        """Give one event to a sink, at once or not at all; returns the message id."""
        ...

    def retry(self, letter: str, delay: int) -> str:
        """Put a letter on the queue of retries, due in `delay` ms."""
        ...

    def lay_aside(self, letter: str, queue: str) -> str:
        """Put a letter on a dead-letter queue; empty: the common one."""
        ...


class Shelf(Protocol):
    """Where events wait. Every method raises `QueueUnavailable`."""

    def defer(self, event: str, delay: int) -> str:
        """Put one of DirectMail's events back on its queue, due in `delay` ms."""
        ...

    def retry(self, letter: str, delay: int) -> str:
        """Put a letter on the queue of retries, due in `delay` ms."""
        ...
