"""DirectMail's dialects: what its events spell otherwise from year to year and from type to type.

A dialect is put together from words, each of which changes one thing; without any, events are as
the page of 2025 has them.
https://www.alibabacloud.com/help/en/eventbridge/user-guide/events-of-the-direct-mail-type
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any, Literal

from local.twins.directmail.rules import HeaderStyle

CHINA = timezone(timedelta(hours=8))

Times = Literal["own", "naive", "zoned", "utc", "epoch", "prc", "spaced"]

# What the field set of 2025 has and that of 2024 had not.
NEW_FIELDS = ("channel_name", "outbound_ip", "esp", "ip_pool_id", "is_dedicated_ip", "tag")
_TIMES = ("send_time", "deliver_time", "block_time", "operate_time")


class DialectError(ValueError):
    """A word that no dialect has, or two that contradict each other; the message says which."""


@dataclass(frozen=True)
class Dialect:
    """How an event is spelled.

    Attributes:
        year: the field set.
        source: of the envelope.
        times: of the fields in `data`; `own` is what is documented for the type and the year.
        header: how the notify headers come back.
        header_everywhere: whether every type has `header`, and not only the deliveries.
        ids: `own`, or one spelling of the ids whatever the type: see `WORDS`.
        numbers: status and code as JSON numbers, or the boolean as text.
        older_type: whether the type has its name of older pages.
        trailing_blank: whether the type ends with a blank, as on one page.
    """

    year: Literal["2025", "2024"] = "2025"
    source: str = "acs:dm"
    times: Times = "own"
    header: HeaderStyle = "given"
    header_everywhere: bool = False
    ids: Literal["own", "deliver", "feedback", "complaint"] = "own"
    numbers: Literal["own", "json", "text"] = "own"
    older_type: bool = False
    trailing_blank: bool = False


@dataclass(frozen=True)
class Word:
    """One word of a dialect: what it means, and the one field that it sets."""

    sentence: str
    field: str
    value: Any


WORDS: Mapping[str, Word] = {
    "2024": Word("fields of 2024: no tag, no channel; deliveries' times zoned", "year", "2024"),
    "2025": Word("fields of 2025 (what comes without any word)", "year", "2025"),
    "colon": Word("source acs:dm, as the page's sample has it", "source", "acs:dm"),
    "dot": Word("source acs.dm, as the console has it", "source", "acs.dm"),
    "naive": Word("times without an offset: 2024-04-29T11:07:04", "times", "naive"),
    "zoned": Word("times with China's offset: 2024-04-29T11:07:04+08:00", "times", "zoned"),
    "utc": Word("times in UTC: 2024-04-29T03:07:04Z", "times", "utc"),
    "epoch": Word("times as seconds since 1970, in a text", "times", "epoch"),
    "prc": Word("times that end in PRC: 2024-04-29T11:07:04.179PRC", "times", "prc"),
    "spaced": Word("times as in the legacy text: 2024-04-29 11:07:04", "times", "spaced"),
    "env-id": Word("every type with env_id, msg_id, rcpt and from", "ids", "deliver"),
    "envid": Word("every type with envid", "ids", "feedback"),
    "message-id": Word(
        "every type with message_id in angle brackets, block_email and send_email",
        "ids",
        "complaint",
    ),
    "numbers": Word("status and err_code as JSON numbers", "numbers", "json"),
    "texts": Word("is_dedicated_ip as a text too", "numbers", "text"),
    "header": Word(
        "`header` in every type, and not in deliveries only", "header_everywhere", value=True
    ),
    "older-type": Word(
        "older pages' name of the type: dm:Deliver:Success", "older_type", value=True
    ),
    "blank": Word("a blank behind the type, as one page has it", "trailing_blank", value=True),
}


def dialect_of(words: Iterable[str], header: HeaderStyle = "given") -> Dialect:
    """The dialect of these words.

    Raises:
        DialectError: one is unknown, or two set the same thing.
    """
    chosen: dict[str, str] = {}
    dialect = Dialect(header=header)
    for name in dict.fromkeys(words):
        word = WORDS.get(name)
        if word is None:
            raise DialectError(f"unknown dialect: {name!r}; known: {', '.join(WORDS)}")
        if word.field in chosen:
            raise DialectError(f"{chosen[word.field]} and {name} cannot both be spoken")
        chosen[word.field] = name
        dialect = replace(dialect, **{word.field: word.value})
    return dialect


def china(at: float, form: str = "%Y-%m-%dT%H:%M:%S") -> str:
    """A time, in seconds since 1970, as China's clocks show it."""
    return datetime.fromtimestamp(at, CHINA).strftime(form)


def prc(at: float) -> str:
    """The same with thousandths and the suffix that `aliyunpublishtime` has."""
    return f"{china(at)}.{int(at * 1000) % 1000:03d}PRC"


_TIMES_AS: Mapping[str, Callable[[float], str]] = {
    "naive": china,
    "zoned": lambda at: f"{china(at)}+08:00",
    "utc": lambda at: datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
    "epoch": lambda at: str(int(at)),
    "prc": prc,
    "spaced": lambda at: china(at, "%Y-%m-%d %H:%M:%S"),
}

# The ids by their field in a delivery -> in a feedback event, in a complaint.
_IDS: Mapping[str, Mapping[str, str]] = {
    "deliver": {},
    "feedback": {"env_id": "envid"},
    "complaint": {
        "env_id": "envid",
        "msg_id": "message_id",
        "rcpt": "block_email",
        "from": "send_email",
    },
}


def spell(data: Mapping[str, Any], dialect: Dialect, *, times: Times, ids: str) -> dict[str, Any]:
    """An event's data in a dialect.

    Args:
        data: with the ids as a delivery has them, times in seconds since 1970, and all fields.
        dialect: how to spell it.
        times: the type's own, where the dialect leaves them to it.
        ids: likewise.
    """
    moment = _TIMES_AS[times if dialect.times == "own" else dialect.times]
    names = _IDS[ids if dialect.ids == "own" else dialect.ids]
    dropped = NEW_FIELDS if dialect.year == "2024" else ()
    spelled = {}
    for name, value in data.items():
        if name in dropped:
            continue
        new = names.get(name, name)
        spelled[new] = moment(value) if name in _TIMES else value
        if new == "message_id":
            spelled[new] = f"<{value}>"
    return {name: _counted(name, value, dialect) for name, value in spelled.items()}


def _counted(name: str, value: Any, dialect: Dialect) -> Any:
    if dialect.numbers == "json" and name in {"status", "err_code"} and str(value).isdecimal():
        return int(value)
    if dialect.numbers == "text" and isinstance(value, bool):
        return json.dumps(value)
    return value
