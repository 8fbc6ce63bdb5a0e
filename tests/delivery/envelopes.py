"""An event's text in every envelope that brings it to a function.

The pages: https://help.aliyun.com/zh/fc/user-guide/formats-of-event-for-different-triggers
(triggers), https://help.aliyun.com/document_detail/27482.html (notifications). Nothing here knows
how envelopes are peeled.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any
from xml.sax.saxutils import escape

Document = dict[str, Any]
Wrap = Callable[[str], Any]


def b64(text: str) -> str:
    """Text in base64."""
    return base64.b64encode(text.encode()).decode()


def wrapped(text: str) -> str:
    """The same in lines, as some SDKs send it."""
    return base64.encodebytes(text.encode()).decode()


BODIES: Mapping[str, Callable[[str], str]] = {
    "plain": lambda text: text,
    "base64": b64,
    "base64 in lines": wrapped,
    "JSON string": json.dumps,
    "JSON string in base64": lambda text: b64(json.dumps(text)),
    "base64 twice": lambda text: b64(b64(text)),
}


def queue_message(body: Any) -> Document:
    """The platform's event around a queue's message."""
    return {
        "id": "D8A1C0B54F1E4C0E",
        "source": "MNS-postbus-local-delivery-events",
        "specversion": "1.0",
        "type": "mns:Queue:SendMessage",
        "datacontenttype": "application/json; charset=utf-8",
        "subject": "acs:mns:cn-hangzhou:1234567890123456:queues/postbus-local-delivery-events",
        "time": "2024-04-29T03:07:13.200Z",
        "aliyunpublishtime": "2024-04-29T03:07:13.240Z",
        "data": {
            "requestId": "662F1B41354133CA00000001",
            "messageId": "D8A1C0B54F1E4C0E",
            "messageBody": body,
        },
    }


def notification(message: str, published: Any = "1714360033000") -> Document:
    """A topic's message in JSON."""
    return {
        "TopicOwner": "1234567890123456",
        "TopicName": "directmail",
        "Subscriber": "1234567890123456",
        "SubscriptionName": "postbus",
        "MessageId": "2F5B3C082B923D4E",
        "Message": message,
        "MessageMD5": "BA4BA9B48AC81F0F9C66F6C909C39DBB",
        "MessageTag": "dm",
        "PublishTime": published,
    }


def xml(message: str) -> str:
    """A topic's message in XML."""
    inner = "".join(
        f"<{name}>{escape(str(value))}</{name}>" for name, value in notification(message).items()
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f'<Notification xmlns="http://mns.aliyuncs.com/doc/v1/">{inner}</Notification>'
    )


# The queue trigger's forms: what is around a message's body.
QUEUES: Mapping[str, Wrap] = {
    "stream": lambda body: [queue_message(body)],
    "event-driven": queue_message,
    "stream of texts": lambda body: [json.dumps(queue_message(body))],
    "RawData": lambda body: [queue_message(body)["data"]],
    "one RawData": lambda body: queue_message(body)["data"],
}
# What a topic puts around a message for a queue or an HTTP endpoint.
NOTIFICATIONS: Mapping[str, Callable[[str], str]] = {
    "XML": xml,
    "JSON": lambda text: json.dumps(notification(text)),
    "SIMPLIFIED": lambda text: text,
}


def _json(wrap: Wrap) -> Callable[[str], bytes]:
    return lambda text: json.dumps(wrap(text)).encode()


def _queue(wrap: Wrap, body: Callable[[str], str]) -> Callable[[str], bytes]:
    return lambda text: json.dumps(wrap(body(text))).encode()


def _topic(
    form: Callable[[str], str], message: Callable[[str], str], wrap: Wrap
) -> Callable[[str], bytes]:
    return lambda text: json.dumps(wrap(form(message(text)))).encode()


def _push(form: Callable[[str], str], message: Callable[[str], str]) -> Callable[[str], bytes]:
    return lambda text: form(message(text)).encode()


def _trigger(wrap: Wrap, message: Callable[[str], str]) -> Callable[[str], bytes]:
    return lambda text: json.dumps(wrap(message(text))).encode()


# Envelope -> the bytes that a function gets, from an event's text. These take any text ...
ENVELOPES: Mapping[str, Callable[[str], bytes]] = {
    **{
        f"queue: {form}, {body}": _queue(wrap, encode)
        for form, wrap in QUEUES.items()
        for body, encode in BODIES.items()
    },
    **{
        f"topic to queue: {form} of {body}, {queue}": _topic(around, BODIES[body], wrap)
        for form, around in NOTIFICATIONS.items()
        for body in ("plain", "base64")
        for queue, wrap in QUEUES.items()
    },
    **{
        f"push: {form} of {body}": _push(around, BODIES[body])
        for form, around in NOTIFICATIONS.items()
        for body in ("plain", "base64")
    },
    **{
        f"topic trigger: {form} of {body}": _trigger(wrap, BODIES[body])
        for form, wrap in {
            "STREAM with attributes": lambda text: {"body": text, "attrs": {"Extend": "{}"}},
            "JSON": lambda text: {**notification(text, 1_714_360_033_000), "type": "attribute"},
        }.items()
        for body in ("plain", "base64")
    },
}
# ... and these take JSON.
JSON_ENVELOPES: Mapping[str, Callable[[str], bytes]] = {
    "object": lambda text: text.encode(),
    "array": lambda text: f"[{text}]".encode(),
    "object with data as text": lambda text: json.dumps(
        {**json.loads(text), "data": json.dumps(json.loads(text)["data"])}
    ).encode(),
    "queue: body parsed": _json(lambda text: [queue_message(json.loads(text))]),
    "queue: an array in the body": _json(lambda text: [queue_message(f"[{text}]")]),
    "queue: data as text": _json(
        lambda text: {**queue_message(""), "data": json.dumps(queue_message(text)["data"])}
    ),
    "queue: with a byte order mark": _json(lambda text: [queue_message("\ufeff" + text)]),
}
ALL_ENVELOPES: Mapping[str, Callable[[str], bytes]] = {**ENVELOPES, **JSON_ENVELOPES}
