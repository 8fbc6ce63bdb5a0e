"""Bad messages among good ones: the good are sent once, the bad are told why, nobody waits."""

from __future__ import annotations

import json
import random
import time
from collections import Counter

import pytest

from local.faults.rules import Rule
from tests.proofs.conftest import (
    SCALE,
    ScaledStack,
    accepts,
    ledger_of,
    lost,
    mail_of,
    set_rules,
    settle,
    waiting_on,
)

pytestmark = pytest.mark.stack

SEED = 20261125
REDELIVERIES = 5
# Ten ways to be no mail request, and the problem that the letter names.
BAD: tuple[tuple[str, str], ...] = (
    ("not JSON at all", "not-json"),
    ("[1, 2, 3]", "not-an-object"),
    ('{"subject": "bad", "text": "nobody"}', "missing"),
    ('{"to": ["no address"], "subject": "bad", "text": "x"}', "/to"),
    ('{"to": ["ada@example.net"], "text": "no subject"}', "/subject"),
    ('{"to": ["ada@example.net"], "subject": "bad"}', ""),
    ('{"to": ["ada@example.net"], "subject": "bad", "text": "x", "colour": 1}', "/colour"),
    ('{"postbus": 99, "mail": {}}', "bad-envelope"),
    ('{"to": "ada@example.net", "subject": 7, "text": "x"}', "/subject"),
    ("\x00\x01", "not-json"),
)


@pytest.mark.timeout(300)
def test_a_poison_batch_stops_nobody(scaled_stack: ScaledStack, proving: bool) -> None:
    """N messages, a tenth bad, each delivered 6 times: the good sent once, the bad rejected."""
    count = 100 if proving else 50
    bad = BAD[:] if proving else BAD[::2]
    stack = scaled_stack()
    keys = [f"mail-{number:03}" for number in range(count - len(bad))]
    bodies = [json.dumps(mail_of(key)) for key in keys] + [body for body, _ in bad]
    random.Random(SEED).shuffle(bodies)
    # Each message is visible again while it is in work, five times.
    texts = [*keys, *(body for body, _ in bad)]
    set_rules(
        stack,
        (
            Rule("smq", "ReceiveMessage", "redeliver", match=text, count=REDELIVERIES)
            for text in texts
        ),
    )
    stack.put(bodies)
    rows = settle(stack, ledger_of(stack), keys, 90)
    end = time.monotonic() + 30
    while waiting_on(stack) and time.monotonic() < end:
        time.sleep(0.2)
    hits = [rule["hits"] for rule in stack.faults.list()]
    sent = accepts(stack)
    letters = stack.take_letters("rejected")
    copies = Counter(letter["body"] for letter in letters)
    print(
        f"\npoison: seed {SEED}, {SCALE}: {count} messages, {len(bad)} bad, each received "
        f"{1 + min(hits)} to {1 + max(hits)} times: {sum(sent.values())} accepts of {len(sent)} "
        f"mails, {len(copies)} messages rejected with reasons, in {len(letters)} letters"
    )
    assert hits == [REDELIVERIES] * count
    assert sent == Counter(keys)
    assert lost(rows, ()) == set()
    assert waiting_on(stack) == 0
    assert set(copies) == {body for body, _ in bad}
    problems = {letter["body"]: json.dumps(letter["problems"]) for letter in letters}
    assert {body: problems[body] for body, why in bad if why not in problems[body]} == {}
