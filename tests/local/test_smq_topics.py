"""The SMQ twin's topics: fan-out to queues, filters, formats and history."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from local.account import ACCOUNT_ID
from local.activity import Activity
from local.twins.smq.broker import Broker, Message, Property, QueueAttributes
from local.twins.smq.topics import HISTORY

START = 1_800_000_000.0


class Clock:
    """Seconds since 1970, moved by hand."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        """What the broker asks."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still until it is moved."""
    return Clock()


@pytest.fixture
def activity() -> Activity:
    """What the broker tells."""
    return Activity()


@pytest.fixture
def broker(tmp_path: Path, clock: Clock, activity: Activity) -> Iterator[Broker]:
    """A broker with one queue, `q`."""
    broker = Broker(tmp_path / "smq.db", activity=activity, clock=clock)
    broker.ensure_queue("q", QueueAttributes())
    yield broker
    broker.close()


def receive(broker: Broker, queue: str = "q", count: int = 16, **options: Any) -> list[Message]:
    """Receive without a running loop."""
    return asyncio.run(broker.receive(queue, count=count, **options))


def test_each_format_puts_the_publication_into_the_queue_as_documented(broker: Broker) -> None:
    """SIMPLIFIED is the body alone; JSON and XML have the same fields, the time as text."""
    broker.ensure_topic("t")
    for content_format in ("SIMPLIFIED", "JSON", "XML"):
        broker.ensure_queue(content_format, QueueAttributes())
        broker.ensure_subscription(
            "t", f"to-{content_format}", queue=content_format, content_format=content_format
        )
    body = '{"é": "<&>"}\r\n'
    sent = broker.publish("t", body, tag="news")
    assert [message.body for message in receive(broker, "SIMPLIFIED")] == [body]
    fields = json.loads(receive(broker, "JSON")[0].body)
    assert fields == {
        "TopicOwner": ACCOUNT_ID,
        "TopicName": "t",
        "Subscriber": ACCOUNT_ID,
        "SubscriptionName": "to-JSON",
        "MessageId": sent.id,
        "Message": body,
        "MessageMD5": sent.body_md5,
        "MessageTag": "news",
        "PublishTime": str(int(START * 1000)),
    }
    root = ET.fromstring(receive(broker, "XML")[0].body)  # noqa: S314  # the broker's own words
    namespace = "{http://mns.aliyuncs.com/doc/v1/}"
    assert root.tag == namespace + "Notification"
    read = {child.tag.removeprefix(namespace): child.text for child in root}
    assert read == {**fields, "SubscriptionName": "to-XML"}


def test_a_filter_lets_only_its_tag_through(broker: Broker) -> None:
    """Without a filter everything comes; with one, untagged messages do not."""
    broker.ensure_topic("t")
    broker.ensure_queue("all", QueueAttributes())
    broker.ensure_subscription("t", "all", queue="all")
    broker.ensure_subscription("t", "some", queue="q", filter_tag="a")
    for body, tag in (("1", "a"), ("2", "b"), ("3", None)):
        broker.publish("t", body, tag=tag)
    assert [message.body for message in receive(broker, "all")] == ["1", "2", "3"]
    assert [message.body for message in receive(broker)] == ["1"]


def test_a_publication_carries_its_properties_and_wakes_a_waiter(broker: Broker) -> None:
    """A subscribed queue is as quick as one that is sent to."""

    async def run() -> None:
        broker.ensure_topic("t")
        broker.ensure_subscription("t", "s", queue="q")
        waiting = asyncio.ensure_future(broker.receive("q", wait_seconds=20))
        await asyncio.sleep(0.02)
        broker.publish("t", "x", properties=[Property("a", "1", "NUMBER")])
        (message,) = await asyncio.wait_for(waiting, 2)
        assert message.properties == (Property("a", "1", "NUMBER"),)

    asyncio.run(run())


def test_a_queues_own_delay_holds_for_publications(broker: Broker, clock: Clock) -> None:
    """A push is a send without a delay of its own."""
    broker.ensure_topic("t")
    broker.ensure_queue("slow", QueueAttributes(delay_seconds=5))
    broker.ensure_subscription("t", "s", queue="slow")
    broker.publish("t", "x")
    assert receive(broker, "slow") == []
    clock.now += 5
    assert len(receive(broker, "slow")) == 1


def test_a_subscription_to_a_missing_queue_is_reported(broker: Broker, activity: Activity) -> None:
    """The others get the message; the loss is told."""
    broker.ensure_topic("t")
    broker.ensure_subscription("t", "a", queue="gone")
    broker.ensure_subscription("t", "b", queue="q")
    broker.publish("t", "x")
    assert len(receive(broker)) == 1
    assert [h.fields["to"] for h in activity.kept() if h.name == "smq.undelivered"] == ["gone"]


def test_a_subscription_can_be_changed_and_removed(broker: Broker) -> None:
    """The same name replaces; an unsubscribed queue gets nothing more."""
    broker.ensure_topic("t")
    broker.ensure_subscription("t", "s", queue="q", content_format="JSON")
    broker.ensure_subscription("t", "s", queue="q")
    broker.publish("t", "x")
    broker.unsubscribe("t", "s")
    broker.publish("t", "y")
    assert [message.body for message in receive(broker)] == ["x"]
    assert broker.subscriptions("t") == []


def test_what_was_published_can_be_followed(broker: Broker, clock: Clock) -> None:
    """The sequence counts in each topic by itself; `after` and `limit` page through it."""
    broker.ensure_topic("other")
    broker.ensure_topic("t")
    broker.publish("other", "z")
    for number in range(5):
        clock.now += 1
        broker.publish("t", str(number), tag="n", properties=[Property("a", "b")])
    page = broker.published("t", after=1, limit=3)
    assert [(each.sequence, each.body) for each in page] == [(2, "1"), (3, "2"), (4, "3")]
    assert (page[0].tag, page[0].properties) == ("n", (Property("a", "b"),))
    assert page[0].at_ms == (START + 2) * 1000
    assert broker.published("t", after=5) == []


def test_the_latest_publications_are_kept(broker: Broker) -> None:
    """10,000 of each topic; the sequence goes on."""
    broker.ensure_topic("t")
    for _ in range(HISTORY + 3):
        broker.publish("t", "x")
    kept = broker.published("t", limit=20_000)
    assert (kept[0].sequence, kept[-1].sequence, len(kept)) == (4, 10_003, 10_000)


def test_activity_tells_what_was_sent_and_published(broker: Broker, activity: Activity) -> None:
    """Names and fields are what the journey and the console read."""
    broker.ensure_topic("t")
    sent, published = broker.send("q", "é"), broker.publish("t", "x", tag="a")
    assert [(each.name, each.fields) for each in activity.kept()] == [
        ("smq.sent", {"queue": "q", "message_id": sent.id, "bytes": 2}),
        ("smq.published", {"topic": "t", "message_id": published.id, "tag": "a"}),
    ]
