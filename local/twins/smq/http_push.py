"""A topic's push to an HTTP(S) endpoint, signed.

https://www.alibabacloud.com/help/en/mns/user-guide/debugging-tool-of-http-endpoints
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from typing import Literal
from urllib.parse import urlsplit

from local.twins.push.key import PushKey
from local.twins.push.pusher import Pusher, PushRequest
from local.twins.smq.model import Subscription
from local.twins.smq.notification import Notification
from local.twins.smq.signature import PROTOCOL_VERSION

AGENT = "Aliyun Notification Service Agent"
DigestForm = Literal["base64-hex", "base64-raw", "hex"]


@dataclass(frozen=True)
class HttpPush:
    """Pushes notifications of subscriptions whose endpoint is a URL.

    Args:
        pusher: makes the requests.
        key: signs them.
        certificate_url: where its certificate is.
        clock: seconds since 1970.
        digest_form: how Content-MD5 is written; the service has been seen with more than one.
    """

    pusher: Pusher
    key: PushKey
    certificate_url: str
    clock: Callable[[], float]
    digest_form: DigestForm = "base64-hex"

    def __call__(self, subscription: Subscription, notification: Notification) -> None:
        """Push one notification in the background, by the subscription's strategy."""
        self.pusher.push(
            subscription.endpoint,
            subscription.notify_strategy,
            lambda: self.request(subscription, notification),
        )

    def request(self, subscription: Subscription, notification: Notification) -> PushRequest:
        """One attempt's request; each has a request id and a date of its own."""
        body = notification.render(subscription.content_format).encode()
        kind = "xml" if subscription.content_format == "XML" else "plain"
        headers = {
            "content-md5": content_md5(body, self.digest_form),
            "content-type": f"text/{kind};charset=utf-8",
            "date": formatdate(self.clock(), usegmt=True),
            **_headers(notification),
            "x-mns-signing-cert-url": base64.b64encode(self.certificate_url.encode()).decode(),
        }
        signature = self.key.sign(string_to_sign(headers, subscription.endpoint), "SHA1")
        headers["authorization"] = base64.b64encode(signature).decode()
        return PushRequest({**headers, "user-agent": AGENT}, body)


def string_to_sign(headers: Mapping[str, str], endpoint: str) -> bytes:
    """The four lines, the service's headers by name, and the endpoint's path with its query."""
    url = urlsplit(endpoint)
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    own = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers) if name[:6] == "x-mns-")
    lines = f"POST\n{headers['content-md5']}\n{headers['content-type']}\n{headers['date']}\n"
    return (lines + own + target).encode()


def content_md5(body: bytes, form: DigestForm) -> str:
    """A body's digest in one of the forms that are about."""
    digest = hashlib.md5(body, usedforsecurity=False)
    if form == "hex":
        return digest.hexdigest().upper()
    raw = digest.digest() if form == "base64-raw" else digest.hexdigest().encode()
    return base64.b64encode(raw).decode()


def _headers(notification: Notification) -> dict[str, str]:
    tag = {} if notification.tag is None else {"x-mns-message-tag": notification.tag}
    return {
        "x-mns-request-id": secrets.token_hex(12).upper(),
        "x-mns-version": PROTOCOL_VERSION,
        "x-mns-message-id": notification.message_id,
        **tag,
        "x-mns-topic-owner": notification.account,
        "x-mns-topic-name": notification.topic,
        "x-mns-subscriber": notification.account,
        "x-mns-subscription-name": notification.subscription,
        "x-mns-publish-time": str(notification.at_ms),
    }
