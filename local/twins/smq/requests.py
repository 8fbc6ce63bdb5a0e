"""What requests say: SMQ's XML documents as values.

Only the form is judged here (`InvalidArgument`, `MalformedXML`); limits are the broker's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from local.twins.smq import limits
from local.twins.smq.errors import invalid_argument, refusal, schema_violation
from local.twins.smq.model import Property, QueueAttributes, TopicAttributes
from local.twins.smq.wire import Element, parse

# Elements of a queue's document, and the attribute that each sets.
_QUEUE_NUMBERS = {
    "DelaySeconds": "delay_seconds",
    "MaximumMessageSize": "maximum_message_size",
    "MessageRetentionPeriod": "message_retention_seconds",
    "PollingWaitSeconds": "polling_wait_seconds",
    "VisibilityTimeout": "visibility_timeout_seconds",
}
_QUEUE_ENDPOINT = re.compile(r"acs:mns:[a-z0-9-]+:[0-9]+:queues/([A-Za-z0-9-]{1,120})\Z")
_URL = re.compile(r"https?://[!-~]+\Z")
_INTEGER = re.compile(r"-?[0-9]{1,12}\Z")


@dataclass(frozen=True)
class NewMessage:
    """One message of SendMessage or BatchSendMessage; `delay_seconds` None is the queue's own."""

    body: str
    delay_seconds: int | None
    priority: int
    properties: tuple[Property, ...]
    system_properties: tuple[Property, ...]


@dataclass(frozen=True)
class Publication:
    """The message of PublishMessage."""

    body: str
    tag: str | None
    properties: tuple[Property, ...]
    system_properties: tuple[Property, ...]


@dataclass(frozen=True)
class NewSubscription:
    """What Subscribe asks for; `queue` is the name out of the endpoint, empty if that is a URL."""

    endpoint: str
    queue: str
    content_format: str
    filter_tag: str | None
    notify_strategy: str


def queue_attributes(document: bytes, base: QueueAttributes) -> QueueAttributes:
    """The attributes that a `<Queue>` document gives, the others as in `base`."""
    fields = parse(document, "Queue").fields(*_QUEUE_NUMBERS, "LoggingEnabled")
    numbers: dict[str, Any] = {
        attribute: _integer(fields[name])
        for name, attribute in _QUEUE_NUMBERS.items()
        if name in fields
    }
    return replace(base, **numbers, **_logging(fields))


def topic_attributes(document: bytes, base: TopicAttributes) -> TopicAttributes:
    """The attributes that a `<Topic>` document gives, the others as in `base`."""
    fields = parse(document, "Topic").fields("MaximumMessageSize", "LoggingEnabled")
    changed = replace(base, **_logging(fields))
    if "MaximumMessageSize" in fields:
        changed = replace(changed, maximum_message_size=_integer(fields["MaximumMessageSize"]))
    return changed


def messages(document: bytes) -> tuple[bool, list[NewMessage]]:
    """The messages to send, and whether they came as a batch.

    A batch is refused whole when it holds none or more than 16 messages, or more than 64 KB.
    """
    root = parse(document, "Message", "Messages")
    if root.name == "Message":
        return False, [_message(root)]
    found = [_message(each) for each in root.items("Message")]
    limits.check_range("Messages", len(found), (1, limits.BATCH))
    size = sum(len(each.body.encode()) for each in found)
    limits.check_range("Messages", size, (0, limits.BATCH_BYTES))
    return True, found


def receipt_handles(document: bytes) -> list[str]:
    """The handles of BatchDeleteMessage, 1 to 16."""
    found = parse(document, "ReceiptHandles").items("ReceiptHandle")
    limits.check_range("ReceiptHandles", len(found), (1, limits.BATCH))
    return [_leaf(each) for each in found]


