"""What can go wrong, as one table: the command's help, the checks and the docs read it.

"Accepted" means that the twin has done what was asked (the mail is in its outbox, the message on
its queue) and only the answer is in trouble: what a caller cannot tell from "never arrived".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

TARGETS = ("directmail", "events", "smq", "tablestore")
ANY = "*"

# What a rule may name as its action. Another word would never hit, so it is refused.
_SENDS = ("SendMessage", "PublishMessage")
_DELIVERIES = ("dm:Deliver:Succeed", "dm:Deliver:Fail")
_FEEDBACK = ("dm:Feedback:FblReport", "dm:Feedback:Subscribe", "dm:Feedback:UnSubscribe")
_OTHERS = ("dm:Trace:Click", "dm:Trace:Open", "dm:Validator:GrayListResult")
ACTIONS: Mapping[str, tuple[str, ...]] = {
    "directmail": ("AuthorizeFileUpload", "SingleSendMail"),
    "events": (*_DELIVERIES, *_FEEDBACK, *_OTHERS),
    "smq": (*_SENDS, "ChangeMessageVisibility", "DeleteMessage", "Manage", "ReceiveMessage"),
    "tablestore": (
        *("BatchGetRow", "CreateTable", "DeleteRow", "DeleteTable", "DescribeTable"),
        *("GetRange", "GetRow", "ListTable", "PutRow", "UpdateRow"),
    ),
}


@dataclass(frozen=True)
class Kind:
    """One way to misbehave.

    Attributes:
        sentence: what happens, in one line.
        options: the rule's further fields that it reads, with their defaults; None: must be given.
        actions: the only actions it can happen to; empty: all of its target.
    """

    sentence: str
    options: Mapping[str, float | None] = field(default_factory=dict)
    actions: tuple[str, ...] = ()


def _seconds(default: float) -> dict[str, float | None]:
    return {"seconds": default}


KINDS: Mapping[str, Mapping[str, Kind]] = {
    "directmail": {
        "throttled": Kind(
            "400 Throttling.User; with seconds it says x-acs-retry-after", _seconds(0)
        ),
        "internal-error": Kind("500 JSON InternalError, not accepted"),
        "internal-error-after": Kind("accepted, answered with 500 JSON InternalError"),
        "unavailable": Kind("503 JSON ServiceUnavailable, not accepted"),
        "unavailable-html": Kind("503 with an HTML page, not accepted"),
        "empty": Kind("accepted, answered with 200 and an empty body"),
        "html": Kind("accepted, answered with 200 and an HTML page"),
        "reset-before": Kind("connection reset, not accepted"),
        "reset-after": Kind("accepted, then the connection is reset"),
        "timeout-before": Kind("no answer for so many seconds, never accepted", _seconds(60)),
        "timeout-after": Kind("accepted, then no answer for so many seconds", _seconds(60)),
        "trickle": Kind("accepted, the answer comes byte by byte over the seconds", _seconds(10)),
        "slow": Kind("accepted, the answer is whole but so many seconds late", _seconds(1)),
        "quota": Kind("400 InvalidSendMail.Spam, as when the day's quota is used up"),
        "expired-token": Kind("400 InvalidSecurityToken.Expired"),
        "rate-limit": Kind(
            "more than per_second calls in any one second: 400 Throttling.User",
            {"per_second": None},
        ),
        "daily-quota": Kind(
            "more recipients in a day of day_seconds: 400 InvalidSendMail.Spam",
            {"recipients": None, "day_seconds": 86_400},
            ("SingleSendMail",),
        ),
    },
    "events": {
        "delayed": Kind("emitted so many seconds late", _seconds(5)),
        "reordered": Kind("emitted at a random moment of so many seconds", _seconds(1)),
        "early": Kind("emitted before the answer of its send goes out"),
        "duplicated": Kind("emitted several times", {"times": 2}),
        "lost": Kind("never emitted"),
        "header-stripped": Kind("emitted without `header`", actions=_DELIVERIES),
        "message-id-rewritten": Kind("emitted with another Message-ID"),
    },
    "smq": {
        "publish-fails": Kind("500 InternalError, not accepted", actions=_SENDS),
        "publish-lost-answer": Kind(
            "the message is accepted, then the connection is reset", actions=_SENDS
        ),
        "publish-hangs": Kind(
            "no answer for so many seconds, not accepted", _seconds(60), actions=_SENDS
        ),
        "duplicate": Kind("the message is put twice", actions=_SENDS),
        "redeliver": Kind(
            "visible again after so many seconds, while it is in work",
            _seconds(0),
            ("ReceiveMessage",),
        ),
        "down": Kind("connections are reset, for so many seconds (0: until cleared)", _seconds(0)),
    },
    "tablestore": {
        "down": Kind("connections are reset, for so many seconds (0: until cleared)", _seconds(0)),
        "slow": Kind("done so many seconds late", _seconds(1)),
        "lost-answer": Kind("done, then the connection is reset"),
        "busy": Kind("503 OTSServerBusy, not done"),
    },
}
