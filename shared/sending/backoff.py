"""When to try again: exponential with full jitter, or when the quota's day begins."""

from __future__ import annotations

from typing import Final

from shared.sending.answers import Answer, Rejected
from shared.sending.verdicts import Verdict

FIRST_DELAY: Final = 2_000
# One put-back waits at most half a day; queues keep a message for seven. In ms.
LONGEST_DELAY: Final = 12 * 3_600_000
# After so many calls the mail has failed; a throttled call costs nobody anything.
ATTEMPTS_MAX: Final = {"unavailable": 16, "throttled": 32}
# A quota that is still used up after a week is something else: DirectMail's code for it also stands
# for a mail that is taken for spam. In ms.
QUOTA_PATIENCE: Final = 7 * 24 * 3_600_000
# DirectMail's quota day is China's. https://www.alibabacloud.com/help/en/direct-mail/limits
QUOTA_ZONE_OFFSET: Final = 8 * 3_600_000
DAY: Final = 24 * 3_600_000
# Everybody's mails are due when the day begins; they are spread over its first minutes.
QUOTA_SPREAD: Final = 600_000


def given_up(verdict: str, *, attempt: int, age: int) -> bool:
    """Whether a mail that was not sent has failed.

    Args:
        verdict: of the call that was just made.
        attempt: how many calls were made, from 1.
        age: how long ago the mail was first seen, in ms.
    """
    if verdict == "quota":
        return age >= QUOTA_PATIENCE
    return attempt >= ATTEMPTS_MAX[verdict]


def delay_after(  # noqa: PLR0913  # each is a fact of its own, given by name
    verdict: Verdict,
    answer: Answer | None,
    *,
    attempt: int,
    now: int,
    chance: float,
    zone_offset: int = QUOTA_ZONE_OFFSET,
) -> int:
    """How long to wait, in ms.

    Args:
        verdict: of the call that was just made.
        answer: its answer; a provider's own wish for a delay is honoured as the least.
        attempt: how many calls were made, from 1.
        now: ms since 1970.
        chance: a random number from 0 to 1.
        zone_offset: where the quota's day begins, in ms east of UTC.
    """
    if verdict == "quota":
        until_tomorrow = DAY - (now + zone_offset) % DAY
        return min(LONGEST_DELAY, until_tomorrow + int(QUOTA_SPREAD * chance))
    wish = answer.retry_after_ms if isinstance(answer, Rejected) else None
    return min(LONGEST_DELAY, max(jittered(attempt, chance, LONGEST_DELAY), wish or 0))


def jittered(attempt: int, chance: float, longest: int) -> int:
    """An exponential wait with full jitter, in ms; a second at least.

    Args:
        attempt: how often it was tried, from 1.
        chance: a random number from 0 to 1.
        longest: the ceiling of the wait, in ms.
    """
    ceiling = min(longest, FIRST_DELAY * 2 ** min(attempt, 30))
    return max(int(ceiling * chance), 1_000)
