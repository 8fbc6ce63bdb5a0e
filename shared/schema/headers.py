"""The headers a sender may put on a mail, and those that come back on its events.

DirectMail takes three standard headers, `X-User-...`, and `X-User-Notify-...`, which it pushes back
with every event of the mail. It takes ten in all and silently drops the rest, and it is silent
about names it does not know; here all of that is said aloud.

See https://www.alibabacloud.com/help/en/direct-mail/api-dm-2015-11-23-singlesendmail
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from shared.schema.limits import (
    HEADER_NAME_MAX,
    HEADER_VALUE_MAX,
    HEADERS_MAX,
    HEADERS_RESERVED,
    HEADERS_UNSUBSCRIBE,
)
from shared.schema.problems import Problem, Refused, pointer_to, refuse
from shared.schema.text import check_line

USER_PREFIX = "X-User-"
NOTIFY_PREFIX = "X-User-Notify-"

# The name of Postbus's own notify header, X-User-Notify-Postbus.
RESERVED_NOTIFY = "Postbus"

# DirectMail's spelling, by the name in lower case: only of its non-standard headers does it say
# that case does not matter, so the standard ones are sent exactly so.
STANDARD = {
    name.lower(): name for name in ("Message-ID", "List-Unsubscribe", "List-Unsubscribe-Post")
}

# https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")

# https://www.rfc-editor.org/rfc/rfc5322#section-3.6.4, without its obsolete forms
_ATOMS = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
_MESSAGE_ID = re.compile(f"<{_ATOMS}@{_ATOMS}>")

# https://www.rfc-editor.org/rfc/rfc8058#section-3.1
_ONE_CLICK = "List-Unsubscribe=One-Click"

_PRINTABLE = re.compile(r"[!-~](?:[ -~]*[!-~])?")


def check_headers(headers: dict[str, str]) -> dict[str, str]:
    """Check `headers` and return it with DirectMail's spelling of the standard names.

    Raises:
        Refused: every problem, with pointers relative to the object.
    """
    _check_each(headers, _check_header)
    checked = {STANDARD.get(name.lower(), name): value for name, value in headers.items()}
    if "List-Unsubscribe-Post" in checked and "List-Unsubscribe" not in checked:
        raise refuse(
            "one-click-without-list-unsubscribe",
            "List-Unsubscribe-Post needs a List-Unsubscribe with the address to post to (RFC 8058)",
        )
    return checked


def check_notify(notify: dict[str, str]) -> dict[str, str]:
    """Check `notify` and return it unchanged.

    A value is printable ASCII, not empty and without a space first or last: mail programs strip
    those, and what comes back on an event must equal what was sent.

    Raises:
        Refused: every problem, with pointers relative to the object.
    """
    _check_each(notify, _check_notify)
    return notify


def check_header_count(headers: object) -> object:
    """Refuse an object with more names than could ever fit, before each of them is looked at.

    Raises:
        Refused: `too-many-headers`.
    """
    if isinstance(headers, dict) and len(headers) > HEADERS_MAX:
        raise Refused(too_many_headers("", len(headers)))
    return headers


def header_count(
    headers: Mapping[str, str], notify: Mapping[str, str], *, unsubscribe: bool = False
) -> int:
    """How many headers DirectMail will be given: these and the ones that Postbus adds."""
    own = HEADERS_RESERVED - ("Message-ID" in headers)
    if unsubscribe:
        own += HEADERS_UNSUBSCRIBE
    return len(headers) + len(notify) + own


def too_many_headers(pointer: str, given: int) -> Problem:
    """The problem of a mail whose headers DirectMail would in part drop."""
    return Problem(
        pointer,
        "too-many-headers",
        f"has at most {HEADERS_MAX} headers, notify and the {HEADERS_RESERVED} of Postbus "
        "(Message-ID, X-User-Notify-Postbus) counted: DirectMail drops the rest without a word",
        limit=HEADERS_MAX,
        given=given,
    )


def _check_each(headers: Mapping[str, str], check: Callable[[str, str], None]) -> None:
    problems: list[Problem] = []
    seen: set[str] = set()
    for name, value in headers.items():
        try:
            if name.lower() in seen:
                raise refuse("duplicate-header", "is given twice: case makes no difference")
            check(name, value)
        except Refused as refused:
            problems += refused.at(pointer_to([name]))
        seen.add(name.lower())
    if problems:
        raise Refused(*problems)


def _check_header(name: str, value: str) -> None:
    lower = name.lower()
    if lower.startswith(NOTIFY_PREFIX.lower()):
        _refuse_reserved(name[len(NOTIFY_PREFIX) :])
        raise refuse("notify-header", 'belongs in "notify", without the X-User-Notify-')
    if lower not in STANDARD and not _is_name(name, USER_PREFIX):
        raise refuse(
            "header-name",
            "DirectMail takes Message-ID, List-Unsubscribe, List-Unsubscribe-Post and names that "
            "begin with X-User-",
        )
    _check_length(name, value)
    check_line(value)
    if lower == "message-id" and not _MESSAGE_ID.fullmatch(value):
        raise refuse("message-id", "must have the form <unique@example.com>")
    if lower == "list-unsubscribe-post" and value != _ONE_CLICK:
        raise refuse("one-click", f"must be {_ONE_CLICK} (RFC 8058)", limit=_ONE_CLICK)
    if not value.isascii():
        raise refuse("header-value", "must be ASCII: a header holds nothing else (RFC 5322)")


def _check_notify(name: str, value: str) -> None:
    _refuse_reserved(name)
    if name.lower().startswith(NOTIFY_PREFIX.lower()):
        raise refuse("header-name", "stands without the X-User-Notify-, which is put before it")
    if not _is_name(NOTIFY_PREFIX + name, NOTIFY_PREFIX):
        raise refuse("header-name", "must be a token: letters, digits and !#$%&'*+-.^_`|~")
    _check_length(NOTIFY_PREFIX + name, value)
    check_line(value)
    if not _PRINTABLE.fullmatch(value):
        raise refuse(
            "notify-value",
            "must be printable ASCII without a space first or last: "
            "else it would not come back as it was sent",
        )


def _refuse_reserved(notify_name: str) -> None:
    if notify_name.lower() == RESERVED_NOTIFY.lower():
        raise refuse(
            "reserved-header", "is Postbus's own: by it a mail is told from its repetition"
        )


def _check_length(name: str, value: str) -> None:
    for part, most, size in (
        ("its name, prefix included,", HEADER_NAME_MAX, len(name)),
        ("its value", HEADER_VALUE_MAX, len(value)),
    ):
        if size > most:
            raise refuse(
                "too-long", f"{part} has at most {most} characters", limit=most, given=size
            )


def _is_name(name: str, prefix: str) -> bool:
    return (
        name.lower().startswith(prefix.lower()) and _TOKEN.fullmatch(name, len(prefix)) is not None
    )
