"""A queue trigger's event: the messages in it, whatever form the platform gave it.

Documented: a JSON array of CloudEvents (event-streaming), one such object (event-driven), and
`RawData`, where the elements are the `data` objects alone. Seen in captures: elements that are
JSON texts themselves. https://www.alibabacloud.com/help/en/functioncompute/fc/mns-queue-triggers
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from shared.triggers.json_bytes import NotJson, decode_body, read_json
from shared.values import dataclass


@dataclass(frozen=True)
class QueueMessage:
    """One message of a queue.

    Attributes:
        id: SMQ's message id, the same for every delivery of this message; where the platform
            left it out, a fingerprint of the body.
        body: what the producer wrote, base64 undone.
        broken: why the platform's envelope could not be read; None for a good one.
        key: the idempotency key, where the trigger itself decides it.
    """

    id: str
    body: bytes
    broken: str | None = None
    key: str | None = None


def read_queue_event(event: bytes) -> list[QueueMessage]:
    """Peel a queue trigger's event. Total: whatever comes is a message, good or broken."""
    try:
        document = read_json(event)
    except NotJson as error:
        return [_broken(event, f"the trigger's event is not JSON: {error}")]
    elements = document if isinstance(document, list) else [document]
    return [_message(element) for element in elements]


def _message(element: Any) -> QueueMessage:
    if isinstance(element, str):
        try:
            element = read_json(element)
        except NotJson as error:
            return _broken(element.encode(), f"an element of the batch is not JSON: {error}")
    if not isinstance(element, dict):
        return _broken(_bytes(element), "an element of the batch is not an object")
    data = element.get("data", element)
    if isinstance(data, str):
        try:
            data = read_json(data)
        except NotJson:
            return _broken(_bytes(element), "the element's data is text that is not JSON")
    if not isinstance(data, dict) or "messageBody" not in data:
        return _broken(_bytes(element), "the element has no messageBody")
    body = data["messageBody"]
    body = decode_body(body) if isinstance(body, str) else _bytes(body)
    identity = data.get("messageId") or element.get("id")
    if not isinstance(identity, str) or not identity:
        identity = fingerprint(body)
    return QueueMessage(identity, body)


def fingerprint(body: bytes) -> str:
    """An id for what has none: the same bytes, the same id."""
    return "sha256-" + hashlib.sha256(body).hexdigest()[:40]


def _broken(body: bytes, reason: str) -> QueueMessage:
    return QueueMessage(fingerprint(body), body, reason)


def _bytes(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
