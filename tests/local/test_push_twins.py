"""The twins' pushes: who gets them, how they are repeated, and what a template says of them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from local.activity import Activity
from local.host.template import TemplateError, load_template
from local.host.triggers.retries import push_pauses
from local.twins.eventbridge import PushStyle
from local.twins.push.key import push_key
from local.twins.push.pusher import Pusher, PushRequest
from local.twins.smq.broker import Broker
from local.twins.smq.model import Subscription
from local.twins.smq.notification import Notification

URL = "http://127.0.0.1:1/push/smq"


@pytest.fixture
def activity() -> Activity:
    """What happened."""
    return Activity()


@pytest.fixture
def broker(tmp_path: Path, activity: Activity) -> Iterator[Broker]:
    """An engine with a topic."""
    broker = Broker(tmp_path / "smq.db", activity=activity)
    broker.ensure_topic("t")
    yield broker
    broker.close()


def test_a_url_gets_what_its_filter_lets_through(broker: Broker) -> None:
    """Beside the queues, and in no queue's place."""
    pushed: list[tuple[Subscription, Notification]] = []
    broker.push_to_url = lambda *push: pushed.append(push)
    broker.ensure_subscription("t", "all", queue="", endpoint=URL, content_format="JSON")
    broker.ensure_subscription("t", "some", queue="", endpoint=URL + "2", filter_tag="a")
    broker.publish("t", "one", tag="a")
    broker.publish("t", "two")
    told = [(s.endpoint, s.content_format, n.body, n.tag) for s, n in pushed]
    assert told == [
        (URL, "JSON", "one", "a"),
        (URL + "2", "SIMPLIFIED", "one", "a"),
        (URL, "JSON", "two", None),
    ]


def test_without_a_pusher_a_url_gets_nothing_and_that_is_told(
    broker: Broker, activity: Activity
) -> None:
    """As for a queue that is not there."""
    broker.ensure_subscription("t", "all", queue="", endpoint=URL)
    broker.publish("t", "one")
    lost = [h.fields["to"] for h in activity.kept() if h.name == "smq.undelivered"]
    assert lost == [URL]


class Endpoint:
    """Answers each request as it is told, or never."""

    def __init__(self, *statuses: int | None) -> None:
        self.statuses = list(statuses)
        self.got: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request."""
        self.got.append(await reader.readuntil(b"\r\n\r\n"))
        status = self.statuses.pop(0)
        if status is None:
            await reader.read()
        else:
            more = b"Location: /elsewhere\r\n" if status == 302 else b""
            writer.write(b"HTTP/1.1 %d x\r\nContent-Length: 0\r\n%s" % (status, more))
            writer.write(b"Connection: close\r\n\r\n")
        writer.close()


def run(
    endpoint: Endpoint, activity: Activity, pauses: Callable[[str], Iterator[float]]
) -> tuple[bool, list[Any]]:
    """Push to it; whether it was answered well, and the statuses of the attempts."""

    async def push() -> bool:
        server = await asyncio.start_server(endpoint.serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        pusher = Pusher(activity, pauses, answer_seconds=0.3)
        made = iter(range(100))

        def make() -> PushRequest:
            return PushRequest({"x-attempt": str(next(made))}, b"body")

        try:
            return await pusher.run(f"http://127.0.0.1:{port}/x", "BACKOFF_RETRY", make)
        finally:
            await pusher.close()
            server.close()
            await server.wait_closed()

    done = asyncio.run(push())
    return done, [h.fields["status"] for h in activity.kept() if h.name == "push.answered"]


def test_a_push_is_repeated_until_it_is_answered_well(activity: Activity) -> None:
    """Nothing but 2xx is a good answer; each attempt is signed anew."""
    endpoint = Endpoint(500, 302, None, 401, 204)
    done, statuses = run(endpoint, activity, lambda _: iter([0.0] * 10))
    assert (done, statuses) == (True, [500, 302, 0, 401, 204])
    attempts = [request.split(b"x-attempt: ")[1][:1] for request in endpoint.got]
    assert attempts == [b"0", b"1", b"2", b"3", b"4"]


def test_after_the_last_repeat_a_push_is_given_up(activity: Activity) -> None:
    """The default strategy has three of them."""
    assert len(list(push_pauses("BACKOFF_RETRY"))) == 3
    done, statuses = run(Endpoint(503, 503, 503, 503), activity, lambda _: iter([0.0] * 3))
    assert (done, statuses) == (False, [503] * 4)
    assert activity.kept()[-1].name == "push.given_up"


def test_nobody_there_is_an_attempt_like_another(activity: Activity) -> None:
    """A refused connection, and a URL that is none."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    pusher = Pusher(activity, lambda _: iter(()))

    async def push() -> list[bool]:
        urls = (f"http://127.0.0.1:{port}/", "http://[", "http://\x00")
        done = [await pusher.run(url, "", lambda: PushRequest({}, b"")) for url in urls]
        await pusher.close()
        return done

    assert asyncio.run(push()) == [False, False, False]


def test_a_key_is_made_once(tmp_path: Path) -> None:
    """Whoever has fetched its certificate can go on after a restart."""
    first, second = push_key(tmp_path), push_key(tmp_path)
    assert first.certificate == second.certificate
    assert first.sign(b"x", "SHA1") == second.sign(b"x", "SHA1")


TEMPLATE = """
ROSTemplateFormatVersion: '2015-09-01'
Resources:
  Rule:
    Type: ALIYUN::EventBridge::Rule
    {metadata}
    Properties:
      RuleName: r
      FilterPattern: {{source: [a]}}
      Targets:
        - Id: a
          Type: https
          Endpoint: {url}
          ParamList:
            - {{ResourceKey: token, Form: CONSTANT, Value: t}}
            - {{ResourceKey: Body, Form: ORIGINAL, Value: ''}}
  Subscription:
    Type: ALIYUN::MNS::Subscription
    Properties:
      TopicName: t
      SubscriptionName: s
      PushType: http
      Endpoint: {url}
      NotifyContentFormat: JSON
      NotifyStrategy: EXPONENTIAL_DECAY_RETRY
"""


def test_a_template_can_push_to_urls(tmp_path: Path) -> None:
    """Targets of rules and endpoints of subscriptions; how a push is signed is local metadata."""
    file = tmp_path / "template.yml"
    metadata = "Metadata: {LocalPush: {Version: 1, Newline: true, Seconds: true}}"
    file.write_text(TEMPLATE.format(url="https://a.example/push", metadata=metadata))
    template = load_template(file, {})
    (target,) = template.rules[0].targets
    assert (target.type, target.name, target.token) == ("https", "https://a.example/push", "t")
    assert target.style == PushStyle(1, newline=True, array=False, seconds=True)
    (subscription,) = template.subscriptions
    assert (subscription.queue, subscription.endpoint) == ("", "https://a.example/push")
    assert (subscription.content_format, subscription.retry) == ("JSON", "EXPONENTIAL_DECAY_RETRY")
    assert template.unsimulated == ()


@pytest.mark.parametrize("url", ["a.example", "ftp://a.example", "acs:mns:r:1:queues/q"])
def test_a_url_that_is_none_is_refused(tmp_path: Path, url: str) -> None:
    """With the place in the template."""
    file = tmp_path / "template.yml"
    file.write_text(TEMPLATE.format(url=url, metadata=""))
    with pytest.raises(TemplateError, match="Endpoint"):
        load_template(file, {})
