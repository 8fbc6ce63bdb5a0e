"""When a timer trigger fires: `0 0 4 * * *`, `CRON_TZ=Asia/Shanghai 0 0 4 1 * *`, `@every 4m`.

Six fields: second, minute, hour, day of the month, month, day of the week (0 or 7 is Sunday).
Each takes `*`, `?`, numbers, names (`JAN`, `MON`), lists, ranges and steps. Where both days are
restricted, either will do, as in every cron. Without CRON_TZ the time is UTC.
https://help.aliyun.com/document_detail/2513615.html
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_MONTHS = (*("JAN", "FEB", "MAR", "APR", "MAY", "JUN"), *("JUL", "AUG", "SEP", "OCT", "NOV", "DEC"))
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
# Name, lowest and highest value, and the names of values.
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("second", 0, 59, {}),
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, {name: n for n, name in enumerate(_MONTHS, 1)}),
    ("day of the week", 0, 7, {name: n for n, name in enumerate(_DAYS)}),
)
_EVERY = re.compile(r"@every ((?:\d+(?:h|m|s))+)")
_UNITS = {"h": 3600, "m": 60, "s": 1}
# The 29th of February comes within 8 years; what does not come by then never does.
_HORIZON = timedelta(days=8 * 366)


class ScheduleError(ValueError):
    """The expression is not a schedule; the text says which part."""


@dataclass(frozen=True)
class Schedule:
    """A schedule that was read; `after` gives the next time, in UTC."""

    after: Callable[[datetime], datetime]


def read_schedule(expression: str) -> Schedule:
    """Read a timer's `cronExpression`.

    Raises:
        ScheduleError: it is none, or it never comes.
    """
    every = _EVERY.fullmatch(expression)
    if every:
        parts = re.findall(r"(\d+)([hms])", every[1])
        step = timedelta(seconds=sum(int(number) * _UNITS[unit] for number, unit in parts))
        if not step:
            raise ScheduleError(f"{expression!r}: the interval is 0")
        return Schedule(lambda moment: moment + step)
    zone, _, fields = expression.rpartition("CRON_TZ=")[2].partition(" ")
    if not expression.startswith("CRON_TZ="):
        zone, fields = "UTC", expression
    cron = _Cron(fields, _zone(zone))
    cron.after(datetime.now(timezone.utc))
    return Schedule(cron.after)


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ScheduleError(f"the time zone {name!r} is not known on this machine") from None


class _Cron:
    """Six sets of numbers, and whether the two days were left open."""

    def __init__(self, expression: str, zone: tzinfo) -> None:
        texts = expression.split()
        if len(texts) != len(_FIELDS):
            raise ScheduleError(f"{expression!r} has {len(texts)} fields, not {len(_FIELDS)}")
        self._text = expression
        self._zone = zone
        sets = [_values(text, *field) for text, field in zip(texts, _FIELDS, strict=True)]
        self._seconds, self._minutes, self._hours, self._days, self._months, weekdays = sets
        self._weekdays = {day % 7 for day in weekdays}
        open_days = [text[0] in "*?" for text in (texts[3], texts[5])]
        self._either_day = not any(open_days)

    def after(self, moment: datetime) -> datetime:
        """The first time after a moment.

        Raises:
            ScheduleError: there is none.
        """
        # Wall-clock times without a zone, so that days and hours can be stepped through.
        wall = moment.astimezone(self._zone).replace(tzinfo=None, microsecond=0)
        wall += timedelta(seconds=1)
        end = wall + _HORIZON
        while wall < end:
            skipped = self._skip(wall)
            if skipped is not None:
                wall = skipped
                continue
            found = wall.replace(tzinfo=self._zone).astimezone(timezone.utc)
            # A time that the clock jumps over, or has shown before, is none.
            exists = found.astimezone(self._zone).replace(tzinfo=None) == wall
            if exists and found > moment:
                return found
            wall += timedelta(seconds=1)
        raise ScheduleError(f"{self._text!r} never comes")

    def _skip(self, wall: datetime) -> datetime | None:
        """Where to look next, or None if this time fits."""
        if wall.month not in self._months:
            return (wall.replace(day=1) + timedelta(days=32)).replace(
                day=1, hour=0, minute=0, second=0
            )
        if not self._day_fits(wall):
            return wall.replace(hour=0, minute=0, second=0) + timedelta(days=1)
        if wall.hour not in self._hours:
            return wall.replace(minute=0, second=0) + timedelta(hours=1)
        if wall.minute not in self._minutes:
            return wall.replace(second=0) + timedelta(minutes=1)
        if wall.second not in self._seconds:
            return wall + timedelta(seconds=1)
        return None

    def _day_fits(self, wall: datetime) -> bool:
        day = wall.day in self._days
        weekday = (wall.weekday() + 1) % 7 in self._weekdays
        return day or weekday if self._either_day else day and weekday


def _values(text: str, name: str, low: int, high: int, names: dict[str, int]) -> set[int]:
    """The numbers of one field."""
    found: set[int] = set()
    for part in text.upper().split(","):
        span, slash, step = part.partition("/")
        first, dash, last = span.partition("-")
        try:
            if span in ("*", "?"):
                start, end = low, high
            else:
                start = names[first] if first in names else int(first)
                end = start
                if dash:
                    end = names[last] if last in names else int(last)
                elif slash:
                    end = high
            pace = int(step) if slash else 1
        except ValueError:
            raise ScheduleError(f"{text!r} is not a {name}") from None
        if not (low <= start <= end <= high and pace > 0):
            raise ScheduleError(f"{text!r} is not a {name} ({low} to {high})")
        found.update(range(start, end + 1, pace))
    return found
