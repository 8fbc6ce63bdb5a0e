"""The check of an ACS3-HMAC-SHA256 signature, as the gateway of Alibaba Cloud's APIs does it.

https://www.alibabacloud.com/help/en/sdk/product-overview/v3-request-structure-and-signature
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from urllib.parse import parse_qsl, quote

from local.account import AccessKey, Account
from local.twins.directmail.errors import ApiError

ALGORITHM = "ACS3-HMAC-SHA256"
TOLERANCE_SECONDS = 15 * 60
REQUIRED = (
    "host",
    "x-acs-action",
    "x-acs-content-sha256",
    "x-acs-date",
    "x-acs-signature-nonce",
    "x-acs-version",
)

_AUTHORIZATION = re.compile(
    rf"{ALGORITHM} +Credential=([^,\s]+),\s*SignedHeaders=([^,\s]+),\s*Signature=([^,\s]+)"
)


@dataclass(frozen=True)
class SignedRequest:
    """One HTTP request, as it came in: the path and the query are still encoded."""

    method: str
    path: str
    query: str
    headers: dict[str, str]  # names in lower case; repeats joined as the canonical form joins them
    body: bytes


def join_headers(raw: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers of the wire by lower-case name; the values of a repeated one sorted and joined."""
    values: dict[str, list[str]] = {}
    for name, value in raw:
        values.setdefault(name.decode("latin-1").lower(), []).append(
            value.decode("latin-1").strip()
        )
    return {name: ",".join(sorted(several)) for name, several in values.items()}


class Verifier:
    """Verifies signatures against the local account and remembers the nonces it has seen.

    Args:
        account: where the keys are.
        clock: seconds since 1970.
    """

    def __init__(self, account: Account, clock: Callable[[], float]) -> None:
        self._account = account
        self._clock = clock
        self._nonces: dict[tuple[str, str], float] = {}

    def verify(self, request: SignedRequest) -> AccessKey:
        """The key that signed the request.

        Raises:
            ApiError: the signature, or something it stands for, does not hold.
        """
        headers = request.headers
        key_id, signed, signature = _authorization(headers)
        signed_at = self._date(headers["x-acs-date"])
        key = self._account.find(key_id)
        if key is None:
            raise ApiError("InvalidAccessKeyId.NotFound")
        self._check_token(key, headers.get("x-acs-security-token"))
        if not hmac.compare_digest(_sign(request, signed, key.secret), signature.encode()):
            raise ApiError("SignatureDoesNotMatch")
        self._spend((key.id, headers["x-acs-signature-nonce"]), signed_at)
        return key

    def _date(self, text: str) -> float:
        try:
            at = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
        except ValueError:
            raise ApiError("InvalidTimeStamp.Format") from None
        if abs(at.timestamp() - self._clock()) > TOLERANCE_SECONDS:
            raise ApiError("InvalidTimeStamp.Expired")
        return at.timestamp()

    def _check_token(self, key: AccessKey, token: str | None) -> None:
        expected = (key.token or "").encode()
        if not hmac.compare_digest(expected, (token or "").encode()):
            raise ApiError("InvalidSecurityToken.Malformed")
        if self._account.expired(key):
            raise ApiError("InvalidSecurityToken.Expired")

    def _spend(self, nonce: tuple[str, str], signed_at: float) -> None:
        now = self._clock()
        while self._nonces:
            oldest = next(iter(self._nonces))
            if self._nonces[oldest] > now:
                break
            del self._nonces[oldest]
        if nonce in self._nonces:
            raise ApiError("SignatureNonceUsed")
        # Afterwards the date itself is refused.
        self._nonces[nonce] = signed_at + TOLERANCE_SECONDS + 1


def _authorization(headers: dict[str, str]) -> tuple[str, list[str], str]:
    match = _AUTHORIZATION.fullmatch(headers.get("authorization", ""))
    if match is None:
        raise ApiError("IncompleteSignature", f"Authorization must be {ALGORITHM} with its parts.")
    signed = match[2].split(";")
    # The rule of the documentation: host, content-type and everything that is x-acs-.
    wanted = [*REQUIRED, *(n for n in headers if n == "content-type" or n.startswith("x-acs-"))]
    for name in wanted:
        if not headers.get(name):
            raise ApiError("IncompleteSignature", f"The header {name} is missing.")
        if name not in signed:
            raise ApiError("IncompleteSignature", f"The header {name} is not signed.")
    return match[1], signed, match[3]


def _sign(request: SignedRequest, signed: list[str], secret: str) -> bytes:
    # The body is hashed here and not believed: x-acs-content-sha256 is one of the signed headers,
    # so a header that says otherwise makes another canonical request as well.
    body_hash = hashlib.sha256(request.body).hexdigest()
    if request.headers["x-acs-content-sha256"].lower() != body_hash:
        raise ApiError("SignatureDoesNotMatch", "x-acs-content-sha256 is not the body's.")
    headers = "".join(f"{name}:{request.headers.get(name, '')}\n" for name in sorted(signed))
    canonical = "\n".join(
        (
            request.method,
            request.path,
            _canonical_query(request.query),
            headers,
            ";".join(signed),
            body_hash,
        )
    )
    hashed = hashlib.sha256(canonical.encode("latin-1")).hexdigest()
    text = f"{ALGORITHM}\n{hashed}"
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest().encode()


def _canonical_query(query: str) -> str:
    pairs = sorted(parse_qsl(query, keep_blank_values=True, errors="surrogateescape"))
    return "&".join(f"{_quote(name)}={_quote(value)}" for name, value in pairs)


def _quote(text: str) -> str:
    return quote(text, safe="~", errors="surrogateescape")
