r"""A topic trigger at work: what is published on a topic invokes a function, a message at a time.

    STREAM                   hello topic
    STREAM with attributes   {"body": "hello topic", "attrs": {"Extend": "{\"key\":\"value\"}"}}
    JSON                     {"TopicOwner": .., "Message": "hello topic", .., "key": "value"}

https://help.aliyun.com/zh/fc/user-guide/formats-of-event-for-different-triggers

Invocations are asynchronous, so the push itself never fails and a message is delivered once or,
where the function fails, repeated as such an invocation is. A published message's user properties
stand for its attributes here; how the service maps them is not documented.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from local.host.model import TopicTrigger
from local.host.triggers.envelopes import Origin
from local.twins.smq.model import PublishedMessage
from local.twins.smq.notification import body_md5


def topic_event(trigger: TopicTrigger, message: PublishedMessage, origin: Origin) -> bytes:
    """The event of one message, in the trigger's format."""
    attributes = {each.name: each.value for each in message.properties}
    if trigger.content_format == "JSON":
        return _json({**_notification(trigger, message, origin), **attributes})
    if not attributes:
        return message.body.encode("utf-8", "surrogatepass")
    return _json({"body": message.body, "attrs": {"Extend": json.dumps(attributes)}})


def _notification(
    trigger: TopicTrigger, message: PublishedMessage, origin: Origin
) -> dict[str, Any]:
    return {
        "TopicOwner": origin.account_id,
        "Message": message.body,
        "Subscriber": origin.account_id,
        # A number here, and a text where a queue or an HTTP endpoint gets the same.
        "PublishTime": message.at_ms,
        "SubscriptionName": trigger.name,
        "MessageMD5": body_md5(message.body),
        "TopicName": trigger.topic,
        "MessageId": message.id,
        **({} if message.tag is None else {"MessageTag": message.tag}),
    }


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")


def subscriber(
    trigger: TopicTrigger, origin: Origin, fire: Callable[[bytes], object]
) -> Callable[[PublishedMessage], None]:
    """What to do with each message of the trigger's topic: fire, if its tag is the wanted one.

    Args:
        trigger: whose topic it is.
        origin: for the names in the event.
        fire: takes the event and returns at once; the invocation runs by itself.
    """

    def take(message: PublishedMessage) -> None:
        if trigger.filter_tag in {None, message.tag}:
            fire(topic_event(trigger, message, origin))

    return take
