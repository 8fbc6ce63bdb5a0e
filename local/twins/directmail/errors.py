"""The errors that DirectMail and the gateway before it answer with: one table, code by code.

D1 https://www.alibabacloud.com/help/en/direct-mail/api-dm-2015-11-23-singlesendmail
D8 https://www.alibabacloud.com/help/en/direct-mail/api-dm-2015-11-23-errorcodes
D9 https://help.aliyun.com/zh/direct-mail/error-codes
GW https://www.alibabacloud.com/help/en/sdk/product-overview/v3-request-structure-and-signature
"""

from __future__ import annotations

BAD_REQUEST = 400
NOT_FOUND = 404

# code: (HTTP status, the service's own sentence)
ERRORS: dict[str, tuple[int, str]] = {
    # Before the service: the gateway of all RPC products (GW).
    "IncompleteSignature": (400, "The request signature does not conform to Aliyun standards."),
    "InvalidAccessKeyId.NotFound": (404, "Specified access key is not found."),
    "InvalidAction.NotFound": (
        404,
        "Specified api is not found, please check your url and method.",
    ),
    "InvalidParameter": (400, "The specified parameter is not valid."),
    "InvalidSecurityToken.Expired": (400, "Specified SecurityToken is expired."),
    "InvalidSecurityToken.Malformed": (400, "Specified SecurityToken is malformed."),
    "InvalidTimeStamp.Expired": (400, "Specified time stamp or date value is expired."),
    "InvalidTimeStamp.Format": (400, "Specified time stamp or date value is not well formatted."),
    "InvalidVersion": (400, "Specified parameter Version is not valid."),
    "MissingParameter": (400, "A parameter that this action needs is missing."),
    "SignatureDoesNotMatch": (400, "Specified signature does not match our calculation."),
    "SignatureNonceUsed": (400, "Specified signature nonce was used already."),
    "Throttling.User": (400, "Request was denied due to user flow control."),
    "UnsupportedOperation": (400, "The specified operation is not supported."),
    # SingleSendMail's own (D1, D8, D9).
    "EmailLengthError": (400, "The maximum length of Email is 192 characters."),
    "InvalidBody": (400, "The specified textBody or htmlBody is wrongly formed."),
    "InvalidFromAlias.Malformed": (400, "The specified fromAlias is wrongly formed."),
    "InvalidMailAddress.NotFound": (404, "The specified mailAddress does not exist."),
    "InvalidMailAddressDomain.Malformed": (
        400,
        "The specified mailAddress domain does not exist.",
    ),
    "InvalidReplyAddress.Malformed": (400, "The specified replyAddress is wrongly formed."),
    "InvalidReplyAddressAlias.Malformed": (
        400,
        "The specified replyAddressAlias is wrongly formed.",
    ),
    "InvalidSubject.Malformed": (400, "The specified subject is wrongly formed."),
    "InvalidTemplate.NotFound": (404, "The specified template does not exist."),
    "InvalidToAddress": (400, "The specified toAddress is wrongly formed."),
    # Answered on request only (local/faults/): D8, and D1 for the last.
    "InternalError": (500, "The request processing has failed due to some unknown error."),
    "ServiceUnavailable": (503, "The request has failed due to a temporary failure of the server."),
    "InvalidSendMail.Spam": (400, "This mail is rejected by the spam filter."),
    # Tags have limits in D1 but no code in any table read; these follow the names of the others.
    "InvalidTag.NotFound": (404, "The specified tag does not exist."),
    "InvalidTagName.Malformed": (400, "The specified tagName is wrongly formed."),
}


class ApiError(Exception):
    """A refusal, as the service words it; what exactly was wrong is added to its sentence.

    Args:
        code: one of `ERRORS`.
        detail: what was wrong here, as a sentence; it must not repeat a body or a secret.

    Attributes:
        status: the HTTP status that goes with the code.
    """

    def __init__(self, code: str, detail: str = "") -> None:
        self.code = code
        self.status, sentence = ERRORS[code]
        self.message = f"{sentence} {detail}".rstrip()
        super().__init__(f"{code}: {self.message}")


def refusal(code: str, message: str, request_id: str, host: str) -> dict[str, str]:
    """The JSON object of an error's answer."""
    return {
        "RequestId": request_id,
        "Message": message,
        "Recommend": "https://api.aliyun.com/troubleshoot"
        f"?q={code}&product=Dm&requestId={request_id}",
        "HostId": host,
        "Code": code,
    }
