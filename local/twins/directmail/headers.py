"""The Headers parameter: which of its entries become headers of the mail, and which come back.

https://www.alibabacloud.com/help/en/direct-mail/api-dm-2015-11-23-singlesendmail
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from local.twins.directmail.errors import ApiError
from local.twins.directmail.rules import HeaderStyle

MAX_HEADERS = 10  # what comes after the tenth is dropped without a word, as documented
NOTIFY_PREFIX = "x-user-notify-"

_STANDARD = ("message-id", "list-unsubscribe", "list-unsubscribe-post")
_NAME = re.compile(r"[!-9;-~]+")  # RFC 5322: printable ASCII except the colon
_VALUE = re.compile(r"[ -~\t]*")

Header = tuple[str, str]


def read(text: str | None) -> tuple[Header, ...]:
    """The headers that count, in the order given; names equal but for case are one header.

    Raises:
        ApiError: not a JSON object of texts, a name that may not be set, or a value that no header
            can hold. (The service documents the rules but not what breaking them answers.)
    """
    if text is None:
        return ()
    headers: dict[str, Header] = {}
    for name, value in _object(text).items():
        if not isinstance(value, str):
            raise ApiError("InvalidParameter", "Headers must be a JSON object of texts.")
        lower = name.lower()
        if lower not in _STANDARD and not lower.startswith("x-user-"):
            raise ApiError("InvalidParameter", "Headers holds a name that may not be set.")
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise ApiError("InvalidParameter", "Headers holds what a mail header cannot.")
        headers[lower] = (name, value)
    return tuple(headers.values())[:MAX_HEADERS]


def find(headers: Sequence[Header], name: str) -> str | None:
    """A header's value by its name in any case."""
    return next((value for key, value in headers if key.lower() == name.lower()), None)


def returned(headers: Sequence[Header], style: HeaderStyle) -> dict[str, str] | str | None:
    """The event's `header`: the X-User-Notify-* headers in one of the styles; None: left out."""
    if style == "absent":
        return None
    notify = {name: value for name, value in headers if name.lower().startswith(NOTIFY_PREFIX)}
    if style == "lower":
        return {name.lower(): value for name, value in notify.items()}
    return json.dumps(notify) if style == "json" else notify


def _object(text: str) -> dict[str, object]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ApiError("InvalidParameter", "Headers must be a JSON object of texts.")
    return value
