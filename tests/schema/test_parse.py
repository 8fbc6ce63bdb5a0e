"""Whatever bytes come, the parser answers with a mail or with problems."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.schema.mail_request import MailRequest, parse_mail
from shared.schema.problems import InvalidMail, Problem
from tests.schema.samples import FULL, Told

# How long an example takes says nothing on a machine that is busy with other tests.
ANY_TIME = settings(deadline=None)

HOSTILE: dict[str, tuple[bytes | str, str]] = {
    "nothing": (b"", "not-json"),
    "spaces": (b" \r\n\t ", "not-json"),
    "text": (b"hello", "not-json"),
    "a byte order mark": (b'\xef\xbb\xbf{"to":[]}', "not-json"),
    "UTF-16": ('{"to":[]}'.encode("utf-16"), "not-json"),
    "UTF-32": ('{"to":[]}'.encode("utf-32-le"), "not-json"),
    "gzip": (b"\x1f\x8b\x08\x00", "not-json"),
    "invalid UTF-8 in a value": (b'{"subject":"\xff"}', "not-json"),
    "invalid UTF-8 in a name": (b'{"\xc3\x28":1}', "not-json"),
    "an overlong NUL": (b'{"subject":"\xc0\x80"}', "not-json"),
    "half a surrogate pair": (b'{"subject":"\\ud800"}', "not-json"),
    "the wrong half": (b'{"subject":"\\udc00\\ud800"}', "not-json"),
    "half a pair in UTF-8": (b'{"subject":"\xed\xa0\x80"}', "not-json"),
    "half a pair in text": ('{"subject":"\ud800"}', "not-json"),
    "a raw NUL": (b'{"subject":"\x00"}', "not-json"),
    "NULs": (bytes(1000), "not-json"),
    "NaN": (b'{"version":NaN}', "not-json"),
    "Infinity": (b'{"version":-Infinity}', "not-json"),
    "a trailing comma": (b'{"to":[],}', "not-json"),
    "two documents": (b"{}{}", "not-json"),
    "single quotes": (b"{'to':[]}", "not-json"),
    "a comment": (b"{}/**/", "not-json"),
    "cut short": (b'{"to":["a@b.co"', "not-json"),
    "deep arrays": (b"[" * 100_000, "not-json"),
    "deep objects": (b'{"a":' * 100_000, "not-json"),
    "deep and closed": (b"[" * 100_000 + b"]" * 100_000, "not-json"),
    "deep in a field": (b'{"html":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "not-json"),
    "an integer of 10,000 digits": (b'{"version":' + b"7" * 10_000 + b"}", "not-json"),
    "10 MB of text": (b"x" * 10_000_000, "not-json"),
    "10 MB of digits": (b"1" * 10_000_000, "not-json"),
    "null": (b"null", "not-an-object"),
    "a number": (b"1e999", "not-an-object"),
    "a string": (b'"mail"', "not-an-object"),
    "10 MB of string": (b'"' + b"x" * 10_000_000 + b'"', "not-an-object"),
    "an array of a mail": (json.dumps([FULL]).encode(), "not-an-object"),
    "33 MB": (bytes(33 * 1024 * 1024), "too-large"),
}


@pytest.mark.parametrize(("data", "type_"), HOSTILE.values(), ids=HOSTILE.keys())
def test_what_is_no_json_object_is_refused_as_such(
    data: bytes | str, type_: str, told: Told
) -> None:
    """The document as a whole is wrong, and quickly found to be."""
    started = time.perf_counter()
    assert told(data) == [(type_, "")]
    assert time.perf_counter() - started < 2


BIG: dict[str, tuple[bytes, str, str]] = {
    "10 MB of html": (b'{"html":"%s"}' % (b"x" * 10_000_000), "body-too-large", "/html"),
    "a million recipients": (
        b'{"to":[%s"a"]}' % (b'"a",' * 1_000_000),
        "too-many",
        "/to",
    ),
    "a million numbers as recipients": (b'{"to":[%s1]}' % (b"1," * 1_000_000), "too-many", "/to"),
    "an array 150 deep": (b'{"key":%s%s}' % (b"[" * 150, b"]" * 150), "wrong-type", "/key"),
    "a number of 4,000 digits": (
        b'{"version":%s}' % (b"7" * 4_000),
        "not-allowed",
        "/version",
    ),
    "a number beyond doubles": (b'{"version":1e999}', "wrong-type", "/version"),
    "a 10 MB name": (b'{"%s":1}' % (b"x" * 10_000_000), "unknown-field", "/" + "x" * 80),
    "a 10 MB address": (b'{"to":["%s"]}' % (b"x@" * 5_000_000), "too-long", "/to/0"),
    "a 10 MB subject": (b'{"subject":"%s"}' % (b"=?" * 5_000_000), "too-long", "/subject"),
    "a 10 MB tag": (b'{"tag":"%s"}' % (b"x" * 10_000_000), "too-long", "/tag"),
    "a 10 MB header": (
        b'{"headers":{"X-User-A":"%s"}}' % (b"=?a?b?" * 1_600_000),
        "too-long",
        "/headers/X-User-A",
    ),
    "a 10 MB time": (b'{"send_at":"%s"}' % (b"1" * 10_000_000), "time", "/send_at"),
    "10 MB of no base64": (
        b'{"attachments":[{"name":"a","content":"%s"}]}' % (b"=" * 10_000_000),
        "base64",
        "/attachments/0/content",
    ),
}


@pytest.mark.parametrize(("data", "type_", "pointer"), BIG.values(), ids=BIG.keys())
def test_what_is_huge_is_refused_where_it_is_huge(
    data: bytes, type_: str, pointer: str, told: Told
) -> None:
    """The field is named, in no time, and nothing of its size comes back."""
    started = time.perf_counter()
    assert (type_, pointer) in told(data)
    assert time.perf_counter() - started < 2


def answer(data: Any) -> tuple[Problem, ...]:
    """The problems told of the data, none for a mail; anything else raised fails the test."""
    try:
        parse_mail(data)
    except InvalidMail as invalid:
        return invalid.problems
    return ()


def check(data: Any) -> None:
    """The data is a mail, or has problems of known types that JSON can carry."""
    for problem in answer(data):
        assert problem.type != "invalid"
        assert not problem.pointer or problem.pointer.startswith("/")
        assert json.dumps(problem.as_dict(), ensure_ascii=False).encode("utf-8")


@given(st.binary(max_size=200))
@ANY_TIME
def test_random_bytes(data: bytes) -> None:
    """Bytes of any kind are answered."""
    check(data)


@given(st.text(st.characters(), max_size=200))
@ANY_TIME
def test_random_text(text: str) -> None:
    """Text of any kind is answered, surrogates included."""
    check(text)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=20)
    | st.sampled_from(["a@b.co", "none", "console", "1", "2026-11-22T00:00:00Z", "YQ==", "<a@b>"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=5,
)
NAMES = st.sampled_from(
    [*MailRequest.model_fields, "address", "domain", "alias", "id", "data", "name", "content"]
)


@given(
    st.dictionaries(
        NAMES | st.text(max_size=5), JSON | st.dictionaries(NAMES, JSON, max_size=3), max_size=6
    )
)
@settings(ANY_TIME, max_examples=200)
def test_random_json_under_the_names_of_a_mail(document: dict[str, Any]) -> None:
    """Wrong types in the right places are answered, as an object and as JSON."""
    check(document)
    check(json.dumps(document))


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """The bytes of a full mail with some of them changed, cut out or repeated."""
    raw = bytearray(json.dumps(FULL, ensure_ascii=draw(st.booleans())).encode())
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(raw) - 1))
        size = draw(st.integers(0, 20))
        raw[at : at + size] = draw(
            st.binary(max_size=6) | st.just(bytes(raw[at : at + size]) * 2) | st.just(b'"')
        )
    return bytes(raw)


@given(mutated())
@settings(ANY_TIME, max_examples=300)
def test_a_mail_with_broken_bytes(data: bytes) -> None:
    """A mail that was damaged on its way is answered."""
    check(data)


@st.composite
def replaced(draw: st.DrawFn) -> dict[str, Any]:
    """A full mail with one value somewhere inside replaced."""
    document: dict[str, Any] = json.loads(json.dumps(FULL))
    place: Any = document
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = draw(st.sampled_from(keys))
        if not (isinstance(place[key], dict | list) and place[key] and draw(st.booleans())):
            place[key] = draw(JSON)
            return document
        place = place[key]


@given(replaced())
@settings(ANY_TIME, max_examples=300)
def test_a_mail_with_one_wrong_value(document: dict[str, Any]) -> None:
    """Any value in any place is answered."""
    check(document)
