"""DirectMail's events, out of whatever brought them: one routine for every way in.

Any of these layers may lie around an event, in any order and more than once:

- an array of events, as EventBridge's HTTP targets and event streams send it;
- a queue's message, as the queue trigger hands it over: an object, its `data` alone (RawData), or
  one of both as text. https://www.alibabacloud.com/help/en/functioncompute/fc/mns-queue-triggers
- a topic's notification, in XML or JSON, or with attributes around it (STREAM); without any it is
  the bare text. https://help.aliyun.com/zh/fc/user-guide/formats-of-event-for-different-triggers
- JSON in a JSON string, and base64.

Inside is a CloudEvent of EventBridge's, one of Postbus's own letters (an object with a number
`postbus`), or the `key=value&key=value` text of the older asynchronous notification
(https://help.aliyun.com/document_detail/52965.html).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic_core import to_json

from shared.triggers.json_bytes import NotJson, decode_body, read_json
from shared.triggers.notifications import NotNotification, is_notification, read_notification
from shared.triggers.queue import fingerprint

# The type of the platform's own event around a queue's message.
QUEUE_MESSAGE = "mns:Queue:SendMessage"
# The deepest that was ever documented is nine: a batch of texts, a message, base64, a notification,
# base64 again, a text in JSON, an array.
LAYERS_MAX = 16

# What the older notification cannot be without, whatever stands before it.
_PAIRS = re.compile(rb"(?:\A|&)event=[A-Za-z]")


_BOM = b"\xef\xbb\xbf"


class ArrivedEvent(NamedTuple):
    """One event that came in.

    Attributes:
        document: the event's object: a CloudEvent, a letter of our own, or, for an older
            notification, the object of its JSON form (`Message` is the text, base64 undone; it
            stands alone where no notification was around it). None where nothing could be read.
        raw: the bytes that could not be read; empty beside a document.
        id: an id for what cannot be read: the message's, else a fingerprint of the bytes.
        broken: why it could not be read.
    """

    document: dict[str, Any] | None
    raw: bytes
    id: str
    broken: str | None = None


class _Place(NamedTuple):
    """Where something was found: how deep, in which message, in which notification."""

    depth: int = 0
    id: str = ""
    notification: Mapping[str, Any] | None = None

    def inside(self, *given: Any) -> _Place:
        """One layer further in; the first id that is given is the message's own."""
        found = next((each for each in given if isinstance(each, str) and each), self.id)
        return _Place(self.depth + 1, found, self.notification)


_OUTSIDE = _Place()


class _Peeler:
    """Peels, and keeps what it finds; each method peels one kind of layer."""

    def __init__(self) -> None:
        self.found: list[ArrivedEvent] = []

    def text(self, text: bytes, place: _Place) -> None:
        """Bytes that are JSON, XML, pairs, or any of them in base64."""
        if place.depth > LAYERS_MAX:
            return self.refuse(text, place, f"more than {LAYERS_MAX} layers")
        try:
            value = read_json(text)
        except NotJson as error:
            return self.other_text(text, place, f"not JSON: {error}")
        return self.value(value, place)

    def other_text(self, text: bytes, place: _Place, why: str) -> None:
        if text.startswith(_BOM):
            return self.text(text[len(_BOM) :], place.inside())
        if text.lstrip()[:1] == b"<":
            return self.xml(text, place)
        if _PAIRS.search(text):
            # A remote host's words in it may have any encoding; the rest is ASCII.
            pairs = {**(place.notification or {}), "Message": text.decode("utf-8", "replace")}
            return self.keep(pairs, place)
        decoded = _decoded(text)
        if decoded is None:
            return self.refuse(text, place, why)
        return self.text(decoded, place.inside())

    def xml(self, text: bytes, place: _Place) -> None:
        try:
            self.notification(read_notification(text.decode()), place)
        except UnicodeDecodeError:
            self.refuse(text, place, "neither JSON nor UTF-8")
        except NotNotification as error:
            self.refuse(text, place, f"not JSON, and {error}")

    def value(self, value: Any, place: _Place) -> None:
        """A value out of JSON."""
        if isinstance(value, str):
            self.text(value.encode(), place.inside())
        elif place.depth > LAYERS_MAX:
            self.refuse(to_json(value), place, f"more than {LAYERS_MAX} layers")
        elif isinstance(value, dict):
            self.object(value, place)
        elif isinstance(value, list):
            self.array(value, place)
        else:
            self.refuse(to_json(value), place, "not an object")

    def array(self, elements: list[Any], place: _Place) -> None:
        if not elements and place.depth:
            # Nothing came in an empty batch, but whoever wrote a message meant something.
            self.refuse(b"[]", place, "an empty array")
        if len(elements) > 1:
            # Several out of one message need an id each, and the notification's is no one's.
            place = place._replace(notification=None)
        for number, element in enumerate(elements):
            own = f"{place.id}/{number}" if place.id and len(elements) > 1 else None
            self.value(element, place.inside(own))

    def object(self, value: dict[str, Any], place: _Place) -> None:
        # A number tells our letters from a topic's attribute of that name, which is always text.
        if type(value.get("postbus")) is int:
            self.keep(value, place)
        elif (message := _queue_message(value)) is not None:
            self.message(message, value, place)
        elif is_notification(value):
            self.notification(value, place)
        elif "attrs" in value and "body" in value:
            self.value(value["body"], place.inside())
        else:
            self.keep(value, place)

    def message(self, message: dict[str, Any], around: dict[str, Any], place: _Place) -> None:
        if "messageBody" not in message:
            return self.refuse(to_json(around), place, "the message has no messageBody")
        place = place.inside(message.get("messageId"), around.get("id"))
        return self.value(message["messageBody"], place)

    def notification(self, value: Mapping[str, Any], place: _Place) -> None:
        inside = place.inside(value.get("MessageId"))._replace(notification=value)
        self.value(value["Message"], inside)

    def keep(self, document: dict[str, Any], place: _Place) -> None:
        identity = place.id or document.get("id")
        self.found.append(
            ArrivedEvent(document, b"", identity if isinstance(identity, str) else "")
        )

    def refuse(self, raw: bytes, place: _Place, why: str) -> None:
        self.found.append(ArrivedEvent(None, raw, place.id or fingerprint(raw), why))


def read_events(event: bytes) -> list[ArrivedEvent]:
    """Peel what a trigger or a push brought.

    Total: whatever the bytes, the answer is a list, in their order. What cannot be read is in it
    as broken, with the reason; nothing is raised.
    """
    peeler = _Peeler()
    peeler.text(event, _OUTSIDE)
    return peeler.found


def _queue_message(value: dict[str, Any]) -> dict[str, Any] | None:
    """The `data` of the platform's event around a queue's message; None where this is none."""
    if "messageBody" in value:
        return value
    data, kind = value.get("data"), value.get("type")
    if isinstance(data, str) and (kind is None or kind == QUEUE_MESSAGE):
        try:
            data = read_json(data)
        except NotJson:
            return {} if kind else None
    if isinstance(data, dict) and "messageBody" in data:
        return data
    return {} if kind == QUEUE_MESSAGE else None


def _decoded(text: bytes) -> bytes | None:
    """What is in the base64; None where it is none, or nothing that anybody can have meant."""
    try:
        decoded = decode_body(text.decode("ascii"))
    except UnicodeDecodeError:
        return None
    return None if decoded == text else decoded
