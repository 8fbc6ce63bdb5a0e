"""What becomes of a mail: the recipient's local part chooses, as in other providers' simulators.

`bounce@`, `softbounce@`, `spam@`, `complaint@` and `unsubscribe@` any domain; a `+label` may
follow the word. Every other mail is delivered.

The codes are of the documentation of return codes and of the event page; the classes of
`failed_type` beyond its two examples are not official.
https://help.aliyun.com/document_detail/44499.html
https://www.alibabacloud.com/help/en/eventbridge/user-guide/events-of-the-direct-mail-type
"""

from __future__ import annotations

from dataclasses import dataclass

SUCCEED = "dm:Deliver:Succeed"
FAIL = "dm:Deliver:Fail"
COMPLAINT = "dm:Feedback:FblReport"
UNSUBSCRIBE = "dm:Feedback:UnSubscribe"


@dataclass(frozen=True)
class Report:
    """The outcome of a delivery, in the words of its event.

    Attributes:
        type: the event's type.
        status: 0 success, 2 invalid address, 3 spam, 4 other failure.
        message: the remote server's answer; `{rcpt}` stands for the recipient.
    """

    type: str
    status: str
    code: str
    message: str
    failed_type: str


# An event's kind is a key of this table, or the type of a feedback event.
REPORTS = {
    "delivered": Report(SUCCEED, "0", "250", "250 Send Mail OK", "SendOk"),
    "bounce": Report(FAIL, "2", "554", "554 RCPT {rcpt} dosn't exist", "SmtpNxBox"),
    "softbounce": Report(FAIL, "4", "427", "427 Connection to remote failed", "SysOutConnError"),
    "spam": Report(FAIL, "3", "554", "554 Reject by content spam", "SmtpContSpam"),
}
_KINDS = {
    "bounce": ("bounce",),
    "softbounce": ("softbounce",),
    "spam": ("spam",),
    "complaint": ("delivered", COMPLAINT),
    "unsubscribe": ("delivered", UNSUBSCRIBE),
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
