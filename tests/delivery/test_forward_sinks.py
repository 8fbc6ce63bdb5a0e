"""Each event to each of its sinks; a sink that takes nothing holds up nobody and loses nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from shared.concurrency import AtOnce
from shared.delivery.outgoing import Outgoing
from shared.delivery.outlet import LONGEST_WAIT, REST, Outlet
from shared.delivery.routing import Condition, Route, Routing
from shared.errors import QueueUnavailable
from shared.schema.limits import QUEUE_BODY_MAX
from shared.sending.letters import QUEUE_PAYLOAD_MAX

Document = Callable[..., dict[str, Any]]
A, B = "topic:a", "queue:b"
DAY = 86_400_000


@pytest.fixture(autouse=True)
def two_sinks(way: Any) -> None:
    """Every event goes to a topic and to a queue."""
    way.routing = Routing((A, B), dead_letters={B: "b-dead"})


def batch(document: Document, count: int = 3) -> list[dict[str, Any]]:
    """Events of so many recipients."""
    return [document(rcpt=f"{number}@example.net") for number in range(count)]


def test_every_sink_has_every_event(way: Any, document: Document) -> None:
    """With the same id, tag and properties; each in the order of the batch."""
    assert way.run(batch(document)) == {"delivered": 3}
    first, second = way.post.of(A), way.post.of(B)
    assert first == second
    assert [event["data"]["recipient"] for event in first] == [
        f"{number}@example.net" for number in range(3)
    ]
    assert {(m.tag, m.properties["state"]) for m in way.post.messages} == {
        ("delivered", "delivered")
    }
    assert len(way.log.events) == 3


def test_a_sink_that_is_down_has_letters_of_its_own(way: Any, document: Document) -> None:
    """The other one has its events at once; each letter names the sink and brings the event."""
    way.post.down = {A}
    assert way.run(batch(document)) == {"delivered": 3}
    assert len(way.post.of(B)) == 3
    letters = [letter["forward"] for letter, _ in way.post.letters]
    assert {letter["sink"] for letter in letters} == {A}
    assert [letter["event"] for letter in letters] == way.post.of(B)
    assert all(letter["attempt"] == 1 and letter["first_seen"] for letter in letters)


def test_a_letter_goes_to_its_sink_alone(way: Any, document: Document) -> None:
    """And not to the others again; the event is not recorded twice."""
    way.post.down = {A}
    way.run(document())
    ((letter, _),) = way.post.letters
    way.post.down, way.post.letters = set(), []
    way.clock.now += REST
    assert way.run(letter) == {"retried": 1}
    assert way.post.of(A) == way.post.of(B)
    assert len(way.post.messages) == 2
    assert (way.post.letters, len(way.log.events)) == ([], 1)
    assert {m.properties["id"] for m in way.post.messages} == set(way.log.events)


def test_a_repeat_is_no_news_to_a_sink_that_waits_for_its_letter(
    way: Any, document: Document
) -> None:
    """The letter carries the event to the one, and the others have it."""
    way.post.down = {A}
    way.run(document())
    assert way.run(document()) == {"repeated": 1}
    assert len(way.post.letters) == 1


def test_a_sink_that_failed_is_left_alone_for_a_while(way: Any, document: Document) -> None:
    """It costs one time-out, not one for each event or batch; then it is tried again."""
    way.post.down = {A}
    forwarder = way.forwarder()
    way.run(batch(document), forwarder)
    way.run(document(rcpt="x@example.net"), forwarder)
    assert way.post.tried.count(A) == 1
    assert len(way.post.letters) == 4
    way.clock.now += REST
    way.run(document(rcpt="y@example.net"), forwarder)
    assert way.post.tried.count(A) == 2


@pytest.mark.parametrize("code", ["InvalidArgument", "MalformedXML"])
def test_one_event_that_a_sink_refuses_is_not_the_sinks_fault(
    way: Any, document: Document, code: str
) -> None:
    """The next one is tried at once."""
    way.post.down, way.post.codes = {A}, {A: code}
    way.run(batch(document))
    assert way.post.tried.count(A) == 3
    assert {letter["forward"]["why"] for letter, _ in way.post.letters} == {code}


def test_waits_grow_and_end(way: Any, document: Document) -> None:
    """From a second to ten minutes; a sink that is up again has its backlog within that."""
    way.post.down = {A}
    way.run(document())
    waits = []
    for _ in range(20):
        letter, delay = way.post.letters.pop()
        waits.append(delay)
        way.clock.now += delay
        way.run(letter)
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (2_000, LONGEST_WAIT // 2)  # the dice say a half


@pytest.mark.parametrize(("sink", "queue"), [(A, ""), (B, "b-dead")])
def test_what_a_sink_does_not_take_for_too_long_is_laid_aside(
    way: Any, document: Document, sink: str, queue: str
) -> None:
    """On its own dead-letter queue, or on the common one, with its name and the reason."""
    way.post.down = {sink}
    way.run(document())
    ((letter, _),) = way.post.letters
    way.post.letters = []
    way.clock.now += DAY - 1
    way.run(letter)
    assert way.post.dead == []
    ((letter, _),) = way.post.letters
    way.clock.now += 1
    way.run(letter)
    ((name, dead),) = way.post.dead
    assert (name, dead["forward"]["sink"]) == (queue, sink)
    assert dead["forward"]["why"] == f"{sink} takes nothing"
    assert dead["forward"]["event"]["data"]["recipient"] == "ada@example.net"


def test_a_letter_for_a_sink_that_no_route_leads_to(way: Any, document: Document) -> None:
    """It goes nowhere but aside: whoever can write to the queue cannot name a sink."""
    way.post.down = {A}
    way.run(document())
    ((letter, _),) = way.post.letters
    letter["forward"]["sink"] = "topic:elsewhere"
    way.run(letter)
    assert "topic:elsewhere" not in way.post.tried
    assert len(way.post.dead) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"sink": None},
        {"event": None},
        {"event": {}},
        {"attempt": -1},
        {"attempt": True},
        {"first_seen": "now"},
        {"first_seen": 2**60},
    ],
)
def test_a_letter_that_is_none_of_ours_is_no_letter(
    way: Any, document: Document, change: dict[str, Any]
) -> None:
    """It is told as what cannot be read, and nothing in it is done."""
    way.post.down = {A}
    way.run(document())
    ((letter, _),) = way.post.letters
    way.post.down = set()
    letter["forward"].update(change)
    assert way.run(letter) == {"unrecognised": 1}


@pytest.mark.parametrize("down", [{A, "retries"}, {A, B, "retries"}])
def test_when_not_even_a_letter_can_be_written_the_batch_comes_again(
    way: Any, document: Document, down: set[str]
) -> None:
    """Nothing is recorded that is not safe, so nothing is lost."""
    way.post.down = down
    with pytest.raises(QueueUnavailable):
        way.run(batch(document))
    assert way.log.events == {}
    way.post.down = set()
    assert way.run(batch(document)) == {"delivered": 3}
    assert {event["id"] for event in way.post.of(A)} == set(way.log.events)
    assert {event["id"] for event in way.post.of(B)} == set(way.log.events)


def test_a_long_event_fits_into_a_queue_and_into_a_letter(way: Any, document: Document) -> None:
    """A queue's message goes in base64, a letter with more around it; the id stays."""
    way.post.down = {A}
    way.run(document(err_msg="x" * 55_000))
    ((letter, _),) = way.post.letters
    (event,) = way.post.of(B)
    assert len(way.post.messages[0].body.encode()) <= QUEUE_PAYLOAD_MAX
    assert letter["forward"]["event"]["id"] == event["id"]
    assert event["data"]["smtp"] == {"code": None, "message": None}
    assert letter["forward"]["event"] == event
    (recorded,) = way.log.events.values()
    assert QUEUE_PAYLOAD_MAX < len(recorded.body.encode()) <= QUEUE_BODY_MAX


