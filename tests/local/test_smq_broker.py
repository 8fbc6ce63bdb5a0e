"""The SMQ twin's engine: one message's life, and where it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from local.account import ACCOUNT_ID
from local.activity import Activity
from local.twins.smq.broker import Broker, Message, Property, QueueAttributes
from local.twins.smq.errors import SmqError

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


def code_of(action: Callable[[], Any]) -> tuple[int, str]:
    """Status and code of the refusal that the action must end in."""
    with pytest.raises(SmqError) as caught:
        action()
    return caught.value.status, caught.value.code


@pytest.mark.parametrize(
    "body", ["x", " \t\r\n ", "é😀\u2028", "<&>]]>", '{"a": 1}', "eyJhIjogMX0="]
)
def test_a_body_comes_back_exactly_as_it_was_sent(broker: Broker, body: str) -> None:
    """Nothing is encoded, trimmed or normalised on the way."""
    sent = broker.send("q", body)
    (message,) = receive(broker)
    assert (message.id, message.body) == (sent.id, body)
    assert (message.dequeue_count, message.priority) == (1, 8)
    assert message.enqueued_at_ms == message.first_dequeued_at_ms == START * 1000
    assert message.next_visible_at_ms == (START + 30) * 1000


def test_the_digest_is_the_bodys_in_upper_case(broker: Broker) -> None:
    """SendMessage answers with the MD5 of the body as it was sent."""
    assert broker.send("q", "hello").body_md5 == "5D41402ABC4B2A76B9719D911017C592"


def test_a_received_message_is_invisible_until_its_time_out(broker: Broker, clock: Clock) -> None:
    """Others get it when the visibility time-out ends, not before."""
    broker.send("q", "x")
    (first,) = receive(broker)
    clock.now += 29.999
    assert receive(broker) == []
    clock.now += 0.001
    (second,) = receive(broker)
    assert second.id == first.id
    assert second.receipt_handle != first.receipt_handle
    assert second.dequeue_count == 2
    assert second.first_dequeued_at_ms == first.first_dequeued_at_ms


def test_a_deleted_message_never_comes_back(broker: Broker, clock: Clock) -> None:
    """Deleting by the handle ends the message."""
    broker.send("q", "x")
    (message,) = receive(broker)
    broker.delete("q", message.receipt_handle)
    clock.now += 60
    assert receive(broker) == []
    assert code_of(lambda: broker.delete("q", message.receipt_handle)) == (404, "MessageNotExist")


def test_a_handle_ends_when_the_message_is_visible_again(broker: Broker, clock: Clock) -> None:
    """After the time-out the handle neither deletes nor extends, even before anyone else came."""
    broker.send("q", "x")
    (message,) = receive(broker)
    clock.now += 30
    expected = (404, "MessageNotExist")
    assert code_of(lambda: broker.delete("q", message.receipt_handle)) == expected
    assert code_of(lambda: broker.change_visibility("q", message.receipt_handle, 5)) == expected
    assert broker.depth("q").visible == 1


def test_only_the_latest_handle_works(broker: Broker, clock: Clock) -> None:
    """A second receive makes the first handle useless and its own one valid."""
    broker.send("q", "x")
    (first,) = receive(broker)
    clock.now += 30
    (second,) = receive(broker)
    assert code_of(lambda: broker.delete("q", first.receipt_handle))[1] == "MessageNotExist"
    broker.delete("q", second.receipt_handle)


def test_a_handle_of_another_queue_does_not_work(broker: Broker) -> None:
    """A handle belongs to its queue."""
    broker.ensure_queue("other", QueueAttributes())
    broker.send("q", "x")
    (message,) = receive(broker)
    assert code_of(lambda: broker.delete("other", message.receipt_handle))[1] == "MessageNotExist"


@pytest.mark.parametrize("handle", ["x", "1-2", "0-00000000000000000", "f" * 40, "é", "1-'; --"])
def test_what_is_no_handle_is_refused_as_such(broker: Broker, handle: str) -> None:
    """Text that never was a handle is ReceiptHandleError, not MessageNotExist."""
    assert code_of(lambda: broker.delete("q", handle)) == (400, "ReceiptHandleError")
    assert code_of(lambda: broker.change_visibility("q", handle, 1)) == (400, "ReceiptHandleError")


def test_handles_can_stand_in_a_url_as_they_are(broker: Broker) -> None:
    """The official SDKs do not escape them."""
    for _ in range(16):
        broker.send("q", "x")
    for message in receive(broker):
        assert message.receipt_handle.replace("-", "").isalnum()


def test_changed_visibility_counts_from_now_and_replaces_the_handle(
    broker: Broker, clock: Clock
) -> None:
    """The new time-out starts at the call; the old handle is dead, the new one works."""
    broker.send("q", "x")
    (message,) = receive(broker)
    clock.now += 10
    handle, due = broker.change_visibility("q", message.receipt_handle, 50)
    assert due == (START + 60) * 1000
    assert code_of(lambda: broker.delete("q", message.receipt_handle))[1] == "MessageNotExist"
    clock.now = START + 59.9
    assert receive(broker) == []
    broker.delete("q", handle)


def test_visibility_zero_gives_the_message_back_at_once(broker: Broker) -> None:
    """A consumer that cannot go on lets the next one try."""
    broker.send("q", "x")
    (message,) = receive(broker)
    broker.change_visibility("q", message.receipt_handle, 0)
    assert broker.depth("q").visible == 1
    assert receive(broker)[0].dequeue_count == 2


def test_a_delayed_message_waits(broker: Broker, clock: Clock) -> None:
    """It is counted as delayed, and received when its delay is over."""
    sent = broker.send("q", "x", delay_seconds=10)
    assert sent.receipt_handle
    assert receive(broker) == []
    assert broker.depth("q").delayed == 1
    clock.now += 10
    (message,) = receive(broker)
    assert (message.id, message.dequeue_count) == (sent.id, 1)


def test_the_queues_delay_holds_unless_the_message_has_its_own(broker: Broker) -> None:
    """Zero is a delay of its own; None asks for the queue's."""
    broker.ensure_queue("slow", QueueAttributes(delay_seconds=5))
    broker.send("slow", "x")
    broker.send("slow", "y", delay_seconds=0)
    assert [message.body for message in receive(broker, "slow")] == ["y"]


