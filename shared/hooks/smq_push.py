"""SMQ's pushes to an HTTP(S) endpoint: that they are SMQ's, fresh, whole, and of our topics.

    method
    Content-MD5
    Content-Type
    Date
    x-mns-…: …        (all of them, by name)
    path of the endpoint

signed SHA1withRSA; the certificate's address is in base64 in a header.
https://www.alibabacloud.com/help/en/mns/user-guide/debugging-tool-of-http-endpoints

The signature covers the body's digest and not the body, so that is taken anew. And SMQ signs for
all of its customers: the topic's owner, a signed header, has to be our account.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import datetime, timezone

from shared.hooks.pushes import Certificates, Refused
from shared.sending.letters import compact
from shared.triggers.http import Request
from shared.triggers.json_bytes import NotJson, read_json
from shared.values import dataclass

CERTIFICATE, OWNER = "x-mns-signing-cert-url", "x-mns-topic-owner"
# As for requests to SMQ, in ms.
WINDOW = 15 * 60_000
URL_MAX = 512
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DATE = re.compile(
    r"[A-Z][a-z]{2}, ([0-9]{2}) ([A-Z][a-z]{2}) ([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) GMT"
)
# Elements of a notification, and the header that each stands in where the body is the message.
_ELEMENTS = {
    "TopicOwner": OWNER,
    "TopicName": "x-mns-topic-name",
    "Subscriber": "x-mns-subscriber",
    "SubscriptionName": "x-mns-subscription-name",
    "MessageId": "x-mns-message-id",
    "MessageTag": "x-mns-message-tag",
    "PublishTime": "x-mns-publish-time",
}


@dataclass(frozen=True)
class SmqPush:
    """Verifies pushes.

    Args:
        certificates: gives the key that a push names.
        path: the endpoint's path as SMQ knows it.
        account: whose topics may push.
    """

    certificates: Certificates
    path: str
    account: str

    def read(self, request: Request, now: int) -> bytes:
        """The notification of a push that proves where it comes from.

        A SIMPLIFIED one, whose body is the message alone, comes as a notification in JSON.

        Args:
            request: the push.
            now: ms since 1970.

        Raises:
            Refused: it does not prove it.
            CertificateUntrusted: its certificate is not at an address of SMQ's.
            CertificateUnavailable: the certificate cannot be had.
        """
        headers = request.headers
        if not self.account or headers.get(OWNER) != self.account:
            raise Refused("topic-owner")
        if abs(now - read_date(headers.get("date", ""))) > WINDOW:
            raise Refused("date")
        if not is_digest(headers.get("content-md5", ""), request.body):
            raise Refused("content-md5")
        signature = _decoded(headers.get("authorization", ""), "authorization")
        address = _decoded(headers.get(CERTIFICATE, "")[:URL_MAX], "certificate")
        key = self.certificates.key("smq", address.decode("latin-1"))
        text = string_to_sign(request.method, headers, self.path)
        if not key.verify(signature, text, "SHA1"):
            raise Refused("signature")
        return notification(headers, request.body)


def string_to_sign(method: str, headers: Mapping[str, str], path: str) -> bytes:
    """What SMQ signs: header names in lower case, values as they came."""
    lines = [method, *(headers.get(name, "") for name in ("content-md5", "content-type", "date"))]
    lines += [f"{name}:{headers[name]}" for name in sorted(headers) if name.startswith("x-mns-")]
    return "\n".join([*lines, path]).encode("utf-8", "surrogatepass")


def is_digest(given: str, body: bytes) -> bool:
    """Whether that is the body's MD5: in hexadecimal, or in base64 of that or of the raw digest.

    SMQ itself has been seen with two of the three; its SDKs disagree with its documents.
    """
    digest = hashlib.md5(body, usedforsecurity=False)
    name, raw = digest.hexdigest(), digest.digest()
    forms = [name.encode(), base64.b64encode(name.encode()), base64.b64encode(raw)]
    forms.append(base64.b64encode(name.upper().encode()))
    # Hexadecimal is the same in capitals; base64 is not.
    hexadecimal = re.fullmatch("[0-9A-Fa-f]{32}", given) is not None
    told = (given.lower() if hexadecimal else given).encode("utf-8", "surrogatepass")
    return any(hmac.compare_digest(form, told) for form in forms)


def read_date(text: str) -> int:
    """An HTTP date in ms since 1970; independent of the machine's language.

    Raises:
        Refused: it is none.
    """
    found = _DATE.fullmatch(text)
    if found is None or found[2] not in _MONTHS:
        raise Refused("date")
    day, year, hour, minute, second = (int(found[group]) for group in (1, 3, 4, 5, 6))
    month = _MONTHS.index(found[2]) + 1
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc)
    except ValueError:
        raise Refused("date") from None
    return int(moment.timestamp() * 1000)


def notification(headers: Mapping[str, str], body: bytes) -> bytes:
    """The body as a notification, which also knows the message's id."""
    if body.lstrip().startswith(b"<") or _is_notification(body):
        return body
    told = {name: headers[header] for name, header in _ELEMENTS.items() if header in headers}
    return compact({**told, "Message": body.decode("utf-8", "replace")}).encode()


def _is_notification(body: bytes) -> bool:
    try:
        document = read_json(body)
    except NotJson:
        return False
    return isinstance(document, dict) and {"TopicName", "MessageId", "Message"} <= document.keys()


def _decoded(text: str, what: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(what) from None
