"""Each answer has exactly one verdict."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.sending.answers import Accepted, Broken, BrokenKind, Rejected
from shared.sending.verdicts import VERDICT_OF_BREAK, VERDICT_OF_CODE, Verdict, verdict_of

# Each documented code, told once more and in other words: whose fault, and can repeating help?
CODES: dict[Verdict, str] = {
    "refused": """
        InvalidReceiverName.Malformed InvalidToAddress InvalidReceiver.NotFound
        InvalidToAddress.Spam InvalidSubject.Malformed InvalidBody InvalidFromAlias.Malformed
        InvalidFromALias.Malformed InvalidFromALias InvalidReplyAddress.Malformed
        InvalidReplyAddressAlias.Malformed InvalidTemplate.NotFound InvalidTemplateName.Malformed
        InvalidTagName.Malformed InvalidTag.NotFound EmailFormatError EmailLengthError
        MissingParameter InvalidParameter
    """,
    "misconfigured": """
        InvalidMailAddress.NotFound InvalidMailAddressStatus.Malformed
        InvalidMailAddressSendType.Malformed InvalidMailAddressDomain.Malformed
        InvalidMailAddressName.Malformed InvalidIP.NotFound InvalidAccessKeyId.NotFound
        InvalidAccessKeyId.Inactive SignatureDoesNotMatch IncompleteSignature Signature
        InvalidTimeStamp.Expired InvalidTimeStamp.Format InvalidSecurityToken.Expired
        InvalidSecurityToken.Malformed
        MissingSecurityToken Forbidden Forbidden.RAM Forbidden.RiskControl
        Forbidden.UserVerification NoPermission InvalidCredentials UnsupportedOperation
        NoSuchVersion InvalidVersion InvalidAction.NotFound InDebt OverDue
    """,
    "quota": "InvalidSendMail.Spam",
    "throttled": "Throttling Throttling.User Throttling.Api",
    "unavailable": "ServiceUnavailable",
    "unknown": "InternalError SignatureNonceUsed",
}
EXPECTED = {code: verdict for verdict, codes in CODES.items() for code in codes.split()}
STATUSES = (None, 200, 400, 403, 404, 429, 500, 502, 503, 504)


def test_every_code_is_in_this_table() -> None:
    """A code that is added to the product is added here, too."""
    assert EXPECTED.keys() == VERDICT_OF_CODE.keys()


@pytest.mark.parametrize(("code", "verdict"), EXPECTED.items())
def test_a_known_code(code: str, verdict: Verdict) -> None:
    """A known code decides, whatever HTTP status a gateway put on it."""
    assert {verdict_of(Rejected(code, status)) for status in STATUSES} == {verdict}


@pytest.mark.parametrize(
    ("code", "status", "verdict"),
    [
        # Families of codes.
        ("Throttling.Day", 400, "throttled"),
        ("Throttling.Day", 503, "throttled"),
        ("Forbidden.Other", 403, "misconfigured"),
        ("Forbidden.Other", 500, "misconfigured"),
        ("InvalidAccessKeyId.Other", 400, "misconfigured"),
        ("InvalidSecurityToken.Other", 400, "misconfigured"),
        ("InvalidOther.Malformed", 400, "refused"),
        # By status, where the code says nothing.
        ("Other", 200, "refused"),
        ("Other", 400, "refused"),
        ("Other", 404, "refused"),
        ("Other", 429, "throttled"),
        ("Other", 499, "refused"),
        ("Other", 500, "unknown"),
        ("Other", 502, "unknown"),
        ("Other", 503, "unavailable"),
        ("Other", 504, "unknown"),
        ("Other", None, "unknown"),
        ("InvalidOther", 500, "unknown"),
        ("", 400, "refused"),
        ("", None, "unknown"),
        # Codes are compared as they are: another case is another code.
        ("throttling.user", 400, "refused"),
        ("internalerror", 500, "unknown"),
    ],
)
def test_an_unknown_code(code: str, status: int | None, verdict: Verdict) -> None:
    """An unknown code falls back on its family, then on the status; 5xx may have been sent."""
    assert verdict_of(Rejected(code, status)) == verdict


@pytest.mark.parametrize(
    ("kind", "verdict"),
    [
        ("connect", "unavailable"),
        ("upload", "unavailable"),
        ("credentials", "misconfigured"),
        ("read-timeout", "unknown"),
        ("reset", "unknown"),
        ("unparsable", "unknown"),
        ("other", "unknown"),
    ],
)
def test_a_break(kind: BrokenKind, verdict: Verdict) -> None:
    """Without an answer, a mail counts as not sent only where that is proven."""
    assert verdict_of(Broken(kind)) == verdict


def test_every_break_has_a_verdict() -> None:
    """There is no break without a verdict."""
    assert VERDICT_OF_BREAK.keys() == set(get_args(BrokenKind))


@pytest.mark.parametrize("request_id", ["req-1", None])
def test_an_acceptance(request_id: str | None) -> None:
    """An EnvId is a send."""
    assert verdict_of(Accepted("env-1", request_id)) == "sent"


@given(st.text(), st.one_of(st.none(), st.integers(0, 999)))
def test_every_rejection_has_a_verdict(code: str, status: int | None) -> None:
    """Whatever a gateway makes up, there is a verdict, and never `sent`."""
    verdict = verdict_of(Rejected(code, status))
    assert verdict in get_args(Verdict)
    assert verdict != "sent"
