"""Who may call the twin: every part of a signature is checked as the gateway checks it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from alibabacloud_tea_openapi.exceptions import ClientException
from alibabacloud_tea_openapi.utils import Utils
from darabonba.request import DaraRequest

from local.account import OWNER, ROLE_SESSION_SECONDS, AccessKey
from local.twins.directmail.acs3 import TOLERANCE_SECONDS

BODY = (
    b"AccountName=noreply%40example.com&AddressType=1&ReplyToAddress=False"
    b"&Subject=Hello&TextBody=Hello&ToAddress=ann%40example.net"
)
ALGORITHM = "ACS3-HMAC-SHA256"


def headers_for(port: int, *, query: dict[str, str] | None = None, **changes: str | None) -> Any:
    """Headers for `BODY`, signed by the SDK's own signer after `changes` (None: left out)."""
    request = DaraRequest()
    request.method, request.pathname, request.query = "POST", "/", query or {}
    headers: dict[str, str | None] = {
        "host": f"127.0.0.1:{port}",
        "x-acs-action": "SingleSendMail",
        "x-acs-version": "2015-11-23",
        "x-acs-date": Utils.get_timestamp(),
        "x-acs-signature-nonce": Utils.get_nonce(),
        "x-acs-content-sha256": hashlib.sha256(BODY).hexdigest(),
        "content-type": "application/x-www-form-urlencoded",
    }
    headers.update({name.replace("_", "-"): value for name, value in changes.items()})
    request.headers = {name: value for name, value in headers.items() if value is not None}
    return request.headers | {
        "authorization": Utils.get_authorization(
            request,
            ALGORITHM,
            request.headers.get("x-acs-content-sha256", ""),
            OWNER.id,
            OWNER.secret,
        )
    }


def post(
    port: int, headers: dict[str, str], body: bytes = BODY, query: str = ""
) -> tuple[int, str]:
    """Send as is; the status, and the error code where there is one."""
    with httpx.Client(trust_env=False) as client:
        answer = client.post(f"http://127.0.0.1:{port}/{query}", headers=headers, content=body)
    return answer.status_code, answer.json().get("Code", "")


def refused(twin: Any, key: AccessKey) -> ClientException:
    """The SDK's error for a plain mail sent with this key."""
    with pytest.raises(ClientException) as refusal:
        twin.send(key)
    error = refusal.value
    assert isinstance(error, ClientException)
    assert twin.outbox.count() == 0
    return error


def test_a_request_signed_by_hand_is_accepted(shared_directmail: Any) -> None:
    """What the refusals below change was right before."""
    assert post(shared_directmail.port, headers_for(shared_directmail.port)) == (200, "")


def test_a_query_is_part_of_the_signature(shared_directmail: Any) -> None:
    """A query with reserved characters verifies as signed, and not when it is changed."""
    port = shared_directmail.port
    headers = headers_for(port, query={"OwnerId": "a b*~/é", "A": ""})
    assert post(port, headers, query="?OwnerId=a+b*~%2F%C3%A9&A=") == (200, "")
    headers = headers_for(port, query={"OwnerId": "1"})
    assert post(port, headers, query="?OwnerId=2") == (400, "SignatureDoesNotMatch")


def test_temporary_credentials_are_accepted(directmail: Any) -> None:
    """A role's key with its token signs like any other."""
    key = directmail.account.assume("send-mail")
    directmail.send(key)
    assert directmail.outbox.count() == 1


OTHER = AccessKey(id="other", secret="other")


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        (lambda key: replace(key, secret="wrong"), 400, "SignatureDoesNotMatch"),
        (lambda key: replace(key, id="unknown"), 404, "InvalidAccessKeyId.NotFound"),
        (lambda key: replace(key, token="wrong"), 400, "InvalidSecurityToken.Malformed"),
        (lambda key: replace(key, token=None), 400, "InvalidSecurityToken.Malformed"),
        (lambda key: replace(OWNER, token=key.token), 400, "InvalidSecurityToken.Malformed"),
        (lambda _: replace(OWNER, secret="wrong"), 400, "SignatureDoesNotMatch"),
    ],
)
def test_a_wrong_credential_is_refused(
    directmail: Any, change: Callable[[AccessKey], AccessKey], status: int, code: str
) -> None:
    """A wrong secret, an unknown key, and a token that is not the key's have their own codes."""
    error = refused(directmail, change(directmail.account.assume("send-mail")))
    assert (error.status_code, error.code) == (status, code)


def test_an_expired_token_is_refused(start_directmail: Callable[..., Any]) -> None:
    """A temporary key ends with its session, although its signature is right."""
    now = [time.time() - ROLE_SESSION_SECONDS]
    twin = start_directmail(clock=lambda: now[0])
    key = twin.account.assume("send-mail")
    now[0] = time.time()
    assert refused(twin, key).code == "InvalidSecurityToken.Expired"