def test_rules_choose_the_sinks(way: Any, document: Document) -> None:
    """Each event goes where its own state leads."""
    bounced = Condition(equal={"state": ("bounced",)})
    way.routing = Routing((A,), (Route(bounced, (B,)),))
    way.run([document(), {**document(rcpt="b@example.net"), "type": "dm:Deliver:Fail"}])
    assert [event["data"]["state"] for event in way.post.of(A)] == ["delivered"]
    assert [event["data"]["state"] for event in way.post.of(B)] == ["bounced"]


def test_an_event_without_a_sink_is_recorded(way: Any, document: Document) -> None:
    """A route to nowhere is a choice, and a replay can still be one."""
    way.routing = Routing(())
    assert way.run(document()) == {"delivered": 1}
    assert (way.post.messages, len(way.log.events)) == ([], 1)


def test_postbuss_own_states_take_the_same_way(way: Any) -> None:
    """By the rules, with letters of their own, and recorded."""
    way.routing = Routing((A,), (Route(Condition(equal={"tag": ("order",)}), (B,)),))
    body = '{"id": "1", "type": "postbus.mail.held", "data": {"state": "held", "tag": "order"}}'
    way.outlet.publish(body, "held", {"id": "1", "type": "postbus.mail.held"})
    assert [event["data"]["state"] for event in way.post.of(B)] == ["held"]
    assert way.log.knows("1")
    way.post.down = {B, "retries"}
    with pytest.raises(QueueUnavailable):
        way.outlet.publish(body, "held", {"id": "2"})


