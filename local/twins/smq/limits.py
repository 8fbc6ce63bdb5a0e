"""SMQ's documented limits, each checked where it is named.

https://www.alibabacloud.com/help/en/mns/product-overview/limits
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence

from local.twins.smq.errors import invalid_argument, out_of_range, refusal
from local.twins.smq.model import Property, QueueAttributes, TopicAttributes
from local.twins.smq.wire import carries

BATCH = 16
BATCH_BYTES = 65_536
DEFAULT_PRIORITY = 8
DELAY_SECONDS = (0, 604_800)
MESSAGE_SIZE = (1_024, 65_536)
POLLING_SECONDS = (0, 30)
PRIORITY = (1, 16)
RETENTION_SECONDS = (60, 604_800)
TAG_LENGTH = 16
# The documentation begins at 1; the official SDKs also send 0, to give a message back at once.
VISIBILITY_CHANGE_SECONDS = (0, 43_200)
VISIBILITY_SECONDS = (1, 43_200)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*\Z")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\Z", re.ASCII)
_NAME_ERRORS = {
    "queue": (120, "InvalidQueueName", "QueueNameLengthError"),
    "topic": (120, "TopicNameInvalid", "TopicNameLengthError"),
    "subscription": (255, "SubscriptionNameInvalid", "SubscriptionNameLengthError"),
}


def check_name(kind: str, name: str) -> None:
    """Refuse a name that a `queue`, `topic` or `subscription` cannot have."""
    longest, invalid, wrong_length = _NAME_ERRORS[kind]
    if not 1 <= len(name) <= longest:
        raise refusal(wrong_length)
    if not _NAME.match(name):
        raise refusal(invalid)


def check_range(element: str, value: float, limits: tuple[int, int]) -> None:
    """Refuse a number outside its limits, both of which are allowed."""
    if not limits[0] <= value <= limits[1]:
        raise out_of_range(element, *limits)


def check_queue(name: str, attributes: QueueAttributes) -> None:
    """Refuse attributes that a queue of that name cannot have."""
    check_range("DelaySeconds", attributes.delay_seconds, DELAY_SECONDS)
    check_range("MaximumMessageSize", attributes.maximum_message_size, MESSAGE_SIZE)
    check_range("MessageRetentionPeriod", attributes.message_retention_seconds, RETENTION_SECONDS)
    check_range("VisibilityTimeout", attributes.visibility_timeout_seconds, VISIBILITY_SECONDS)
    check_range("PollingWaitSeconds", attributes.polling_wait_seconds, POLLING_SECONDS)
    if (attributes.dead_letter_queue is None) != (attributes.max_receive_count is None):
        raise invalid_argument("A dead-letter queue and MaxReceiveCount need each other.")
    if attributes.dead_letter_queue == name:
        raise invalid_argument("A queue cannot be its own dead-letter queue.")
    if attributes.max_receive_count is not None and attributes.max_receive_count < 1:
        raise invalid_argument("MaxReceiveCount should be at least 1.")


def check_topic(attributes: TopicAttributes) -> None:
    """Refuse attributes that a topic cannot have."""
    check_range("MaximumMessageSize", attributes.maximum_message_size, MESSAGE_SIZE)


def check_body(body: str, maximum: int) -> int:
    """Refuse a body that is empty, too big as sent, or not expressible; the size in bytes."""
    refuse_unprintable("MessageBody", body)
    size = len(body.encode())
    check_range("MessageBody", size, (1, maximum))
    return size


def check_tag(element: str, tag: str | None) -> None:
    """Refuse a message tag or filter tag that is empty or longer than 16 characters."""
    if tag is not None:
        refuse_unprintable(element, tag)
        if not 1 <= len(tag) <= TAG_LENGTH:
            raise invalid_argument(f"The length of {element} should between 1 and {TAG_LENGTH}.")


def check_properties(properties: Sequence[Property]) -> None:
    """Refuse properties without a name, named twice, or whose value is not of their type."""
    if len({each.name for each in properties}) != len(properties):
        raise invalid_argument("Each property name may be used once.")
    for each in properties:
        refuse_unprintable("Name", each.name)
        refuse_unprintable("Value", each.value)
        if not each.name:
            raise invalid_argument("A property needs a Name.")
        if not _is_of_type(each):
            raise invalid_argument(f"The Value of a property is not a {each.type[:20]}.")


def refuse_unprintable(element: str, text: str) -> None:
    """Refuse characters that XML 1.0 cannot carry."""
    if not carries(text):
        raise invalid_argument(f"{element} holds a character that XML 1.0 cannot carry.")


def _is_of_type(each: Property) -> bool:
    if each.type == "NUMBER":
        return _NUMBER.match(each.value) is not None
    if each.type == "BOOLEAN":
        return each.value in {"true", "false"}
    if each.type == "BINARY":
        try:
            base64.b64decode(each.value, validate=True)
        except (binascii.Error, ValueError):
            return False
        return True
    return each.type == "STRING"
