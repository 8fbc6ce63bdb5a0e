"""DirectMail's events, out of whatever brought them: EventBridge itself, or a queue.

Straight from EventBridge: one CloudEvent (or an array). Through a queue: the queue trigger's
event, whose message bodies are CloudEvents as text, in base64 or not.
https://help.aliyun.com/zh/fc/user-guide/formats-of-event-for-different-triggers
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shared.triggers.json_bytes import NotJson, read_json
from shared.triggers.queue import QueueMessage, fingerprint, read_queue_event

# The type of the platform's own event around a queue's message.
QUEUE_MESSAGE = "mns:Queue:SendMessage"


@dataclass(frozen=True)
class ArrivedEvent:
    """One event that came in.

    Attributes:
        document: the CloudEvent's object; None where it could not be read.
        raw: its bytes as they came.
        id: an id for what cannot be read: the message's, else a fingerprint of the bytes.
        broken: why it could not be read.
    """

    document: dict[str, Any] | None
    raw: bytes
    id: str
    broken: str | None = None


def read_events(event: bytes) -> list[ArrivedEvent]:
    """Peel the event of either trigger. Total: what cannot be read comes back as broken."""
    try:
        document = read_json(event)
    except NotJson as error:
        return [ArrivedEvent(None, event, fingerprint(event), f"not JSON: {error}")]
    elements = document if isinstance(document, list) else [document]
    if all(_is_direct(element) for element in elements):
        return [ArrivedEvent(element, event, str(element.get("id", ""))) for element in elements]
    return [arrived for message in read_queue_event(event) for arrived in _inside(message)]


def _is_direct(element: Any) -> bool:
    """Whether this is an event of its own and not a queue's message around one."""
    if not isinstance(element, dict) or "messageBody" in element:
        return False
    kind, data = element.get("type"), element.get("data")
    if not isinstance(kind, str) or kind == QUEUE_MESSAGE:
        return False
    return not (isinstance(data, dict) and "messageBody" in data)


def _inside(message: QueueMessage) -> list[ArrivedEvent]:
    if message.broken:
        return [ArrivedEvent(None, message.body, message.id, message.broken)]
    try:
        document = read_json(message.body)
    except NotJson as error:
        return [ArrivedEvent(None, message.body, message.id, f"not JSON: {error}")]
    elements = document if isinstance(document, list) else [document]
    return [
        ArrivedEvent(element, message.body, message.id)
        if isinstance(element, dict)
        else ArrivedEvent(None, message.body, message.id, "not an object")
        for element in elements
    ]
