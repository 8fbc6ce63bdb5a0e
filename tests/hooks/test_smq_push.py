"""SMQ's pushes: what is taken, and that nothing tampered with is."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.account import ACCOUNT_ID
from local.twins.push.key import PushKey
from local.twins.smq.http_push import DigestForm
from shared.errors import CertificateUntrusted
from shared.hooks.pushes import Refused
from shared.hooks.smq_push import SmqPush, read_date
from shared.triggers.http import Request
from tests.cloud.hostile import HOSTILE_SMQ
from tests.hooks.conftest import EVENT, NOW, Fetches, FixedKeys, resigned, smq_push


@pytest.mark.parametrize("digest_form", ["base64-hex", "base64-raw", "hex"])
@pytest.mark.parametrize("content_format", ["XML", "JSON", "SIMPLIFIED"])
def test_a_signed_push_is_taken(
    smq: SmqPush, key: PushKey, content_format: str, digest_form: DigestForm
) -> None:
    """In every format, with the digest in every form that has been seen."""
    request = smq_push(key, content_format=content_format, digest_form=digest_form)
    assert b"M-1" in smq.read(request, NOW)


def test_a_digest_in_small_letters_is_one_too(smq: SmqPush, key: PushKey) -> None:
    """Hexadecimal is the same in capitals and small letters."""
    request = smq_push(key, digest_form="hex")
    lower = {"content-md5": request.headers["content-md5"].lower()}
    assert smq.read(resigned(request, key, lower), NOW)


def test_a_simplified_push_keeps_the_messages_id(smq: SmqPush, key: PushKey) -> None:
    """Its body is the message alone; the ids in the headers go along as a notification."""
    told = json.loads(smq.read(smq_push(key, tag="delivered"), NOW))
    assert told["Message"] == EVENT
    assert (told["MessageId"], told["MessageTag"]) == ("M-1", "delivered")
    assert told["TopicOwner"] == ACCOUNT_ID


def test_other_formats_go_on_as_they_came(smq: SmqPush, key: PushKey) -> None:
    """Not a byte of a notification is changed."""
    for content_format in ("XML", "JSON"):
        request = smq_push(key, content_format=content_format)
        assert smq.read(request, NOW) == request.body


# The seven parts of a push, and what somebody on the way might make of each.
TAMPERED: dict[str, Callable[[Request], Request]] = {
    "body": lambda r: replace(r, body=r.body.replace(b"e-1", b"e-2")),
    "digest": lambda r: replace(
        r,
        body=r.body + b" ",
        headers={**r.headers, "content-md5": base64.b64encode(b"0" * 32).decode()},
    ),
    "type": lambda r: replace(r, headers={**r.headers, "content-type": "text/html"}),
    "date": lambda r: replace(
        r, headers={**r.headers, "date": formatdate(NOW / 1000 + 1, usegmt=True)}
    ),
    "header": lambda r: replace(r, headers={**r.headers, "x-mns-message-id": "M-2"}),
    "signature": lambda r: replace(
        r, headers={**r.headers, "authorization": base64.b64encode(bytes(256)).decode()}
    ),
    "method": lambda r: replace(r, method="PUT"),
}


@pytest.mark.parametrize("part", TAMPERED)
def test_each_tampered_part_is_refused(smq: SmqPush, key: PushKey, part: str) -> None:
    """Body, digest, type, date, the service's headers, signature and method all count."""
    request = smq_push(key)
    assert smq.read(request, NOW)
    with pytest.raises(Refused):
        smq.read(TAMPERED[part](request), NOW)


def test_a_body_with_its_own_digest_is_refused_too(smq: SmqPush, key: PushKey) -> None:
    """Whoever changes the body can write its digest, but not sign it."""
    other = smq_push(key, body='{"id": "e-2"}')
    stolen = smq_push(key).headers["authorization"]
    with pytest.raises(Refused, match="signature"):
        smq.read(replace(other, headers={**other.headers, "authorization": stolen}), NOW)


def test_another_path_is_refused(key: PushKey, smq: SmqPush) -> None:
    """A push to another endpoint, even of ours, is not one to this."""
    with pytest.raises(Refused, match="signature"):
        replace(smq, path="/push/smq").read(smq_push(key), NOW)


@pytest.mark.parametrize("extra", ["x-mns-extra", "x-mns-message-tag"])
def test_a_header_more_or_less_is_refused(smq: SmqPush, key: PushKey, extra: str) -> None:
    """All of the service's headers are signed, and so is that there are no others."""
    request = smq_push(key, tag="a")
    headers = {**request.headers, extra: "b"}
    with pytest.raises(Refused, match="signature"):
        smq.read(replace(request, headers=headers), NOW)
    del headers["x-mns-message-tag"]
    with pytest.raises(Refused, match="signature"):
        smq.read(replace(request, headers=headers), NOW)


