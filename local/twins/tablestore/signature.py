"""Who sent a request, and the proof that the answer is the twin's: signatures V2 and V4.

    x-ots-signature:   base64(hmac-sha1(secret, string to sign))
    x-ots-signaturev4: base64(hmac-sha256(key of the day and region, string to sign + "ots"))

The string to sign is path, method, query and the sorted `x-ots-` headers. An answer is signed over
its own headers and the path, with HMAC-SHA1 and the same key. (As the official SDK does it.)
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone

from local.account import AccessKey, Account
from local.twins.tablestore.errors import TablestoreError

CLOCK_SKEW_SECONDS = 15 * 60
API_VERSION = "2015-12-31"
_SIGNATURES = ("x-ots-signature", "x-ots-signaturev4")


@dataclass(frozen=True)
class Signer:
    """Who signed a request, and with what its answer is signed."""

    key: AccessKey
    secret: bytes

    def sign_answer(self, path: str, headers: Mapping[str, str]) -> str:
        """The `Authorization` header of an answer with these headers."""
        text = f"{_listed(headers)}\n{path}".encode()
        return f"OTS {self.key.id}:{_base64(hmac.digest(self.secret, text, hashlib.sha1))}"


def verify(
    path: str, headers: Mapping[str, str], body: bytes, account: Account, now: float
) -> Signer:
    """Find out who signed the request.

    Args:
        path: as it was sent, such as `/PutRow`.
        headers: names in lower case.
        body: whose digest is among the headers.
        account: whose keys are known.
        now: seconds since 1970.

    Raises:
        TablestoreError: `OTSAuthFailed` for what is wrong, missing or too old.
    """
    _check_headers(headers, body)
    _check_date(headers["x-ots-date"], now)
    key = account.find(headers["x-ots-accesskeyid"])
    if key is None:
        raise _refused("The AccessKeyID does not exist.")
    signer = Signer(key, _secret(key, headers))
    text = f"{path}\nPOST\n\n{_listed(headers)}\n"
    if "x-ots-signaturev4" in headers:
        expected = _base64(hmac.digest(signer.secret, f"{text}ots".encode(), hashlib.sha256))
        given = headers["x-ots-signaturev4"]
    else:
        expected = _base64(hmac.digest(signer.secret, text.encode(), hashlib.sha1))
        given = headers.get("x-ots-signature", "")
    if not hmac.compare_digest(expected.encode(), given.encode()):
        raise _refused("Signature mismatch.")
    if not hmac.compare_digest(
        headers.get("x-ots-ststoken", "").encode(), (key.token or "").encode()
    ):
        raise _refused("The STS token is invalid.")
    if account.expired(key):
        raise _refused("The STS token has expired.")
    return signer


def _secret(key: AccessKey, headers: Mapping[str, str]) -> bytes:
    if "x-ots-signaturev4" not in headers:
        return key.secret.encode()
    derived = f"aliyun_v4{key.secret}".encode()
    parts = (headers.get("x-ots-signdate", ""), headers.get("x-ots-signregion", ""))
    for part in (*parts, "ots", "aliyun_v4_request"):
        derived = hmac.digest(derived, part.encode(), hashlib.sha256)
    return base64.b64encode(derived)


def _check_headers(headers: Mapping[str, str], body: bytes) -> None:
    needed = ("accesskeyid", "apiversion", "contentmd5", "date", "instancename")
    missing = [name for name in needed if not headers.get(f"x-ots-{name}")]
    if missing:
        raise TablestoreError("OTSParameterInvalid", f"Missing header: x-ots-{missing[0]}.")
    if headers["x-ots-apiversion"] != API_VERSION:
        raise TablestoreError("OTSParameterInvalid", "Invalid API version.")
    digest = hashlib.md5(body, usedforsecurity=False).digest()
    if headers["x-ots-contentmd5"] != _base64(digest):
        raise _refused("Mismatch between MD5 value of request body and x-ots-contentmd5 in header.")


def _check_date(text: str, now: float) -> None:
    try:
        date = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
    except ValueError:
        raise TablestoreError("OTSParameterInvalid", "Invalid date format.") from None
    if abs(date.timestamp() - now) > CLOCK_SKEW_SECONDS:
        raise _refused("Mismatch between system time and x-ots-date.")


def _listed(headers: Mapping[str, str]) -> str:
    return "\n".join(
        sorted(
            f"{name}:{value.strip()}"
            for name, value in headers.items()
            if name.startswith("x-ots-") and name not in _SIGNATURES
        )
    )


def _refused(why: str) -> TablestoreError:
    return TablestoreError("OTSAuthFailed", why)


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
