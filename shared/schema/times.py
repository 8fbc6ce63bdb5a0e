"""Times as RFC 3339 writes them, always in UTC once read.

A time without an offset is refused: a scheduled mail that is eight hours off is worse than a mail
refused, and Alibaba Cloud's own services disagree about what a naive time means.

See https://www.rfc-editor.org/rfc/rfc3339#section-5.6
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Any

from shared.schema.problems import json_type, refuse, shown

_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(Z|([+-])(\d\d):(\d\d))?",
    re.ASCII | re.IGNORECASE,
)
# What is no digit in Postbus's own times (`shared.times.rfc3339`): those are read fast, for a
# delivery event has four of them.
_OWN_LENGTH = len("2026-11-22T08:00:00.000Z")
_OWN_MARKS = slice(4, 20, 3), "--T::."
_OWN_KEPT = 64  # of one event most are the same
_HOURS = 23
_MINUTES = 59


def parse_time(value: Any) -> datetime:
    """Read a time and return it in UTC; digits beyond microseconds are dropped.

    Takes RFC 3339 text with an offset, or a datetime that has one. A number is neither: seconds and
    milliseconds look alike.

    Raises:
        Refused: `wrong-type`, `time-without-offset` or `time`.
    """
    if isinstance(value, datetime):
        moment, text = value, value.isoformat()
    elif isinstance(value, str):
        if len(value) == _OWN_LENGTH and (own := _read_own(value)) is not None:
            return own
        moment, text = _read(value), value
    else:
        raise refuse("wrong-type", "must be a string", given=json_type(value))
    if moment.tzinfo is None:
        raise refuse(
            "time-without-offset", "needs an offset, such as Z or +08:00", given=shown(text)
        )
    try:
        return moment.astimezone(timezone.utc)
    except OverflowError:  # an offset that leads out of the years 1 to 9999
        raise _bad(text) from None


@lru_cache(maxsize=_OWN_KEPT)
def _read_own(text: str) -> datetime | None:
    """A time as Postbus writes it; None for every other, and for what is no time."""
    where, marks = _OWN_MARKS
    if text[-1] != "Z" or text[where] != marks:
        return None
    try:
        return datetime.fromisoformat(f"{text[:-1]}+00:00")
    except ValueError:
        return None


def _read(text: str) -> datetime:
    found = _TIME.fullmatch(text)
    if not found:
        raise _bad(text)
    year, month, day, hour, minute, second = map(int, found.groups()[:6])
    microsecond = int((found[7] or "")[:6].ljust(6, "0"))
    try:
        return datetime(year, month, day, hour, minute, second, microsecond, _offset(found))
    except ValueError:  # the 30th of February, a 25th hour
        raise _bad(text) from None


def _offset(found: re.Match[str]) -> timezone | None:
    if not found[8]:
        return None
    if not found[9]:
        return timezone.utc
    hours, minutes = int(found[10]), int(found[11])
    if hours > _HOURS or minutes > _MINUTES:
        raise ValueError("no such offset")
    sign = -1 if found[9] == "-" else 1
    return timezone(sign * timedelta(hours=hours, minutes=minutes))


def _bad(text: str) -> Exception:
    return refuse(
        "time", "must be a time such as 2026-11-22T09:30:00+08:00 (RFC 3339)", given=shown(text)
    )
