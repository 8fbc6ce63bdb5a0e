"""The values that go in and out of the broker.

Times are milliseconds since 1970 and durations are seconds, as in SMQ's own interface.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class QueueAttributes:
    """How a queue behaves; the defaults are the service's.

    `dead_letter_queue` and `max_receive_count` belong together: a message that was received
    `max_receive_count` times without being deleted moves to that queue.
    https://www.alibabacloud.com/help/en/mns/developer-reference/createqueue
    """

    delay_seconds: int = 0
    maximum_message_size: int = 65_536
    message_retention_seconds: int = 345_600
    visibility_timeout_seconds: int = 30
    polling_wait_seconds: int = 0
    dead_letter_queue: str | None = None
    max_receive_count: int | None = None
    logging_enabled: bool = False


@dataclass(frozen=True)
class TopicAttributes:
    """How a topic behaves; messages are pushed at once and never wait in it."""

    maximum_message_size: int = 65_536
    logging_enabled: bool = False


@dataclass(frozen=True)
class Property:
    """A named value beside the body; `type` is STRING, NUMBER, BOOLEAN or BINARY (base64)."""

    name: str
    value: str
    type: str = "STRING"


@dataclass(frozen=True)
class Message:
    """A message as a consumer gets it. A peeked message has no handle: it is empty."""

    id: str
    body: str
    receipt_handle: str
    dequeue_count: int
    enqueued_at_ms: int
    first_dequeued_at_ms: int
    next_visible_at_ms: int
    priority: int
    properties: tuple[Property, ...] = ()
    system_properties: tuple[Property, ...] = ()


@dataclass(frozen=True)
class SentMessage:
    """What a sender gets back; `receipt_handle` only for a delayed message."""

    id: str
    body_md5: str
    receipt_handle: str | None = None


@dataclass(frozen=True)
class PublishedMessage:
    """One message of a topic's history; `sequence` counts from 1 in each topic."""

    sequence: int
    id: str
    body: str
    tag: str | None
    properties: tuple[Property, ...]
    at_ms: int


@dataclass(frozen=True)
class QueueDepth:
    """How many messages a queue holds, by state, and since when the oldest waits."""

    visible: int
    in_flight: int
    delayed: int
    oldest_enqueued_at_ms: int | None


@dataclass(frozen=True)
class Queue:
    """A queue as it is defined; `id` is its number in the database."""

    id: int
    name: str
    attributes: QueueAttributes
    created_at_ms: int
    modified_at_ms: int


@dataclass(frozen=True)
class Topic:
    """A topic as it is defined; `published` counts what was ever published."""

    id: int
    name: str
    attributes: TopicAttributes
    published: int
    created_at_ms: int
    modified_at_ms: int


@dataclass(frozen=True)
class Subscription:
    """A topic's subscription; `queue` is the queue's name out of the endpoint, empty for a URL."""

    name: str
    endpoint: str
    queue: str
    content_format: str
    filter_tag: str | None
    notify_strategy: str
    created_at_ms: int
    modified_at_ms: int