def test_a_delayed_message_can_be_deleted_by_the_handle_of_its_sending(
    broker: Broker, clock: Clock
) -> None:
    """SendMessage gives a handle for a delayed message, and only for one."""
    handle = broker.send("q", "x", delay_seconds=10).receipt_handle
    assert handle is not None
    broker.delete("q", handle)
    clock.now += 60
    assert receive(broker) == []
    assert broker.send("q", "x").receipt_handle is None


def test_priority_comes_before_arrival(broker: Broker) -> None:
    """1 is first and 16 last; equal priorities keep their order."""
    for body, priority in (("c", 8), ("e", 16), ("a", 1), ("d", 8), ("b", 2)):
        broker.send("q", body, priority=priority)
    assert [message.body for message in broker.peek("q", 16)] == ["a", "b", "c", "d", "e"]
    assert [message.body for message in receive(broker)] == ["a", "b", "c", "d", "e"]


def test_peeking_changes_nothing(broker: Broker) -> None:
    """A peeked message has no handle, and its count stays."""
    broker.send("q", "x")
    broker.peek("q")
    (peeked,) = broker.peek("q")
    assert (peeked.receipt_handle, peeked.dequeue_count, peeked.first_dequeued_at_ms) == ("", 0, 0)
    assert receive(broker)[0].dequeue_count == 1


def test_properties_travel_beside_the_body(broker: Broker) -> None:
    """All four types come back with name, value and type, in order."""
    properties = (
        Property("b", "ü"),
        Property("a", "-1.5e3", "NUMBER"),
        Property("c", "true", "BOOLEAN"),
        Property("d", "AAE=", "BINARY"),
    )
    trace = (Property("traceparent", "00-1-2-01"),)
    broker.send("q", "x", properties=properties, system_properties=trace)
    (message,) = receive(broker)
    assert (message.properties, message.system_properties) == (properties, trace)


def test_a_message_expires_wherever_it_is(broker: Broker, clock: Clock) -> None:
    """After the retention time it is gone: visible, delayed or in flight."""
    broker.ensure_queue("short", QueueAttributes(message_retention_seconds=60))
    broker.send("short", "flying")
    (flying,) = receive(broker, "short", visibility_seconds=300)
    broker.send("short", "visible")
    broker.send("short", "delayed", delay_seconds=120)
    clock.now += 59.9
    assert broker.depth("short").visible == 1
    clock.now += 0.1
    depth = broker.depth("short")
    assert (depth.visible, depth.in_flight, depth.delayed) == (0, 0, 0)
    assert code_of(lambda: broker.delete("short", flying.receipt_handle))[1] == "MessageNotExist"


