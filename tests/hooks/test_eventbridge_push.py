"""EventBridge's pushes: both signatures, both endings, and that nothing tampered with is taken."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.twins.eventbridge import PushStyle
from local.twins.push.key import PushKey
from shared.errors import CertificateUntrusted
from shared.hooks.eventbridge_push import EventBridgePush
from shared.hooks.pushes import Refused
from shared.triggers.http import Request
from tests.cloud.hostile import HOSTILE_EVENTBRIDGE
from tests.hooks.conftest import NOW, TOKEN, URL, Fetches, FixedKeys, eventbridge_push

PREFIX = "x-eventbridge-signature"
STYLES = [
    PushStyle(1 if first else 2, newline, array, seconds)
    for first, newline, array, seconds in product((False, True), repeat=4)
]


@pytest.mark.parametrize("style", STYLES)
def test_a_signed_push_is_taken(
    eventbridge: EventBridgePush, key: PushKey, style: PushStyle
) -> None:
    """Both versions, with and without the last line break, one event or many, ms or seconds."""
    request = eventbridge_push(key, style)
    assert eventbridge.read(request, NOW) == request.body
    assert request.body.startswith(b"[" if style.array else b"{")


def _with(request: Request, **headers: str) -> Request:
    named = {f"{PREFIX}-{name}" if name else PREFIX: value for name, value in headers.items()}
    return replace(request, headers={**request.headers, **named})


def _without(request: Request, name: str) -> Request:
    return replace(request, headers={k: v for k, v in request.headers.items() if k != name})


def _signature(request: Request) -> str:
    return f"{PREFIX}-v2" if f"{PREFIX}-v2" in request.headers else PREFIX


def _certificate(name: str) -> str:
    return f"https://cn-hangzhou-eventbridge.oss-accelerate.aliyuncs.com/x509_public_certificate_{name}.pem"


# The seven parts of a push, and what somebody on the way might make of each.
TAMPERED: dict[str, Callable[[Request], Request]] = {
    "body": lambda r: replace(r, body=r.body.replace(b"e-1", b"e-2")),
    "timestamp": lambda r: _with(r, timestamp=str(NOW + 1)),
    "method": lambda r: replace(
        r, headers={k: v.replace("SHA", "MD") for k, v in r.headers.items()}
    ),
    "version": lambda r: _with(r, version="9.0"),
    "certificate": lambda r: _with(r, url=_certificate("other")),
    "token": lambda r: _with(r, token=TOKEN + "x"),
    "signature": lambda r: replace(
        r, headers={**r.headers, _signature(r): base64.b64encode(bytes(256)).decode()}
    ),
}


@pytest.mark.parametrize("part", TAMPERED)
@pytest.mark.parametrize("version", [1, 2])
def test_each_tampered_part_is_refused(
    eventbridge: EventBridgePush, key: PushKey, version: int, part: str
) -> None:
    """Body, time, method, version, certificate, token and signature all count, in both versions."""
    request = eventbridge_push(key, PushStyle(1 if version == 1 else 2))
    assert eventbridge.read(request, NOW)
    with pytest.raises(Refused):
        eventbridge.read(TAMPERED[part](request), NOW)


@pytest.mark.parametrize("version", [1, 2])
def test_a_push_to_another_address_is_refused(
    eventbridge: EventBridgePush, key: PushKey, version: int
) -> None:
    """The URL is signed: what was meant for somebody else is not for us."""
    request = eventbridge_push(key, PushStyle(1 if version == 1 else 2))
    for url in (URL, URL + "/push/eventbridge/", "https://evil.example/push/eventbridge"):
        with pytest.raises(Refused, match="signature"):
            replace(eventbridge, url=url).read(request, NOW)


@pytest.mark.parametrize("version", [1, 2])
def test_somebody_elses_signature_is_refused(
    eventbridge: EventBridgePush, other_key: PushKey, version: int
) -> None:
    """The certificate that the push names is not of that key."""
    with pytest.raises(Refused, match=r"signature|secret"):
        eventbridge.read(eventbridge_push(other_key, PushStyle(1 if version == 1 else 2)), NOW)


def test_a_secret_of_ones_own_signs_nothing(eventbridge: EventBridgePush, key: PushKey) -> None:
    """Version 1 rests on the wrapping: an empty or unwrapped secret is none."""
    request = eventbridge_push(key, PushStyle(1))
    for secret in (b"", b"mine", bytes(256), b"\x00\x01" + b"\xff" * 249 + b"\x00mine"):
        forged = _with(
            request,
            secret=base64.b64encode(secret).decode(),
        )
        digest = hmac.digest(b"mine", request.body, hashlib.sha1)
        forged = replace(
            forged, headers={**forged.headers, PREFIX: base64.b64encode(digest).decode()}
        )
        with pytest.raises(Refused, match=r"secret|signature"):
            eventbridge.read(forged, NOW)


def test_a_wrapped_nothing_is_no_secret(eventbridge: EventBridgePush, key: PushKey) -> None:
    """Everybody knows the empty secret."""
    wrapped = base64.b64encode(key.wrap(b"")).decode()
    with pytest.raises(Refused, match="secret"):
        eventbridge.read(_with(eventbridge_push(key, PushStyle(1)), secret=wrapped), NOW)


@pytest.mark.parametrize("token", ["", "x", TOKEN[:-1], TOKEN.upper()])
def test_a_push_of_another_customer_is_refused_before_anything_is_fetched(
    eventbridge: EventBridgePush, key: PushKey, token: str, fetches: Fetches
) -> None:
    """EventBridge signs for all of its customers; ours is known by the token."""
    with pytest.raises(Refused, match="token"):
        eventbridge.read(eventbridge_push(key, token=token), NOW)
    assert fetches.seen == []


@pytest.mark.parametrize("seconds", [False, True])
@pytest.mark.parametrize("side", [-1, 1])
def test_the_time_has_a_window(
    eventbridge: EventBridgePush, key: PushKey, side: int, *, seconds: bool
) -> None:
    """A minute to either side, whether it is told in ms or in seconds."""
    request = eventbridge_push(key, PushStyle(seconds=seconds))
    assert eventbridge.read(request, NOW + side * 60_000)
    with pytest.raises(Refused, match="timestamp"):
        eventbridge.read(request, NOW + side * 60_001)


def test_hostile_certificate_addresses_are_refused(
    eventbridge: EventBridgePush, key: PushKey, fetches: Fetches
) -> None:
    """At least 30 of them, each with a signature that would hold; nothing is fetched."""
    assert len(set(HOSTILE_EVENTBRIDGE)) >= 30
    for url in HOSTILE_EVENTBRIDGE:
        with pytest.raises(CertificateUntrusted):
            eventbridge.read(eventbridge_push(key, certificate=url), NOW)
    assert fetches.seen == []


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("name", ["timestamp", "version", "url", "token", "secret", ""])
def test_a_missing_header_is_refused(
    eventbridge: EventBridgePush, key: PushKey, version: int, name: str
) -> None:
    """Without any of these nothing is proved; version 2 has no secret."""
    request = eventbridge_push(key, PushStyle(1 if version == 1 else 2))
    dropped = _without(request, f"{PREFIX}-{name}" if name else _signature(request))
    if version == 2 and name == "secret":
        assert eventbridge.read(dropped, NOW)
        return
    with pytest.raises((Refused, CertificateUntrusted)):
        eventbridge.read(dropped, NOW)


HEADERS = (
    *(f"{PREFIX}{name}" for name in ("", "-v2", "-secret", "-timestamp", "-version", "-url")),
    *(f"{PREFIX}-method", "x-eventbridge-hash-method"),
)


@given(headers=st.dictionaries(st.sampled_from(HEADERS), st.text()), body=st.binary())
def test_whatever_comes_is_refused_and_never_a_crash(
    key: PushKey, headers: dict[str, str], body: bytes
) -> None:
    """Headers of any text, bodies of any bytes, from somebody who knows the token and the time."""
    push = EventBridgePush(FixedKeys(key), URL, TOKEN)
    headers = {f"{PREFIX}-token": TOKEN, f"{PREFIX}-timestamp": str(NOW), **headers}
    headers.setdefault("x-eventbridge-hash-method", "SHA256")
    with pytest.raises(Refused):
        push.read(Request("POST", "/push/eventbridge", headers, {}, body), NOW)


@pytest.mark.parametrize("text", ["", "-1", "1e3", "now", "²", "9" * 17, "9" * 5000, " 1", "1.5"])
def test_a_time_that_is_none_is_refused(
    eventbridge: EventBridgePush, key: PushKey, text: str
) -> None:
    """It is a whole number."""
    with pytest.raises(Refused, match="timestamp"):
        eventbridge.read(_with(eventbridge_push(key), timestamp=text), NOW)
