"""SMQ's engine on one machine: queues, topics, and what it promises about them.

All state is in one SQLite file, so it outlives the process, and a message in flight when the
process dies comes back when its visibility time-out ends.
https://www.alibabacloud.com/help/en/mns/product-overview/what-is-smq
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from local.account import ACCOUNT_ID
from local.activity import Activity
from local.twins.smq import limits
from local.twins.smq.database import Database
from local.twins.smq.errors import invalid_argument, refusal
from local.twins.smq.messages import new_id
from local.twins.smq.model import (
    Message,
    Property,
    PublishedMessage,
    QueueAttributes,
    QueueDepth,
    SentMessage,
    Subscription,
    Topic,
    TopicAttributes,
)
from local.twins.smq.notification import FORMATS, Notification, body_md5
from local.twins.smq.queue_engine import ARN, QueueEngine
from local.twins.smq.topics import TopicTable

__all__ = [
    "Broker",
    "Message",
    "Property",
    "PublishedMessage",
    "QueueAttributes",
    "QueueDepth",
    "SentMessage",
]


Watcher = Callable[[PublishedMessage], None]
UrlPush = Callable[[Subscription, Notification], None]


class Broker(QueueEngine):
    """All queues and topics of the local account.

    Every method raises `SmqError` with the code the service would answer. Call them from the event
    loop's thread only; apart from `receive` they return at once.

    Args:
        database: the SQLite file; it is made when missing, and only one broker may have it open.
        activity: told of `smq.sent`, `smq.published`, `smq.dead_lettered` and, for a subscription
            whose queue does not exist (or a URL, while nobody pushes), `smq.undelivered`.
        clock: seconds since 1970; tests hand in their own.
    """

    def __init__(
        self, database: Path, *, activity: Activity, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__(Database(database), activity=activity, clock=clock)
        self._topics = TopicTable(self._database)
        self._watchers: list[tuple[str, Watcher]] = []
        # Takes what is to be pushed to a URL and returns at once; without, that is not delivered.
        self.push_to_url: UrlPush | None = None

    def close(self) -> None:
        """Close the file. Whoever still waits in `receive` must have been cancelled before."""
        self._database.close()

    def topics(self) -> list[str]:
        """The names of all topics, sorted."""
        return self._topics.names()

    def topic(self, name: str) -> Topic:
        """A topic's definition."""
        return self._topics.get(name)

    def ensure_topic(self, name: str, attributes: TopicAttributes | None = None) -> None:
        """Create the topic, or give the one there is these attributes (None: leave it as it is)."""
        limits.check_name("topic", name)
        limits.check_topic(attributes or TopicAttributes())
        topic, now = self._topics.find(name), self._now()
        if topic is None:
            self._topics.create(name, attributes or TopicAttributes(), now)
        elif attributes is not None:
            self._topics.change(topic, attributes, now)

    def delete_topic(self, name: str) -> None:
        """Delete a topic with its subscriptions; it is no error when there is none."""
        topic = self._topics.find(name)
        if topic is not None:
            with self._database.transaction():
                self._topics.delete(topic)

    def ensure_subscription(  # noqa: PLR0913  # the parameters of Subscribe
        self,
        topic: str,
        name: str,
        *,
        queue: str,
        content_format: str = "SIMPLIFIED",
        filter_tag: str | None = None,
        notify_strategy: str = "BACKOFF_RETRY",
        endpoint: str | None = None,
    ) -> None:
        """Push what is published on a topic to a queue or a URL, or change how that is done.

        Args:
            topic: its name.
            name: the subscription's name, unique in the topic.
            queue: the queue's name; it may be created later. Empty where `endpoint` is a URL.
            content_format: SIMPLIFIED (the body alone), JSON or XML.
            filter_tag: only messages with this tag; None takes all.
            notify_strategy: how a push to a URL is repeated; to a queue of this machine none fails.
            endpoint: the queue's address as the subscriber gave it, or the URL.
        """
        limits.check_name("subscription", name)
        limits.check_tag("FilterTag", filter_tag)
        if content_format not in FORMATS:
            raise invalid_argument(f"NotifyContentFormat should be one of {', '.join(FORMATS)}.")
        found, now = self._topics.get(topic), self._now()
        earlier = self._topics.subscription(found, name)
        wanted = Subscription(
            name=name,
            endpoint=endpoint or ARN + queue,
            queue=queue,
            content_format=content_format,
            filter_tag=filter_tag,
            notify_strategy=notify_strategy,
            created_at_ms=now if earlier is None else earlier.created_at_ms,
            modified_at_ms=now,
        )
        self._topics.subscribe(found, wanted)

    def subscriptions(self, topic: str) -> list[Subscription]:
        """A topic's subscriptions, by name."""
        return self._topics.subscriptions(self._topics.get(topic))

    def subscription(self, topic: str, name: str) -> Subscription:
        """One subscription of a topic."""
        found = self._topics.subscription(self._topics.get(topic), name)
        if found is None:
            raise refusal("SubscriptionNotExist")
        return found

    def unsubscribe(self, topic: str, name: str) -> None:
        """Remove a subscription; it is no error when there is none."""
        self._topics.unsubscribe(self._topics.get(topic), name)

    def publish(
        self,
        topic: str,
        body: str,
        *,
        tag: str | None = None,
        properties: Sequence[Property] = (),
        system_properties: Sequence[Property] = (),
    ) -> SentMessage:
        """Publish a message: it is pushed to each subscription whose filter lets it through.

        Args:
            topic: its name.
            body: 64 KB at most, counted in UTF-8.
            tag: at most 16 characters, for the subscriptions' filters.
            properties: the publisher's own values; the queues' messages carry them on.
            system_properties: values of the transport, carried on likewise.
        """
        found = self._topics.get(topic)
        limits.check_body(body, found.attributes.maximum_message_size)
        limits.check_tag("MessageTag", tag)
        limits.check_properties(properties)
        limits.check_properties(system_properties)
        message = PublishedMessage(
            sequence=found.published + 1,
            id=new_id(),
            body=body,
            tag=tag,
            properties=tuple(properties),
            at_ms=self._now(),
        )
        with self._database.transaction():
            self._topics.record(found, message)
            pushes = self._fan_out(found, message, system_properties)
        self._activity.record("smq.published", topic=topic, message_id=message.id, tag=tag)
        for subscription, notification in pushes:
            self._push(subscription, notification)
        for watched, take in self._watchers:
            if watched == topic:
                take(message)
        return SentMessage(message.id, body_md5(body))

    @contextmanager
    def watched(self, topic: str, take: Watcher) -> Iterator[None]:
        """Hand over what is published on a topic, as a function's trigger gets it.

        Args:
            topic: its name; it may be created later.
            take: takes each message once it is written down, and raises nothing.
        """
        watcher = (topic, take)
        self._watchers.append(watcher)
        try:
            yield
        finally:
            self._watchers.remove(watcher)

    def _fan_out(
        self, topic: Topic, message: PublishedMessage, system_properties: Sequence[Property]
    ) -> list[tuple[Subscription, Notification]]:
        """Put the message on the queues; what is to be pushed to URLs is given back."""
        pushes = []
        for subscription in self._topics.subscriptions(topic):
            if subscription.filter_tag not in {None, message.tag}:
                continue
            notification = Notification(
                account=ACCOUNT_ID,
                topic=topic.name,
                subscription=subscription.name,
                message_id=message.id,
                body=message.body,
                tag=message.tag,
                at_ms=message.at_ms,
            )
            queue = self._queues.find(subscription.queue) if subscription.queue else None
            if queue is None:
                pushes.append((subscription, notification))
                continue
            self._add(
                queue,
                notification.render(subscription.content_format),
                queue.attributes.delay_seconds,
                limits.DEFAULT_PRIORITY,
                message.properties,
                system_properties,
            )
        return pushes

    def _push(self, subscription: Subscription, notification: Notification) -> None:
        if not subscription.queue and self.push_to_url is not None:
            self.push_to_url(subscription, notification)
            return
        self._activity.record(
            "smq.undelivered",
            topic=notification.topic,
            message_id=notification.message_id,
            to=subscription.queue or subscription.endpoint,
        )

    def published(self, topic: str, *, after: int = 0, limit: int = 100) -> list[PublishedMessage]:
        """What was published on a topic, oldest first; the latest 10,000 are kept.

        Args:
            topic: its name.
            after: only messages whose sequence is higher.
            limit: how many at most.
        """
        return self._topics.history(self._topics.get(topic), after, limit)
