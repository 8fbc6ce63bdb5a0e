"""Permits: the account's rate and daily quota, kept across every instance by rows in the ledger.

DirectMail allows an account 100 calls a second and so many recipients a day, whoever makes them.
Function Compute starts instances as it likes, so neither their number nor a counter in one of them
can keep that. The truth is a row per second: permits are taken from it with a conditional
increment that never goes over the limit.

That keeps the seconds of a common clock. The provider's second slides, and the instances' clocks
differ: permits that lie close together, or that wander between instances, meet in some second of
the provider's. So each instance sends an even stream, and streams change as little as possible: a
steady stream has the same number of calls in any second, and a clock that is wrong only shifts it.

- A second's permits are taken in parts. A part is spread evenly over the whole second, at places
  that are its instance's own; the next second's part has the same ones.
- In a second's second half an instance takes as many parts of the next one as it holds: fewer by
  those whose permits went unused. Parts so change hands only where the work does. Nobody else
  knows of it: what is not taken is there for whoever comes.
- Who has to wait takes one part more of the second that runs, where any is left. Everybody has
  renewed theirs by then, so this takes none of a stream that goes on.
- Who has no permit at all takes a part of the next second that has one.
- What is not used dies soon after its moment: after a pause there is no burst.
- Seconds fill up from now on, so an instance remembers the first one that was not full and asks
  there next time, instead of asking all the full ones again.
- A take whose answer was lost counts as taken.

What remains: while shares change (at a start, when instances come and go) a part is for a moment
in the streams of two whose clocks differ, or in none. For that a little of the limit is left free.

https://www.alibabacloud.com/help/en/direct-mail/product-overview/limits
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import field

from shared.sending.backoff import DAY, QUOTA_SPREAD
from shared.stores.ledger import Ledger
from shared.values import dataclass

SECOND = 1_000
# A second's permits are taken in so many parts: the number that fits best. Where there are fewer
# permits, each is a part.
PARTS = range(10, 26)
# So far ahead an instance takes permits and waits for them; beyond, the mail goes back on the
# queue. In ms.
HORIZON = 2_000
# So long after its moment a permit is still good: threads wake up late, and between two batches
# there is nothing to send. In ms.
LATE = 150
# Who would wait longer than this asks for one part more. In ms.
SOON = 100
# By so much of a step the places of an instance's parts differ: the golden section, which spreads
# them, however many there are.
TURN = 0.618034
# How many recipients of the day's quota are taken at a time: a fraction of it, and at most so many.
QUOTA_PART = 200
QUOTA_TAKE_MAX = 100
# Shares change, threads wake up late and clocks are corrected: this part of the limit is used.
USED_PERCENT = 93


@dataclass(frozen=True)
class Limits:
    """What the account may do.

    Attributes:
        calls: provider calls a second; 0 for no limit.
        recipients: recipients a day; 0 for no limit.
        zone_offset: where the quota's day begins, in ms east of UTC.
    """

    calls: int = 0
    recipients: int = 0
    zone_offset: int = 8 * 3_600_000


@dataclass(frozen=True)
class Denied:
    """No permit: come back in `wait` ms. `kind` is `throttled` or `quota`."""

    kind: str
    wait: int


@dataclass
class Pacer:
    """Gives permits to the threads of one instance.

    Args:
        ledger: where the slices are.
        limits: of the account.
        clock: ms since 1970.
        sleep: waits so many ms.
        lock: guards the stock between threads.
        chance: gives random numbers from 0 to 1.
    """

    ledger: Ledger
    limits: Limits
    clock: Callable[[], int]
    sleep: Callable[[int], None]
    lock: AbstractContextManager[object]
    chance: Callable[[], float]
    _stock: deque[int] = field(default_factory=deque, init=False)
    _held: Counter[int] = field(default_factory=Counter, init=False)
    _dead: int = field(default=0, init=False)
    _renewed: int = field(default=-1, init=False)
    _frontier: int = field(default=0, init=False)
    _quota_day: int = field(default=-1, init=False)
    _quota_stock: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        calls = self.limits.calls * USED_PERCENT / 100
        # Whole parts, so that none of a second's permits is left over that nobody could take.
        self._size, self._limit = 1, max(1, int(calls))
        if calls > PARTS[-1]:
            sizes = {round(calls / parts) * parts: round(calls / parts) for parts in PARTS}
            self._limit = min(sizes, key=lambda limit: abs(limit - calls))
            self._size = sizes[self._limit]
        self._place = self.chance()

    def take(self, recipients: int, remaining: int) -> Denied | None:
        """Take a permit for one call, and wait for its moment.

        Args:
            recipients: how many the call has, blind copies included.
            remaining: how long it may wait at the most, in ms.

        Returns:
            None to go ahead now.

        Raises:
            LedgerUnavailable: the ledger did not answer.
        """
        with self.lock:
            denied = self._stock_quota(recipients) if self.limits.recipients else None
            if denied:
                return denied
            due = self._take_call(min(HORIZON, remaining)) if self.limits.calls else 0
            if due is None:
                return Denied("throttled", HORIZON + int(HORIZON * self.chance()))
            # Only now: a call that is not made has no recipients.
            self._quota_stock -= recipients
        now = self.clock()
        if due > now:
            self.sleep(due - now)
        return None

    def _take_call(self, patience: int) -> int | None:
        """The moment of the next permit, or None where all within `patience` ms are taken."""
        now, delay = self.clock(), 0
        until = now + patience
        self._bury(now)
        self._renew(now)
        if self._stock and self._stock[0] > now + SOON:
            self._take_one_more(now, now)
        self._bury(now := self.clock())
        while not self._stock and now + delay <= until and self._take_one_more(now + delay, until):
            # A slow ledger gives permits that are past already: the next time further ahead.
            asked, now = now, self.clock()
            delay = now - asked
            self._bury(now)
        if not self._stock or self._stock[0] > until:
            return None
        return self._stock.popleft()

    def _bury(self, now: int) -> None:
        """Forget the permits that are past, and count them."""
        while self._stock and self._stock[0] + LATE <= now:
            self._stock.popleft()
            self._dead += 1

    def _renew(self, now: int) -> None:
        """Take the next second's parts, once: after half of this one, or when it has none left."""
        second = now // SECOND
        early = self._stock and now % SECOND < SECOND // 2
        if early or not self._held[second] or self._renewed == second:
            return
        parts = max(1, self._held[second] - self._dead // self._size) - self._held[second + 1]
        self._renewed, self._dead = second, 0
        while parts > 0 and not self._take_parts(second + 1, parts):
            parts //= 2

    def _take_one_more(self, now: int, until: int) -> bool:
        """Take a part of the first second up to `until` that is not full."""
        for second in range(max(now // SECOND, self._frontier), until // SECOND + 1):
            self._frontier = second
            if self._take_parts(second, 1):
                return True
            self._frontier = second + 1
        return False

    def _take_parts(self, second: int, parts: int) -> bool:
        start, count = second * SECOND, parts * self._size
        if not self.ledger.take_permits(
            f"calls:{second}", count, self._limit, start + SECOND + DAY
        ):
            return False
        now, held, step = self.clock(), self._held[second], SECOND / self._size
        for part in range(held, held + parts):
            place = (self._place + part * TURN) % 1
            dues = [start + int(step * (number + place)) for number in range(self._size)]
            self._stock.extend(due for due in dues if due >= now)
        self._stock = deque(sorted(self._stock))
        oldest = second - HORIZON // SECOND
        self._held = Counter({n: of for n, of in self._held.items() if n >= oldest})
        self._held[second] += parts
        return True

    def _stock_quota(self, recipients: int) -> Denied | None:
        now = self.clock() + self.limits.zone_offset
        day = now // DAY
        if day != self._quota_day:
            self._quota_day, self._quota_stock = day, 0
        if self._quota_stock < recipients:
            part = min(QUOTA_TAKE_MAX, self.limits.recipients // QUOTA_PART)
            for count in (max(part, recipients), recipients):
                if self.ledger.take_permits(
                    f"quota:{day}", count, self.limits.recipients, (day + 3) * DAY
                ):
                    self._quota_stock += count
                    break
            else:
                return Denied("quota", DAY - now % DAY + int(QUOTA_SPREAD * self.chance()))
        return None
