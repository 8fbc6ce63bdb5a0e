"""The process dies between any two steps of a mail's way; the mail is neither lost nor doubled."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shared.sending.answers import Accepted, Broken, Rejected
from shared.sending.backoff import ATTEMPTS_MAX
from shared.sending.protocol import FINAL
from tests.sending.conftest import Crash, Say, World

NewWorld = Callable[..., World]

BODY = b'{"to": ["ada@example.net"], "subject": "Hello", "text": "Hi.", "key": "k"}'
SCRIPTS: dict[str, list[Say]] = {
    "accepted at once": [],
    "throttled, then accepted": [Say(Rejected("Throttling.User", 400))],
    "unreachable twice, then accepted": [Say(Broken("connect"))] * 2,
    "refused": [Say(Rejected("InvalidToAddress", 400))],
    "misconfigured": [Say(Rejected("Forbidden.RAM", 403))],
    "unreachable for good": [Say(Broken("connect"))] * 50,
    "out of quota, then accepted": [Say(Rejected("InvalidSendMail.Spam", 400))],
    "accepted, the answer lost": [Say(Broken("read-timeout"), accepted=True)],
    "not accepted, the answer lost": [Say(Broken("read-timeout"), accepted=False)],
}


def play(world: World, script: list[Say], crashes: set[tuple[int, str]]) -> World:
    """Run one mail to its end, with these crashes."""
    world.provider.script = list(script)
    world.steps.crashes = crashes
    world.queues.put(BODY)
    world.run()
    return world


def is_somewhere(world: World) -> bool:
    """Whether the mail is final, or rejected with its reason, or waits for a person."""
    if world.queues.rejected or world.queues.dead:
        return True
    return world.row().state in FINAL


@pytest.mark.parametrize("events", [True, False], ids=["with events", "without events"])
@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_one_crash_anywhere(new_world: NewWorld, script: list[Say], *, events: bool) -> None:
    """Whichever step the process dies before or after, the mail is sent at most once and kept."""
    after = 1 if events else None
    steps = len(play(new_world(events_after=after), script, set()).steps.names)
    for number in range(1, steps + 1):
        for moment in ("before", "after"):
            world = play(new_world(events_after=after), script, {(number, moment)})
            where = f"{moment} step {number}: {world.steps.names}"
            assert len(world.provider.accepts) <= 1, where
            assert is_somewhere(world), where
            if events and world.provider.accepts:
                assert world.row().state == "sent", where
