"""Letters of ours on the queue of retries: an event for one sink, or one that waits for its mail.

They carry what the platform forgets: which try this is, and since when. Only Postbus writes them,
but the queue is open to other writers, so what is read is checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from shared.delivery.outgoing import Outgoing, fitting
from shared.sending.letters import (
    COUNT_MAX,
    ENVELOPE,
    ENVELOPE_VERSION,
    QUEUE_PAYLOAD_MAX,
    compact,
)
from shared.triggers.json_bytes import read_json
from shared.values import dataclass

# Bytes of a letter beside the event: a sink's name, numbers, and why it was not taken.
RESERVE = 1_024
WHY_MAX = 200
# Texts of an event that is too long are cut to so many characters, to fewer until it fits.
CUTS = (8_000, 2_000, 500, 100)
FORWARD = "forward"
AGAIN = "again"
REPLAY = "replay"


@dataclass(frozen=True)
class SinkLetter:
    """An event that one sink has not taken yet.

    Attributes:
        sink: which.
        event: what.
        attempt: how often it was tried.
        first_seen: when it was first tried, in ms since 1970; 0: not yet.
        why: why the latest try failed; a code or a sentence, never a body.
    """

    sink: str
    event: Outgoing
    attempt: int = 0
    first_seen: int = 0
    why: str = ""

    def next(self, now: int, why: str) -> SinkLetter:
        """The letter after a try that failed."""
        seen = self.first_seen or now
        return replace(self, attempt=self.attempt + 1, first_seen=seen, why=why[:WHY_MAX])

    def body(self) -> str:
        """The letter as a message's body; an event too long for it loses its longest parts."""
        text = fitting(self.event.body, QUEUE_PAYLOAD_MAX - RESERVE)
        told = {
            "sink": self.sink,
            "event": read_json(text),
            "attempt": self.attempt,
            "first_seen": self.first_seen,
            "why": self.why,
        }
        return compact({ENVELOPE: ENVELOPE_VERSION, FORWARD: told})


@dataclass(frozen=True)
class WaitingEvent:
    """One of DirectMail's events whose mail is not known yet.

    Attributes:
        event: the event as it came.
        tries: how often its mail was looked for.
    """

    event: Mapping[str, Any]
    tries: int

    def body(self) -> str:
        """The letter as a message's body; the longest texts of an event too long for it are cut."""
        told = {"event": fitting_event(self.event), "tries": self.tries}
        return compact({ENVELOPE: ENVELOPE_VERSION, AGAIN: told})


@dataclass(frozen=True)
class ReplayedEvent:
    """A recorded event that somebody wants to go out again, by the rules of today."""

    event: Outgoing

    def body(self) -> str:
        """The letter as a message's body; an event too long for it loses its longest parts."""
        text = fitting(self.event.body, QUEUE_PAYLOAD_MAX - RESERVE)
        return compact({ENVELOPE: ENVELOPE_VERSION, REPLAY: {"event": read_json(text)}})


OwnLetter = SinkLetter | WaitingEvent | ReplayedEvent


def read_own_letter(document: Mapping[str, Any] | None) -> OwnLetter | None:
    """Read what may be a letter of ours; None for everything else."""
    if document is None or document.get(ENVELOPE) != ENVELOPE_VERSION:
        return None
    forward, again, replay = (document.get(name) for name in (FORWARD, AGAIN, REPLAY))
    if isinstance(forward, dict):
        return _sink_letter(forward)
    if isinstance(replay, dict) and _is_event(replay.get("event")):
        return ReplayedEvent(Outgoing.of_document(replay["event"]))
    if isinstance(again, dict) and isinstance(again.get("event"), dict):
        tries = again.get("tries")
        return WaitingEvent(again["event"], tries if isinstance(tries, int) else 1)
    return None


def fitting_event(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """One of DirectMail's events, its long texts cut where it fits into no queue's message.

    An event that came as plain text may be too long for the base64 that it goes back in. Refused by
    the queue each time, it would hold up its batch until the platform gave up all of it.
    """
    size = QUEUE_PAYLOAD_MAX - RESERVE
    cut = event
    for most in CUTS:
        if len(compact(cut).encode()) <= size:
            break
        cut = _cut(event, most)
    return cut


def _cut(value: Any, most: int) -> Any:
    """Texts lose their middle: what a notification's stranger wrote has fields on either side."""
    if isinstance(value, str) and len(value) > most:
        return f"{value[: most // 2]}\u2026{value[-most // 2 :]}"
    if isinstance(value, dict):
        return {name: _cut(each, most) for name, each in value.items()}
    return [_cut(each, most) for each in value] if isinstance(value, list) else value


def _sink_letter(told: Mapping[str, Any]) -> SinkLetter | None:
    sink, event, why = told.get("sink"), told.get("event"), told.get("why")
    attempt, first_seen = told.get("attempt"), told.get("first_seen")
    if not isinstance(sink, str) or not isinstance(event, dict) or not _is_event(event):
        return None
    if not _counts(attempt) or not _counts(first_seen):
        return None
    outgoing = Outgoing.of_document(event)
    return SinkLetter(sink, outgoing, attempt, first_seen, why if isinstance(why, str) else "")  # type: ignore[arg-type]  # counted just above


def _is_event(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("id"), str) and bool(value["id"])


def _counts(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= COUNT_MAX
