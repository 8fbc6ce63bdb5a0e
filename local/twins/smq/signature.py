"""Who sent a request: SMQ's signature, version 2.

    Authorization: MNS {AccessKeyId}:{base64(hmac-sha1(secret, string to sign))}

https://www.alibabacloud.com/help/en/mns/sign-requests
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

from local.account import AccessKey, Account
from local.twins.smq.errors import refusal

CLOCK_SKEW_SECONDS = 15 * 60
PROTOCOL_VERSION = "2015-06-06"

_AUTHORIZATION = re.compile(r"MNS ([^:\s]+):(\S+)\Z")


@dataclass(frozen=True)
class SignedRequest:
    """What of a request is signed.

    Args:
        method: in upper case.
        target: path and query as they were sent, not decoded.
        headers: names in lower case; values as they were sent, read as Latin-1.
    """

    method: str
    target: bytes
    headers: Mapping[str, str]

    def header(self, name: str) -> str | None:
        """The header's value; None when it is missing or empty."""
        return self.headers.get(name, "").strip() or None

    def string_to_sign(self) -> bytes:
        """The canonical form. `x-mns-date` stands in for a missing Date, as documented."""
        date = self.header("date") or self.header("x-mns-date")
        lines = [self.method, self.header("content-md5"), self.header("content-type"), date]
        names = sorted(name for name in self.headers if name.startswith("x-mns-"))
        lines += [f"{name}:{self.header(name) or ''}" for name in names]
        return "".join(f"{line or ''}\n" for line in lines).encode("latin-1") + self.target


def verify(request: SignedRequest, account: Account, now: float) -> AccessKey:
    """Find the key that signed the request.

    Args:
        request: what was signed.
        account: whose keys are known.
        now: seconds since 1970.

    Raises:
        SmqError: the documented refusal for what is missing, malformed, too old or wrong.
    """
    identifier, signature = _authorization(request)
    _check_version(request)
    _check_date(request, now)
    key = account.find(identifier)
    if key is None:
        raise refusal("InvalidAccessKeyId")
    text = request.string_to_sign()
    expected = base64.b64encode(hmac.digest(key.secret.encode(), text, hashlib.sha1))
    if not hmac.compare_digest(expected, signature.encode()):
        shown = text.decode("latin-1").replace("\n", "\\n")
        raise refusal("SignatureDoesNotMatch", f"String to sign: {shown}")
    # The token is no part of the signature, so it has to be compared.
    token = request.header("security-token") or ""
    if not hmac.compare_digest(token.encode(), (key.token or "").encode()):
        raise refusal("InvalidSecurityToken")
    if account.expired(key):
        raise refusal("SecurityTokenExpired")
    return key


def check_digest(given: str | None, body: bytes) -> None:
    """Refuse a Content-MD5 that is not the body's.

    The official SDKs send base64 of the hexadecimal digest, the RFC has base64 of the raw one, and
    pushes of the service carry plain hexadecimal: all three are taken.
    """
    if given is None:
        return
    digest = hashlib.md5(body, usedforsecurity=False)
    try:
        decoded = base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    hexadecimal = digest.hexdigest()
    if digest.digest() != decoded and hexadecimal not in {
        given.lower(),
        decoded.decode("latin-1").lower(),
    }:
        raise refusal("InvalidDegist")


def _authorization(request: SignedRequest) -> tuple[str, str]:
    header = request.header("authorization")
    if header is None:
        raise refusal("MissingAuthorizationHeader")
    found = _AUTHORIZATION.match(header)
    if found is None:
        raise refusal("InvalidAuthorizationHeader")
    return found[1], found[2]


def _check_version(request: SignedRequest) -> None:
    version = request.header("x-mns-version")
    if version is None:
        raise refusal("MissingVersionHeader")
    if version != PROTOCOL_VERSION:
        raise refusal("InvalidVersionHeader")


def _check_date(request: SignedRequest, now: float) -> None:
    header = request.header("date") or request.header("x-mns-date")
    if header is None:
        raise refusal("MissingDateHeader")
    try:
        date = parsedate_to_datetime(header)
        if date.tzinfo is None:  # the header says -0000: a time, but not in which zone
            date = date.replace(tzinfo=timezone.utc)
        apart = abs((date - datetime.fromtimestamp(now, timezone.utc)).total_seconds())
    except (TypeError, ValueError, IndexError, OverflowError) as error:
        raise refusal("InvalidDateHeader") from error
    if apart > CLOCK_SKEW_SECONDS:
        raise refusal("TimeExpired")
