"""Dead delivery events, looked at: which of them may go back, and to which queue. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from shared.delivery.sink_letters import ReplayedEvent, SinkLetter, WaitingEvent, read_own_letter
from shared.triggers.json_bytes import NotJson, decode_body, read_json
from shared.values import dataclass

Back = Literal["retries", "events"]


@dataclass(frozen=True)
class DeadEvent:
    """One message of a dead-letter queue of events.

    Attributes:
        back: the queue it goes back to: of `retries`, or of DirectMail's `events`; None: it is
            nothing that Postbus could handle.
        body: what is put there.
        sink: which one did not take it, where it is a letter for one; else empty.
        event_id: of the clean event, likewise.
        why: likewise.
    """

    back: Back | None
    body: str = ""
    sink: str = ""
    event_id: str = ""
    why: str = ""


def read_dead_event(body: bytes) -> DeadEvent:
    """Look at one message. A letter for a sink is as new again: its patience begins anew.

    Args:
        body: the message's body; base64 that the client left on is undone.
    """
    text = decode_body(body.decode("utf-8", "replace"))
    try:
        document = read_json(text)
    except NotJson:
        return DeadEvent(None)
    letter = read_own_letter(document) if isinstance(document, dict) else None
    if isinstance(letter, SinkLetter):
        fresh = replace(letter, attempt=0, first_seen=0, why="")
        return DeadEvent("retries", fresh.body(), letter.sink, letter.event.id, letter.why)
    if isinstance(letter, (WaitingEvent, ReplayedEvent)):
        return DeadEvent("retries", text.decode(), why="received too often")
    if isinstance(document, (dict, list)):
        return DeadEvent("events", text.decode(), why="received too often")
    return DeadEvent(None)
