"""The account's limits, as the DirectMail twin keeps them when a rule asks for it.

https://www.alibabacloud.com/help/en/direct-mail/product-overview/limits
"""

from __future__ import annotations

from collections import deque

# A quota day begins at midnight in China.
CHINA_OFFSET_SECONDS = 8 * 3600


class SlidingSecond:
    """At most so many calls in any one second; a call that is refused does not count.

    Args:
        per_second: how many. Below 1, one call in so many seconds: 0.5 is one in two.
    """

    def __init__(self, per_second: float) -> None:
        self._limit = max(1, int(per_second))
        self._window = max(1.0, 1.0 / per_second)
        self._admitted: deque[float] = deque()

    def admit(self, now: float) -> bool:
        """Take a call in, or say that it is one too many."""
        while self._admitted and self._admitted[0] <= now - self._window:
            self._admitted.popleft()
        if len(self._admitted) >= self._limit:
            return False
        self._admitted.append(now)
        return True


class DailyQuota:
    """At most so many recipients a day.

    Args:
        recipients: how many.
        day_seconds: a day's length; days are counted from midnight in China.
    """

    def __init__(self, recipients: int, day_seconds: float) -> None:
        self._limit = recipients
        self._day_seconds = day_seconds
        self._day = 0
        self._used = 0

    def over(self, recipients: int, now: float) -> bool:
        """Whether so many more would be too many today."""
        self._turn(now)
        return self._used + recipients > self._limit

    def take(self, recipients: int, now: float) -> None:
        """Count recipients of a mail that was accepted."""
        self._turn(now)
        self._used += recipients

    def _turn(self, now: float) -> None:
        day = int((now + CHINA_OFFSET_SECONDS) // self._day_seconds)
        if day != self._day:
            self._day, self._used = day, 0
