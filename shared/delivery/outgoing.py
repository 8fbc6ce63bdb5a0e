"""An event on its way out: its text, its tag, its properties, and what routing looks at."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from shared.schema import limits
from shared.schema.mail_event import MailEvent
from shared.sending.letters import QUEUE_PAYLOAD_MAX, compact
from shared.triggers.json_bytes import read_json
from shared.values import dataclass

# https://www.alibabacloud.com/help/en/mns/product-overview/limits
TAG_MAX = 16
# What an event that is too long for a message goes without, one after the other until it fits:
# a refused message would come again and again. All of it is text that came from outside.
OMISSIONS: tuple[dict[str, Any], ...] = (
    {"raw": {"omitted": "too large"}},
    {"smtp": {"code": None, "message": None}},
    {"notify": {}},
    {"url": None, "user_agent": None, "client_ip": None, "classification": None},
    {"reason": None, "tag": None, "sender": None, "env_id": None, "recipient": None},
)
# SMQ's protocol is XML 1.0, which can carry all of JSON but these two, not even escaped.
NOT_IN_XML = str.maketrans({"\ufffe": r"\ufffe", "\uffff": r"\uffff"})
# What a message says beside its body, so that a subscriber can filter without reading it.
TRACE = ("traceparent", "tracestate")


@dataclass(frozen=True)
class Outgoing:
    """One event, ready to be published.

    Attributes:
        id: the event's own.
        body: its JSON.
        tag: its state, or another word of at most 16 characters.
        properties: its type and ids, as text.
        recipient: the address that it is about, or empty.
    """

    id: str
    body: str
    tag: str
    properties: Mapping[str, str]
    recipient: str = ""

    @classmethod
    def of(cls, event: MailEvent) -> Outgoing:
        """An event that was just made."""
        tag = event.data.state or event.type.rpartition(".")[2]
        body = fitting(event.to_json(), limits.QUEUE_BODY_MAX)
        return cls(event.id, body, tag, properties_of(event), event.data.recipient or "")

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> Outgoing:
        """An event that was published, or was to be, before; whatever version wrote it."""
        data = _object(document.get("data"))
        kind = str(document.get("type") or "")
        given = {
            "id": document.get("id"),
            "type": kind,
            "state": data.get("state"),
            "mail_id": data.get("mail_id"),
            **{name: document.get(name) for name in TRACE},
        }
        tag = str(data.get("state") or kind.rpartition(".")[2])[:TAG_MAX]
        properties = {name: value for name, value in given.items() if isinstance(value, str)}
        return cls(str(document.get("id") or ""), text_of(document), tag, properties)

    @cached_property
    def document(self) -> Mapping[str, Any]:
        """The body, read."""
        return _object(read_json(self.body))

    @property
    def data(self) -> Mapping[str, Any]:
        """The event's `data`."""
        return _object(self.document.get("data"))


def properties_of(event: MailEvent) -> dict[str, str]:
    """What a message says beside its body."""
    given = {
        "id": event.id,
        "type": event.type,
        "state": event.data.state,
        "mail_id": event.data.mail_id,
        **{name: getattr(event, name) for name in TRACE},
    }
    return {name: value for name, value in given.items() if value is not None}


def fitting(text: str, size: int) -> str:
    """The event's text, without as many of its longest parts as do not fit.

    Args:
        text: the event's JSON.
        size: how many bytes there are in UTF-8.
    """
    text = text.translate(NOT_IN_XML)
    if len(text.encode()) <= size:
        return text
    document = dict(_object(read_json(text)))
    for omitted in OMISSIONS:
        document["data"] = {**_object(document.get("data")), **omitted}
        text = text_of(document)
        if len(text.encode()) <= size:
            break
    return text


def for_a_queue(text: str) -> str:
    """The event's text as it fits into a queue's message, which goes in base64."""
    return fitting(text, QUEUE_PAYLOAD_MAX)


def text_of(document: Mapping[str, Any]) -> str:
    """An event's JSON, as SMQ can carry it."""
    return compact(document).translate(NOT_IN_XML)


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
