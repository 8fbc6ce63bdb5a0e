"""Many deliveries of one mail, in any order and all at once: one mail goes out."""

from __future__ import annotations

import json
import random
import time
from collections import Counter, defaultdict
from typing import Any

import pytest

from local.pytest_plugin import Postbus
from tests.proofs.conftest import (
    SCALE,
    ScaledStack,
    Workers,
    accepts,
    ledger_of,
    mail_of,
    settle,
    waiting_on,
)

pytestmark = pytest.mark.stack

SEED = 20261124
PROCESSES = 4
SMQ_BATCH = 16
# What a delivery is told in the end. A copy that meets another one in mid-send is told to come
# back first; a copy of its own that it put back for that does not count as another delivery.
READ = frozenset({"sent", "finished"})


@pytest.mark.timeout(600)
def test_shuffled_deliveries_are_one_accept_and_one_result(
    scaled_stack: ScaledStack, workers: Workers, proving: bool
) -> None:
    """N messages x 5 deliveries over 4 processes: N accepts, one stored result for all five."""
    count, times = (1_000 if proving else 100), 5
    stack = scaled_stack(off=1, visibility=30)
    keys = [f"mail-{number}" for number in range(count)]
    deliveries = [key for key in keys for _ in range(times)]
    random.Random(SEED).shuffle(deliveries)
    workers.start(stack, instances=PROCESSES, batch=10)
    stack.put([json.dumps(mail_of(key)) for key in deliveries])
    figures = run(stack, workers, keys, times, 300 if proving else 60)
    print(f"\nonce: seed {SEED}, {SCALE}: {count} messages x {times} deliveries, {PROCESSES} "
          f"processes: {figures}")  # fmt: skip


@pytest.mark.timeout(900)
def test_concurrent_deliveries_of_a_key_are_one_accept(
    scaled_stack: ScaledStack, workers: Workers, proving: bool
) -> None:
    """The same key on 50 concurrent deliveries, for each of N keys: N accepts."""
    count, times = (200 if proving else 12), 50
    # 4 processes x 16 threads take the copies of a key, which lie side by side, all at once.
    stack = scaled_stack(off=1, visibility=30)
    keys = [f"mail-{number}" for number in range(count)]
    stack.put([json.dumps(mail_of(key)) for key in keys for _ in range(times)])
    workers.start(stack, instances=PROCESSES, batch=SMQ_BATCH)
    figures = run(stack, workers, keys, times, 600 if proving else 60)
    print(f"\nat once: {SCALE}: {count} keys x {times} concurrent deliveries, {PROCESSES} "
          f"processes x {SMQ_BATCH} threads: {figures}")  # fmt: skip


def run(stack: Postbus, workers: Workers, keys: list[str], times: int, seconds: float) -> str:
    """Wait for the end, make sure of what every delivery was told, and give the figures."""
    begun = time.monotonic()
    rows = settle(stack, ledger_of(stack), keys, seconds)
    sent = accepts(stack)
    noted = workers.noted()
    told = [note for note in noted if note.get("told") in READ]
    read = results(told)
    waits = Counter(note["told"] for note in noted if "told" in note)
    envelopes = {mail.parameters["Subject"]: mail.env_id for mail in stack.outbox().mails(
        limit=len(keys) * times)}  # fmt: skip

    assert waiting_on(stack) == 0
    assert set(sent) == set(keys)
    assert sum(sent.values()) == len(keys)
    assert {row.state if row else "none" for row in rows.values()} == {"sent"}
    # A message may be received once more than it was put; it is then told the same.
    assert {key for key in keys if len(read[key]) < times} == set()
    assert {key for key in keys if set(read[key]) != {envelopes[key]}} == set()
    return (
        f"{sum(sent.values())} accepts, {len(told)} results read, all of them the stored one; "
        f"told on the way {dict(waits)}; {time.monotonic() - begun:.0f} s"
    )


def results(told: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Key -> the envelope ids that its deliveries were told."""
    found: dict[str, list[str]] = defaultdict(list)
    for note in told:
        found[note["key"]].append(note["envelope_id"])
    return found
