"""The symmetric scheme of Standard Webhooks: who may have sent this, and is it whole and fresh?

    webhook-id: msg_…                        the same for every attempt of one message
    webhook-timestamp: seconds since 1970    of this attempt
    webhook-signature: v1,<base64> v1,…      of HMAC-SHA256 over `id.timestamp.body`; any may hold

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping

from shared.hooks.pushes import Refused

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
TOLERANCE = 5 * 60_000
# Signatures of one message that are looked at: while secrets are changed there are two or three.
SIGNATURES_MAX = 16
# No full stop, as it is what the id ends with in the signed text.
_ID = re.compile(r"[!-\-/-~]{1,200}")
_TIMESTAMP = re.compile(r"[0-9]{1,12}")


def verify(headers: Mapping[str, str], body: bytes, secrets: Iterable[bytes], now: int) -> str:
    """The id of a message that one of the secrets has signed.

    Args:
        headers: names in lower case.
        body: as it came, to the byte.
        secrets: those that are valid now.
        now: ms since 1970.

    Raises:
        Refused: a header is missing or malformed, the time is too far off, or no signature holds.
    """
    identity, timestamp = headers.get(ID, ""), headers.get(TIMESTAMP, "")
    if not _ID.fullmatch(identity):
        raise Refused("id")
    if not _TIMESTAMP.fullmatch(timestamp) or abs(now - int(timestamp) * 1000) > TOLERANCE:
        raise Refused("timestamp")
    given = [
        text.encode("utf-8", "surrogatepass")
        for version, _, text in (
            each.partition(",") for each in headers.get(SIGNATURE, "").split()[:SIGNATURES_MAX]
        )
        if version == "v1"
    ]
    expected = [sign(secret, identity, timestamp, body) for secret in secrets]
    if not any(hmac.compare_digest(good, text) for good in expected for text in given):
        raise Refused("signature")
    return identity


def sign(secret: bytes, identity: str, timestamp: str, body: bytes) -> bytes:
    """The signature in base64, without its version."""
    text = f"{identity}.{timestamp}.".encode() + body
    return base64.b64encode(hmac.digest(secret, text, hashlib.sha256))
