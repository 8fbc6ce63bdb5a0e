"""When a mail that was not sent is tried again."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.sending.answers import Answer, Broken, Rejected
from shared.sending.backoff import LONGEST_DELAY, QUOTA_SPREAD, delay_after
from shared.sending.verdicts import Verdict

BREAK = Broken("connect")
HOUR = 3_600_000


def at(time: str) -> int:
    """A time as ms since 1970."""
    return int(datetime.fromisoformat(time).timestamp() * 1000)


NOON = at("2026-11-22T12:00:00+08:00")


@pytest.mark.parametrize(
    ("attempt", "chance", "delay"),
    [
        (1, 1.0, 4_000),
        (2, 1.0, 8_000),
        (5, 1.0, 64_000),
        (2, 0.5, 4_000),
        (1, 0.0, 1_000),
        (14, 1.0, 32_768_000),
        (15, 1.0, LONGEST_DELAY),
        (10_000, 1.0, LONGEST_DELAY),
    ],
)
def test_exponential_with_full_jitter(attempt: int, chance: float, delay: int) -> None:
    """The longest wait doubles with each call up to half a day; chance takes a part of it."""
    assert delay_after("unavailable", BREAK, attempt=attempt, now=NOON, chance=chance) == delay


@pytest.mark.parametrize(
    ("wish", "delay"),
    [(None, 2_000), (0, 2_000), (1_500, 2_000), (30_000, 30_000), (90 * HOUR, LONGEST_DELAY)],
)
def test_the_providers_wish(wish: int | None, delay: int) -> None:
    """What the provider asks for is the least wait, up to half a day."""
    answer = Rejected("Throttling.User", 400, retry_after_ms=wish)
    assert delay_after("throttled", answer, attempt=1, now=NOON, chance=0.5) == delay


@pytest.mark.parametrize(
    ("now", "chance", "delay"),
    [
        ("2026-11-22T23:00:00+08:00", 0.0, HOUR),
        ("2026-11-22T23:00:00+08:00", 1.0, HOUR + QUOTA_SPREAD),
        ("2026-11-22T15:00:00+00:00", 0.5, HOUR + QUOTA_SPREAD // 2),
        ("2026-11-22T23:59:59.999+08:00", 0.0, 1),
        ("2026-11-22T12:00:00+08:00", 0.0, 12 * HOUR),
        ("2026-11-22T00:00:00+08:00", 0.0, LONGEST_DELAY),
        ("2026-11-22T01:00:00+08:00", 1.0, LONGEST_DELAY),
    ],
)
def test_the_quota_day(now: str, chance: float, delay: int) -> None:
    """A used-up quota waits for the next day in China, spread over its first ten minutes."""
    answer = Rejected("InvalidSendMail.Spam", 400)
    assert delay_after("quota", answer, attempt=1, now=at(now), chance=chance) == delay


@given(
    st.sampled_from(["throttled", "quota", "unavailable"]),
    st.one_of(
        st.none(),
        st.just(BREAK),
        st.builds(Rejected, st.just("Throttling"), retry_after_ms=st.integers(0, 10**12)),
    ),
    st.integers(1, 10**9),
    st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(timezone.utc)),  # noqa: DTZ001  # hypothesis wants bounds without a zone
    st.floats(0, 1),
)
def test_every_delay_is_bounded(
    verdict: Verdict, answer: Answer | None, attempt: int, now: datetime, chance: float
) -> None:
    """Whatever happened, the wait is more than nothing and at most twelve hours."""
    milliseconds = int(
        (now - datetime(1970, 1, 1, tzinfo=timezone.utc)) / timedelta(milliseconds=1)
    )
    delay = delay_after(verdict, answer, attempt=attempt, now=milliseconds, chance=chance)
    assert 0 < delay <= 12 * HOUR


@pytest.mark.parametrize(("hours", "until"), [(8, 4), (0, 12), (10, 2)])
def test_the_quotas_day_begins_where_the_account_is(hours: int, until: int) -> None:
    """At noon UTC it is so many hours to midnight there."""
    noon = 1_795_348_800_000
    delay = delay_after(
        "quota", None, attempt=1, now=noon, chance=0.0, zone_offset=hours * 3_600_000
    )
    assert delay == until * 3_600_000
