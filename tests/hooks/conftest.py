"""Pushes as the twins sign them, and keys, queues and forwarders to hand in."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from local.account import ACCOUNT_ID
from local.activity import Activity
from local.twins.eventbridge import PushStyle, Target
from local.twins.eventbridge_push import TargetPush
from local.twins.push.key import PushKey, push_key
from local.twins.push.pusher import Pusher, PushRequest
from local.twins.smq.http_push import DigestForm, HttpPush, string_to_sign
from local.twins.smq.model import Subscription
from local.twins.smq.notification import Notification
from shared.cloud.certificates import Certificates
from shared.cloud.rsa import RsaKey, read_certificate
from shared.errors import QueueUnavailable
from shared.hooks.eventbridge_push import EventBridgePush
from shared.hooks.smq_push import SmqPush
from shared.triggers.context import Invocation
from shared.triggers.events import ArrivedEvent
from shared.triggers.http import Request

NOW = 1_790_000_000_000
REGION = "cn-hangzhou"
SMQ_CERTIFICATE = "https://mnstest.oss-cn-hangzhou.aliyuncs.com/x509_public_certificate.pem"
EVENTBRIDGE_CERTIFICATE = (
    "https://cn-hangzhou-eventbridge.oss-accelerate.aliyuncs.com/x509_public_certificate_prod_1.pem"
)
URL = "https://mail.example.com/postbus"
TOKEN = "the-token-of-our-target"
EVENT = '{"id": "e-1", "source": "acs.dm", "type": "dm:Deliver:Succeed", "data": {"x": "世界"}}'


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> PushKey:
    """The key that pushes are signed with."""
    return push_key(tmp_path_factory.mktemp("key"))


@pytest.fixture(scope="session")
def other_key(tmp_path_factory: pytest.TempPathFactory) -> PushKey:
    """Somebody else's."""
    return push_key(tmp_path_factory.mktemp("other-key"))


@dataclass
class Fetches:
    """What is at every address, and which addresses were fetched."""

    certificate: bytes
    seen: list[str] = field(default_factory=list)

    def __call__(self, url: str) -> bytes:
        """Fetch."""
        self.seen.append(url)
        return self.certificate


@pytest.fixture
def fetches(key: PushKey) -> Fetches:
    """The certificate of `key`, wherever somebody looks."""
    return Fetches(key.certificate)


@pytest.fixture
def certificates(fetches: Fetches) -> Certificates:
    """The real ones, over a network that is not there."""
    return Certificates(REGION, (), fetches)


@pytest.fixture
def smq(certificates: Certificates) -> SmqPush:
    """Verifies pushes of our account's topics."""
    return SmqPush(certificates, "/postbus/push/smq", ACCOUNT_ID)


@pytest.fixture
def eventbridge(certificates: Certificates) -> EventBridgePush:
    """Verifies pushes to our target."""
    return EventBridgePush(certificates, URL + "/push/eventbridge", TOKEN)


def smq_push(  # noqa: PLR0917  # what a test may want otherwise
    key: PushKey,
    body: str = EVENT,
    content_format: str = "SIMPLIFIED",
    digest_form: DigestForm = "base64-hex",
    certificate: str = SMQ_CERTIFICATE,
    account: str = ACCOUNT_ID,
    tag: str | None = None,
) -> Request:
    """A push as SMQ makes it."""
    subscription = Subscription(
        *("webhooks", URL + "/push/smq", "", content_format, None, "BACKOFF_RETRY", 0, 0)
    )
    notification = Notification(account, "events", "webhooks", "M-1", body, tag, NOW - 1_000)
    push = HttpPush(_pusher(), key, certificate, lambda: NOW / 1000, digest_form)
    return arrived(push.request(subscription, notification), "/push/smq")


def eventbridge_push(
    key: PushKey,
    style: PushStyle | None = None,
    *,
    certificate: str = EVENTBRIDGE_CERTIFICATE,
    token: str = TOKEN,
    at: int = NOW,
) -> Request:
    """A push as EventBridge makes it."""
    target = Target("https", URL + "/push/eventbridge", token=token, style=style or PushStyle())
    push = TargetPush(_pusher(), key, certificate, lambda: at / 1000)
    return arrived(push.request(target, EVENT), "/push/eventbridge")


def arrived(push: PushRequest, path: str) -> Request:
    """A push as the function gets it."""
    return Request("POST", path, dict(push.headers), {}, push.body)


def resigned(request: Request, key: PushKey, changed: Mapping[str, str]) -> Request:
    """The same push of SMQ's with other headers, signed anew."""
    headers = {**request.headers, **changed}
    signature = key.sign(string_to_sign(headers, URL + "/push/smq"), "SHA1")
    headers["authorization"] = base64.b64encode(signature).decode()
    return Request(request.method, request.path, headers, {}, request.body)


def _pusher() -> Pusher:
    return Pusher(Activity(), lambda _: iter(()))


@dataclass
class FixedKeys:
    """Gives one key for every address."""

    key_: PushKey

    def key(self, _sender: str, _url: str) -> RsaKey:
        """The key."""
        return read_certificate(self.key_.certificate)


@dataclass
class Forwards:
    """A forwarder that notes what it gets, or fails."""

    failure: Exception | None = None
    got: list[ArrivedEvent] = field(default_factory=list)

    def forward_all(self, events: Sequence[ArrivedEvent], _call: Invocation) -> dict[str, int]:
        """Forward."""
        if self.failure is not None:
            raise self.failure
        self.got += events
        return {"delivered": len(events)}


@dataclass
class EventQueue:
    """A queue that notes what it gets, or fails."""

    down: bool = False
    got: list[str] = field(default_factory=list)

    def defer(self, event: str, delay: int) -> str:
        """Put an event on the queue."""
        assert delay == 0
        if self.down:
            raise QueueUnavailable("down")
        self.got.append(event)
        return "M-2"


def at_once(work: Callable[[], Any], timeout_ms: int) -> Any:
    """Runs a call as `AtMost` does, in this thread."""
    assert 0 < timeout_ms <= 4_500
    return work()


def call(now: int = NOW) -> Invocation:
    """An invocation at a time that stands still."""
    return Invocation("r-1", "webhooks", now + 10_000, None, lambda: now)
