"""Permits: the account's rate and daily quota, kept across every instance by rows in the ledger.

DirectMail allows an account 100 calls a second and so many recipients a day, whoever makes them.
Function Compute starts instances as it likes, so neither their number nor a counter in one of them
can keep that. The truth is a row per time slice: permits are taken from it with a conditional
increment that never goes over the limit.

- Several are taken at a time, so that a permit costs far less than a call. What an instance does
  not use dies with its slice.
- A permit is good for its slice only, and has its place inside it: sends are spread and not fired
  at the slice's start.
- Slices fill up from now on, so an instance remembers the first one that was not full and asks
  there next time, instead of asking all the full ones again.
- A take whose answer was lost counts as taken.

https://www.alibabacloud.com/help/en/direct-mail/product-overview/limits
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from shared.sending.backoff import DAY, QUOTA_SPREAD
from shared.stores.ledger import Ledger

# A slice. In ms.
SECOND = 1_000
# It is taken in parts, about so many.
PARTS = 12
# So far ahead an instance takes permits and waits for them; beyond, the mail goes back on the
# queue. In ms.
HORIZON = 2_000
# So long after its moment a permit is still good: threads wake up late, and between two batches
# there is nothing to send. In ms.
LATE = 150
# Who waits longer than this for a permit of its own takes a further part, where one is left. In ms.
SOON = 100
# Parts of consecutive places are that much of their step apart (the golden section: however many
# there are, they are spread).
TURN = 0.618034
# How many recipients of the day's quota are taken at a time: a fraction of it, and at most so many.
QUOTA_PART = 200
QUOTA_TAKE_MAX = 100
# Clocks differ, and the provider's second begins whenever it likes: this part of the limit is used.
USED_PERCENT = 96


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
    _stock: list[int] = field(default_factory=list)
    _held: Counter[int] = field(default_factory=Counter)
    _phase: float = -1.0
    _dead: int = 0
    _frontier: int = 0
    _quota_day: int = -1
    _quota_stock: int = 0

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
        until, delay = self.clock() + patience, 0
        self._renew(self.clock())
        while True:
            now = self.clock()
            self._bury(now)
            if now + delay > until or (self._stock and self._stock[0] <= now + SOON):
                break
            # A slow ledger gives permits that are past already: the next time further ahead.
            asked = now + delay
            if not self._take_part(asked, asked if self._stock else until):
                break
            delay = self.clock() - now
        self._bury(self.clock())
        if not self._stock or self._stock[0] > until:
            return None
        return self._stock.pop(0)

    def _bury(self, now: int) -> None:
        """Forget the permits that are past."""
        alive = [due for due in self._stock if due + LATE > now]
        self._dead += len(self._stock) - len(alive)
        self._stock = alive

    def _renew(self, now: int) -> None:
        """Take as many parts of the next second as of this one, less those that died."""
        second = now // SECOND
        held = self._held[second]
        if not held or self._held[second + 1] or (self._stock and now % SECOND < SECOND // 2):
            return
        size, _ = self._parts()
        parts = max(1, held - self._dead // size)
        self._dead = 0
        while parts and not self._take_parts(second + 1, parts):
            parts //= 2

    def _take_part(self, now: int, until: int) -> bool:
        """Take one part more, of the first second up to `until` that is not full."""
        for number in range(max(now // SECOND, self._frontier), until // SECOND + 1):
            self._frontier = number
            if self._take_parts(number, 1):
                return True
            self._frontier = number + 1
        return False

    def _parts(self) -> tuple[int, int]:
        """The size of a part, and the permits of a second that whole parts make up."""
        calls = max(1, self.limits.calls * USED_PERCENT // 100)
        size = max(1, calls // PARTS)
        return size, calls - calls % size

    def _take_parts(self, number: int, parts: int) -> bool:
        size, limit = self._parts()
        start = number * SECOND
        if not self.ledger.take_permits(
            f"calls:{number}", parts * size, limit, start + SECOND + DAY
        ):
            return False
        if self._phase < 0:
            self._phase = self.chance()
        now, step = self.clock(), SECOND / size
        for part in range(self._held[number], self._held[number] + parts):
            phase = (self._phase + part * TURN) % 1
            dues = [start + int(step * (place + phase)) for place in range(size)]
            self._stock += [due for due in dues if due >= now]
        self._stock.sort()
        self._held[number] += parts
        self._held = Counter({n: p for n, p in self._held.items() if n >= number - 3})
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
