"""The process dies between any two steps of a mail's way; the mail is neither lost nor doubled."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from itertools import product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.sending.answers import Broken, Rejected
from shared.sending.letters import Letter
from shared.sending.protocol import FINAL
from shared.sending.unknowns import PATIENCE
from tests.sending.conftest import Crash, Say, World

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
    "the answer lost again and again": [Say(Broken("read-timeout"), accepted=True)] * 9,
    "throttled, then the answer lost": [
        Say(Rejected("Throttling.User", 400)),
        Say(Broken("reset"), accepted=True),
    ],
}


def play(world: World, script: list[Say], crashes: Crashes, wish: str = "resend") -> World:
    """Run one mail to its end, with these crashes."""
    world.provider.script = list(script)
    world.steps.crashes = crashes
    world.queues.put(json.dumps({**json.loads(BODY), "on_unknown": wish}).encode())
    world.run()
    return world


def moments(world: World) -> Iterator[tuple[int, str]]:
    """Before and after each step; of a long way, whose middle repeats itself, its two ends."""
    steps = range(1, len(world.steps.names) + 1)
    chosen = steps if len(steps) <= 50 else (*steps[:25], *steps[-15:])
    return product(chosen, MOMENTS)


def assert_kept(world: World, most: int = 1) -> None:
    """The mail is sent at most once; it is final, or waits for a person where that is said."""
    where = f"{sorted(world.steps.crashes)} in {world.steps.names}"
    assert len(world.provider.accepts) <= most, where
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
    for number, moment in moments(play(new_world(events=events), script, set())):
        assert_kept(play(new_world(events=events), script, {(number, moment)}))


# The wish and whether events come -> how many sends there are at most while the channel is alive.
MOST = {
    "resend, events lost": ("resend", False, 2),
    "resend, with events": ("resend", True, 1),
    "hold, events lost": ("hold", False, 1),
    "hold, with events": ("hold", True, 1),
}


@pytest.mark.parametrize("most", MOST.values(), ids=MOST)
@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_one_crash_anywhere_while_the_channel_is_alive(
    new_world: NewWorld, script: list[Say], most: tuple[str, bool, int]
) -> None:
    """Only a mail that may be sent again, and whose own events are lost, is ever sent twice."""
    wish, events, accepts = most
    calm = play(new_world(events=events, alive=True), script, set(), wish)
    assert_kept(calm, accepts)
    for number, moment in moments(calm):
        world = new_world(events=events, alive=True)
        assert_kept(play(world, script, {(number, moment)}, wish), accepts)


def test_what_was_not_accepted_is_sent_after_all(new_world: NewWorld) -> None:
    """A call that DirectMail never took is made good by a resend, and by nothing else."""
    script = SCRIPTS["not accepted, the answer lost"]
    ends = {wish: play(new_world(alive=True), script, set(), wish) for wish in ("resend", "hold")}
    assert {wish: len(world.provider.accepts) for wish, world in ends.items()} == {
        "resend": 1,
        "hold": 0,
    }
    assert {wish: world.row().state for wish, world in ends.items()} == {
        "resend": "sent",
        "hold": "held",
    }


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_redrive_after_a_crash_anywhere(new_world: NewWorld, script: list[Say]) -> None:
    """Buried letters that are put back, each of them twice, never send a mail a second time."""
    for number, moment in moments(play(new_world(events=True), script, set())):
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
    script=st.sampled_from(sorted(SCRIPTS)),
    crashes=st.sets(st.tuples(st.integers(1, 40), st.sampled_from(MOMENTS)), max_size=6),
    events=st.booleans(),
    alive=st.booleans(),
    wish=st.sampled_from(["resend", "hold"]),
    copies=st.integers(1, 3),
)
def test_many_crashes(
    *,
    new_world: NewWorld,
    script: str,
    crashes: Crashes,
    events: bool,
    alive: bool,
    wish: str,
    copies: int,
) -> None:
    """However often the process dies, and however often the message comes, nothing changes."""
    world = new_world(events=events, alive=alive)
    for _ in range(copies - 1):
        world.queues.put(json.dumps({**json.loads(BODY), "on_unknown": wish}).encode())
    twice = alive and wish == "resend" and not events
    assert_kept(play(world, SCRIPTS[script], crashes, wish), 2 if twice else 1)
    world.ledger.close()


# A copy whose mail is unknown comes at its lease's end, after its grace, then every half grace for
# as long as the channel may be dead, and a last time for its decision.
COMES_AT_MOST = 2 * PATIENCE + 2


@pytest.mark.parametrize(
    ("circumstances", "most"),
    [
        ({}, COMES_AT_MOST),
        ({"alive": True}, 4),
        ({"events": True, "alive": True}, 4),
        ({"events": True}, COMES_AT_MOST),
    ],
    ids=["dead channel", "living channel", "events", "events of other mails lost"],
)
@pytest.mark.parametrize("crashes", [1, 5, 20])
def test_copies_do_not_breed(
    new_world: NewWorld, circumstances: dict[str, bool], most: int, crashes: int
) -> None:
    """Each crash after a put-back leaves one copy more, which comes a bounded number of times."""
    script = SCRIPTS["throttled, then accepted"]
    world = new_world(**circumstances)
    put_backs = itertools.count(1)
    plain = world.queues.put_back

    def put_back(letter: Letter, delay: int) -> str:
        told = plain(letter, delay)
        if next(put_backs) <= crashes:
            raise Crash("after a put-back")
        return told

    world.queues.put_back = put_back  # type: ignore[method-assign]  # the process that dies
    world.provider.script = list(script)
    world.queues.put(BODY)
    world.run(limit=2_000)
    received = world.steps.names.count("get")
    assert received <= (crashes + 1) * most + len(world.provider.calls)
    assert len(world.provider.accepts) <= 1
