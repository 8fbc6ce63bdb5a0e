"""Permits: the account's rate and quota, kept by instances that know each other only by the ledger.

Time is simulated: each thread of each instance has its own, and the one that is earliest goes on.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from shared.errors import LedgerUnavailable
from shared.sending.backoff import DAY, QUOTA_SPREAD
from shared.sending.pace import HORIZON, PARTS, QUOTA_TAKE_MAX, SECOND, Denied, Limits, Pacer
from shared.stores.sqlite.ledger import SqliteLedger
from tests.sending.conftest import NOON

LONG = 60_000
EQUAL, APART = (0, 0, 0, 0), (-200, -70, 70, 200)
# NOON is 20:00 in China: four hours to the next quota day.
CHINA = 8 * 3_600_000


class CountingLedger(SqliteLedger):
    """Counts takes, is slow, or down."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.takes: list[tuple[str, int]] = []
        self.down = False
        self.slow: Callable[[], object] = lambda: None

    def take_permits(self, slice_id: str, count: int, limit: int, expires_at: int) -> bool:
        """See `Ledger.take_permits`."""
        self.takes.append((slice_id, count))
        self.slow()
        if self.down:
            raise LedgerUnavailable("down")
        return super().take_permits(slice_id, count, limit, expires_at)


@dataclass
class Fleet:
    """Instances with several threads each, and clocks that differ.

    Attributes:
        skews: of each instance's clock, in ms.
        batch: an instance's threads wait for each other, and a moment more, after so many sends;
            and threads wake up late. 0 for neither.
        sends: when calls were begun, in true ms.
        denied: why and how often there was no permit.
    """

    ledger: CountingLedger
    limits: Limits
    skews: Sequence[int] = (0,)
    threads: int = 8
    seed: int = 1
    batch: int = 0
    sends: list[int] = field(default_factory=list)
    denied: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        count = len(self.skews) * self.threads
        self.times = [NOON + self.random.randrange(50) for _ in range(count)]
        self.current = 0
        self.left = [self.batch for _ in self.skews]
        self.pacers = [self._pacer(skew) for skew in self.skews]

    def _pacer(self, skew: int) -> Pacer:
        return Pacer(
            self.ledger,
            self.limits,
            clock=lambda: self.times[self.current] + skew,
            sleep=self.sleep,
            lock=nullcontext(),
            chance=self.random.random,
        )

    def sleep(self, ms: int) -> None:
        """The current thread waits."""
        self.times[self.current] += ms

    def _count_batch(self, instance: int) -> None:
        self.left[instance] -= 1
        if self.left[instance] == 0:
            threads = slice(instance * self.threads, (instance + 1) * self.threads)
            next_batch = max(self.times[threads]) + self.random.randrange(5, 60)
            self.times[threads] = [next_batch] * self.threads
            self.left[instance] = self.batch

    def run(self, ms: int) -> list[int]:
        """Every thread sends as often as it may for so long; the times of the sends, in order."""
        while min(self.times) < NOON + ms:
            self.current = min(range(len(self.times)), key=self.times.__getitem__)
            denied = self.pacers[self.current // self.threads].take(1, LONG)
            if denied is None:
                late = self.random.choice((0, 1, 2, 5, 5, 20, 60)) if self.batch else 0
                self.sends.append(self.times[self.current] + late)
                self.sleep(late + self.random.randrange(25, 100))
                self._count_batch(self.current // self.threads)
            else:
                self.denied[denied.kind] += 1
                self.sleep(denied.wait)
        self.sends.sort()
        return [sent for sent in self.sends if sent < NOON + ms]


def fullest_second(sends: Sequence[int]) -> int:
    """The most sends in any sliding second."""
    fullest, first = 0, 0
    for last, sent in enumerate(sends):
        while sent - sends[first] >= SECOND:
            first += 1
        fullest = max(fullest, last - first + 1)
    return fullest


def throttled(sends: Sequence[int], limit: int) -> float:
    """The part of the calls that a provider with a sliding second would have refused."""
    taken: list[int] = []
    for sent in sends:
        if len(taken) < limit or sent - taken[-limit] >= SECOND:
            taken.append(sent)
    return 1 - len(taken) / len(sends)


@pytest.fixture
def ledger(tmp_path: Path) -> CountingLedger:
    """A ledger in a file."""
    return CountingLedger(tmp_path / "ledger.db")


def one(ledger: CountingLedger, *, calls: int = 0, recipients: int = 0) -> Fleet:
    """One instance with one thread."""
    return Fleet(ledger, Limits(calls, recipients, CHINA), threads=1)


# --- The rate ------------------------------------------------------------------------------------


@pytest.mark.parametrize("calls", [7, 20, 50, 100, 200])
def test_a_common_clock(ledger: CountingLedger, calls: int) -> None:
    """Four instances with one time keep nine tenths of the rate and are hardly ever throttled."""
    fleet = Fleet(ledger, Limits(calls), EQUAL)
    sends = fleet.run(12 * SECOND)
    assert len(sends) >= 0.85 * 12 * calls if calls < 20 else 0.90 * 12 * calls
    assert fullest_second(sends) <= 1.02 * calls + 1
    assert throttled(sends, calls) <= 0.01


@pytest.mark.parametrize("seed", range(1, 5))
@pytest.mark.parametrize("calls", [50, 100, 200])
def test_clocks_that_differ(ledger: CountingLedger, calls: int, seed: int) -> None:
    """Clocks 400 ms apart: nine tenths of the rate are used, and one call of a hundred is over."""
    fleet = Fleet(ledger, Limits(calls), APART, seed=seed)
    sends = fleet.run(20 * SECOND)
    assert len(sends) >= 0.90 * 20 * calls
    assert fullest_second(sends) <= 1.08 * calls
    assert throttled(sends, calls) <= 0.01


@pytest.mark.parametrize("seed", range(1, 5))
@pytest.mark.parametrize(("calls", "used"), [(50, 0.87), (100, 0.90), (200, 0.90)])
def test_batches_and_late_threads(
    ledger: CountingLedger, calls: int, used: float, seed: int
) -> None:
    """The same with pauses between batches, and threads that send up to 60 ms late."""
    fleet = Fleet(ledger, Limits(calls), APART, seed=seed, batch=16)
    sends = fleet.run(20 * SECOND)
    assert len(sends) >= used * 20 * calls
    assert throttled(sends, calls) <= 0.01


@pytest.mark.parametrize("calls", [7, 20])
def test_a_low_rate_with_clocks_that_differ(ledger: CountingLedger, calls: int) -> None:
    """So few permits for so many that streams are not steady: less holds, but it holds."""
    sends = Fleet(ledger, Limits(calls), APART).run(20 * SECOND)
    assert len(sends) >= 0.80 * 20 * calls
    assert throttled(sends, calls) <= 0.04


def test_instances_come_and_go(ledger: CountingLedger) -> None:
    """One works for ten seconds, then another with another clock: the rate goes on."""
    fleet = Fleet(ledger, Limits(100), APART)
    fleet.times[-fleet.threads :] = [NOON + 10 * SECOND] * fleet.threads
    fleet.run(10 * SECOND)
    fleet.times[: fleet.threads] = [NOON + 60 * SECOND] * fleet.threads
    sends = fleet.run(20 * SECOND)
    for since in range(2, 18):
        assert len([sent for sent in sends if 0 <= sent - NOON - since * SECOND < 2 * SECOND]) > 160
    assert len(sends) >= 0.90 * 20 * 100
    assert throttled(sends, 100) <= 0.01


@pytest.mark.parametrize("calls", [1, 2, 3, 99, 1000])
def test_no_slice_is_overdrawn(ledger: CountingLedger, calls: int) -> None:
    """Of what the ledger gives, no whole second has more than the limit."""
    fleet = Fleet(ledger, Limits(calls), EQUAL, threads=4)
    per_second = Counter(sent // SECOND for sent in fleet.run(5 * SECOND))
    assert per_second
    assert max(per_second.values()) <= calls


@pytest.mark.parametrize(("calls", "most"), [(100, 1.0), (200, 0.5), (1000, 0.2)])
def test_a_permit_costs_less_than_a_call(ledger: CountingLedger, calls: int, most: float) -> None:
    """Several permits are taken at a time: four instances together take so often per send."""
    fleet = Fleet(ledger, Limits(calls), EQUAL, threads=16)
    sends = fleet.run(4 * SECOND)
    assert len(ledger.takes) <= most * len(sends)


def test_sends_are_spread(ledger: CountingLedger) -> None:
    """A slice's permits are not all used at its start."""
    sends = Fleet(ledger, Limits(200), EQUAL).run(8 * SECOND)
    places = Counter(sent % SECOND * 10 // SECOND for sent in sends)
    assert min(places.values()) > 0.07 * len(sends)


def test_an_unspent_permit_dies_with_its_slice(ledger: CountingLedger) -> None:
    """What was taken and not used is not used later: after a pause there is no burst."""
    fleet = one(ledger, calls=1000)
    assert fleet.pacers[0].take(1, LONG) is None
    (first,) = ledger.takes
    assert first[1] >= 0.9 * 1000 / max(PARTS)
    fleet.sleep(10 * SECOND)
    assert fleet.pacers[0].take(1, LONG) is None
    assert len(ledger.takes) == 2


def test_who_comes_when_all_is_taken(ledger: CountingLedger) -> None:
    """Beyond the horizon nobody waits in the function: the mail comes back later."""
    fleet = one(ledger, calls=1)
    ends = [fleet.pacers[0].take(1, 0) for _ in range(3)]
    assert all(end is None or end.kind == "throttled" for end in ends)
    denied = [end for end in ends if end]
    assert denied
    assert all(HORIZON <= end.wait <= 2 * HORIZON for end in denied)


@pytest.mark.parametrize("remaining", [0, 150, 1_000])
def test_it_waits_no_longer_than_it_may(ledger: CountingLedger, remaining: int) -> None:
    """A permit that is due after the invocation's time is none for this call."""
    fleet = one(ledger, calls=2)
    for _ in range(6):
        before = fleet.times[0]
        fleet.pacers[0].take(1, remaining)
        assert fleet.times[0] - before <= remaining


@pytest.mark.parametrize("slowness", [150, 450])
def test_a_slow_ledger(ledger: CountingLedger, slowness: int) -> None:
    """Permits that come when their slice is over are not used; those further ahead are."""
    fleet = one(ledger, calls=50)
    ledger.slow = lambda: fleet.sleep(slowness)
    sends = fleet.run(10 * SECOND)
    assert len(sends) >= 10
    taken = {int(name.partition(":")[2]) for name, _ in ledger.takes}
    assert {sent // SECOND for sent in sends} <= taken
    assert fullest_second(sends) <= 50


def test_no_limit_asks_nobody(ledger: CountingLedger) -> None:
    """Without limits there are no permits, and no waiting."""
    fleet = one(ledger)
    assert [fleet.pacers[0].take(50, 0) for _ in range(3)] == [None] * 3
    assert (ledger.takes, fleet.times[0] - NOON < 50) == ([], True)


@pytest.mark.parametrize("limits", [Limits(calls=10), Limits(recipients=10)])
def test_a_ledger_that_is_down(ledger: CountingLedger, limits: Limits) -> None:
    """Nobody knows whether there is a permit: so there is none, and it is said why."""
    ledger.down = True
    with pytest.raises(LedgerUnavailable):
        Fleet(ledger, limits).pacers[0].take(1, LONG)


# --- The quota -----------------------------------------------------------------------------------


@pytest.mark.parametrize("quota", [1, 10, 999, 2_000, 100_000])
def test_the_quota_is_exact(ledger: CountingLedger, quota: int) -> None:
    """Several instances that all want more give out the day's recipients, and never one over."""
    fleet = Fleet(ledger, Limits(0, quota, CHINA), EQUAL, threads=1)
    given = refused = 0
    size = max(1, quota // 300)
    for instance in itertools.cycle(range(4)):
        fleet.current = instance
        denied = fleet.pacers[instance].take(size, LONG)
        given, refused = given + size * (denied is None), refused + (denied is not None)
        if refused > 20:
            break
    assert given <= quota
    # Each instance may be left with less than one mail has.
    assert given >= quota - 4 * size - 4 * QUOTA_TAKE_MAX * (quota > 20_000)


def test_a_mail_for_many(ledger: CountingLedger) -> None:
    """Its recipients count one by one; one that does not fit leaves room for a smaller one."""
    pacer = one(ledger, recipients=10).pacers[0]
    assert pacer.take(8, LONG) is None
    assert isinstance(pacer.take(3, LONG), Denied)
    assert pacer.take(2, LONG) is None
    assert isinstance(pacer.take(1, LONG), Denied)


def test_the_next_day(ledger: CountingLedger) -> None:
    """Who is denied comes back within the next quota day's first minutes, and is let through."""
    fleet = one(ledger, recipients=1)
    pacer = fleet.pacers[0]
    assert pacer.take(1, LONG) is None
    denied = pacer.take(1, LONG)
    assert denied is not None
    assert denied.kind == "quota"
    assert 0 <= denied.wait - 4 * 3_600_000 <= QUOTA_SPREAD
    fleet.sleep(denied.wait)
    assert pacer.take(1, LONG) is None
    assert isinstance(pacer.take(1, LONG), Denied)


def test_what_was_left_of_a_day_dies_with_it(ledger: CountingLedger) -> None:
    """Recipients in stock are the day's own: the next day begins with its own quota."""
    fleet = one(ledger, recipients=2_000)
    pacer = fleet.pacers[0]
    pacer.take(1, LONG)
    fleet.sleep(DAY)
    pacer.take(1, LONG)
    assert [name for name, _ in ledger.takes] == [
        f"quota:{(NOON + CHINA) // DAY}",
        f"quota:{(NOON + CHINA) // DAY + 1}",
    ]


def test_a_call_that_is_denied_has_no_recipients(ledger: CountingLedger) -> None:
    """Mails that wait for the rate use up nothing of the day, however often they come back."""
    fleet = Fleet(ledger, Limits(2, 10, CHINA), threads=1)
    ends: list[Denied | None] = []
    while len([end for end in ends if end is None]) < 10:
        ends.append(fleet.pacers[0].take(1, 0))
        fleet.sleep(10)
    assert any(end and end.kind == "throttled" for end in ends)
    assert not any(end and end.kind == "quota" for end in ends)


def test_recipients_cost_little(ledger: CountingLedger) -> None:
    """Of a large quota many are taken at a time."""
    pacer = one(ledger, recipients=100_000).pacers[0]
    for _ in range(1_000):
        assert pacer.take(1, LONG) is None
    assert len(ledger.takes) == 1_000 // QUOTA_TAKE_MAX
