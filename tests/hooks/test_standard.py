"""Standard Webhooks: the specification's vectors, and what is refused."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.hooks.pushes import Refused
from shared.hooks.standard import ID, SIGNATURE, TIMESTAMP, sign, verify
from shared.settings import read_settings
from tests.hooks.malformed import MALFORMED

# The one vector with fixed values, which the tests of all of the specification's libraries share:
# https://github.com/standard-webhooks/standard-webhooks/tree/main/libraries
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE = "msg_p5jXN8AQM9LWM0D4loKWxJek"
SECONDS = 1_614_265_330
BODY = b'{"test": 2432232314}'
SIGNED = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
# Signatures that hold for nothing, of the same libraries' tests.
STRANGER = "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc="
NEARLY = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OA="
NOW = SECONDS * 1000


def secrets(*texts: str) -> tuple[bytes, ...]:
    """Secrets as the setting has them."""
    given = {"POSTBUS_ENVIRONMENT": "test", "POSTBUS_HOOK_SECRETS": "crm=" + " ".join(texts)}
    return read_settings(given).hook_secrets["crm"]


def headers(signature: str = SIGNED, **other: str) -> dict[str, str]:
    """The vector's headers."""
    return {ID: MESSAGE, TIMESTAMP: str(SECONDS), SIGNATURE: signature, **other}


def test_the_published_signature_is_made() -> None:
    """From the published secret, id, time and body."""
    (secret,) = secrets(SECRET)
    assert "v1," + sign(secret, MESSAGE, str(SECONDS), BODY).decode() == SIGNED


@pytest.mark.parametrize("secret", [SECRET, SECRET.removeprefix("whsec_")])
def test_the_published_message_is_taken(secret: str) -> None:
    """With the secret's mark or without."""
    assert verify(headers(), BODY, secrets(secret), NOW) == MESSAGE


@pytest.mark.parametrize(
    "secret",
    [
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS",
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwBr",
    ],
)
@pytest.mark.parametrize("mark", ["", "whsec_"])
def test_published_secrets_without_padding_are_read(secret: str, mark: str) -> None:
    """Those that need none, one and two signs of it."""
    padded = base64.b64decode(secret + "=" * (-len(secret) % 4))
    text = f"{MESSAGE}.{SECONDS}.".encode() + BODY
    signature = base64.b64encode(hmac.new(padded, text, hashlib.sha256).digest()).decode()
    assert verify(headers("v1," + signature), BODY, secrets(mark + secret), NOW) == MESSAGE


def test_the_published_list_of_signatures_is_taken() -> None:
    """One that holds is enough, among others and other versions."""
    listed = [STRANGER, STRANGER.replace("v1", "v2"), SIGNED, STRANGER]
    assert verify(headers(" ".join(listed)), BODY, secrets(SECRET), NOW) == MESSAGE


PUBLISHED_REFUSALS = {
    "missing id": {TIMESTAMP: str(SECONDS), SIGNATURE: SIGNED},
    "missing timestamp": {ID: MESSAGE, SIGNATURE: SIGNED},
    "invalid timestamp": headers(**{TIMESTAMP: "hello"}),
    "missing signature": {ID: MESSAGE, TIMESTAMP: str(SECONDS)},
    "invalid signature": headers(NEARLY),
    "short signature": headers("v1,dawfeoifkpqwoekfpqoekf"),
    "partial signature": headers(SIGNED[:8]),
    "empty signature": headers("v1,"),
    "signature without its version": headers(SIGNED.removeprefix("v1,")),
    "signature of another version": headers(SIGNED.replace("v1", "v2")),
    "another algorithm's": headers("v1a" + SIGNED.removeprefix("v1")),
}


@pytest.mark.parametrize("name", PUBLISHED_REFUSALS)
def test_what_the_libraries_refuse_is_refused(name: str) -> None:
    """Each case of their tests."""
    with pytest.raises(Refused):
        verify(PUBLISHED_REFUSALS[name], BODY, secrets(SECRET), NOW)


@pytest.mark.parametrize("side", [-1, 1])
def test_five_minutes_are_tolerated(side: int) -> None:
    """To either side; the libraries' tests refuse one second more."""
    assert verify(headers(), BODY, secrets(SECRET), NOW + side * 300_000)
    with pytest.raises(Refused, match="timestamp"):
        verify(headers(), BODY, secrets(SECRET), NOW + side * 301_000)


def test_secrets_are_changed_without_a_gap() -> None:
    """While two are valid, a message signed with either is taken, and so is one with both."""
    old, new = SECRET, "whsec_" + base64.b64encode(b"n" * 32).decode()
    both = secrets(new, old)
    by_new = "v1," + sign(both[0], MESSAGE, str(SECONDS), BODY).decode()
    for signature in (SIGNED, by_new, f"{SIGNED} {by_new}"):
        assert verify(headers(signature), BODY, both, NOW) == MESSAGE
    with pytest.raises(Refused, match="signature"):
        verify(headers(), BODY, secrets(new), NOW)


def test_every_part_is_signed() -> None:
    """Another id, time or body, and one with the borders moved, is refused."""
    for changed, body in (
        ({ID: "msg_other"}, BODY),
        ({TIMESTAMP: str(SECONDS + 1)}, BODY),
        ({}, BODY + b" "),
        ({ID: f"{MESSAGE}.{SECONDS}", TIMESTAMP: str(SECONDS)}, BODY),
    ):
        with pytest.raises(Refused):
            verify(headers(**changed), body, secrets(SECRET), NOW)


def test_malformed_headers_are_refused() -> None:
    """At least 60 of them; none is an error of another kind."""
    assert len(MALFORMED) >= 60
    for changed in MALFORMED:
        with pytest.raises(Refused):
            verify(headers(**changed), BODY, secrets(SECRET), NOW)


def test_without_secrets_nothing_is_taken() -> None:
    """A source that has none has no signatures."""
    with pytest.raises(Refused, match="signature"):
        verify(headers(), BODY, (), NOW)


@given(st.dictionaries(st.sampled_from((ID, TIMESTAMP, SIGNATURE)), st.text()), st.binary())
def test_whatever_comes_is_refused_and_never_a_crash(changed: dict[str, str], body: bytes) -> None:
    """Headers of any text, bodies of any bytes."""
    with pytest.raises(Refused):
        verify(headers(NEARLY, **changed) if SIGNATURE not in changed else headers(**changed),
               body, secrets(SECRET), NOW)  # fmt: skip
