"""The log of mail events: what went downstream, so that a repeat is known and can be asked for.

An event is recorded once all its sinks have it, or a letter of ours carries it to those that have
not. So what is recorded never needs to be told again by itself; what was told and not yet recorded
(a process died between the two) is told again, under the same id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from shared.stores.recipients import Erased
from shared.triggers.context import Invocation
from shared.values import dataclass


@dataclass(frozen=True)
class RecordedEvent:
    """One event as it went out.

    Attributes:
        id: the event's own, derived from what it tells.
        at: when it was recorded, in ms since 1970.
        tag: its state, or another word of at most 16 characters; see `MailEvent`.
        recipient: the address it is about, or empty; by it a person's events are forgotten.
        body: the event's JSON.
    """

    id: str
    at: int
    tag: str
    recipient: str
    body: str


class EventLog(Protocol):
    """What a store does. Every method raises `LedgerUnavailable` when the store does not answer."""

    def use(self, invocation: Invocation) -> None:
        """Take this invocation's credentials and remaining time for the calls that follow."""
        ...

    def knows(self, event_id: str) -> bool:
        """Whether an event with that id is recorded."""
        ...

    def record(self, event: RecordedEvent) -> None:
        """Record an event; one that is recorded already stays as it is."""
        ...

    def between(self, start: int, end: int) -> Iterator[RecordedEvent]:
        """The events recorded from `start` on and before `end`, in ms since 1970; in any order."""
        ...

    def forget(self, recipient: str, start: str, may_go_on: Callable[[], bool]) -> Erased:
        """Delete the events about a recipient, however the address is spelled.

        Their ids stay known: a late repeat would bring the address back.

        Args:
            recipient: the address.
            start: empty, or the `following` of an erasure that did not come to its end.
            may_go_on: asked now and then; False ends this part of the work.
        """
        ...

    def purge(self, now: int) -> int:
        """Delete what has expired, a part of it at a time; how many events."""
        ...
