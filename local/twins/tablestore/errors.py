"""What Tablestore refuses, with the status and the code its documentation gives.

https://www.alibabacloud.com/help/en/tablestore/developer-reference/error-codes
"""

from __future__ import annotations

_ANSWERS: dict[str, tuple[int, str]] = {
    "OTSAuthFailed": (403, "The request is not authorized."),
    "OTSConditionCheckFail": (403, "Condition check failed."),
    "OTSInternalServerError": (500, "Internal server error."),
    "OTSInvalidPK": (400, "Primary key schema mismatch."),
    "OTSMethodNotAllowed": (405, "Only POST method for requests is supported."),
    "OTSObjectAlreadyExist": (409, "Requested table already exists."),
    "OTSObjectNotExist": (404, "Requested table does not exist."),
    "OTSOutOfColumnCountLimit": (400, "The number of attribute columns exceeds the limit."),
    "OTSParameterInvalid": (400, "Invalid parameter."),
    "OTSRequestBodySizeExceed": (413, "The size of the request body exceeds the limit."),
    "OTSServerBusy": (503, "Server is busy."),
    "OTSUnsupportOperation": (400, "This operation is not supported."),
}


class TablestoreError(Exception):
    """Tablestore's answer to what it will not do.

    Args:
        code: the error code, such as `OTSConditionCheckFail`.
        detail: a sentence in place of the usual one.
    """

    def __init__(self, code: str, detail: str = "") -> None:
        self.status, words = _ANSWERS[code]
        self.code = code
        self.message = detail or words
        super().__init__(f"{code}: {self.message}")


def invalid(detail: str) -> TablestoreError:
    """A parameter that Tablestore does not take."""
    return TablestoreError("OTSParameterInvalid", detail)
