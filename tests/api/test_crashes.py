"""The process dies in the middle of a request; who repeats the key gets the mail sent once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shared.sending.answers import Broken, Rejected
from shared.sending.protocol import FINAL
from tests.api.conftest import Service
from tests.sending.conftest import Say, World

NewService = Callable[..., Service]

SCRIPTS: dict[str, list[Say]] = {
    "accepted at once": [],
    "throttled, then accepted": [Say(Rejected("Throttling.User", 400))],
    "unreachable twice, then accepted": [Say(Broken("connect"))] * 2,
    "refused": [Say(Rejected("InvalidToAddress", 400))],
    "accepted, the answer lost": [Say(Broken("read-timeout"), accepted=True)],
    "not accepted, the answer lost": [Say(Broken("read-timeout"), accepted=False)],
}
WAYS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "now": ({}, {}),
    "later": ({"prefer": "respond-async"}, {"prefer": "respond-async"}),
    "now, then later": ({}, {"prefer": "respond-async"}),
}


def play(
    service: Service,
    script: list[Say],
    way: tuple[dict[str, str], dict[str, str]],
    crashes: set[tuple[int, str]],
) -> World:
    """A caller who repeats until told, then the queue until it is empty."""
    world = service.world
    world.provider.script = list(script)
    world.steps.crashes = crashes
    first, then = way
    told = service.insist(first, times=1) or service.insist(then)
    assert told is not None
    world.run()
    return world


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_one_crash_anywhere(
    new_service: NewService, script: list[Say], way: tuple[dict[str, str], dict[str, str]]
) -> None:
    """Whichever step the process dies before or after, the mail is sent at most once and kept."""
    steps = len(play(new_service(), script, way, set()).steps.names)
    for number in range(1, steps + 1):
        for moment in ("before", "after"):
            world = play(new_service(), script, way, {(number, moment)})
            where = f"{moment} step {number}: {world.steps.names}"
            assert len(world.provider.accepts) <= 1, where
            assert world.queues.dead or world.row().state in FINAL, where
