"""What becomes of a mail: the recipient's local part chooses, as in other providers' simulators.

`bounce@`, `softbounce@`, `spam@`, `complaint@`, `unsubscribe@`, `resubscribe@`, `open@` and
`click@` any domain; a `+label` may follow the word. Every other mail is delivered.
"""

from __future__ import annotations

from collections.abc import Mapping

from local.twins.directmail.catalogue import CLICK, COMPLAINT, OPEN, SUBSCRIBE, UNSUBSCRIBE
from local.twins.directmail.reports import KNOWN, Report

# An event's kind is a key of this table, or the type of what follows a delivery.
REPORTS: Mapping[str, Report] = {
    "delivered": KNOWN["SendOk"],
    "bounce": KNOWN["SmtpNxBox"],
    "softbounce": KNOWN["SysOutConnError"],
    "spam": KNOWN["SmtpContSpam"],
}
_KINDS = {
    "bounce": ("bounce",),
    "softbounce": ("softbounce",),
    "spam": ("spam",),
    "complaint": ("delivered", COMPLAINT),
    "unsubscribe": ("delivered", UNSUBSCRIBE),
    "resubscribe": ("delivered", UNSUBSCRIBE, SUBSCRIBE),
    "open": ("delivered", OPEN),
    "click": ("delivered", OPEN, CLICK),
}


def kinds(recipient: str, *, blind: bool) -> tuple[str, ...]:
    """The kinds of events that a mail to this recipient causes, in their order.

    Args:
        recipient: the address.
        blind: whether it is a BCC copy. Those are delivered or bounce like others, but nothing
            that the recipient does with them is tracked.
    """
    word = recipient.rpartition("@")[0].partition("+")[0].lower()
    chosen = _KINDS.get(word, ("delivered",))
    return chosen[:1] if blind else chosen
