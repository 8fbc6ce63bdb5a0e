"""The fields of DirectMail's events, whatever they are called and however they are written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from shared.sending.compose import NOTIFY_PREFIX
from shared.sending.identity import NOTIFY_NAME, MailToken, read_message_id, read_token
from shared.times import rfc3339
from shared.triggers.json_bytes import NotJson, read_json

_PREFIX = NOTIFY_PREFIX.lower()
_TOKEN = NOTIFY_NAME.lower()

# Times without an offset are China's. (2024 events carry +08:00, 2025 ones carry none.)
CHINA = timedelta(hours=8)
_TIME = re.compile(
    r"\s*(\d{4}-\d\d-\d\d[T ]\d\d:[0-5]\d):([0-5]\d)(?:[.,](\d{1,9}))?"
    r"\s*([Zz]|UTC|GMT|[+-]\d\d:?\d\d|PRC|Asia/Shanghai)?\s*",
    re.ASCII,
)
_OFFSETS = dict.fromkeys(("Z", "z", "UTC", "GMT"), timedelta(0)) | dict.fromkeys(
    (None, "PRC", "Asia/Shanghai", "+08:00"), CHINA
)
# A batch's events are mostly of the same few minutes.
_MINUTES_KEPT = 256
_DIGITS = re.compile(r"\s*(\d{9,13})(?:\.(\d{1,9}))?\s*", re.ASCII)
# Seconds up to the year 5138; what is larger can only be milliseconds.
_SECONDS_MAX = 10**11
_MS_MAX = 10**14
# Such as `dm:Deliver:Fail`, `acs.dm`, `deliver`.
_NAME = re.compile(r"[A-Za-z0-9:._\[\]'-]*", re.ASCII)
_CODE = re.compile(r"\s*(\d{1,9})\s*", re.ASCII)
# What an id can be made of: it goes into logs, and nothing that could be an address may.
_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}", re.ASCII)
_ID_MAX = 10**40


# A time as it was told: RFC 3339 in UTC, to the millisecond; and whether its offset was told, too,
# and not guessed.
Moment = tuple[str, bool]


def shown(value: Any) -> str:
    """A name that is not known, for a log: only what looks like one, for it may be anything.

    An address or a sentence does not: whatever is in an event may have changed places on the way.
    """
    text = repr(value)[:80]
    return text if _NAME.fullmatch(text) else "that is no name"


def read_text(value: Any) -> str | None:
    """Text, if there is any."""
    return value if isinstance(value, str) and value else None


def read_id(value: Any) -> str | None:
    """An id that is text."""
    return value if isinstance(value, str) and _ID.fullmatch(value) else None


def read_digits(value: Any) -> str | None:
    """An id of digits; somebody on the way may have taken it for a number."""
    return str(value) if type(value) is int and 0 < value < _ID_MAX else read_id(value)


def read_number(value: Any) -> int | None:
    """A number, or text that is one; SMTP codes have three digits."""
    if isinstance(value, str):
        found = _CODE.fullmatch(value)
        return int(found[1]) if found else None
    return value if type(value) is int and 0 <= value < _MS_MAX else None


def read_status(value: Any) -> str | None:
    """A delivery's `status`: a digit, as text or as a number."""
    return value.strip() if isinstance(value, str) else read_digits(value)


def read_time(value: Any) -> Moment | None:
    """A time in any of the spellings that were seen; None for what is no time.

    Takes ISO 8601 with `T` or a blank, with an offset, `Z`, `PRC`, `Asia/Shanghai` or none, which
    is China's; and seconds since 1970 as text or number (milliseconds where they are too large).
    """
    try:
        if isinstance(value, str):
            found = _TIME.fullmatch(value)
            return _civil(found) if found else _since_1970(_digits(value))
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return _since_1970(value)
    except (ValueError, OverflowError):  # the 30th of February, the year 10000
        pass
    return None


def _civil(found: re.Match[str]) -> Moment:
    minute, second, fraction, zone = found.groups()
    thousandths = f"{fraction[:3]:0<3}" if fraction else "000"
    return f"{_utc(minute, zone)}:{second}.{thousandths}Z", zone is not None


@lru_cache(maxsize=_MINUTES_KEPT)
def _utc(minute: str, zone: str | None) -> str:
    """A minute such as `2024-04-29T11:07` as it is called in UTC: no offset has seconds."""
    offset = _OFFSETS.get(zone)
    if offset is None:
        assert zone is not None  # noqa: S101  # None is in the table
        offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
        offset = -offset if zone[0] == "-" else offset
    return (datetime.fromisoformat(minute) - offset).isoformat(timespec="minutes")


def _digits(text: str) -> float | None:
    found = _DIGITS.fullmatch(text)
    if not found:
        return None
    return float(text) if found[2] else int(found[1])


def _since_1970(number: float | None) -> Moment | None:
    if number is None or not 0 < number < _MS_MAX:
        return None
    ms = round(number * 1000) if number < _SECONDS_MAX else round(number)
    return rfc3339(ms), True


def read_message_id_text(value: Any) -> str | None:
    """A Message-ID without its angle brackets."""
    if not isinstance(value, str):
        return None
    return value.strip().removeprefix("<").removesuffix(">") or None


def token_of_message_id(message_id: str | None) -> MailToken | None:
    """Which mail a Message-ID of ours names."""
    return read_message_id(message_id) if message_id else None


def read_header(header: Any) -> tuple[dict[str, str], MailToken | None]:
    """The notify headers by their names, prefix taken off, and the mail that our own one names.

    Args:
        header: an object, or the JSON text of one; anything else holds no headers.
    """
    if isinstance(header, str):
        try:
            header = read_json(header)
        except NotJson:
            return {}, None
    notify: dict[str, str] = {}
    token = None
    if isinstance(header, Mapping):
        for name, value in header.items():
            own = name[len(_PREFIX) :]
            if name[: len(_PREFIX)].lower() != _PREFIX or not isinstance(value, str):
                continue
            if own.lower() == _TOKEN:
                token = read_token(value)
            else:
                notify[own] = value
    return notify, token
