"""Killed at each step of a batch of events: nothing is lost, whatever comes twice has its id."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import pytest

from shared.delivery.facts import DeliveryFact
from shared.delivery.forward import Forwarder
from shared.delivery.outlet import Outlet
from shared.delivery.routing import Routing
from shared.stores.ledger import Channel, MailRecord
from shared.triggers.context import Invocation
from shared.triggers.events import read_events
from tests.delivery.conftest import ENVIRONMENT, NOW, Way, one_by_one

UP, DOWN = "topic:up", "queue:down"
DAY = 86_400_000
STEPS_MAX = 100
When = Literal["before", "after"]


class Killed(BaseException):
    """The process is gone: nothing catches it."""


@dataclass
class Steps:
    """Counts the steps of a process, and ends it before or after one of them."""

    last: int
    when: When
    done: int = 0

    def of(self, part: Any) -> Any:
        """A part whose every call is a step."""
        return _Watched(part, self)

    def take(self, work: Callable[[], Any]) -> Any:
        """One step."""
        self.done += 1
        if self.done == self.last and self.when == "before":
            raise Killed
        try:
            return work()
        finally:  # whatever it answers, nobody hears it
            if self.done == self.last:
                raise Killed


class _Watched:
    def __init__(self, part: Any, steps: Steps) -> None:
        self._part = part
        self._steps = steps

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._part, name)
        return lambda *given, **more: self._steps.take(lambda: method(*given, **more))


@dataclass
class Noted:
    """A list of suppressions that only remembers whom."""

    whom: set[str] = field(default_factory=set)

    def note(self, fact: DeliveryFact, mail: MailRecord | None, _now: int) -> None:
        """See `Suppressor.note`."""
        assert mail is not None
        self.whom.add(str(fact.recipient))


def process(way: Way, noted: Noted, steps: Steps) -> Forwarder:
    """A new process of the function, whose parts are `way`'s."""
    outlet = Outlet(
        steps.of(way.post), way.routing, steps.of(way.log), one_by_one, lambda: 0.5, way.clock, DAY
    )
    ledger, shelf = steps.of(way.ledger), steps.of(way.post)
    source = f"postbus/{ENVIRONMENT}"
    return Forwarder(ledger, outlet, shelf, ENVIRONMENT, source, "drop", steps.of(noted))


def run(forwarder: Forwarder, way: Way, batch: list[Any]) -> None:
    """What the platform does with a batch."""
    call = Invocation("1-abc", "f", way.clock.now + 60_000, None, way.clock)
    forwarder.forward_all(read_events(json.dumps(batch).encode()), call)


def live(way: Way, noted: Noted, batch: list[Any], steps: Steps) -> bool:
    """A batch until nothing waits, its first process killed at a step; whether it was."""
    way.post.down = {DOWN}
    killed = False
    try:
        run(process(way, noted, steps), way, batch)
    except Killed:
        killed = True
        run(process(way, noted, Steps(0, "before")), way, batch)
    way.post.down = set()
    # The answer has come that tells the EnvId of the third event's mail.
    (known,) = way.ledger.mails.values()
    way.ledger.mails["early"] = replace(known, mail_id="early", envelope_id="60002")
    while way.post.letters:
        letter, _ = way.post.letters.pop(0)
        run(process(way, noted, Steps(0, "before")), way, [letter])
    return killed


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_batch_survives_a_kill_at_each_step(
    new_way: Callable[[], Way], document: Callable[..., dict[str, Any]], when: When
) -> None:
    """It comes again, and so do its letters; every sink has each event, evidence is written."""
    batch = [document(rcpt=f"{number}@example.net") for number in range(2)]
    batch.append(document(header=None, msg_id="x@y", env_id="60002", rcpt="early@example.net"))
    people = {event["data"]["rcpt"] for event in batch}
    whole = new_way()
    assert not live(whole, Noted(), batch, Steps(0, when))
    expected = {event["id"] for event in whole.post.of(UP)}
    assert len(expected) == len(batch)
    for last in range(1, STEPS_MAX):
        way, noted, steps = new_way(), Noted(), Steps(last, when)
        killed = live(way, noted, batch, steps)
        for sink in (UP, DOWN):
            assert {event["id"] for event in way.post.of(sink)} == expected, last
            assert len(way.post.of(sink)) <= 2 * len(batch)
        assert set(way.log.events) == expected
        assert noted.whom == {record.recipient for record in way.ledger.states} == people
        if not killed:
            break
    assert (killed, steps.done) == (False, last - 1)
    assert last > len(batch) * 4  # each has a lookup, evidence, a publication, a record


@pytest.fixture
def new_way(way: Way, mail: MailRecord) -> Callable[[], Way]:
    """Makes a world with two sinks and one known mail."""

    def make() -> Way:
        ledger = replace(
            way.ledger, mails={mail.mail_id: mail}, states=[], channels=[], sightings=[], asked=[]
        )
        ledger.senders = {"noreply@mail.example.com": Channel(sent_at=NOW - 1)}
        return Way(ledger, routing=Routing((UP, DOWN)))

    return make
