"""Ticks: a timer's own mail, and the sweep for mails that nobody carries."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from shared.errors import LedgerUnavailable, QueueUnavailable
from shared.sending.claims import LEASE_MARGIN
from shared.sending.clockwork import SWEEP, Clockwork
from shared.sending.identity import payload_hash
from shared.triggers.timer import TimerEvent
from tests.api.conftest import MAIL, Service
from tests.sending.conftest import GRACE, NOON, World

NewWorld = Callable[..., World]
DIED: dict[str, Any] = {
    "state": "sending",
    "attempt": 1,
    "owner": "dead",
    "carrier": "caller",
    "lease_until": NOON - LEASE_MARGIN,
    "payload": payload_hash(MAIL),
    "sender": "shop@example.com",
    "attempted_at": NOON - 60_000,
    "created_at": NOON - 60_000,
}


def tick(world: World, payload: Any = SWEEP) -> dict[str, int]:
    """One tick."""
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    clockwork = Clockwork(world.consumer, world.ledger, world.announcer)
    return clockwork.tick(TimerEvent("t", "12:00", data), world.clock.invocation())


def test_a_timers_mail(world: World) -> None:
    """Its key is the trigger's name and time: a tick that comes twice sends one mail."""
    for _ in range(2):
        assert tick(world, MAIL) == {"mails": 1}
    assert world.provider.accepts == [world.mailer.mail_id("timer:t:12:00")]


@pytest.mark.parametrize("payload", [b"", b"{}", {"task": "dance"}, {**SWEEP, "to": "a@x.org"}])
def test_what_is_neither(world: World, payload: Any) -> None:
    """A payload that is no sweep is meant to be a mail, and rejected as a bad one."""
    tick(world, payload)
    assert (len(world.queues.rejected), world.provider.calls) == (1, [])


def test_a_mail_that_a_dying_repeat_found(new_world: NewWorld) -> None:
    """Its caller's repeat found it unknown and died before the queue had it: held, announced."""
    world = new_world(announced=frozenset({"held"}))
    world.write(**{**DIED, "state": "unknown", "lease_until": 0, "updated_at": NOON - 400_000})
    assert tick(world)["held"] == 1
    assert [state for state, _ in world.queues.published] == ["held"]


def test_a_mail_that_nobody_carries(new_world: NewWorld) -> None:
    """Its caller's process died in mid-call: it is held, announced once, and not sent."""
    world = new_world(announced=frozenset({"held"}))
    world.write(**DIED)
    assert [tick(world)["held"], tick(world).get("held")] == [1, None]
    row = world.row()
    assert (row.state, row.unknown_since, row.carrier) == ("held", NOON, "caller")
    ((tag, event),) = world.queues.published
    assert (tag, event["data"]["reason"]) == ("held", "caller-died")
    assert world.provider.calls == []


@pytest.mark.parametrize(
    "fields",
    [
        {"carrier": "queue"},
        {"lease_until": NOON - LEASE_MARGIN + 1},
        {"state": "waiting"},
        {"state": "unknown", "lease_until": 0, "unknown_since": NOON, "updated_at": NOON},
        {"state": "accepted"},
        {"state": "sent", "evidence": "answer"},
    ],
    ids=["a queue's", "its lease runs", "waiting", "unknown", "accepted", "sent"],
)
def test_what_a_sweep_leaves_alone(new_world: NewWorld, fields: dict[str, Any]) -> None:
    """Whatever somebody carries, or may still be working on, is none of its business."""
    world = new_world(announced=frozenset({"held"}))
    before = world.write(**{**DIED, **fields})
    assert tick(world) == {"purged": 0}
    assert (world.row(), world.queues.published) == (before, [])


def test_evidence_in_the_middle_of_a_sweep(world: World) -> None:
    """An event that comes while the mail is about to be held wins."""
    world.write(**DIED)
    world.ledger.meanwhile["change"] = world.prove
    assert tick(world) == {"purged": 0}
    assert world.row().state == "sent"


def test_a_topic_that_is_down(new_world: NewWorld) -> None:
    """What could not be announced is not held yet: the next sweep does both."""
    world = new_world(announced=frozenset({"held"}))
    world.write(**DIED)
    world.queues.down = {"publish"}
    with pytest.raises(QueueUnavailable):
        tick(world)
    assert world.row().state == "sending"
    world.queues.down = set()
    assert tick(world)["held"] == 1


def test_a_ledger_that_is_down(world: World) -> None:
    """A sweep that could not be done fails, so that the platform tells."""
    world.ledger.down = {"by_state"}
    with pytest.raises(LedgerUnavailable):
        tick(world)


def test_it_purges(world: World) -> None:
    """What has expired is deleted, and only that."""
    world.write(state="sent", expires_at=NOON)
    world.ledger.inner.create(
        replace(world.row(), mail_id="other", key="other", expires_at=NOON + 1)
    )
    assert tick(world) == {"purged": 1}
    assert not world.has_row()
    assert world.ledger.inner.get("other") is not None


@pytest.mark.parametrize("wish", ["resend", "hold"])
@pytest.mark.parametrize("late", [0, GRACE])
def test_a_held_mail_goes_on_when_its_caller_repeats(
    new_world: NewWorld, wish: str, late: int
) -> None:
    """The repeat brings it onto the queue, where the grace and the mail's wish decide."""
    world = new_world()
    mail = {**MAIL, "on_unknown": wish}
    world.write(**{**DIED, "payload": payload_hash(mail)})
    tick(world)
    world.show_life()
    world.clock.now += late
    service = Service(world)
    answers = [service.post(mail, headers={"idempotency-key": "k"}) for _ in range(3)]
    world.run()
    sent = int(wish == "resend")
    assert (world.row().state, len(world.provider.accepts)) == (
        ("sent", 1) if sent else ("held", 0)
    )
    assert {answer.status for answer in answers} <= {201, 202}
    assert len(world.queues.dead) == 1 - sent


def test_a_held_mail_that_a_queue_took_over_can_be_redriven(new_world: NewWorld) -> None:
    """The process died after handing over; swept, then buried by the queue's copy: still ours."""
    world = new_world()
    letter = world.letter(custody=1, on_unknown="hold")
    world.write(**{**DIED, "payload": payload_hash(letter.given)})
    tick(world)
    world.queues.put(letter.body().encode(), GRACE)
    world.run()
    assert (world.row().state, world.row().carrier) == ("held", "queue")
    world.queues.put(world.queues.dead[0])
    world.run()
    assert (world.row().state, len(world.provider.accepts)) == ("sent", 1)
