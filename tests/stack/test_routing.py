"""Routes, replay and redrive in a whole stack: queues and topics, through the official SDK."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
from mns.account import Account
from mns.mns_exception import MNSServerException
from mns.queue import Message, QueueMeta
from mns.subscription import SubscriptionMeta
from mns.topic import TopicMeta

from local.account import ACCOUNT_ID, OWNER
from local.pytest_plugin import Postbus

pytestmark = pytest.mark.stack

ROUTES = {
    "rules": [
        {"when": {"state": "bounced"}, "to": ["queue:postbus-{environment}-bounces", "events"]},
        {"when": {"tag": "shop"}, "to": ["events", "topic:postbus-{environment}-shop"]},
    ],
    "named": {"billing": "queue:postbus-{environment}-billing"},
}
PARENT = f"00-{'4b' * 16}-{'0f' * 8}-01"
SECONDS = 30.0


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postbus]:
    """A stack with routes, their queues, and a topic with a queue that is subscribed to it."""
    options = ("--set", f"POSTBUS_ROUTES={json.dumps(ROUTES)}", "--set",
               "POSTBUS_SINK_PATIENCE_SECONDS=0", "--event-delay", "0.05")  # fmt: skip
    running = Postbus(tmp_path_factory.mktemp("routing") / "state", options)
    running.start()
    account = Account(running.url, OWNER.id, OWNER.secret, "")
    for name in ("bounces", "billing", "shop"):
        account.get_queue(f"postbus-local-{name}").create(QueueMeta())
    topic = account.get_topic("postbus-local-shop")
    topic.create(TopicMeta())
    subscription = account.get_subscription(topic.topic_name, "shop")
    endpoint = f"acs:mns:cn-hangzhou:{ACCOUNT_ID}:queues/postbus-local-shop"
    subscription.subscribe(SubscriptionMeta(endpoint, "", "SIMPLIFIED"))
    account.mns_client.close_connection()
    yield running
    running.kill()


def take(stack: Postbus, name: str, count: int, *, base64: bool = True) -> list[Any]:
    """So many messages of a queue, or as many as there are when the time is over."""
    queue = stack.queue(name, base64=base64)
    found: list[Any] = []
    deadline = time.monotonic() + SECONDS
    while len(found) < count and time.monotonic() < deadline:
        with suppress(MNSServerException):  # nothing there yet
            message = queue.receive_message(1)
            queue.delete_message(message.receipt_handle)
            found.append(message)
    return found


def events_of(messages: list[Any]) -> list[Any]:
    """The events in messages."""
    return [json.loads(message.message_body) for message in messages]


def put(stack: Postbus, key: str, to: str = "ada@example.net", **fields: Any) -> None:
    """Put a mail on the queue."""
    stack.put({"to": [to], "subject": key, "text": "Hello", "key": key, **fields})


def test_an_event_goes_to_the_sinks_of_its_rule(stack: Postbus) -> None:
    """To a queue and to the topic, with the same id, which stands beside the body as well."""
    put(stack, "bounce", "bounce@example.net")
    (message,) = take(stack, "bounces", 1)
    (event,) = events_of([message])
    assert (event["data"]["key"], event["data"]["state"]) == ("bounce", "bounced")
    properties = {name: value.string_value for name, value in message.user_properties.items()}
    assert properties == {
        "id": event["id"],
        "type": "postbus.mail.bounced",
        "state": "bounced",
        "mail_id": event["data"]["mail_id"],
    }
    assert [each["id"] for each in stack.events(1)] == [event["id"]]


def test_a_mail_names_its_route(stack: Postbus) -> None:
    """Only there, and only a name from the list; another one names nothing."""
    put(stack, "named", notify={"Topic": "billing"})
    put(stack, "not named", notify={"Topic": "postbus-local-shop"})
    assert [each["data"]["key"] for each in events_of(take(stack, "billing", 1))] == ["named"]
    assert [each["data"]["key"] for each in stack.events(1)] == ["not named"]


def test_the_trace_of_the_producer_is_on_its_events(stack: Postbus) -> None:
    """From the HTTP request's header, through DirectMail, to event and message."""
    mail = {"to": ["ada@example.net"], "subject": "x", "text": "x", "key": "t", "tag": "shop"}
    answer = httpx.post(
        f"{stack.url}/v1/mails", json=mail, headers={"traceparent": PARENT}, trust_env=False
    )
    assert answer.status_code == 201
    (event,) = stack.events(1)
    (at_the_shop,) = events_of(take(stack, "shop", 1, base64=False))
    assert event["traceparent"] == at_the_shop["traceparent"] == PARENT
    assert (at_the_shop["id"], at_the_shop["data"]["key"]) == (event["id"], "t")


