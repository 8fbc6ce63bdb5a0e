"""Times with an offset, and nothing that resembles them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from shared.schema.problems import Refused
from shared.schema.times import parse_time

GOOD = {
    "2026-11-22T09:30:00Z": "2026-11-22T09:30:00+00:00",
    "2026-11-22t09:30:00z": "2026-11-22T09:30:00+00:00",
    "2026-11-22T09:30:00+08:00": "2026-11-22T01:30:00+00:00",
    "2026-11-22T09:30:00-03:30": "2026-11-22T13:00:00+00:00",
    "2026-11-22T09:30:00-00:00": "2026-11-22T09:30:00+00:00",
    "2026-11-22T09:30:00.5Z": "2026-11-22T09:30:00.500000+00:00",
    "2026-11-22T09:30:00.123456789Z": "2026-11-22T09:30:00.123456+00:00",
    "2024-02-29T00:00:00+23:59": "2024-02-28T00:01:00+00:00",
}


@pytest.mark.parametrize(("text", "utc"), GOOD.items())
def test_a_time_is_read_as_utc(text: str, utc: str) -> None:
    """Every form of RFC 3339 names one moment."""
    assert parse_time(text).isoformat() == utc


BAD: list[tuple[Any, str]] = [
    ("", "time"),
    ("tomorrow", "time"),
    ("2026-11-22", "time"),
    ("2026-11-22 09:30:00Z", "time"),
    ("2026-11-22T09:30Z", "time"),
    ("20261122T093000Z", "time"),
    ("2026-02-30T00:00:00Z", "time"),
    ("2025-02-29T00:00:00Z", "time"),
    ("2026-13-01T00:00:00Z", "time"),
    ("2026-11-22T24:00:00Z", "time"),
    ("2026-11-22T23:59:60Z", "time"),  # a leap second: no clock of ours can show it
    ("2026-11-22T09:30:00+24:00", "time"),
    ("2026-11-22T09:30:00+08:60", "time"),
    ("2026-11-22T09:30:00+0800", "time"),
    ("2026-11-22T09:30:00Z\n", "time"),
    ("２０２６-11-22T09:30:00Z", "time"),  # noqa: RUF001  # full-width digits
    ("0000-01-01T00:00:00Z", "time"),
    ("0001-01-01T00:00:00+01:00", "time"),  # before the first year, in UTC
    ("9999-12-31T23:59:59-01:00", "time"),
    ("2026-11-22T09:30:00." + "1" * 100_000 + "Zulu", "time"),
    ("2026-11-22T09:30:00", "time-without-offset"),
    (datetime(2026, 11, 22, 9, 30), "time-without-offset"),  # noqa: DTZ001  # the case under test
    (1_795_339_800, "wrong-type"),
    (1.5, "wrong-type"),
    (True, "wrong-type"),
    (["2026-11-22T09:30:00Z"], "wrong-type"),
]


@pytest.mark.parametrize(("value", "type_"), BAD, ids=lambda value: str(value)[:32])
def test_what_is_not_one_moment_is_refused(value: Any, type_: str) -> None:
    """A time without offset, a number, or a day that does not exist is refused."""
    with pytest.raises(Refused) as caught:
        parse_time(value)
    assert caught.value.problems[0].type == type_


def test_a_datetime_with_an_offset_is_taken() -> None:
    """A caller in Python need not write its time as text."""
    moment = datetime(2026, 11, 22, 9, 30, tzinfo=timezone(timedelta(hours=8)))
    assert parse_time(moment) == moment
    assert parse_time(moment).tzinfo is timezone.utc
