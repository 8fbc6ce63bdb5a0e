"""JSON from outside: what is read, what is refused, and when base64 is undone."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.triggers.json_bytes import NotJson, decode_body, read_json

# A busy machine proves nothing.
ANY_TIME = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"{}", {}),
        (b' [1, "a", null] ', [1, "a", None]),
        ('"\\u4e16"', "世"),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b"1" * 4300, int("1" * 4300)),
    ],
    ids=["object", "array", "text", "repeated-name", "long-number"],
)
def test_json_is_read(text: bytes | str, value: Any) -> None:
    """Bytes and texts are read alike; of a name given twice the last counts."""
    assert read_json(text) == value


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"TEST",
        b"{",
        b"{}{}",
        b"'a'",
        b"NaN",
        b"[Infinity]",
        b"1" * 4301,
        b'"\xff"',
        b'"\\ud800"',
        b"\xef\xbb\xbf{}",
        "{}".encode("utf-16"),
        b"[" * 100_000,
        b"[" * 250 + b"]" * 250,
        b'{"a":' * 10_000,
    ],
    ids=lambda data: repr(data[:12]),
)
def test_what_is_not_json_is_refused_with_one_error(data: bytes) -> None:
    """Bad UTF-8, lone surrogates, depth and size end in `NotJson` like any other rubbish."""
    with pytest.raises(NotJson):
        read_json(data)


@ANY_TIME
@given(st.binary(max_size=200) | st.text(max_size=100))
def test_reading_raises_nothing_else(data: bytes | str) -> None:
    """Whatever comes is a value or `NotJson`."""
    with contextlib.suppress(NotJson):
        read_json(data)


MAIL = '{"subject": "Grüße"}'


@pytest.mark.parametrize(
    ("body", "decoded"),
    [
        (MAIL, MAIL.encode()),
        (f"  {MAIL}\n", f"  {MAIL}\n".encode()),
        (base64.b64encode(MAIL.encode()).decode(), MAIL.encode()),
        (base64.encodebytes(MAIL.encode() * 9).decode(), MAIL.encode() * 9),
        (base64.b64encode(b'\n {"a": 1}').decode(), b'\n {"a": 1}'),
        (base64.b64encode(b'{"a": "\xff"}').decode(), b'{"a": "\xff"}'),
        (base64.b64encode(b"plain words").decode(), b"plain words"),
        ("TEST", b"TEST"),
        ("plain words", b"plain words"),
        ("e30", b"e30"),
        ("e30=e30=", b"e30=e30="),
        ("", b""),
        ("世界", "世界".encode()),
        ("\ud800", b"\xed\xa0\x80"),
    ],
    ids=[
        "plain json",
        "json with space around",
        "base64",
        "base64 in lines",
        "base64 of json with space before",
        "base64 of json in bad UTF-8",
        "base64 of words",
        "a word that could be base64",
        "words",
        "base64 without padding",
        "two base64 texts",
        "empty",
        "not ascii",
        "lone surrogate",
    ],
)
def test_a_body_is_what_its_producer_wrote(body: str, decoded: bytes) -> None:
    """Base64 is undone where text comes out of it; every other body stays as it is."""
    assert decode_body(body) == decoded


@ANY_TIME
@given(st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=4))
def test_json_survives_with_and_without_base64(document: dict[str, str]) -> None:
    """A producer may encode or not: the document that arrives is the same."""
    data = json.dumps(document).encode()
    assert decode_body(data.decode()) == data
    assert decode_body(base64.b64encode(data).decode()) == data


@ANY_TIME
@given(st.text(max_size=60))
def test_any_text_has_a_body(text: str) -> None:
    """Decoding is total."""
    assert isinstance(decode_body(text), bytes)
