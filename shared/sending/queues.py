"""Where letters go, as those who send see it; `shared.cloud.queues` does it."""

from __future__ import annotations

from typing import Protocol

from shared.sending.letters import Letter, Settlement


class MailQueues(Protocol):
    """Where letters go; each method raises `QueueUnavailable` when SMQ did not take it."""

    def put_back(self, letter: Letter, delay: int) -> str:
        """Put a letter on the mail queue, due in `delay` ms; returns the message id."""
        ...

    def settle(self, settlement: Settlement, delay: int) -> str:
        """Put proof of a send on the mail queue, due in `delay` ms."""
        ...

    def reject(self, body: str) -> str:
        """Put a body on the reject queue."""
        ...

    def bury(self, letter: Letter) -> str:
        """Put a letter on the dead-letter queue, for redrive."""
        ...
