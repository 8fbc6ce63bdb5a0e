"""What goes on the reject queue: the whole message and the reason, in one piece or in parts."""

from __future__ import annotations

import base64
import json
import random
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.schema.limits import PROBLEMS_MAX, QUEUE_BODY_MAX
from shared.schema.mail_request import parse_mail
from shared.schema.problems import InvalidMail, Problem
from shared.sending.rejects import reject_letters

AT = "2026-11-22T12:00:00.000Z"
PROBLEM = Problem("/to/0", "address", "must be an address", given="x")


def rejected(body: bytes, problems: list[Problem] | None = None) -> list[dict[str, Any]]:
    """The letters for a body, each checked for its size and read."""
    letters = reject_letters(
        body, message_id="m-1", reason="invalid-mail", problems=problems or [PROBLEM], at=AT
    )
    for letter in letters:
        assert len(base64.b64encode(letter.encode())) <= QUEUE_BODY_MAX
    return [json.loads(letter) for letter in letters]


def joined(letters: list[dict[str, Any]]) -> bytes:
    """The message that the letters are about, as whoever looks into a rejection gets it back."""
    first = letters[0]
    if "body" in first:
        return str(first["body"]).encode()
    if "body_base64" in first:
        return base64.b64decode(first["body_base64"])
    assert [letter.get("part", 1) for letter in letters] == list(range(1, len(letters) + 1))
    assert {letter.get("parts", 1) for letter in letters} == {len(letters)}
    return zlib.decompress(base64.b64decode("".join(letter["body_zlib"] for letter in letters)))


def noise(size: int) -> bytes:
    """Bytes that no compression makes smaller."""
    return random.Random(size).randbytes(size)  # the same at each run


# A body -> how it is kept, and in how many letters.
BODIES: dict[str, tuple[bytes, str, int]] = {
    "empty": (b"", "body", 1),
    "a mail": (b'{"to": ["ada@example.net"]}', "body", 1),
    "Chinese": ("世界".encode(), "body", 1),
    "control characters": (bytes(range(32)), "body", 1),
    "no UTF-8": (b"\xff\xfe\x00", "body_base64", 1),
    "48,000 letters": (b"x" * 48_000, "body", 1),
    "64 KB of letters": (b"x" * QUEUE_BODY_MAX, "body_zlib", 1),
    "64 KB of zeros": (b"\0" * QUEUE_BODY_MAX, "body_zlib", 1),
    "20 KB of noise": (b"\xff" + noise(20_000), "body_base64", 1),
    "48 KB of noise": (b"\xff" + noise(49_151), "body_zlib", 3),
    "64 KB of noise": (b"\xff" + noise(QUEUE_BODY_MAX - 1), "body_zlib", 3),
    "1 MB of noise": (b"\xff" + noise(1_000_000), "body_zlib", 41),
    "48,000 quotes": (b'"' * 48_000, "body_zlib", 1),
}


@pytest.mark.parametrize(("body", "kept", "count"), BODIES.values(), ids=BODIES)
def test_nothing_is_cut_off(body: bytes, kept: str, count: int) -> None:
    """A rejected body comes back whole, from as few letters as it fits, each within 64 KB."""
    letters = rejected(body)
    assert joined(letters) == body
    assert (len(letters), {kept for letter in letters if kept in letter}) == (count, {kept})


def test_every_part_tells_the_reason() -> None:
    """Each letter says which message, why, and which part it is."""
    letters = rejected(BODIES["64 KB of noise"][0])
    assert [letter["part"] for letter in letters] == [1, 2, 3]
    for letter in letters:
        assert {name: letter[name] for name in letter if not name.startswith(("body", "part"))} == {
            "postbus_rejected": 1,
            "message_id": "m-1",
            "at": AT,
            "reason": "invalid-mail",
            "problems": [PROBLEM.as_dict()],
            "problems_in_all": 1,
        }


@given(st.binary(max_size=200))
def test_any_body(body: bytes) -> None:
    """Whatever bytes are rejected, the same bytes come back."""
    assert joined(rejected(body)) == body


@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    """Text stays readable for the person who looks at it."""
    (letter,) = rejected(text.encode())
    assert letter["body"] == text


# Mails that break the contract in as many and as long ways as there are.
WIDE = "\N{GRINNING FACE}"
WORST: dict[str, Callable[[], dict[str, Any]]] = {
    "long unknown names": lambda: {f"{n:02}{WIDE * 200}": 1 for n in range(90)},
    "names to escape": lambda: {f"{n:02}" + "\x01" * 200: 1 for n in range(90)},
    "long addresses": lambda: {"to": [WIDE * 100] * 100},
    "long template names": lambda: {
        "template": {"id": "1", "data": {f"{n:02}" + "\x01" * 90: 1 for n in range(90)}}
    },
    "long header names": lambda: {"headers": {f"{n}" + "\x01" * 90: "" for n in range(10)}},
}


@pytest.mark.parametrize("mail", WORST.values(), ids=WORST)
def test_the_longest_problems(mail: Callable[[], dict[str, Any]]) -> None:
    """However many and long the problems of a mail are, they leave room for the body's parts."""
    with pytest.raises(InvalidMail) as caught:
        parse_mail(mail())
    problems = list(caught.value.problems)
    body = noise(QUEUE_BODY_MAX)
    letters = rejected(body, problems)
    assert joined(letters) == body
    assert {letter["problems_in_all"] for letter in letters} == {len(problems)}
    assert len(letters[0]["problems"]) == min(20, len(problems))


def test_a_providers_words() -> None:
    """A refusal with the longest message that is kept of a provider's fits as well."""
    problem = Problem("", "refused-by-provider", "\x01" * 500, given="InvalidToAddress")
    body = noise(QUEUE_BODY_MAX)
    assert joined(rejected(body, [problem])) == body


@settings(max_examples=25)
@given(st.integers(0, 3 * QUEUE_BODY_MAX), st.integers(1, PROBLEMS_MAX))
def test_any_size(size: int, count: int) -> None:
    """At no size does a letter become too large or a byte get lost between two parts."""
    body = noise(size)
    assert joined(rejected(body, [PROBLEM] * count)) == body