def test_depth_counts_by_state_and_knows_the_oldest(broker: Broker, clock: Clock) -> None:
    """The oldest is the first that was sent and is still there, in whatever state."""
    assert broker.depth("q").oldest_enqueued_at_ms is None
    broker.send("q", "a")
    clock.now += 1
    broker.send("q", "b", delay_seconds=5)
    broker.send("q", "c")
    receive(broker, count=1)
    depth = broker.depth("q")
    assert (depth.visible, depth.in_flight, depth.delayed) == (1, 1, 1)
    assert depth.oldest_enqueued_at_ms == START * 1000


def dead_letter_queues(broker: Broker, most: int = 2, retention: int = 345_600) -> None:
    """Make `work`, whose dead letters go to `dead`."""
    broker.ensure_queue("dead", QueueAttributes())
    policy = QueueAttributes(
        dead_letter_queue="dead", max_receive_count=most, message_retention_seconds=retention
    )
    broker.ensure_queue("work", policy)


def test_a_message_received_too_often_moves_to_the_dead_letter_queue(
    broker: Broker, clock: Clock, activity: Activity
) -> None:
    """It is delivered max_receive_count times, then it is a dead letter that tells its origin."""
    dead_letter_queues(broker)
    sent = broker.send("work", "x", properties=[Property("a", "b")])
    for _ in range(2):
        assert len(receive(broker, "work")) == 1
        clock.now += 30
    assert receive(broker, "work") == []
    (dead,) = receive(broker, "dead")
    assert (dead.body, dead.dequeue_count) == ("x", 1)
    assert dead.properties == (Property("a", "b"),)
    assert {each.name: each.value for each in dead.system_properties} == {
        "DLQSourceArn": f"acs:mns:cn-hangzhou:{ACCOUNT_ID}:queues/work",
        "DLQOriginMessageId": sent.id,
    }
    (told,) = [h for h in activity.kept() if h.name == "smq.dead_lettered"]
    assert told.fields == {"queue": "work", "message_id": dead.id, "to": "dead"}


def test_a_dead_letter_is_there_before_anybody_asks_its_old_queue(
    broker: Broker, clock: Clock
) -> None:
    """Whoever looks at the dead-letter queue sees it, though no consumer is left."""
    dead_letter_queues(broker, most=1)
    broker.send("work", "x")
    receive(broker, "work")
    clock.now += 30
    assert broker.depth("dead").visible == 1
    assert [message.body for message in broker.peek("dead")] == ["x"]


def test_a_deleted_message_is_no_dead_letter(broker: Broker, clock: Clock) -> None:
    """The last allowed delivery can still succeed."""
    dead_letter_queues(broker, most=1)
    broker.send("work", "x")
    broker.delete("work", receive(broker, "work")[0].receipt_handle)
    clock.now += 3600
    assert broker.depth("dead").visible == 0


def test_moving_does_not_set_the_retention_anew(broker: Broker, clock: Clock) -> None:
    """The time in both queues is summed."""
    dead_letter_queues(broker, most=1, retention=100)
    broker.send("work", "x")
    receive(broker, "work")
    clock.now += 99
    assert broker.depth("dead").visible == 1
    clock.now += 1
    assert broker.depth("dead").visible == 0


def test_without_its_dead_letter_queue_a_message_stays(broker: Broker, clock: Clock) -> None:
    """Nothing is lost when the queue that the policy names does not exist."""
    broker.ensure_queue("work", QueueAttributes(dead_letter_queue="no", max_receive_count=1))
    broker.send("work", "x")
    for count in (1, 2, 3):
        assert receive(broker, "work")[0].dequeue_count == count
        clock.now += 30


def test_a_queue_cannot_be_its_own_dead_letter_queue(broker: Broker) -> None:
    """Nor is a policy without both its halves taken."""
    itself = QueueAttributes(dead_letter_queue="loop", max_receive_count=3)
    halves = QueueAttributes(dead_letter_queue="q"), QueueAttributes(max_receive_count=3)
    for attributes in (itself, *halves):
        with pytest.raises(SmqError, match="InvalidArgument"):
            broker.ensure_queue("loop", attributes)
