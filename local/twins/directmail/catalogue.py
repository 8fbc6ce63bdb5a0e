"""The eight types of DirectMail's events, as one table.

https://www.alibabacloud.com/help/en/eventbridge/user-guide/events-of-the-direct-mail-type
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from local.twins.directmail.reports import FAIL, SUCCEED

COMPLAINT = "dm:Feedback:FblReport"
SUBSCRIBE = "dm:Feedback:Subscribe"
UNSUBSCRIBE = "dm:Feedback:UnSubscribe"
OPEN = "dm:Trace:Open"
CLICK = "dm:Trace:Click"
VALIDATION = "dm:Validator:GrayListResult"

DELIVERIES = (SUCCEED, FAIL)
TRACES = (OPEN, CLICK)


@dataclass(frozen=True)
class EventType:
    """One type.

    Attributes:
        sentence: what it reports.
        older: its name on older pages, where that was another.
        legacy: the word for it in a legacy notification; None: there is none.
    """

    sentence: str
    older: str | None = None
    legacy: str | None = None


TYPES: Mapping[str, EventType] = {
    SUCCEED: EventType(
        "the recipient's server has taken the mail", "dm:Deliver:Success", "deliver"
    ),
    FAIL: EventType("DirectMail has given the recipient up", legacy="deliver"),
    COMPLAINT: EventType("the recipient calls it spam", legacy="complaint"),
    SUBSCRIBE: EventType("the recipient takes back leaving", legacy="subscribe"),
    UNSUBSCRIBE: EventType("the recipient leaves", legacy="unsubscribe"),
    OPEN: EventType("the recipient has opened the mail", "dm:Deliver:Open", "open"),
    CLICK: EventType("the recipient has clicked a link", "dm:Deliver:Click", "click"),
    VALIDATION: EventType("an address was checked; about no mail"),
}


def type_of(name: str) -> str | None:
    """The type that a person means: with or without `dm:`, in any case; None: there is none."""
    wanted = name.strip().lower()
    return next((t for t in TYPES if wanted in {t.lower(), t.lower().removeprefix("dm:")}), None)