def publication(document: bytes) -> Publication:
    """The message to publish. Attributes for mail and SMS endpoints are read and of no effect."""
    fields = parse(document, "Message").fields(
        "MessageBody",
        "MessageTag",
        "MessageGroupId",
        "MessageAttributes",
        "UserProperties",
        "SystemProperties",
    )
    _refuse_groups(fields)
    tag = fields.get("MessageTag")
    return Publication(
        body=_text(fields, "MessageBody"),
        tag=None if tag is None or not _leaf(tag) else tag.text,
        properties=_properties(fields, "UserProperties", "PropertyValue"),
        system_properties=_properties(fields, "SystemProperties", "SystemPropertyValue"),
    )


def subscription(document: bytes) -> NewSubscription:
    """What to subscribe. Queues and HTTP(S) addresses are endpoints of this twin."""
    fields = parse(document, "Subscription").fields(
        "Endpoint", "FilterTag", "NotifyStrategy", "NotifyContentFormat"
    )
    endpoint = _text(fields, "Endpoint")
    found = _QUEUE_ENDPOINT.match(endpoint)
    if found is None and not _URL.match(endpoint):
        raise refusal(
            "EndpointInvalid",
            "This twin pushes to acs:mns:<region>:<account>:queues/<queue> and to http(s)://.",
        )
    return NewSubscription(
        endpoint=endpoint,
        queue=found[1] if found else "",
        content_format=_text(fields, "NotifyContentFormat", "XML"),
        filter_tag=_text(fields, "FilterTag", "") or None,
        notify_strategy=_strategy(fields),
    )


def subscription_strategy(document: bytes) -> str:
    """The strategy that SetSubscriptionAttributes gives, the only attribute it can change."""
    return _strategy(parse(document, "Subscription").fields("NotifyStrategy"))


def _message(element: Element) -> NewMessage:
    fields = element.fields(
        "MessageBody",
        "DelaySeconds",
        "Priority",
        "MessageGroupId",
        "UserProperties",
        "SystemProperties",
    )
    _refuse_groups(fields)
    delay, priority = fields.get("DelaySeconds"), fields.get("Priority")
    return NewMessage(
        body=_text(fields, "MessageBody"),
        delay_seconds=None if delay is None else _integer(delay),
        priority=limits.DEFAULT_PRIORITY if priority is None else _integer(priority),
        properties=_properties(fields, "UserProperties", "PropertyValue"),
        system_properties=_properties(fields, "SystemProperties", "SystemPropertyValue"),
    )


def _refuse_groups(fields: Mapping[str, Element]) -> None:
    if "MessageGroupId" in fields:
        raise invalid_argument("MessageGroupId is for FIFO queues and topics; this twin has none.")


def _properties(fields: Mapping[str, Element], outer: str, inner: str) -> tuple[Property, ...]:
    if outer not in fields:
        return ()
    found = []
    for each in fields[outer].items(inner):
        parts = each.fields("Name", "Value", "Type")
        found.append(
            Property(_text(parts, "Name"), _text(parts, "Value"), _text(parts, "Type", "STRING"))
        )
    return tuple(found)


def _strategy(fields: Mapping[str, Element]) -> str:
    strategy = _text(fields, "NotifyStrategy", "BACKOFF_RETRY")
    if strategy not in {"BACKOFF_RETRY", "EXPONENTIAL_DECAY_RETRY"}:
        raise invalid_argument("NotifyStrategy should be BACKOFF_RETRY or EXPONENTIAL_DECAY_RETRY.")
    return strategy


def _logging(fields: Mapping[str, Element]) -> dict[str, Any]:
    if "LoggingEnabled" not in fields:
        return {}
    value = _leaf(fields["LoggingEnabled"]).strip().lower()
    if value not in {"true", "false"}:
        raise schema_violation("LoggingEnabled")
    return {"logging_enabled": value == "true"}


def _text(fields: Mapping[str, Element], name: str, otherwise: str | None = None) -> str:
    if name in fields:
        return _leaf(fields[name])
    if otherwise is None:
        raise schema_violation(name)
    return otherwise


def _leaf(element: Element) -> str:
    if element.children:
        raise schema_violation(element.name)
    return element.text


def _integer(element: Element) -> int:
    text = _leaf(element).strip()
    if not _INTEGER.match(text):
        raise schema_violation(element.name)
    return int(text)