@pytest.fixture
def told(stack: Postbus) -> str:
    """The id of an event that went to the shop's topic and was taken there."""
    key = f"replayed {time.monotonic()}"
    put(stack, key, tag="shop")
    (event,) = stack.events(1)
    assert events_of(take(stack, "shop", 1, base64=False))[0]["id"] == event["id"]
    identity: str = event["id"]
    return identity


def run(stack: Postbus, *arguments: str) -> tuple[int, list[Any], str]:
    """A command's exit code, its lines of JSON and what it says of errors."""
    ended = stack.command(*arguments)
    lines = ended.stdout.decode().splitlines()
    return ended.returncode, [json.loads(line) for line in lines], ended.stderr.decode()


def test_a_replay_sends_recorded_events_again_under_their_ids(stack: Postbus, told: str) -> None:
    """By the routes, or to one sink alone."""
    asked = ("--where", f"id={told}", "--where", "tag=shop", "--since", "1h", "--json")
    code, lines, _ = run(stack, "replay", *asked)
    assert (code, [line["id"] for line in lines]) == (0, [told])
    (event,) = stack.events(1)
    assert event["id"] == told
    assert [each["id"] for each in events_of(take(stack, "shop", 1, base64=False))] == [told]
    code, _, _ = run(stack, "replay", *asked, "--to", "topic:postbus-local-shop")
    assert code == 0
    assert [each["id"] for each in events_of(take(stack, "shop", 1, base64=False))] == [told]
    assert stack.events(1, seconds=1) == []
    code, lines, error = run(stack, "replay", "--since", "1h", "--where", "state=complained")
    assert (code, lines, "no recorded event matches" in error) == (1, [], True)


def test_what_a_sink_did_not_take_can_be_put_back(stack: Postbus) -> None:
    """Its letter names it and the reason; the other sink had the event all the time."""
    stack.faults.set("smq", "PublishMessage", "publish-fails", match="/topics/postbus-local-shop/")
    put(stack, "unlucky", tag="shop")
    (event,) = stack.events(1)
    dead = wait_for(lambda: stack.take_letters("delivery-events-dead"))
    (letter,) = dead
    assert letter["forward"]["sink"] == "topic:postbus-local-shop"
    assert (letter["forward"]["event"]["id"], letter["forward"]["why"]) == (
        event["id"],
        "InternalError",
    )
    stack.put([json.dumps(each) for each in dead], "delivery-events-dead")
    stack.faults.clear()
    code, lines, _ = run(stack, "redrive", "--events", "--sink", "topic:other", "--json")
    assert (code, [line["decided"] for line in lines]) == (0, ["left: not asked for"])
    time.sleep(1.2)  # what is left is seen again after a second
    code, lines, _ = run(stack, "redrive", "--events", "--json")
    assert (code, [line["decided"] for line in lines]) == (0, ["put back"])
    (late,) = events_of(take(stack, "shop", 1, base64=False))
    assert late["id"] == event["id"]


def test_a_long_dead_event_that_came_as_plain_text_can_be_put_back(stack: Postbus) -> None:
    """In base64 it would be too long for a message; what is dead beside it goes back as well."""
    queue = stack.queue("directmail-dead", base64=False)
    for identity, text in (("long", "x" * 60_000), ("short", "x")):
        queue.send_message(Message(json.dumps({"type": "dm:New", "id": identity, "data": text})))
    code, lines, error = run(stack, "redrive", "--events", "--json")
    assert (code, error.strip()) == (0, "")
    assert [line["decided"] for line in lines] == ["put back"] * 2
    events = stack.take_events(lambda found: len(found) >= 2, SECONDS)
    assert {event["type"] for event in events} == {"postbus.event.unrecognised"}


def wait_for(look: Callable[[], list[Any]]) -> list[Any]:
    """What a look finds, once it finds anything."""
    deadline = time.monotonic() + SECONDS
    while not (found := look()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return found
