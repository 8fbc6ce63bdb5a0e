"""Kill -9 at every point of a mail's way: what the twin accepted is known, what it had not waits.

docs/failures.md draws each of them.
"""

from __future__ import annotations

import itertools
import random
import time
from collections import Counter
from collections.abc import Iterable

import pytest

from local.faults.rules import Rule
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
    set_rules,
    settle,
    waiting_on,
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
PENDING = ("after-claim", "mid-call-silent")  # claimed, and never accepted by the twin
EVENTS = ("whole", "stripped", "rewritten")
WAITS = frozenset({"in-progress", "unknown-early"})  # what a delivery is told that is no attempt
TARDY_SECONDS = 40  # later than lease and grace together
DELIVERED = "dm:Deliver:Succeed"


def prepare(stack: Postbus, silent: Iterable[str]) -> None:
    """Let the twins misbehave as the keys' and the recipients' names say."""
    # Requests that are never accepted or answered: the first attempt of each of these mails, as
    # the header says; the next one gets through.
    set_rules(
        stack,
        (
            Rule("directmail", "SingleSendMail", "timeout-before", match=f"{mail_id(key)}.1")
            for key in silent
        ),
    )
    faults = stack.faults
    faults.set("directmail", "SingleSendMail", "slow", match="mid-call-late", seconds=2)
    faults.set("events", DELIVERED, "header-stripped", match="stripped")
    faults.set("events", DELIVERED, "message-id-rewritten", match="rewritten")
    faults.set("events", DELIVERED, "lost", match="lost")
    faults.set("events", DELIVERED, "delayed", match="tardy", seconds=TARDY_SECONDS)


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
    # Those alone may be doubled: their events are lost, or come later than the grace.
    doubles = {
        f"{wish}-{events}-after-accept-{number}"
        for wish in ("hold", "resend")
        for events in ("lost", "tardy")
        for number in range(each)
    }
    keys = [*mails, *doubles]
    prepare(stack, [key for key in keys if "mid-call-silent" in key])
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
        f"mails: {dict(states)}, lost {len(gone)}, sent twice {len(twice)}; events lost or late: "
        f"{sum(sent[key] > 1 for key in doubles)} of {len(doubles)} sent twice"
    )
    assert workers.deaths() == len(keys), "each died once"
    assert gone == set()
    assert twice == {}
    pending = [key for key, (wish, _, at) in mails.items() if wish == "hold" and at in PENDING]
    assert {key for key in pending if sent[key]} == set()
    wrong = {}
    for key, (wish, _, _) in mails.items():
        row = rows[key]
        # Which mails the twin had accepted is the twin's to say: a process can die in a call
        # before its request has arrived.
        held = wish == "hold" and not sent[key]
        expected = ("held", 0) if held else ("sent", 1)
        found = (row.state if row else "none", sent[key])
        if found != expected or (held and (key not in dead or "held" not in told.get(key, ()))):
            wrong[key] = (found, expected, key in dead, told.get(key))
    assert wrong == {}
    assert all(sent[key] == 1 for key in doubles if key.startswith("hold"))


# Where a process dies between putting a copy back and returning: before it has written down that
# it did, and after. In the first case nobody knows what became of the call: the claim's lease has
# to end, and then a grace, and both copies are told to wait for that.
BEFORE, AFTER = "before-release", "after-release"


@pytest.mark.timeout(1200)
def test_crashes_between_putting_back_and_returning_breed_no_copies(
    scaled_stack: ScaledStack, workers: Workers, proving: bool
) -> None:
    """Each mail is put back and its process dies, again and again: no copies breed."""
    crashes, count = (20, 100) if proving else (3, 20)
    stack = scaled_stack(off=1)
    keys = [f"resend-back-{number:03}" for number in range(count)]
    # One of the slow kind for each mail, and in full only: it takes a lease and a grace. (And a
    # mail is sent again once: after two of them it would be held.)
    slow = int(proving)
    points = {key: [*[AFTER] * (crashes - slow), *[BEFORE] * slow] for key in keys}
    # Each throttled call is put back, and each put-back is a crash.
    set_rules(
        stack,
        (
            Rule("directmail", "SingleSendMail", "throttled", match=key, count=crashes)
            for key in keys
        ),
    )
    workers.start(stack, kills={mail_id(key): points[key] for key in keys})
    stack.put([mail_of(key) for key in keys])
    alive = Alive(stack)
    planned = sum(len(each) for each in points.values())
    end = time.monotonic() + (900 if proving else 60)
    while workers.deaths() < planned and time.monotonic() < end:
        alive()
        time.sleep(0.5)
    deaths = workers.deaths()
    rows = settle(stack, ledger_of(stack), keys, 120 if proving else 60, alive)
    sent = accepts(stack)

    noted = workers.noted()
    received = Counter(note["received"] for note in noted if "received" in note)
    waits = Counter(note["key"] for note in noted if note.get("told") in WAITS)
    over = {}
    for key in keys:
        row = rows[key]
        attempts = row.attempt if row else 0
        over[key] = received[key] - len(points[key]) - attempts
    print(
        f"\nput back: {SCALE}: {deaths} crashes of {count} mails ({crashes} each, "
        f"{sum(points[key].count(BEFORE) for key in keys)} of them before the put-back was written "
        f"down): receives per mail {min(received[k] for k in keys)} to "
        f"{max(received[k] for k in keys)}; over crashes + attempts by at most "
        f"{max(over.values())}, of them told to wait for a lease or a grace at most "
        f"{max(waits[k] for k in keys)}; {sum(sent[k] for k in keys)} accepts, "
        f"{waiting_on(stack)} left on the queue"
    )
    assert deaths == planned
    assert lost(rows, ()) == set()
    assert {key: sent[key] for key in keys if sent[key] != 1} == {}
    assert waiting_on(stack) == 0
    assert {key: over[key] for key in keys if over[key] > waits[key]} == {}
