"""EventBridge's pushes to an HTTP(S) target: that they are EventBridge's, fresh, and for us.

Two signatures are about. Version 1: HMAC-SHA1 with a secret that EventBridge's private key has
wrapped. Version 2: SHA256withRSA. Both are over the same lines:

    the target's URL, as configured there
    x-eventbridge-signature-timestamp: …
    x-eventbridge-signature-method: HMAC-SHA1     (version 2: x-eventbridge-hash-method: SHA256)
    x-eventbridge-signature-version: …
    x-eventbridge-signature-url: …
    x-eventbridge-signature-token: …
    the body

The reference code of version 1 has a line break after the body, the documents have none; either is
taken. https://help.aliyun.com/en/eventbridge/user-guide/signature-algorithm

EventBridge signs for all of its customers, and a customer's rule may push whatever it likes to
whatever URL. So the signature alone says nothing about *whose* event it is: that is said by the
token, which only our own target knows.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import field

from shared.hooks.pushes import Certificates, PublicKey, Refused
from shared.triggers.http import Request
from shared.values import dataclass

PREFIX = "x-eventbridge-signature"
SIGNATURE, SIGNATURE_V2, WRAPPED_SECRET = PREFIX, f"{PREFIX}-v2", f"{PREFIX}-secret"
TIMESTAMP, TOKEN, CERTIFICATE = f"{PREFIX}-timestamp", f"{PREFIX}-token", f"{PREFIX}-url"
VERSION, METHOD, METHOD_V2 = f"{PREFIX}-version", f"{PREFIX}-method", "x-eventbridge-hash-method"

# The documented window, in ms. A time is in ms; what could only be one in seconds is read as such.
WINDOW = 60_000
DIGITS_MAX = 16
SECONDS_BELOW = 100_000_000_000


@dataclass(frozen=True)
class EventBridgePush:
    """Verifies pushes.

    Args:
        certificates: gives the key that a push names.
        url: the target's URL as it is configured at EventBridge; behind a proxy a request itself
            does not know it.
        token: what our target sends along.
    """

    certificates: Certificates
    url: str
    token: str = field(repr=False)

    def read(self, request: Request, now: int) -> bytes:
        """The event, or the array of events, of a push that proves where it comes from.

        Args:
            request: the push.
            now: ms since 1970.

        Raises:
            Refused: it does not prove it.
            CertificateUntrusted: its certificate is not at EventBridge's address.
            CertificateUnavailable: the certificate cannot be had.
        """
        headers = request.headers
        # Before anything is fetched: who does not know the token causes nothing.
        token = headers.get(TOKEN, "").encode("utf-8", "surrogatepass")
        if not hmac.compare_digest(token, self.token.encode()):
            raise Refused("token")
        if abs(now - _milliseconds(headers.get(TIMESTAMP, ""))) > WINDOW:
            raise Refused("timestamp")
        second = SIGNATURE_V2 in headers
        method, expected = (METHOD_V2, "SHA256") if second else (METHOD, "HMAC-SHA1")
        if headers.get(method, "").upper() != expected:
            raise Refused("method")
        signature = _decoded(headers.get(SIGNATURE_V2 if second else SIGNATURE, ""), "signature")
        key = self.certificates.key("eventbridge", headers.get(CERTIFICATE, ""))
        texts = self._texts(headers, method, request.body)
        verify = _verify_second if second else _verify_first
        if not verify(key, headers, signature, texts):
            raise Refused("signature")
        return request.body

    def _texts(self, headers: Mapping[str, str], method: str, body: bytes) -> list[bytes]:
        """What may have been signed: without and with the line break at the end."""
        names = (TIMESTAMP, method, VERSION, CERTIFICATE, TOKEN)
        lines = [self.url, *(f"{name}: {headers[name]}" for name in names if name in headers)]
        text = "\n".join(lines).encode("utf-8", "surrogatepass") + b"\n" + body
        return [text, text + b"\n"]


def _verify_first(
    key: PublicKey, headers: Mapping[str, str], signature: bytes, texts: list[bytes]
) -> bool:
    secret = key.recover(_decoded(headers.get(WRAPPED_SECRET, ""), "secret"))
    if not secret:
        raise Refused("secret")
    digests = [hmac.digest(secret, text, hashlib.sha1) for text in texts]
    return any(hmac.compare_digest(digest, signature) for digest in digests)


def _verify_second(
    key: PublicKey, _headers: Mapping[str, str], signature: bytes, texts: list[bytes]
) -> bool:
    return any(key.verify(signature, text, "SHA256") for text in texts)


def _milliseconds(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > DIGITS_MAX:
        raise Refused("timestamp")
    value = int(text)
    return value * 1000 if value < SECONDS_BELOW else value


def _decoded(text: str, what: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(what) from None
