"""The SMQ twin's limits: each holds at itself and not one past it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from local.activity import Activity
from local.twins.smq.broker import Broker, Message, Property, QueueAttributes
from local.twins.smq.errors import SmqError


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A broker with one queue, `q`."""
    broker = Broker(tmp_path / "smq.db", activity=Activity())
    broker.ensure_queue("q", QueueAttributes())
    yield broker
    broker.close()


def receive(broker: Broker, queue: str = "q", count: int = 16, **options: Any) -> list[Message]:
    """Receive without a running loop."""
    return asyncio.run(broker.receive(queue, count=count, **options))


def code_of(action: Callable[[], Any]) -> tuple[int, str]:
    """Status and code of the refusal that the action must end in."""
    with pytest.raises(SmqError) as caught:
        action()
    return caught.value.status, caught.value.code


@pytest.mark.parametrize(
    ("send", "within", "beyond"),
    [
        (lambda b, n: b.send("q", "x" * n), 65_536, 65_537),
        (lambda b, n: b.send("q", "é" * n), 32_768, 32_769),
        (lambda b, n: b.send("q", "x" * n), 1, 0),
        (lambda b, n: b.send("q", "x", delay_seconds=n), 604_800, 604_801),
        (lambda b, n: b.send("q", "x", delay_seconds=n), 0, -1),
        (lambda b, n: b.send("q", "x", priority=n), 1, 0),
        (lambda b, n: b.send("q", "x", priority=n), 16, 17),
        (lambda b, n: receive(b, count=n), 16, 17),
        (lambda b, n: receive(b, count=n), 1, 0),
        (lambda b, n: b.peek("q", n), 16, 17),
        (lambda b, n: receive(b, wait_seconds=n) if n > 30 else b.peek("q"), 30, 31),
        (lambda b, n: b.publish("t", "x" * n), 65_536, 65_537),
        (lambda b, n: b.publish("t", "x", tag="t" * n), 16, 17),
        (lambda b, n: b.publish("t", "x", tag="t" * n), 1, 0),
        (lambda b, n: b.ensure_subscription("t", "s", queue="q", filter_tag="t" * n), 16, 17),
        (lambda b, n: b.ensure_queue("new", QueueAttributes(delay_seconds=n)), 604_800, 604_801),
        (lambda b, n: b.ensure_queue("new", QueueAttributes(maximum_message_size=n)), 1024, 1023),
        (lambda b, n: b.ensure_queue("new", QueueAttributes(maximum_message_size=n)), 65536, 65537),
        (lambda b, n: b.ensure_queue("new", QueueAttributes(message_retention_seconds=n)), 60, 59),
        (
            lambda b, n: b.ensure_queue("new", QueueAttributes(message_retention_seconds=n)),
            604_800,
            604_801,
        ),
        (lambda b, n: b.ensure_queue("new", QueueAttributes(visibility_timeout_seconds=n)), 1, 0),
        (
            lambda b, n: b.ensure_queue("new", QueueAttributes(visibility_timeout_seconds=n)),
            43_200,
            43_201,
        ),
        (lambda b, n: b.ensure_queue("new", QueueAttributes(polling_wait_seconds=n)), 30, 31),
        (
            lambda b, n: b.ensure_queue(
                "new", QueueAttributes(dead_letter_queue="q", max_receive_count=n)
            ),
            1,
            0,
        ),
    ],
)
def test_each_limit_holds_at_itself_and_not_one_past_it(
    broker: Broker, send: Callable[[Broker, int], Any], within: int, beyond: int
) -> None:
    """The documented limit is allowed; the next value is InvalidArgument."""
    broker.ensure_topic("t")
    send(broker, within)
    assert code_of(lambda: send(broker, beyond)) == (400, "InvalidArgument")


