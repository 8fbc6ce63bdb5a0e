"""Kill -9 at every point of a mail's way: what the twin accepted is known, what it had not waits.

docs/failures.md draws each of them.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter

import pytest

from local.pytest_plugin import Postbus
from tests.proofs.conftest import (
    SCALE,
    ScaledStack,
    Workers,
    accepts,
    events_by_key,
    ledger_of,
    lost,
    mail_id,
    mail_of,
    published,
    settle,
)

pytestmark = pytest.mark.stack

SEED = 20261123
# What a key is called after -> where its first process dies. The twin has accepted the mail of
# the second kind of mid-call, whose answer is late, and never that of the first.
POINTS = {
    "before-claim": "before-claim",
    "after-claim": "after-claim",
    "mid-call-silent": "mid-call",
    "mid-call-late": "mid-call",
    "after-accept": "after-accept",
    "before-save": "before-save",
    "after-save": "after-save",
}
PENDING = ("after-claim", "mid-call-silent")  # claimed, and not accepted by the twin
EVENTS = ("whole", "stripped", "rewritten")
DELIVERED = "dm:Deliver:Succeed"


def prepare(stack: Postbus, silent: int) -> None:
    """Let the twins misbehave as the keys' and the recipients' names say."""
    faults = stack.faults
    # A request that is never accepted or answered; whoever comes again gets through.
    faults.set(
        "directmail", "SingleSendMail", "timeout-before",
        match="mid-call-silent", count=silent, seconds=5,
    )  # fmt: skip
    faults.set("directmail", "SingleSendMail", "slow", match="mid-call-late", seconds=1.5)
    faults.set("events", DELIVERED, "header-stripped", match="stripped")
    faults.set("events", DELIVERED, "message-id-rewritten", match="rewritten")
    faults.set("events", DELIVERED, "lost", match="lost")


class Alive:
    """Mails of the same sender whose events come in: the channel is alive."""

    def __init__(self, stack: Postbus) -> None:
        self._stack = stack
        self._numbers = itertools.count()

    def __call__(self) -> None:
        """Send one more."""
        self._stack.put(mail_of(f"alive-{next(self._numbers)}"))


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("style", ["given", "lower"])
def test_kill_9_at_six_points_loses_and_doubles_nothing(
    style: str, scaled_stack: ScaledStack, workers: Workers, proving: bool
) -> None:
    """Accepted: ends as sent, once. Not accepted: `hold` is held and told, `resend` sent once."""
    if style == "given" and not proving:
        pytest.skip("in full only: lower-cased headers are the harder half")
    each = 100 if proving else 2
    stack = scaled_stack("--header-style", style, off=1)
    mails = {
        f"{wish}-{events}-{point}-{number}": (wish, events, point)
        for wish in ("hold", "resend")
        for point in POINTS
        for number in range(each)
        for events in (EVENTS[number % 3 :][:1] if proving else EVENTS[number::2])
    }
    # Those alone may be doubled: their events are lost.
    doubles = {f"{wish}-lost-after-accept-{n}" for wish in ("hold", "resend") for n in range(each)}
    keys = [*mails, *doubles]
    prepare(stack, sum("mid-call-silent" in key for key in keys))
    random.Random(SEED).shuffle(keys)
    bodies = [
        mail_of(key, to=[f"{key}@example.net"], on_unknown=key.partition("-")[0]) for key in keys
    ]
    kills = {mail_id(key): [POINTS[mails[key][2]]] for key in mails}
    kills |= {mail_id(key): ["after-accept"] for key in doubles}
    workers.start(stack, kills=kills)
    stack.put(bodies)
    ledger = ledger_of(stack)
    rows = settle(stack, ledger, keys, 600 if proving else 60, Alive(stack))
    sent = accepts(stack)
    told = events_by_key(published(stack))
    dead = {letter["key"] for letter in stack.take_letters("mails-dead")}

    gone = lost(rows, dead)
    twice = {key: sent[key] for key in mails if sent[key] > 1}
    states = Counter((row.state if row else "none") for row in rows.values())
    print(
        f"\nkills: seed {SEED}, headers {style}, {SCALE}: {workers.deaths()} kills of {len(keys)} "
        f"mails: {dict(states)}, lost {len(gone)}, sent twice {len(twice)}; with lost events: "
        f"{sum(sent[key] > 1 for key in doubles)} of {len(doubles)} sent twice"
    )
    assert workers.deaths() == len(keys), "each died once"
    assert gone == set()
    assert twice == {}
    wrong = {}
    for key, (wish, _, point) in mails.items():
        row = rows[key]
        held = wish == "hold" and point in PENDING
        expected = ("held", 0) if held else ("sent", 1)
        found = (row.state if row else "none", sent[key])
        if found != expected or (held and (key not in dead or "held" not in told.get(key, ()))):
            wrong[key] = (found, expected, key in dead, told.get(key))
    assert wrong == {}
    assert all(sent[key] == 1 for key in doubles if key.startswith("hold"))

