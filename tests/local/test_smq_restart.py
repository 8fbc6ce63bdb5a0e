"""The SMQ twin's file: what survives a restart and kill -9, and a model of all of it."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from local.activity import Activity
from local.twins.smq.broker import Broker, Message, QueueAttributes
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


def test_ensuring_a_queue_again_keeps_its_messages(broker: Broker) -> None:
    """Only the attributes change; those of messages already there stay."""
    broker.send("q", "x")
    broker.ensure_queue("q", QueueAttributes(visibility_timeout_seconds=5))
    (message,) = receive(broker)
    assert message.next_visible_at_ms == (START + 5) * 1000


def test_all_definitions_and_messages_survive_a_restart(
    tmp_path: Path, clock: Clock, activity: Activity
) -> None:
    """Queues with their attributes, topics, subscriptions, history and messages are read back."""
    attributes = QueueAttributes(dead_letter_queue="dead", max_receive_count=3, delay_seconds=1)
    first = Broker(tmp_path / "smq.db", activity=activity, clock=clock)
    first.ensure_queue("work", attributes)
    first.ensure_topic("t")
    first.ensure_subscription("t", "s", queue="work", filter_tag="a", content_format="JSON")
    first.publish("t", "x", tag="a")
    subscription = first.subscription("t", "s")
    first.close()
    second = Broker(tmp_path / "smq.db", activity=activity, clock=clock)
    assert (second.queues(), second.topics()) == (["work"], ["t"])
    assert second.queue("work").attributes == attributes
    assert second.subscription("t", "s") == subscription
    assert [each.body for each in second.published("t")] == ["x"]
    assert second.depth("work").delayed == 1
    second.publish("t", "y")
    assert [each.sequence for each in second.published("t")] == [1, 2]
    second.close()


def test_a_deleted_queue_takes_its_messages_with_it(broker: Broker) -> None:
    """A queue of the same name begins empty, and deleting what is not there is no error."""
    broker.send("q", "x")
    broker.delete_queue("q")
    broker.delete_queue("q")
    assert broker.queues() == []
    broker.ensure_queue("q", QueueAttributes())
    assert broker.depth("q").visible == 0


def test_a_deleted_topic_takes_its_subscriptions_with_it(broker: Broker) -> None:
    """A topic of the same name begins without any."""
    broker.ensure_topic("t")
    broker.ensure_subscription("t", "s", queue="q")
    broker.delete_topic("t")
    broker.delete_topic("t")
    broker.ensure_topic("t")
    assert (broker.topics(), broker.subscriptions("t")) == (["t"], [])


def test_no_body_outlives_its_message(broker: Broker, tmp_path: Path, clock: Clock) -> None:
    """Deleting, expiring and clearing leave nothing in the file."""
    for _ in range(3):
        broker.send("q", "x")
    broker.delete("q", receive(broker, count=1)[0].receipt_handle)
    clock.now += 400_000
    broker.depth("q")
    broker.send("q", "y")
    broker.delete_queue("q")
    with sqlite3.connect(tmp_path / "smq.db") as connection:
        assert connection.execute("SELECT COUNT(*) FROM body").fetchone() == (0,)
    connection.close()


def test_a_file_of_another_version_is_refused(tmp_path: Path, activity: Activity) -> None:
    """It says which file to remove, instead of failing somewhere later."""
    connection = sqlite3.connect(tmp_path / "old.db")
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(RuntimeError, match=r"old\.db"):
        Broker(tmp_path / "old.db", activity=activity)


HOLDER = """
import asyncio, sys, time
from pathlib import Path
from local.activity import Activity
from local.twins.smq.broker import Broker, QueueAttributes

broker = Broker(Path(sys.argv[1]), activity=Activity())
broker.ensure_queue("q", QueueAttributes(visibility_timeout_seconds=60))
if sys.argv[2] == "hold":
    for number in range(20):
        broker.send("q", str(number))
    held = asyncio.run(broker.receive("q", count=5))
    print(*(message.id for message in held), flush=True)
    time.sleep(60)
while True:
    print(broker.send("q", "x" * 500).id, flush=True)
