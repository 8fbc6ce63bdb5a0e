"""What an answer means for the mail: exactly one verdict for each, from one table.

Three questions decide: was the mail sent, whose fault is it if not, and can trying again help?
Where the provider's documentation leaves room for "perhaps it was sent", the verdict is
`unknown`: a wrong `unknown` costs a delay, a wrong `unavailable` costs the recipient a second
mail.
"""

from __future__ import annotations

from typing import Literal

from shared.sending.answers import Accepted, Answer, Broken, BrokenKind, Rejected

Verdict = Literal[
    "sent",  # the provider has it
    "refused",  # not sent; the caller's fault, trying again unchanged cannot help
    "misconfigured",  # not sent; the operator's fault, helps once the operator has mended it
    "throttled",  # not sent; too fast, helps soon
    "quota",  # not sent; the day's quota is used up, helps tomorrow
    "unavailable",  # proven not sent; helps soon
    "unknown",  # it may have been sent
]

# Error codes of SingleSendMail and of the API gateway before it.
# D1 https://www.alibabacloud.com/help/en/direct-mail/api-dm-2015-11-23-singlesendmail
# D8 https://www.alibabacloud.com/help/en/direct-mail/api-dm-2015-11-23-errorcodes
# D9 https://help.aliyun.com/zh/direct-mail/error-codes
# GW https://www.alibabacloud.com/help/en/sdk/product-overview/error-codes (all RPC products)
VERDICT_OF_CODE: dict[str, Verdict] = {
    # The caller's: recipient, content, template (D1, D8).
    "InvalidReceiverName.Malformed": "refused",
    "InvalidToAddress": "refused",
    "InvalidReceiver.NotFound": "refused",
    "InvalidToAddress.Spam": "refused",  # in the invalid-address library
    "InvalidSubject.Malformed": "refused",
    "InvalidBody": "refused",
    "InvalidFromAlias.Malformed": "refused",
    "InvalidFromALias.Malformed": "refused",  # the same, as some gateways spell it
    "InvalidFromALias": "refused",  # likewise
    "InvalidReplyAddress.Malformed": "refused",  # D9
    "InvalidReplyAddressAlias.Malformed": "refused",  # D9
    "InvalidTemplate.NotFound": "refused",
    "InvalidTemplateName.Malformed": "refused",
    "InvalidTagName.Malformed": "refused",
    "InvalidTag.NotFound": "refused",
    "EmailFormatError": "refused",
    "EmailLengthError": "refused",
    "MissingParameter": "refused",  # GW; the schema makes sure it is the mail's own
    "InvalidParameter": "refused",  # GW
    # The operator's: sender, account, permission, signature, clock (D1, D8, GW).
    "InvalidMailAddress.NotFound": "misconfigured",
    "InvalidMailAddressStatus.Malformed": "misconfigured",
    "InvalidMailAddressSendType.Malformed": "misconfigured",
    "InvalidMailAddressDomain.Malformed": "misconfigured",
    "InvalidMailAddressName.Malformed": "misconfigured",
    "InvalidIP.NotFound": "misconfigured",
    "InvalidAccessKeyId.NotFound": "misconfigured",
    "InvalidAccessKeyId.Inactive": "misconfigured",
    "SignatureDoesNotMatch": "misconfigured",
    "IncompleteSignature": "misconfigured",
    "Signature": "misconfigured",
    "InvalidTimeStamp.Expired": "misconfigured",  # the clock is off
    "InvalidTimeStamp.Format": "misconfigured",
    "InvalidSecurityToken.Expired": "misconfigured",
    "InvalidSecurityToken.Malformed": "misconfigured",
    "MissingSecurityToken": "misconfigured",
    "Forbidden": "misconfigured",
    "Forbidden.RAM": "misconfigured",
    "Forbidden.RiskControl": "misconfigured",
    "Forbidden.UserVerification": "misconfigured",
    "NoPermission": "misconfigured",
    "InvalidCredentials": "misconfigured",  # the SDK's own: none were there
    "UnsupportedOperation": "misconfigured",
    "NoSuchVersion": "misconfigured",
    "InvalidVersion": "misconfigured",
    "InvalidAction.NotFound": "misconfigured",
    "InDebt": "misconfigured",  # overdue account
    "OverDue": "misconfigured",  # likewise
    # A policy code that also stands for the daily quota and the account's state (D1): the
    # next quota day is when trying again can help, and an operator is told meanwhile.
    "InvalidSendMail.Spam": "quota",
    # Too fast (GW).
    "Throttling": "throttled",
    "Throttling.User": "throttled",
    "Throttling.Api": "throttled",
    # Proven not sent (D8: temporary; answered by the gateway before the service).
    "ServiceUnavailable": "unavailable",
    # It may have been sent: the service failed in the middle (D8), or this very request was
    # seen before, so an earlier copy of it may have been served (GW).
    "InternalError": "unknown",
    "SignatureNonceUsed": "unknown",
}

VERDICT_OF_BREAK: dict[BrokenKind, Verdict] = {
    "connect": "unavailable",
    "upload": "unavailable",
    "credentials": "misconfigured",
    "read-timeout": "unknown",
    "reset": "unknown",
    "unparsable": "unknown",
    "other": "unknown",
}

SERVER_ERRORS = 500
TOO_MANY_REQUESTS = 429
SERVICE_UNAVAILABLE = 503


def verdict_of(answer: Answer) -> Verdict:
    """Judge one answer.

    A code that the table does not have falls back on its family (`Throttling.*`, `Invalid*`) and
    then on the HTTP status; an error of the 5xx kind without a known code may have been sent.
    """
    if isinstance(answer, Accepted):
        return "sent"
    if isinstance(answer, Broken):
        return VERDICT_OF_BREAK[answer.kind]
    return _verdict_of_rejection(answer)


def _verdict_of_rejection(answer: Rejected) -> Verdict:
    known = VERDICT_OF_CODE.get(answer.code)
    if known is not None:
        return known
    if answer.code.startswith("Throttling") or answer.status == TOO_MANY_REQUESTS:
        return "throttled"
    if answer.code.startswith(("Forbidden", "InvalidAccessKeyId", "InvalidSecurityToken")):
        return "misconfigured"
    if answer.status is None or answer.status >= SERVER_ERRORS:
        # 503 with the provider's own body is proof; every other 5xx may have come after the send.
        return "unavailable" if answer.status == SERVICE_UNAVAILABLE else "unknown"
    return "refused"
