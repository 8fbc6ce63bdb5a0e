"""Postbus's own mail events: which states are told, how, and as which repeat."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from shared.errors import QueueUnavailable
from shared.schema.mail_event import MailEvent
from shared.sending.announce import Announcer, state_event
from shared.sending.answers import Broken, Rejected
from shared.stores.ledger import MailRecord
from tests.sending.conftest import NOON, Say, World
from tests.sending.test_consumer import bare

RECORD = MailRecord(
    mail_id="m" * 26,
    key="order-1",
    state="refused",
    attempt=2,
    envelope_id=None,
    sender="shop@example.com",
    tag="order",
    notify={"OrderId": "1"},
)


def event(record: MailRecord = RECORD, state: str = "refused", now: int = NOON) -> MailEvent:
    """The event of a state."""
    return state_event(record, state, "InvalidToAddress", source="postbus/test", now=now)


def test_what_it_says() -> None:
    """The mail's ids, its state and why, and what its sender wanted back; no address of anybody."""
    told = event()
    assert (told.type, told.subject, told.source) == (
        "postbus.mail.refused",
        RECORD.mail_id,
        "postbus/test",
    )
    data = told.data
    assert (data.mail_id, data.key, data.state, data.reason) == (
        RECORD.mail_id,
        "order-1",
        "refused",
        "InvalidToAddress",
    )
    assert (data.tag, data.sender, dict(data.notify)) == (
        "order",
        "shop@example.com",
        {"OrderId": "1"},
    )
    assert data.recipient is None
    assert json.loads(told.to_json())["time"].startswith("2026-11-22T12:00:00")


def test_a_repeat_has_the_same_id() -> None:
    """The next hop can drop it; another state, attempt or mail has an id of its own."""
    others = [
        event(),
        event(state="held"),
        event(replace(RECORD, attempt=3)),
        event(replace(RECORD, mail_id="n" * 26)),
    ]
    assert event(now=NOON + 5).id == event().id
    assert len({each.id for each in others}) == len(others)


def test_only_what_somebody_wants_to_hear(world: World) -> None:
    """A state that is not among the chosen ones is not published."""
    announcer = Announcer(world.queues, "postbus/test", ("held",))
    announcer.announce(RECORD, "refused", None, NOON)
    assert world.queues.published == []
    announcer.announce(RECORD, "held", None, NOON)
    ((tag, body),) = world.queues.published
    assert (tag, body["type"]) == ("held", "postbus.mail.held")


def test_a_topic_that_is_down(world: World) -> None:
    """Whoever announces learns that nobody heard."""
    world.queues.down = {"publish"}
    with pytest.raises(QueueUnavailable):
        Announcer(world.queues, "postbus/test", ("held",)).announce(RECORD, "held", None, NOON)


# The answers -> the states that are told, in order.
TOLD: dict[str, tuple[list[Say], list[str]]] = {
    "sent": ([], ["sent"]),
    "refused": ([Say(Rejected("InvalidToAddress", 400))], ["refused"]),
    "throttled, then sent": ([Say(Rejected("Throttling.User", 400))], ["sent"]),
    "unreachable for good": ([Say(Broken("connect"))] * 99, ["failed"]),
    "nobody knows": ([Say(Broken("read-timeout"))], ["unknown", "held"]),
    "parked": ([Say(Rejected("Forbidden.RAM", 403))], []),
}


@pytest.mark.parametrize(("script", "states"), TOLD.values(), ids=TOLD)
def test_what_a_mails_way_tells(world: World, script: list[Say], states: list[str]) -> None:
    """Each state once; a misconfiguration is an operator's affair and not the sender's."""
    everything = frozenset({"sent", "refused", "failed", "held", "unknown", "expired", "parked"})
    world.consumer = replace(
        world.consumer, announcer=Announcer(world.queues, "postbus/test", everything)
    )
    world.provider.script = script
    world.queues.put(bare())
    world.run()
    assert [tag for tag, _ in world.queues.published] == states
