"""DirectMail's vocabulary of event types, as EventBridge brings them.

https://help.aliyun.com/zh/eventbridge/user-guide/events-of-the-direct-mail-type
"""

from __future__ import annotations

from collections.abc import Mapping

from shared.delivery.states import VALIDATED

# The page's sample has the first, the console's rules and events in the wild the second.
SOURCE = "acs.dm"
SOURCES = frozenset({"acs:dm", SOURCE})

PREFIX = "dm:"
# Type -> what happened. The page ends one of them with a blank; older pages have other names for
# some; the rules of 2017 called the first two as the last rows do.
TYPES: Mapping[str, str] = {
    "dm:Deliver:Succeed": "delivered",
    "dm:Deliver:Fail": "bounced",
    "dm:Feedback:FblReport": "complained",
    "dm:Feedback:UnSubscribe": "unsubscribed",
    "dm:Feedback:Subscribe": "resubscribed",
    "dm:Trace:Open": "opened",
    "dm:Trace:Click": "clicked",
    "dm:Validator:GrayListResult": VALIDATED,
    "dm:Deliver:Success": "delivered",
    "dm:Deliver:Open": "opened",
    "dm:Deliver:Click": "clicked",
    "dm:Deliver:SendSuccessfully": "delivered",
    "dm:Deliver:SendFailed": "bounced",
}
_SPELLED = {name.lower().removeprefix(PREFIX): state for name, state in TYPES.items()}


def state_of_type(name: str) -> str | None:
    """What a type says has happened, whatever its case and its blanks; None for an unknown one."""
    return TYPES.get(name) or _SPELLED.get(name.strip().lower().removeprefix(PREFIX))