def test_a_changed_time_out_is_between_0_and_43200_seconds(broker: Broker) -> None:
    """ChangeMessageVisibility has the limits that the official SDK checks."""
    broker.send("q", "x")
    handle = receive(broker)[0].receipt_handle
    assert code_of(lambda: broker.change_visibility("q", handle, 43_201))[1] == "InvalidArgument"
    assert code_of(lambda: broker.change_visibility("q", handle, -1))[1] == "InvalidArgument"
    handle, _ = broker.change_visibility("q", handle, 43_200)
    broker.change_visibility("q", handle, 0)


def test_the_queues_own_maximum_counts_bytes(broker: Broker) -> None:
    """MaximumMessageSize is a limit on the body in UTF-8."""
    broker.ensure_queue("small", QueueAttributes(maximum_message_size=1024))
    broker.send("small", "é" * 512)
    assert code_of(lambda: broker.send("small", "é" * 512 + "x"))[1] == "InvalidArgument"


@pytest.mark.parametrize(
    ("kind", "name", "code"),
    [
        ("queue", "a_b", "InvalidQueueName"),
        ("queue", "-a", "InvalidQueueName"),
        ("queue", "é", "InvalidQueueName"),
        ("queue", "a\n", "InvalidQueueName"),
        ("queue", "", "QueueNameLengthError"),
        ("queue", "a" * 121, "QueueNameLengthError"),
        ("topic", "a.b", "TopicNameInvalid"),
        ("topic", "a" * 121, "TopicNameLengthError"),
    ],
)
def test_a_name_is_letters_digits_and_hyphens(
    broker: Broker, kind: str, name: str, code: str
) -> None:
    """Names that the service would not take are refused when something is created."""
    if kind == "queue":
        assert code_of(lambda: broker.ensure_queue(name, QueueAttributes())) == (400, code)
    else:
        assert code_of(lambda: broker.ensure_topic(name)) == (400, code)
    broker.ensure_queue("a" * 120, QueueAttributes())


@pytest.mark.parametrize(
    "properties",
    [
        [Property("", "x")],
        [Property("a", "x"), Property("a", "y")],
        [Property("a", "one", "NUMBER")],
        [Property("a", "True", "BOOLEAN")],
        [Property("a", "???", "BINARY")],
        [Property("a", "x", "LIST")],
        [Property("a", "\x00")],
    ],
)
def test_a_property_must_be_of_its_type(broker: Broker, properties: list[Property]) -> None:
    """What a consumer could not read back is refused at the door."""
    assert code_of(lambda: broker.send("q", "x", properties=properties))[1] == "InvalidArgument"


@pytest.mark.parametrize("body", ["\x00", "a\x0bb", "\ufffe", "\ud800"])
def test_text_that_xml_cannot_carry_is_refused(broker: Broker, body: str) -> None:
    """No client could ever receive it."""
    assert code_of(lambda: broker.send("q", body))[1] == "InvalidArgument"


@pytest.mark.parametrize(
    ("action", "code"),
    [
        (lambda b: b.send("no", "x"), "QueueNotExist"),
        (lambda b: receive(b, "no"), "QueueNotExist"),
        (lambda b: b.peek("no"), "QueueNotExist"),
        (lambda b: b.delete("no", "1-0000000000000000"), "QueueNotExist"),
        (lambda b: b.change_visibility("no", "1-0000000000000000", 1), "QueueNotExist"),
        (lambda b: b.depth("no"), "QueueNotExist"),
        (lambda b: b.publish("no", "x"), "TopicNotExist"),
        (lambda b: b.published("no"), "TopicNotExist"),
        (lambda b: b.ensure_subscription("no", "s", queue="q"), "TopicNotExist"),
        (lambda b: b.unsubscribe("no", "s"), "TopicNotExist"),
        (lambda b: (b.ensure_topic("t"), b.subscription("t", "no")), "SubscriptionNotExist"),
    ],
)
def test_what_does_not_exist_is_404(
    broker: Broker, action: Callable[[Broker], Any], code: str
) -> None:
    """Each kind of thing has its own code."""
    assert code_of(lambda: action(broker)) == (404, code)