@pytest.mark.parametrize("direction", [1, -1])
def test_a_date_counts_for_fifteen_minutes(
    start_directmail: Callable[..., Any], direction: int
) -> None:
    """A date may be fifteen minutes off, early or late, and not more."""
    now = [time.time()]
    twin = start_directmail(clock=lambda: now[0])
    headers = headers_for(twin.port)
    signed_at = int(time.time())
    now[0] = signed_at + direction * (TOLERANCE_SECONDS + 2)
    assert post(twin.port, headers) == (400, "InvalidTimeStamp.Expired")
    now[0] = signed_at + direction * (TOLERANCE_SECONDS - 2)
    assert post(twin.port, headers) == (200, "")


def test_a_nonce_counts_once(shared_directmail: Any) -> None:
    """The very same request is refused the second time."""
    headers = headers_for(shared_directmail.port)
    assert post(shared_directmail.port, headers) == (200, "")
    assert post(shared_directmail.port, headers) == (400, "SignatureNonceUsed")


def test_a_refused_request_does_not_spend_its_nonce(shared_directmail: Any) -> None:
    """A nonce is remembered only with a right signature, so that nobody can spend another's."""
    headers = headers_for(shared_directmail.port)
    forged = headers | {"authorization": headers["authorization"][:-1] + "x"}
    assert post(shared_directmail.port, forged) == (400, "SignatureDoesNotMatch")
    assert post(shared_directmail.port, headers) == (200, "")


@pytest.mark.parametrize(
    "name",
    [
        "content-type",
        "host",
        "x-acs-action",
        "x-acs-content-sha256",
        "x-acs-date",
        "x-acs-signature-nonce",
        "x-acs-version",
    ],
)
def test_every_signed_header_is_part_of_the_signature(shared_directmail: Any, name: str) -> None:
    """A header changed after signing is noticed, each by the check that it belongs to."""
    changed = {
        "host": "example.org",
        "x-acs-action": "AuthorizeFileUpload",
        "x-acs-date": Utils.get_timestamp()[:-2] + "0Z",
        "x-acs-version": "2017-06-22",
    }
    headers = headers_for(shared_directmail.port, x_acs_date=Utils.get_timestamp()[:-2] + "1Z")
    headers[name] = changed.get(name, headers[name] + "1")
    codes = {"x-acs-action": "InvalidVersion", "x-acs-version": "InvalidVersion"}
    code = codes.get(name, "SignatureDoesNotMatch")
    assert post(shared_directmail.port, headers) == (400, code)


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"x_acs_date": None}, 400, "IncompleteSignature"),
        ({"x_acs_signature_nonce": None}, 400, "IncompleteSignature"),
        ({"x_acs_signature_nonce": ""}, 400, "IncompleteSignature"),
        ({"x_acs_content_sha256": None}, 400, "IncompleteSignature"),
        ({"x_acs_content_sha256": hashlib.sha256(b"").hexdigest()}, 400, "SignatureDoesNotMatch"),
        ({"x_acs_date": "Sun, 22 Nov 2026 00:00:00 GMT"}, 400, "InvalidTimeStamp.Format"),
        ({"x_acs_date": "2015-01-01T00:00:00Z"}, 400, "InvalidTimeStamp.Expired"),
        ({"x_acs_action": None}, 404, "InvalidAction.NotFound"),
        ({"x_acs_action": "NoSuchAction"}, 404, "InvalidAction.NotFound"),
        ({"x_acs_version": None}, 400, "InvalidVersion"),
        ({"x_acs_version": "2017-06-22"}, 400, "InvalidVersion"),
    ],
)
def test_a_missing_or_wrong_part_is_refused(
    shared_directmail: Any, changes: dict[str, Any], status: int, code: str
) -> None:
    """A rightly signed request still needs every part, and the right operation and version."""
    headers = headers_for(shared_directmail.port, **changes)
    assert post(shared_directmail.port, headers) == (status, code)


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "ACS3-HMAC-SHA256",
        "ACS3-HMAC-SHA256 Credential=a,SignedHeaders=host",
        "ACS3-HMAC-SM3 Credential=a,SignedHeaders=host,Signature=b",
        "acs local-access-key:signature",
        f"{ALGORITHM} Credential={OWNER.id},SignedHeaders=host,Signature=00",
    ],
)
def test_an_authorization_that_is_not_whole_is_refused(
    shared_directmail: Any, authorization: str
) -> None:
    """Another algorithm, a missing part, and headers left unsigned make no signature."""
    headers = headers_for(shared_directmail.port) | {"authorization": authorization}
    assert post(shared_directmail.port, headers) == (400, "IncompleteSignature")


def test_a_header_added_after_signing_is_refused(shared_directmail: Any) -> None:
    """Everything that begins with x-acs- has to be signed."""
    headers = headers_for(shared_directmail.port) | {"x-acs-extra": "1"}
    assert post(shared_directmail.port, headers) == (400, "IncompleteSignature")


def test_a_body_changed_after_signing_is_refused(shared_directmail: Any) -> None:
    """The body's hash is signed."""
    headers = headers_for(shared_directmail.port)
    changed = BODY.replace(b"ann", b"bob")
    assert post(shared_directmail.port, headers, changed) == (400, "SignatureDoesNotMatch")