"""


def killed(database: Path, mode: str, lines: int) -> list[str]:
    """Run the holder in a process of its own, read so many lines, then kill -9 it."""
    with subprocess.Popen(  # noqa: S603  # our own interpreter and script
        [sys.executable, "-c", HOLDER, str(database), mode], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(lines)]
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    return said


def test_a_message_in_flight_when_the_process_is_killed_comes_back(
    tmp_path: Path, activity: Activity
) -> None:
    """After kill -9 nothing is missing, and what was held is visible after its time-out."""
    (line,) = killed(tmp_path / "smq.db", "hold", 1)
    held = set(line.split())
    assert len(held) == 5
    ahead = 0.0
    broker = Broker(tmp_path / "smq.db", activity=activity, clock=lambda: time.time() + ahead)
    depth = broker.depth("q")
    assert (depth.visible, depth.in_flight) == (15, 5)
    ahead = 61
    messages = [*receive(broker), *receive(broker)]
    assert sorted(int(message.body) for message in messages) == list(range(20))
    assert {message.id for message in messages if message.dequeue_count == 2} == held
    broker.close()


def test_what_was_acknowledged_before_a_kill_is_there_after_it(
    tmp_path: Path, activity: Activity
) -> None:
    """Three times over: a send that returned is kept, though the process died in mid-flight."""
    known: set[str] = set()
    for _ in range(3):
        known |= {line.strip() for line in killed(tmp_path / "smq.db", "send", 40)}
    broker = Broker(tmp_path / "smq.db", activity=activity)
    there: set[str] = set()
    while messages := receive(broker):
        there |= {message.id for message in messages}
    assert known <= there
    broker.close()


class QueueMachine(RuleBasedStateMachine):
    """A queue against a dict: whatever is done in whatever order, nothing is lost or doubled."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.folder = tempfile.TemporaryDirectory()
        self.open_file()
        self.broker.ensure_queue("q", QueueAttributes(visibility_timeout_seconds=10))
        self.sent = 0
        # Of each message that must still exist: from when it is visible, and its latest handle.
        self.model: dict[str, tuple[float, str]] = {}

    def open_file(self) -> None:
        """Start a broker on the file."""
        path = Path(self.folder.name) / "smq.db"
        self.broker = Broker(path, activity=Activity(), clock=self.clock)

    @rule(delay=st.sampled_from([0, 0, 3]), priority=st.integers(1, 3))
    def send(self, delay: int, priority: int) -> None:
        """A message is there from its sending, or from the end of its delay."""
        self.sent += 1
        body = str(self.sent)
        sent = self.broker.send("q", body, delay_seconds=delay, priority=priority)
        self.model[body] = (self.clock.now + delay, sent.receipt_handle or "")

    @rule(count=st.integers(1, 4))
    def receive(self, count: int) -> None:
        """As many come as are visible and asked for, and no other."""
        visible = {body for body, (due, _) in self.model.items() if due <= self.clock.now}
        messages = receive(self.broker, count=count)
        assert len(messages) == min(count, len(visible))
        for message in messages:
            assert message.body in visible
            self.model[message.body] = (self.clock.now + 10, message.receipt_handle)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        """The latest handle deletes while the message is invisible, and never after."""
        body = data.draw(st.sampled_from(list(self.model)))
        due, handle = self.model[body]
        if due > self.clock.now:
            self.broker.delete("q", handle)
            del self.model[body]
        elif handle:
            assert code_of(lambda: self.broker.delete("q", handle))[1] == "MessageNotExist"

    @precondition(lambda self: self.model)
    @rule(data=st.data(), seconds=st.sampled_from([0, 2, 20]))
    def change_visibility(self, data: st.DataObject, seconds: int) -> None:
        """A message in flight or delayed is due anew, with a new handle."""
        body = data.draw(st.sampled_from(list(self.model)))
        due, handle = self.model[body]
        if due > self.clock.now:
            new, _ = self.broker.change_visibility("q", handle, seconds)
            self.model[body] = (self.clock.now + seconds, new)

    @rule(seconds=st.sampled_from([1, 3, 10]))
    def wait(self, seconds: int) -> None:
        """Time passes."""
        self.clock.now += seconds

    @rule()
    def restart(self) -> None:
        """The broker ends and another one opens its file."""
        self.broker.close()
        self.open_file()

    @invariant()
    def counts_agree(self) -> None:
        """The broker counts what the model holds."""
        depth = self.broker.depth("q")
        assert depth.visible == sum(due <= self.clock.now for due, _ in self.model.values())
        assert depth.visible + depth.in_flight + depth.delayed == len(self.model)

    def teardown(self) -> None:
        """Remove the file."""
        self.broker.close()
        self.folder.cleanup()


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(max_examples=25, stateful_step_count=40, deadline=None)
