"""The ledger, the topic or SMQ is away for ten minutes, in scaled time: no mail is lost or doubled.

docs/failures.md draws each of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from local.account import OWNER
from local.pytest_plugin import Postbus
from local.stack import INSTANCE
from shared.stores.ledger import Ledger, MailRecord
from shared.stores.tablestore.ledger import TablestoreLedger
from shared.triggers.context import Credentials, Invocation
from tests.proofs.conftest import (
    SCALE,
    ScaledStack,
    accepts,
    events_by_key,
    ledger_of,
    lost,
    mail_of,
    published,
    settle,
    waiting_on,
)

pytestmark = pytest.mark.stack

TEN_MINUTES = 600
SEED = 20261126
SLOW_SECONDS = 0.4


@pytest.fixture
def factor(proving: bool) -> int:
    """What ten minutes are divided by."""
    return 10 if proving else 200


@pytest.mark.timeout(900)
def test_the_ledger_is_down_or_slow(scaled_stack: ScaledStack, proving: bool, factor: int) -> None:
    """Down after accepts, down when mails come, then slow: each mail is sent once."""
    each, outage = (100 if proving else 20), TEN_MINUTES / factor
    stack = scaled_stack("--ledger", "tablestore")
    groups = {name: [f"{name}-{n}" for n in range(each)] for name in ("accepted", "down", "slow")}

    # The answers are late, so that the ledger is gone when they come.
    stack.faults.set("directmail", "SingleSendMail", "slow", seconds=1)
    stack.put([mail_of(key) for key in groups["accepted"]])
    wait_until(lambda: bool(accepts(stack)))
    stack.faults.set("tablestore", "*", "down")
    in_call = sum(accepts(stack).values())
    stack.put([mail_of(key) for key in groups["down"]])
    time.sleep(outage)
    while_down = sum(accepts(stack).values()) - in_call
    stack.faults.clear()
    stack.faults.set("tablestore", "*", "slow", seconds=SLOW_SECONDS)
    stack.put([mail_of(key) for key in groups["slow"]])
    time.sleep(outage)
    stack.faults.clear()

    keys = [key for group in groups.values() for key in group]
    rows = settle(stack, tablestore_of(stack), keys, 300 if proving else 60)
    figures = outcome(stack, rows)
    print(
        f"\noutages, ledger (Tablestore's twin): factor {factor} ({outage:.0f} s down, {outage:.0f}"
        f" s slow by {SLOW_SECONDS} s), {SCALE}: {len(keys)} mails, {in_call} accepted when it "
        f"went down, {while_down} while it was: {figures}"
    )
    check(stack, rows)


@pytest.mark.timeout(900)
def test_the_topic_and_then_smq_are_down(
    scaled_stack: ScaledStack, proving: bool, factor: int
) -> None:
    """Nothing can be announced, then nothing can be put back: each mail is sent once, all told."""
    each, outage = (100 if proving else 20), TEN_MINUTES / factor
    stack = scaled_stack()
    good = [f"topic-{n}" for n in range(each)] + [f"smq-{n}" for n in range(each)]
    late = [f"late-{n}" for n in range(each // 4)]

    stack.faults.set("smq", "PublishMessage", "down")
    # Good mails, and some that are too late: that has to be announced, and cannot be.
    stack.put(
        [mail_of(key) for key in good[:each]]
        + [mail_of(key, expires_at="2026-01-01T00:00:00Z") for key in late]
    )
    time.sleep(outage)
    stack.faults.clear()

    # Half of the calls are throttled, so that mails have to be put back.
    stack.faults.set("directmail", "SingleSendMail", "throttled", probability=0.5, seed=SEED)
    stack.put([mail_of(key) for key in good[each:]])
    stack.faults.set("smq", "*", "down")
    time.sleep(outage)
    stack.faults.clear()

    keys = [*good, *late]
    rows = settle(stack, ledger_of(stack), keys, 300 if proving else 60)
    wanted = {**dict.fromkeys(good, "delivered"), **dict.fromkeys(late, "expired")}
    wait_until(lambda: not untold(stack, wanted), 120 if proving else 30)
    print(
        f"\noutages, topic and SMQ: seed {SEED}, factor {factor} ({outage:.0f} s each), {SCALE}: "
        f"{len(keys)} mails: {outcome(stack, rows)}, {len(untold(stack, wanted))} not announced"
    )
    check(stack, {key: rows[key] for key in good})
    assert {row.state if row else "none" for row in (rows[key] for key in late)} == {"expired"}
    assert untold(stack, wanted) == set()


def tablestore_of(stack: Postbus) -> Ledger:
    """The ledger of a stack that keeps it in Tablestore's twin."""
    ledger = TablestoreLedger.at(f"{stack.url}/{INSTANCE}")
    credentials = Credentials(OWNER.id, OWNER.secret)
    ledger.use(Invocation("proof", "proof", 2**60, credentials, lambda: int(time.time() * 1000)))
    return ledger


def wait_until(done: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until `done()`, or for so long."""
    end = time.monotonic() + seconds
    while not done() and time.monotonic() < end:
        time.sleep(0.1)


def untold(stack: Postbus, wanted: dict[str, str]) -> set[str]:
    """The keys whose state has not been published."""
    told = events_by_key(published(stack))
    return {key for key, state in wanted.items() if state not in told.get(key, ())}


def outcome(stack: Postbus, rows: dict[str, MailRecord | None]) -> str:
    """The figures."""
    sent = accepts(stack)
    twice = sum(count > 1 for count in sent.values())
    return f"{sum(sent.values())} accepts, lost {len(lost(rows, ()))}, duplicates {twice}"


def check(stack: Postbus, rows: dict[str, MailRecord | None]) -> None:
    """Every mail was sent, once, and nothing is left."""
    sent = accepts(stack)
    assert lost(rows, ()) == set()
    assert {key: sent[key] for key in rows if sent[key] != 1} == {}
    assert {row.state if row else "none" for row in rows.values()} == {"sent"}
    assert waiting_on(stack) == 0
