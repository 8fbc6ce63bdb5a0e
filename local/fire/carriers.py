"""Takes fired events on their way: `ways` says which there are."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from local.account import Account
from local.host.host import Host
from local.host.instances.invocation import Call
from local.host.model import TopicTrigger
from local.host.triggers.envelopes import Origin
from local.host.triggers.topics import topic_event
from local.twins.eventbridge import PushStyle, Target
from local.twins.smq.broker import Broker
from local.twins.smq.model import Property, PublishedMessage

Event = dict[str, Any]

_STYLES: Mapping[str, PushStyle] = {
    # Version 1 ends the signed text with a line break, version 2 does not.
    "push-eventbridge-v1": PushStyle(version=1, newline=True),
    "push-eventbridge-v2": PushStyle(version=2),
    "push-eventbridge-array": PushStyle(version=2, array=True),
}
_ATTRIBUTE = Property("key", "value")


@dataclass(frozen=True)
class Ends:
    """Where the ways lead to.

    Attributes:
        queue: of DirectMail's events.
        topic: of notifications; it is made when the first one comes.
        function: that handles the events.
        url: where pushes go: `/push/eventbridge` and `/push/smq` are there.
        token: what EventBridge's pushes carry along.
    """

    queue: str
    topic: str
    function: str
    url: str
    token: str


class Carriers:
    """Takes events on their way.

    Args:
        ends: where the ways lead to.
        put: the event bus's.
        push: pushes an event's text to a target of the bus that is a URL.
        broker: of the queues and topics.
        host: of the functions.
        account: for the names in envelopes.
    """

    def __init__(  # noqa: PLR0913  # the composition root hands in each part by name
        self,
        ends: Ends,
        *,
        put: Callable[[Event], object],
        push: Callable[[Target, str], None],
        broker: Broker,
        host: Host,
        account: Account,
    ) -> None:
        self._ends = ends
        self._put = put
        self._push_to_url = push
        self._broker = broker
        self._host = host
        self._origin = Origin(account.id, account.region)
        self._background: set[asyncio.Task[Any]] = set()

    def carry(self, way: str, event: Event) -> None:
        """Take a CloudEvent on its way.

        Args:
            way: one of `WAYS`, but none of the legacy ones.
            event: the event.
        """
        text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
        if way == "queue":
            self._put(event)
        elif way == "queue-plain":
            self._broker.send(self._ends.queue, text)
        elif way == "eventbridge":
            self._push(text)
        elif way == "eventbridge-array":
            self._push(f"[{text}]")
        elif way == "push-smq":
            self._publish("JSON", text, f"{self._ends.url}/push/smq")
        elif way in _STYLES:
            url = f"{self._ends.url}/push/eventbridge"
            self._push_to_url(Target("http", url, token=self._ends.token, style=_STYLES[way]), text)
        else:
            self._trigger(way, text)

    def notify(self, way: str, text: str) -> None:
        """Publish a legacy notification on its topic, whose one subscriber the way says.

        Args:
            way: one of the legacy ones of `WAYS`; it ends with the subscription's format.
            text: the notification.
        """
        content_format = way.rpartition("-")[2].upper()
        if way.startswith("legacy-topic"):
            self._trigger(way, text)
        elif way.startswith("legacy-push"):
            self._publish(content_format, text, f"{self._ends.url}/push/smq")
        else:
            self._publish(content_format, text)

    def later(self, seconds: float, work: Callable[[], None]) -> None:
        """Do something after so many seconds; it is forgotten when Postbus ends."""

        async def wait() -> None:
            await asyncio.sleep(seconds)
            work()

        self._run(wait())

    def _push(self, text: str) -> None:
        self._run(self._host.deliver_event(self._ends.function, text))

    def _publish(self, content_format: str, text: str, url: str | None = None) -> None:
        """Publish on the topic; its one subscription is a URL, or the queue."""
        self._broker.ensure_topic(self._ends.topic)
        self._broker.ensure_subscription(
            self._ends.topic,
            "delivery-events",
            queue="" if url else self._ends.queue,
            endpoint=url,
            content_format=content_format,
        )
        self._broker.publish(self._ends.topic, text)

    def _trigger(self, way: str, text: str) -> None:
        """As a topic's trigger of that format would invoke the function."""
        trigger = TopicTrigger(
            "fire",
            self._ends.function,
            self._ends.topic,
            "JSON" if way.endswith("topic-json") else "STREAM",
        )
        attributes = (_ATTRIBUTE,) if way == "topic-attributes" else ()
        at_ms = time.time_ns() // 1_000_000
        message = PublishedMessage(1, uuid.uuid4().hex.upper(), text, None, attributes, at_ms)
        event = topic_event(trigger, message, self._origin)
        self._host.call_later(self._ends.function, Call(event, trigger="topic"))

    def _run(self, work: Coroutine[Any, Any, object]) -> None:
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
