"""The process dies between any two steps of a mail's way; the mail is neither lost nor doubled."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.sending.answers import Broken, Rejected
from shared.sending.protocol import FINAL
from tests.sending.conftest import Say, World

NewWorld = Callable[..., World]
Crashes = set[tuple[int, str]]

MOMENTS = ("before", "after")
BODY = b'{"to": ["ada@example.net"], "subject": "Hello", "text": "Hi.", "key": "k"}'
SCRIPTS: dict[str, list[Say]] = {
    "accepted at once": [],
    "throttled, then accepted": [Say(Rejected("Throttling.User", 400))],
    "unreachable twice, then accepted": [Say(Broken("connect"))] * 2,
    "refused": [Say(Rejected("InvalidToAddress", 400))] * 9,
    "misconfigured": [Say(Rejected("Forbidden.RAM", 403))] * 9,
    "unreachable for good": [Say(Broken("connect"))] * 50,
    "out of quota, then accepted": [Say(Rejected("InvalidSendMail.Spam", 400))],
    "accepted, the answer lost": [Say(Broken("read-timeout"), accepted=True)],
    "not accepted, the answer lost": [Say(Broken("read-timeout"), accepted=False)],
    "throttled, then the answer lost": [
        Say(Rejected("Throttling.User", 400)),
        Say(Broken("reset"), accepted=True),
    ],
}


def play(world: World, script: list[Say], crashes: Crashes) -> World:
    """Run one mail to its end, with these crashes."""
    world.provider.script = list(script)
    world.steps.crashes = crashes
    world.queues.put(BODY)
    world.run()
    return world


def assert_kept(world: World) -> None:
    """The mail is sent at most once; it is final, or waits for a person where that is said."""
    where = f"{sorted(world.steps.crashes)} in {world.steps.names}"
    assert len(world.provider.accepts) <= 1, where
    if world.queues.rejected:
        return
    row = world.row()
    assert row.state in FINAL or world.queues.dead, f"{row.state} {where}"
    if row.state in {"held", "parked", "failed"}:
        numbers = [json.loads(body)["custody"] for body in world.queues.dead]
        assert max(numbers) > row.custody, f"no letter to redrive, {where}"
    if world.events and world.provider.accepts:
        assert row.state == "sent", where


@pytest.mark.parametrize("events", [True, False], ids=["with events", "without events"])
@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_one_crash_anywhere(new_world: NewWorld, script: list[Say], *, events: bool) -> None:
    """Whichever step the process dies before or after, the mail is sent at most once and kept."""
    steps = len(play(new_world(events=events), script, set()).steps.names)
    for number, moment in product(range(1, steps + 1), MOMENTS):
        assert_kept(play(new_world(events=events), script, {(number, moment)}))


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_redrive_after_a_crash_anywhere(new_world: NewWorld, script: list[Say]) -> None:
    """Buried letters that are put back, each of them twice, never send a mail a second time."""
    steps = len(play(new_world(events=True), script, set()).steps.names)
    for number, moment in product(range(1, steps + 1), MOMENTS):
        world = play(new_world(events=True), script, {(number, moment)})
        world.provider.script = []
        for letter in world.queues.dead * 2:
            world.queues.put(letter)
        world.run()
        where = f"{moment} step {number} of {world.steps.names}"
        assert len(world.provider.accepts) <= 1, where
        if world.queues.dead:
            assert world.row().state in {"sent", "refused"}, where


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.sampled_from(sorted(SCRIPTS)),
    st.sets(st.tuples(st.integers(1, 40), st.sampled_from(MOMENTS)), max_size=6),
    st.booleans(),
    st.integers(1, 3),
)
def test_many_crashes(
    new_world: NewWorld, script: str, crashes: Crashes, events: bool, copies: int
) -> None:
    """However often the process dies, and however often the message comes, nothing changes."""
    world = new_world(events=events)
    for _ in range(copies - 1):
        world.queues.put(BODY)
    assert_kept(play(world, SCRIPTS[script], crashes))
    world.ledger.close()


def test_copies_do_not_breed(new_world: NewWorld) -> None:
    """A crash after a put-back costs a bounded number of further deliveries, and they end."""
    script = SCRIPTS["throttled, then accepted"]
    calm = play(new_world(), script, set())
    step = calm.steps.names.index("put_back") + 1
    shaken = play(new_world(), script, {(step, "after")})
    gets = [world.steps.names.count("get") for world in (calm, shaken)]
    assert gets[1] - gets[0] <= 6