# --- Beside each other ---------------------------------------------------------------------------


def outgoing(number: int) -> Outgoing:
    """The event of a number."""
    return Outgoing(str(number), f'{{"id": "{number}", "data": {{}}}}', "delivered", {"id": "1"})


class Hanging:
    """A post one of whose sinks hangs for a while and then fails."""

    def __init__(self, post: Any, seconds: float) -> None:
        self._post = post
        self._seconds = seconds
        self.first = 0.0
        self.ended = threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._post, name)

    def deliver(self, sink: str, *rest: Any) -> str:
        """Hang on one sink."""
        if sink == A:
            self.ended.wait(self._seconds)
            raise QueueUnavailable("no answer")
        self.first = self.first or time.monotonic()
        answer: str = self._post.deliver(sink, *rest)
        return answer


def test_a_sink_that_hangs_costs_the_others_nothing(way: Any) -> None:
    """They have their events before its time-out is over; and that is one time-out in all."""
    post = Hanging(way.post, 0.5)
    outlet = Outlet(post, way.routing, way.log, AtOnce(4), lambda: 0.5, way.clock, DAY)
    begun = time.monotonic()
    outlet.send([outgoing(number) for number in range(20)], 5_000)
    assert post.first - begun < 0.25
    assert 0.5 <= time.monotonic() - begun < 1.5
    assert len(way.post.of(B)) == 20
    assert len(way.post.letters) == 20


def test_a_sink_that_never_answers_does_not_hold_the_invocation(way: Any) -> None:
    """When its time is over, what the sink may or may not have goes into letters."""
    post = Hanging(way.post, 60)
    outlet = Outlet(post, way.routing, way.log, AtOnce(4), lambda: 0.5, way.clock, DAY)
    begun = time.monotonic()
    outlet.send([outgoing(number) for number in range(3)], 300)
    assert time.monotonic() - begun < 2
    assert {letter["forward"]["why"] for letter, _ in way.post.letters} == {"late"}
    assert len(way.post.letters) == 3
    post.ended.set()


class Slow:
    """A post whose sinks take 100 ms of the clock for each event."""

    def __init__(self, way: Any) -> None:
        self._way = way

    def __getattr__(self, name: str) -> Any:
        return getattr(self._way.post, name)

    def deliver(self, *given: Any) -> str:
        """Take the event, slowly."""
        self._way.clock.now += 100
        answer: str = self._way.post.deliver(*given)
        return answer


def test_one_slow_sink_alone_has_no_more_time_than_several(way: Any) -> None:
    """What it has not taken in time goes into letters, and the invocation ends as it should."""
    way.routing = Routing((A,))
    outlet = Outlet(Slow(way), way.routing, way.log, AtOnce(4), lambda: 0.5, way.clock, DAY)
    outlet.send([outgoing(number) for number in range(10)], 300)
    assert (len(way.post.of(A)), len(way.post.letters)) == (3, 7)
    assert len(way.log.events) == 10


class Awake:
    """A post one of whose sinks answers just when its lane was given up as late.

    The first letter that is put back lets it answer; after that, no letter is taken any more.
    """

    def __init__(self, post: Any) -> None:
        self._post = post
        self.answer, self.answered = threading.Event(), threading.Event()
        self.delivered: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._post, name)

    def deliver(self, sink: str, body: str, *_: Any) -> str:
        """Wait with the first event of A until it is too late; then the process is ended."""
        if sink != A:
            return "taken"
        if self.delivered:
            self.answered.set()
            threading.Event().wait(0.2)  # as frozen as a process gets here
        self.answer.wait(5)
        self.delivered.append(body)
        return "taken"

    def retry(self, letter: str, delay: int) -> str:
        """Take one letter."""
        if self.answer.is_set():
            raise QueueUnavailable("no more")
        self._post.retry(letter, delay)
        self.answer.set()
        self.answered.wait(5)
        return "put back"


def test_an_answer_that_comes_too_late_makes_no_other_event_look_safe(way: Any) -> None:
    """What is neither delivered nor in a letter is not recorded, so that it comes again."""
    post = Awake(way.post)
    outlet = Outlet(post, way.routing, way.log, AtOnce(4), lambda: 0.5, way.clock, DAY)
    with pytest.raises(QueueUnavailable):
        outlet.send([outgoing(number) for number in range(3)], 200)
    assert set(way.log.events) == {"0"}
