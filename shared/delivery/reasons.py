"""Why a mail bounced, and whom that concerns: DirectMail's words and the remote host's, in ours.

Asked in this order, and the first that knows answers:

1. `failed_type`, DirectMail's classification. Only `SendOk` and `SmtpNxBox` are documented; the
   others are known from programs that receive these events.
   https://help.aliyun.com/zh/eventbridge/user-guide/events-of-the-direct-mail-type
2. For a classification that is unknown or says little: the enhanced status code in the host's
   answer (RFC 3463), the reply code where DirectMail gave it a meaning of its own, the answer's
   words. https://help.aliyun.com/document_detail/44499.html
3. `status`. It also bounds 2: where DirectMail says that the address is invalid, or that the mail
   was called spam, a word in the answer does not say otherwise.
4. The class of the reply code: 4 is temporary, 5 is permanent.

The raw words stay in the event, so that nothing is lost where this table is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from shared.delivery.causes import PERMANENT, SENDER, TEMPORARY, Cause
from shared.delivery.smtp_answers import cause_in_answer

REASONS: Mapping[str, str] = {
    "mailbox-not-found": "There is no such mailbox, or it is closed.",
    "domain-not-found": "The domain has no mail host.",
    "mailbox-full": "The mailbox takes no more for now.",
    "content-spam": "The host took this mail for spam: the content, not the address, is at fault.",
    "rate-limited": "The host takes no more from this sender or address for now.",
    "blocked-sender": "The host refuses this sender, domain or address of ours.",
    "sender-authentication": "SPF, DKIM, DMARC or the like did not hold.",
    "complaint": "The recipient has called mail of this sender spam.",
    "unsubscribed": "The recipient has unsubscribed at DirectMail.",
    "suppressed-by-provider": "DirectMail no longer sends to this address.",
    "connection": "The host could not be reached.",
    "policy": "The host refuses this kind of mail, by its size for example.",
    "other": "Another reason; the host's words may tell.",
}
# `failed_type` -> why. An `other` here says little: the host's answer is asked as well.
CLASSIFICATIONS: Mapping[str, Cause] = {
    # The address. DirectMail keeps a list of invalid addresses for all of its users, and one for
    # each account; to those it does not even try.
    "SmtpNxBox": Cause("mailbox-not-found", PERMANENT),
    "SysOutInvRcpt": Cause("suppressed-by-provider", PERMANENT),
    "SysIncomingInvRcpt": Cause("suppressed-by-provider", PERMANENT),
    "SysOutRcptOnAccountLevelBounceList": Cause("suppressed-by-provider", PERMANENT),
    "SysOutHoneypot": Cause("suppressed-by-provider", PERMANENT),  # a trap, not a person
    # 524 and 526: there is no such host. 423: the name server did not answer.
    "SysOutDnsResolveFail": Cause("domain-not-found", None),
    # What the recipient wants. DirectMail did not send.
    "SysOutRecipientReportedSpam": Cause("complaint", PERMANENT),
    "SysOutRecipientUnsubscribed": Cause("unsubscribed", PERMANENT),
    # What the mail says: another mail to the same address may well arrive.
    "SmtpContSpam": Cause("content-spam", SENDER),
    "SmtpMiscSpam": Cause("content-spam", SENDER),
    # Who sends it: every other mail of this sender fails as well, whoever gets it.
    "SmtpAuthFail": Cause("sender-authentication", SENDER),
    "SmtpSpfFail": Cause("sender-authentication", SENDER),
    "SmtpDmaFail": Cause("sender-authentication", SENDER),  # DKIM or DMARC
    "SmtpMfBad": Cause("blocked-sender", SENDER),  # the MAIL FROM
    "SmtpDbl": Cause("blocked-sender", SENDER),  # a domain block list
    # Too much at once: by MAIL FROM, its domain, the IP, the recipient.
    "SmtpMfFreq": Cause("rate-limited", TEMPORARY),
    "SmtpMfdFreq": Cause("rate-limited", TEMPORARY),
    "SmtpIPFreq": Cause("rate-limited", TEMPORARY),
    "SmtpRcptFreq": Cause("rate-limited", TEMPORARY),
    "SmtpMfLimit": Cause("rate-limited", TEMPORARY),
    # The way there.
    "SysOutConnError": Cause("connection", TEMPORARY),
    "SysOutConnTooMuch": Cause("connection", TEMPORARY),
    "SysOutSocksConnError": Cause("connection", TEMPORARY),
    "SysOutSocksError": Cause("connection", TEMPORARY),
    # "Another permanent error".
    "SmtpZPermErr": Cause("other", PERMANENT),
}

# `status` -> why, when nothing else tells. (0 is success; 4, "another failure", says nothing.)
STATUSES: Mapping[str, Cause] = {
    "2": Cause("mailbox-not-found", PERMANENT, "status"),
    "3": Cause("content-spam", SENDER, "status"),
}

_CODE = re.compile(r"[2-5]\d\d(?!\d)", re.ASCII)
_PERMANENT_CLASS = 5


def cause_of(
    classification: str | None, status: str | None, code: int | None, message: str | None
) -> Cause:
    """Why a mail bounced; total.

    Args:
        classification: `failed_type`.
        status: 2 invalid address, 3 spam, 4 another failure.
        code: the reply code.
        message: the remote host's answer.

    Returns:
        A cause whose `bounce` is told.
    """
    known = CLASSIFICATIONS.get(classification or "")
    if code is None and message and (told := _CODE.match(message)):
        code = int(told[0])
    if known is None or known.reason == "other":
        bound = STATUSES.get(status or "")
        answer = cause_in_answer(code, message or "")
        fits = answer and (bound is None or _settled(answer, code).bounce == bound.bounce)
        known = (answer if fits else None) or bound or known or Cause("other", None, "class")
    return _settled(known, code)


def _settled(cause: Cause, code: int | None) -> Cause:
    """The cause with its `bounce`: where the table leaves it open, the reply code's class tells."""
    if cause.bounce is not None:
        return cause
    # Without a code nothing is for good: a wrong suppression costs more than another try.
    lasting = code is not None and code // 100 == _PERMANENT_CLASS
    return cause._replace(bounce=PERMANENT if lasting else TEMPORARY)