def test_somebody_elses_signature_is_refused(smq: SmqPush, other_key: PushKey) -> None:
    """The certificate that the push names is not of that key."""
    with pytest.raises(Refused, match="signature"):
        smq.read(smq_push(other_key), NOW)


@pytest.mark.parametrize("account", ["6543210987654321", "", ACCOUNT_ID + "0"])
def test_a_topic_of_another_account_is_refused(smq: SmqPush, key: PushKey, account: str) -> None:
    """SMQ signs for every customer, and any of them may subscribe our address to a topic."""
    with pytest.raises(Refused, match="topic-owner"):
        smq.read(smq_push(key, account=account), NOW)


def test_without_an_account_nothing_is_taken(smq: SmqPush, key: PushKey) -> None:
    """An account that is not known is nobody's, not everybody's."""
    with pytest.raises(Refused, match="topic-owner"):
        replace(smq, account="").read(smq_push(key, account=""), NOW)


@pytest.mark.parametrize("minutes", [-15, 15])
def test_the_date_has_a_window(smq: SmqPush, key: PushKey, minutes: int) -> None:
    """Fifteen minutes to either side; a push that was seen on its way is worth nothing later."""
    request = smq_push(key)
    edge = NOW + minutes * 60_000
    beyond = edge + (1_000 if minutes > 0 else -1_000)
    assert smq.read(request, edge)
    with pytest.raises(Refused, match="date"):
        smq.read(request, beyond)


def test_hostile_certificate_addresses_are_refused(
    smq: SmqPush, key: PushKey, fetches: Fetches
) -> None:
    """At least 30 of them, each with a signature that would hold; nothing is fetched."""
    assert len(set(HOSTILE_SMQ)) >= 30
    for url in HOSTILE_SMQ:
        with pytest.raises(CertificateUntrusted):
            smq.read(smq_push(key, certificate=url), NOW)
    assert fetches.seen == []


def test_a_documented_http_address_is_fetched_over_https(
    smq: SmqPush, key: PushKey, fetches: Fetches
) -> None:
    """SMQ's sample of 2016 names http; the certificate is not trusted to that."""
    url = "http://mnstest.oss-cn-hangzhou.aliyuncs.com/x509_public_certificate.pem"
    assert smq.read(smq_push(key, certificate=url), NOW)
    assert fetches.seen == [url.replace("http:", "https:")]


HEADERS = ("authorization", "content-md5", "date", "x-mns-signing-cert-url", "x-mns-topic-owner")


@pytest.mark.parametrize("name", HEADERS)
def test_a_missing_header_is_refused(smq: SmqPush, key: PushKey, name: str) -> None:
    """Without any of these nothing is proved."""
    request = smq_push(key)
    headers = {k: v for k, v in request.headers.items() if k != name}
    with pytest.raises((Refused, CertificateUntrusted)):
        smq.read(replace(request, headers=headers), NOW)


@given(
    headers=st.dictionaries(st.sampled_from(HEADERS), st.text()), body=st.binary(), method=st.text()
)
def test_whatever_comes_is_refused_and_never_a_crash(
    key: PushKey, headers: dict[str, str], body: bytes, method: str
) -> None:
    """Headers of any text, bodies of any bytes."""
    smq = SmqPush(FixedKeys(key), "/push/smq", ACCOUNT_ID)
    headers.setdefault("x-mns-topic-owner", ACCOUNT_ID)
    headers.setdefault("date", formatdate(NOW / 1000, usegmt=True))
    with pytest.raises(Refused):
        smq.read(Request(method, "/push/smq", headers, {}, body), NOW)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "Mon, 21 Sep 2026 14:13:20 +0000",
        "Mon, 21 Sep 2026 14:13:20",
        "Mon, 31 Feb 2026 14:13:20 GMT",
        "Mon, 21 Sep 2026 24:13:20 GMT",
        "Mon, 21 Xyz 2026 14:13:20 GMT",
        "Mon, 21 Sep 0000 14:13:20 GMT",
        "Mon, ٢١ Sep 2026 14:13:20 GMT",
        "2026-09-21T14:13:20Z",
    ],
)
def test_a_date_that_is_none_is_refused(text: str) -> None:
    """Only the one form of HTTP is read."""
    with pytest.raises(Refused, match="date"):
        read_date(text)


@given(st.integers(min_value=0, max_value=4_000_000_000))
def test_every_http_date_is_read(seconds: int) -> None:
    """As the standard library writes it."""
    assert read_date(formatdate(seconds, usegmt=True)) == seconds * 1000
