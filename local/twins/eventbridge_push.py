"""A rule's push to an HTTP(S) target, signed in either version.

https://help.aliyun.com/en/eventbridge/user-guide/signature-algorithm
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from local.twins.eventbridge import PushStyle, Target
from local.twins.push.key import PushKey
from local.twins.push.pusher import Pusher, PushRequest

_PREFIX = "x-eventbridge-signature"
_SECRET_BYTES = 24


@dataclass(frozen=True)
class TargetPush:
    """Pushes events to targets whose name is a URL.

    Args:
        pusher: makes the requests.
        key: signs them.
        certificate_url: where its certificate is.
        clock: seconds since 1970.
    """

    pusher: Pusher
    key: PushKey
    certificate_url: str
    clock: Callable[[], float]

    def __call__(self, target: Target, text: str) -> None:
        """Push one event in the background, by the default strategy."""
        self.pusher.push(target.name, "BACKOFF_RETRY", lambda: self.request(target, text))

    def request(self, target: Target, text: str) -> PushRequest:
        """One attempt's request, signed at this time."""
        style = target.style
        body = (f"[{text}]" if style.array else text).encode()
        ms = int(self.clock() * 1000)
        headers = {f"{_PREFIX}-timestamp": str(ms // 1000 if style.seconds else ms)}
        if style.version == 1:
            headers[f"{_PREFIX}-method"] = "HMAC-SHA1"
        else:
            headers["x-eventbridge-hash-method"] = "SHA256"
        headers |= {f"{_PREFIX}-version": "1.0", f"{_PREFIX}-url": self.certificate_url}
        if target.token:
            headers[f"{_PREFIX}-token"] = target.token
        # The headers so far are the signed ones, in their order.
        lines = [target.name, *(f"{name}: {value}" for name, value in headers.items())]
        signed = "\n".join(lines).encode() + b"\n" + body + (b"\n" if style.newline else b"")
        headers |= self._signature(style, signed)
        return PushRequest({**headers, "content-type": "application/json; charset=utf-8"}, body)

    def _signature(self, style: PushStyle, signed: bytes) -> dict[str, str]:
        if style.version != 1:
            return {f"{_PREFIX}-v2": _base64(self.key.sign(signed, "SHA256"))}
        secret = secrets.token_hex(_SECRET_BYTES // 2).encode()
        return {
            f"{_PREFIX}-secret": _base64(self.key.wrap(secret)),
            _PREFIX: _base64(hmac.digest(secret, signed, hashlib.sha1)),
        }


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
