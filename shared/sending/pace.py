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

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from shared.sending.backoff import DAY, QUOTA_SPREAD
from shared.stores.ledger import Ledger

# Short, so that few permits change their order inside it. In ms.
SLICE = 100
SLICES_A_SECOND = 1000 // SLICE
# So far ahead an instance takes permits and waits for them; beyond, the mail goes back on the
# queue. In ms.
HORIZON = 2_000
# A slice's permits are taken in so many parts, that is by about so many instances.
PARTS = 3
# How many recipients of the day's quota are taken at a time: a fraction of it, and at most so many.
QUOTA_PART = 200
QUOTA_TAKE_MAX = 100
# Clocks differ, and the provider's second begins whenever it likes: this part of the limit is used.
# With clocks up to 200 ms off, about one call of a hundred (at 100 a second; two to three at 50) is
# still one too many for some second. To rule that out would cost a third of the rate, and being
# throttled costs a mail only a delay.
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
    _stock: list[int] = field(default_factory=list)
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
        while True:
            now = self.clock()
            # A permit is good until its slice ends; the place inside it is the earliest moment.
            self._stock = [due for due in self._stock if due - due % SLICE + SLICE > now]
            if self._stock or now + delay > until:
                break
            # A slow ledger gives permits of a slice that is over: the next time further ahead.
            self._stock = self._take_slice(now + delay, until)
            if not self._stock:
                break
            delay = self.clock() - now
        if not self._stock or self._stock[0] > until:
            return None
        return self._stock.pop(0)

    def _take_slice(self, now: int, until: int) -> list[int]:
        calls = max(1, self.limits.calls * USED_PERCENT // 100)
        count = max(1, calls // (PARTS * SLICES_A_SECOND))
        first = max(now // SLICE, self._frontier)
        for number in range(first, until // SLICE + 1):
            limit = count * _share(calls // count, number)
            self._frontier = number
            if limit and self.ledger.take_permits(
                f"calls:{number}", count, limit, (number + 1) * SLICE + DAY
            ):
                start, step = number * SLICE, SLICE / count
                return [start + int(step * (place + self.chance())) for place in range(count)]
        self._frontier = max(self._frontier, until // SLICE)
        return []

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


def _share(parts: int, number: int) -> int:
    """A slice's parts, exact over each second: 7 parts over ten slices are 0 1 1 0 1 1 0 1 1 1.

    Whole parts, so that none of a slice's permits is left over that nobody could take.
    """
    place = number % SLICES_A_SECOND
    return parts * (place + 1) // SLICES_A_SECOND - parts * place // SLICES_A_SECOND
