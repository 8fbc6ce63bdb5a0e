"""How a delivery ended, in the words of its event: `status`, `err_code`, `err_msg`, `failed_type`.

The statuses and the codes are documented; of the values of `failed_type` only `SendOk` and
`SmtpNxBox` are, the others were seen in receivers' code.
https://help.aliyun.com/document_detail/44499.html
https://www.alibabacloud.com/help/en/eventbridge/user-guide/events-of-the-direct-mail-type
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

SUCCEED = "dm:Deliver:Succeed"
FAIL = "dm:Deliver:Fail"

SUCCESS, INVALID_ADDRESS, SPAM, OTHER = "0", "2", "3", "4"


@dataclass(frozen=True)
class Report:
    """The outcome of a delivery.

    Attributes:
        status: 0 success, 2 invalid address, 3 spam, 4 other failure.
        code: the remote server's code, or one of DirectMail's own (423 and up, 521 and up).
        message: the remote server's answer; `{rcpt}` stands for the recipient.
        failed_type: DirectMail's classification.
    """

    status: str
    code: str
    message: str
    failed_type: str

    @property
    def type(self) -> str:
        """The type of the event that tells it."""
        return SUCCEED if self.status == SUCCESS else FAIL


def _reports(*rows: tuple[str, str, str, str]) -> dict[str, Report]:
    return {
        failed_type: Report(status, code, f"{code} {text}", failed_type)
        for failed_type, status, code, text in rows
    }


KNOWN: Mapping[str, Report] = _reports(
    ("SendOk", SUCCESS, "250", "Send Mail OK"),
    # The address.
    ("SmtpNxBox", INVALID_ADDRESS, "554", "RCPT {rcpt} dosn't exist"),
    ("SysOutInvRcpt", INVALID_ADDRESS, "559", "Address in the invalid address library"),
    ("SysIncomingInvRcpt", INVALID_ADDRESS, "559", "Address in the invalid address library"),
    ("SysOutRcptOnAccountLevelBounceList", INVALID_ADDRESS, "563", "Address in your invalid list"),
    ("SysOutDnsResolveFail", OTHER, "524", "Host not found by dns resolve"),
    ("SmtpZPermErr", OTHER, "550", "5.7.1 Message refused"),
    # What the mail says, and what the recipient has said.
    ("SmtpContSpam", SPAM, "554", "Reject by content spam"),
    ("SmtpMiscSpam", SPAM, "554", "Reject by behaviour spam"),
    ("SysOutHoneypot", SPAM, "561", "Recipient is a honeypot"),
    ("SysOutRecipientReportedSpam", SPAM, "554", "Recipient has reported this sender"),
    ("SysOutRecipientUnsubscribed", OTHER, "554", "Recipient has unsubscribed"),
    # The sender.
    ("SmtpAuthFail", OTHER, "550", "5.7.26 Sender is not authenticated"),
    ("SmtpSpfFail", OTHER, "550", "5.7.23 SPF check failed"),
    ("SmtpDmaFail", OTHER, "550", "5.7.26 DMARC check failed"),
    ("SmtpMfBad", OTHER, "553", "MAIL FROM refused"),
    ("SmtpDbl", OTHER, "554", "Sender domain is on a block list"),
    # Too much, too fast.
    ("SmtpMfFreq", OTHER, "451", "Frequency of MAIL FROM limited"),
    ("SmtpMfdFreq", OTHER, "451", "Frequency of the sender's domain limited"),
    ("SmtpIPFreq", OTHER, "421", "Frequency of the IP limited"),
    ("SmtpRcptFreq", OTHER, "450", "Frequency of the recipient limited"),
    ("SmtpMfLimit", OTHER, "452", "Limit of MAIL FROM reached"),
    # The way there.
    ("SysOutConnError", OTHER, "427", "Connection to remote failed"),
    ("SysOutConnTooMuch", OTHER, "427", "Too many connections to remote"),
    ("SysOutSocksConnError", OTHER, "427", "Connection to proxy failed"),
    ("SysOutSocksError", OTHER, "427", "Proxy failed"),
)


def report_of(
    failed_type: str,
    *,
    code: str | None = None,
    message: str | None = None,
    status: str | None = None,
) -> Report:
    """The report of a classification, known or not, with what is to be otherwise.

    Args:
        failed_type: any text; one that is not known reads like `SmtpZPermErr`.
        code: instead of the usual one; a message that is not given begins with it.
        message: instead of the usual one.
        status: likewise.
    """
    usual = replace(KNOWN.get(failed_type, KNOWN["SmtpZPermErr"]), failed_type=failed_type)
    if message is None:
        message = usual.message.replace(usual.code, code or usual.code, 1)
    return replace(usual, status=status or usual.status, code=code or usual.code, message=message)
