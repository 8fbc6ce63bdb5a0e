"""The queues of this environment, by what they are for, and the sinks of its events."""

from __future__ import annotations

from collections.abc import Mapping

from shared.cloud.smq import Smq
from shared.errors import QueueUnavailable
from shared.sending.letters import Letter, Settlement
from shared.values import dataclass


@dataclass(frozen=True)
class Queues:
    """Where letters and events go. Each method raises `QueueUnavailable`.

    Args:
        smq: the client.
        mails: the queue of mails to send.
        rejected: the queue of messages that could not be taken.
        dead: the queue of letters that wait for redrive.
        events: the queue of DirectMail's events.
        retries: the queue of events that a sink has not taken yet; empty: `events`.
        dead_events: the queue of those that it did not take for too long.
    """

    smq: Smq
    mails: str
    rejected: str
    dead: str
    events: str = ""
    retries: str = ""
    dead_events: str = ""

    def put_back(self, letter: Letter, delay: int) -> str:
        """Put a letter on the mail queue, due in `delay` ms."""
        return self.smq.send(self.mails, letter.body(), delay_ms=delay)

    def settle(self, settlement: Settlement, delay: int) -> str:
        """Put proof of a send on the mail queue, due in `delay` ms."""
        return self.smq.send(self.mails, settlement.body(), delay_ms=delay)

    def reject(self, body: str) -> str:
        """Put a body on the reject queue."""
        return self.smq.send(self.rejected, body)

    def bury(self, letter: Letter) -> str:
        """Put a letter on the dead-letter queue."""
        return self.smq.send(self.dead, letter.body())

    def defer(self, event: str, delay: int) -> str:
        """Put one of DirectMail's events back on its queue, due in `delay` ms."""
        return self.smq.send(self.events, event, delay_ms=delay)

    def events_lag(self, now: int) -> int | None:
        """How old the oldest waiting event is, in ms; None where that is not known.

        An event that was put back because the ledger did not answer hides its age.
        """
        if not self.events:
            return None
        try:
            if self.smq.delayed(self.events):
                return None
            oldest = self.smq.oldest(self.events)
        except QueueUnavailable:
            return None
        return 0 if oldest is None else max(0, now - oldest)

    def retry(self, letter: str, delay: int) -> str:
        """Put a letter on the queue of retries, due in `delay` ms.

        It is a queue of its own because a delayed message on `events` hides how old the events
        are that wait there: see `events_lag`. A sink that is down must not do that.
        """
        return self.smq.send(self.retries or self.events, letter, delay_ms=delay)

    def lay_aside(self, letter: str, queue: str) -> str:
        """Put a letter on a dead-letter queue; empty: the common one."""
        return self.smq.send(queue or self.dead_events, letter)

    def deliver(self, sink: str, body: str, tag: str, properties: Mapping[str, str]) -> str:
        """Give a mail event to a sink: `topic:<name>` or `queue:<name>`. It is tried briefly.

        A topic's message goes as it is, with its tag; a queue's in base64, as clients expect it.
        """
        kind, _, name = sink.partition(":")
        if kind == "topic":
            return self.smq.publish(name, body, tag=tag, properties=properties, brief=True)
        return self.smq.send(name, body, properties=properties, brief=True)
