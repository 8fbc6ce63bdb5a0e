"""The ids of a mail: derived, and found again in what comes home."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.sending.identity import (
    HEADER,
    MailToken,
    mail_id_of,
    message_id_of,
    payload_hash,
    read_message_id,
    read_token,
)

ENVIRONMENTS = st.from_regex(r"[a-z0-9][a-z0-9-]{0,31}", fullmatch=True)
ID = "abcdefghijklmnopqrstuvwx23"
MAIL: dict[str, Any] = {"to": ["ada@example.net"], "subject": "Grüße", "notify": {"a": "1"}}


@given(ENVIRONMENTS, st.text())
def test_a_mail_id_is_derived(environment: str, key: str) -> None:
    """The same environment and key give the same id, 26 letters and digits safe in any header."""
    mail_id = mail_id_of(environment, key)
    assert mail_id == mail_id_of(environment, key)
    assert re.fullmatch(r"[a-z2-7]{26}", mail_id)


@pytest.mark.parametrize(
    ("one", "other"),
    [(("a", "k"), ("b", "k")), (("a", "k"), ("a", "K")), (("ab", "c"), ("a", "bc"))],
    ids=["by environment", "by key", "by where the one ends"],
)
def test_mail_ids_differ(one: tuple[str, str], other: tuple[str, str]) -> None:
    """Another environment or another key is another mail."""
    assert mail_id_of(*one) != mail_id_of(*other)


@given(ENVIRONMENTS, st.text(), st.integers(0, 999_999_999))
def test_the_token_comes_back(environment: str, key: str, attempt: int) -> None:
    """What the packed header carries out is read from it when it comes home."""
    token = MailToken(environment, mail_id_of(environment, key), attempt)
    assert read_token(str(token)) == token
    assert read_token(f"  {token} ") == token


def test_the_token_is_printable_and_short() -> None:
    """The packed header is a notify header, and its longest value is far below any limit."""
    longest = str(MailToken("e" * 32, ID, 999_999_999))
    assert HEADER == "X-User-Notify-Postbus"
    assert re.fullmatch(r"[!-~]{1,80}", longest)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "v1",
        f"v2.test.{ID}.1",
        f"v1.Test.{ID}.1",
        f"v1.-test.{ID}.1",
        f"v1.{'e' * 33}.{ID}.1",
        f"v1.test.{ID[:-1]}.1",
        f"v1.test.{ID}1.1",
        f"v1.test.{ID.upper()}.1",
        f"v1.test.{ID}.",
        f"v1.test.{ID}.-1",
        f"v1.test.{ID}.1234567890",
        f"v1.test.{ID}.None",
        f"x v1.test.{ID}.1",
        f"v1.test.{ID}.1\nv1.test.{ID}.1",
        f"<{ID}.test@example.com>",
    ],
)
def test_a_foreign_token(value: str) -> None:
    """What is not a token of ours is None and no error."""
    assert read_token(value) is None


@given(ENVIRONMENTS, st.text())
def test_the_message_id_comes_back(environment: str, key: str) -> None:
    """The Message-ID tells mail and environment with its brackets and without, but no attempt."""
    mail_id = mail_id_of(environment, key)
    message_id = message_id_of(environment, mail_id, "mail.example.com")
    expected = MailToken(environment, mail_id, None)
    assert read_message_id(message_id) == expected
    assert read_message_id(message_id[1:-1]) == expected
    assert re.fullmatch(r"<[a-z2-7]{26}\.[a-z0-9-]+@mail\.example\.com>", message_id)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "<1@example.com>",
        f"<{ID}@example.com>",
        f"<{ID}.test>",
        f"<{ID}.test@>",
        f"<{ID}.test@a b>",
        f"<{ID}.test@example.com> <{ID}.test@example.com>",
        f"v1.test.{ID}.1",
    ],
)
def test_a_foreign_message_id(value: str) -> None:
    """A Message-ID that a sender made is None and no error."""
    assert read_message_id(value) is None


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (dict(reversed(MAIL.items())), True),
        ({**MAIL, "key": "k"}, True),
        ({**MAIL, "subject": "Grüsse"}, False),
        ({**MAIL, "to": ["ada@example.net", "bob@example.net"]}, False),
        ({**MAIL, "notify": {"a": "2"}}, False),
        ({**MAIL, "version": 1}, False),
        ({**MAIL, "text": None}, False),
    ],
    ids=["order", "key", "text", "recipients", "nested", "a field more", "null given"],
)
def test_the_fingerprint(other: dict[str, Any], *, same: bool) -> None:
    """Only what was given counts, in any order, and the key does not."""
    assert (payload_hash(MAIL) == payload_hash(other)) is same


def test_the_fingerprint_never_changes() -> None:
    """Rows live for weeks: after any deploy the same mail has the fingerprint it had."""
    assert payload_hash(MAIL) == (
        "1:86adce19949f04ed689b39e7a0af44179a4d15ea803cfd6d2e68ebd69519785d"
    )


def test_mail_ids_never_change() -> None:
    """Keys are repeated after a deploy, too, and events come home after one."""
    assert mail_id_of("test", "order-4711") == "ww554h6fwg2eciuwfzx3ot6soa"
