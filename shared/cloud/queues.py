"""The queues and the topic of this environment, by what they are for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shared.cloud.smq import Smq
from shared.sending.letters import Letter, compact


@dataclass(frozen=True)
class Queues:
    """Where letters and events go. Each method raises `QueueUnavailable`.

    Args:
        smq: the client.
        mails: the queue of mails to send.
        rejected: the queue of messages that could not be taken.
        dead: the queue of letters that wait for redrive.
        topic: the topic of mail events.
    """

    smq: Smq
    mails: str
    rejected: str
    dead: str
    topic: str

    def put_back(self, letter: Letter, delay: int) -> str:
        """Put a letter on the mail queue, due in `delay` ms."""
        return self.smq.send(self.mails, letter.body(), delay_ms=delay)

    def accept(self, request: Mapping[str, object]) -> str:
        """Put a bare mail request on the mail queue."""
        return self.smq.send(self.mails, compact(dict(request)))

    def reject(self, body: str) -> str:
        """Put a body on the reject queue."""
        return self.smq.send(self.rejected, body)

    def bury(self, letter: Letter) -> str:
        """Put a letter on the dead-letter queue."""
        return self.smq.send(self.dead, letter.body())

    def publish(self, body: str, tag: str, properties: Mapping[str, str]) -> str:
        """Publish a mail event."""
        return self.smq.publish(self.topic, body, tag=tag, properties=properties)
