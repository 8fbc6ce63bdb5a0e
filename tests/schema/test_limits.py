"""Every limit: a mail at the limit, and one past it."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from shared.schema.limits import (
    ADDRESS_MAX,
    ATTACHMENTS_BYTES_MAX,
    BODY_WIRE_MAX,
    DOCUMENT_MAX,
    FIELDS_MAX,
    HEADER_NAME_MAX,
    PROBLEMS_MAX,
    TEMPLATE_VALUES_MAX,
)
from shared.schema.mail_request import parse_mail
from tests.schema.samples import Refusals

LABEL = "b" * 63


def addresses(count: int) -> list[str]:
    """So many different addresses."""
    return [f"u{number}@example.com" for number in range(count)]


def address(length: int) -> str:
    """An address of so many characters."""
    return f"{'a' * (length - 132)}@{LABEL}.{LABEL}.com"


def headers(count: int, prefix: str = "X-User-") -> dict[str, str]:
    """So many headers."""
    return {f"{prefix}{number}": "v" for number in range(count)}


def body(wire_bytes: int) -> str:
    """Nine bytes on the wire for each Chinese character, one for each letter."""
    return "上" * (wire_bytes // 9) + "a" * (wire_bytes % 9)


def files(*sizes: int) -> list[dict[str, str]]:
    """Attachments of so many bytes."""
    return [
        {"name": f"{number}.bin", "content": base64.b64encode(bytes(size)).decode()}
        for number, size in enumerate(sizes)
    ]


def template(values: dict[str, str]) -> dict[str, Any]:
    """What makes a mail one of a template with these values."""
    return {"text": None, "template": {"id": "t", "data": values}}


# what, the limit, a mail's fields for a size, type and pointer of the problem one past it.
LIMITS: dict[str, tuple[int, Any, str, str]] = {
    "recipients": (100, lambda n: {"to": addresses(n)}, "too-many", "/to"),
    "blind copies": (2, lambda n: {"bcc": addresses(n)}, "too-many", "/bcc"),
    "characters of an address": (
        ADDRESS_MAX,
        lambda n: {"to": ["ada@example.com", address(n)]},
        "too-long",
        "/to/1",
    ),
    "characters of a local part": (
        64,
        lambda n: {"bcc": ["a" * n + "@example.com"]},
        "too-long",
        "/bcc/0",
    ),
    "characters of a subject": (256, lambda n: {"subject": "上" * n}, "too-long", "/subject"),
    "characters of a sender's alias": (
        14,
        lambda n: {"sender": {"address": "a@example.com", "alias": "上" * n}},
        "too-long",
        "/sender/alias",
    ),
    "characters of a reply alias": (
        14,
        lambda n: {"reply_to": {"address": "a@example.com", "alias": "x" * n}},
        "too-long",
        "/reply_to/alias",
    ),
    "characters of a tag": (128, lambda n: {"tag": "t" * n}, "too-long", "/tag"),
    "characters of a key": (256, lambda n: {"key": "上" * n}, "too-long", "/key"),
    "characters of a template's id": (
        128,
        lambda n: {"text": None, "template": {"id": "t" * n}},
        "too-long",
        "/template/id",
    ),
    "characters of an IP pool's id": (
        128,
        lambda n: {"ip_pool_id": "p" * n},
        "too-long",
        "/ip_pool_id",
    ),
    "characters of a lane": (128, lambda n: {"lane": "l" * n}, "too-long", "/lane"),
    "bytes of html on the wire": (
        BODY_WIRE_MAX,
        lambda n: {"html": body(n)},
        "body-too-large",
        "/html",
    ),
    "bytes of text on the wire": (
        BODY_WIRE_MAX,
        lambda n: {"text": body(n)},
        "body-too-large",
        "/text",
    ),
    "bytes of a template's values on the wire": (
        BODY_WIRE_MAX,
        lambda n: template({"name": body(n - 4)}),
        "body-too-large",
        "/template/data",
    ),
    "values of a template": (
        TEMPLATE_VALUES_MAX,
        lambda n: template({str(number): "v" for number in range(n)}),
        "too-many",
        "/template/data",
    ),
    "attachments": (100, lambda n: {"attachments": files(*[1] * n)}, "too-many", "/attachments"),
    "bytes of one attachment": (
        ATTACHMENTS_BYTES_MAX,
        lambda n: {"attachments": files(n)},
        "attachments-too-large",
        "/attachments",
    ),
    "bytes of two attachments": (
        ATTACHMENTS_BYTES_MAX,
        lambda n: {"attachments": files(1, n - 1)},
        "attachments-too-large",
        "/attachments",
    ),
    "characters of a file's name": (
        255,
        lambda n: {"attachments": [{"name": "f" * n, "content": ""}]},
        "too-long",
        "/attachments/0/name",
    ),
    "characters of a header's value": (
        998,
        lambda n: {"headers": {"X-User-A": "v" * n}},
        "too-long",
        "/headers/X-User-A",
    ),
    "characters of a notify value": (
        998,
        lambda n: {"notify": {"order": "v" * n}},
        "too-long",
        "/notify/order",
    ),
}


@pytest.mark.parametrize(("limit", "fields", "type_", "pointer"), LIMITS.values(), ids=LIMITS)
def test_a_mail_at_the_limit_passes_and_one_past_it_is_told_why(  # noqa: PLR0917  # a table's columns
    limit: int, fields: Any, type_: str, pointer: str, good: dict[str, Any], refusals: Refusals
) -> None:
    """The problem names the field, the limit and what was given, and repeats no value."""
    parse_mail({**good, **fields(limit)})
    (problem,) = refusals({**good, **fields(limit + 1)})
    assert (problem.type, problem.pointer, problem.limit) == (type_, pointer, limit)
    assert problem.given == limit + 1
    assert str(limit) in problem.detail


NAMES = [
    ("headers", "X-User-", HEADER_NAME_MAX),
    ("notify", "", HEADER_NAME_MAX - len("X-User-Notify-")),
]


@pytest.mark.parametrize(("field", "prefix", "limit"), NAMES)
def test_a_header_name_is_measured_with_its_prefix(
    field: str, prefix: str, limit: int, good: dict[str, Any], refusals: Refusals
) -> None:
    """The limit holds for the name as it is sent."""
    parse_mail({**good, field: {prefix.ljust(limit, "n"): "v"}})
    (problem,) = refusals({**good, field: {prefix.ljust(limit + 1, "n"): "v"}})
    assert (problem.type, problem.limit, problem.given) == (
        "too-long",
        HEADER_NAME_MAX,
        HEADER_NAME_MAX + 1,
    )


OWN_ID = {"Message-ID": "<1@example.com>"}

# headers, notify, how many headers that makes, where the problem points if it is one.
COUNTS: list[tuple[dict[str, str], dict[str, str], int, str]] = [
    (headers(8), {}, 10, ""),
    (headers(9), {}, 11, "/headers"),
    ({}, headers(8, "n"), 10, ""),
    ({}, headers(9, "n"), 11, "/notify"),
    (headers(4), headers(4, "n"), 10, ""),
    (headers(4), headers(5, "n"), 11, "/notify"),
    (OWN_ID | headers(8), {}, 10, ""),
    (OWN_ID | headers(9), {}, 11, "/headers"),
    ({"message-id": "<1@example.com>"} | headers(4), headers(4, "n"), 10, ""),
    (OWN_ID | headers(4), headers(5, "n"), 11, "/notify"),
    (headers(11), {}, 11, "/headers"),
    ({}, headers(100_000, "n"), 100_000, "/notify"),
]


@pytest.mark.parametrize(("given", "notify", "count", "pointer"), COUNTS)
def test_headers_notify_and_postbus_own_share_ten(  # noqa: PLR0917  # a table's columns
    given: dict[str, str],
    notify: dict[str, str],
    count: int,
    pointer: str,
    good: dict[str, Any],
    refusals: Refusals,
) -> None:
    """DirectMail drops the eleventh in silence; a Message-ID of the user's replaces Postbus's."""
    mail = {**good, "headers": given, "notify": notify}
    if not pointer:
        parse_mail(mail)
        return
    (problem,) = refusals(mail)
    assert (problem.type, problem.pointer) == ("too-many-headers", pointer)
    assert (problem.limit, problem.given) == (10, count)


def test_at_least_one_recipient_is_needed(good: dict[str, Any], refusals: Refusals) -> None:
    """A mail to nobody is no mail."""
    (problem,) = refusals({**good, "to": []})
    assert (problem.type, problem.pointer, problem.limit, problem.given) == ("too-few", "/to", 1, 0)


EMPTY = [
    ("subject", {"subject": ""}, "/subject"),
    ("blank subject", {"subject": "\u3000"}, "/subject"),
    ("html", {"html": ""}, "/html"),
    ("text", {"text": ""}, "/text"),
    ("tag", {"tag": ""}, "/tag"),
    ("key", {"key": ""}, "/key"),
    ("blank key", {"key": "  "}, "/key"),
    ("lane", {"lane": ""}, "/lane"),
    ("pool", {"ip_pool_id": ""}, "/ip_pool_id"),
    ("alias", {"sender": {"address": "a@b.co", "alias": ""}}, "/sender/alias"),
    ("file name", {"attachments": [{"name": "", "content": ""}]}, "/attachments/0/name"),
    ("header", {"headers": {"X-User-A": ""}}, "/headers/X-User-A"),
    ("notify", {"notify": {"a": ""}}, "/notify/a"),
]


@pytest.mark.parametrize(
    ("change", "pointer"), [row[1:] for row in EMPTY], ids=[e[0] for e in EMPTY]
)
def test_what_is_given_is_not_empty(
    change: dict[str, Any], pointer: str, good: dict[str, Any], refusals: Refusals
) -> None:
    """An empty value is a producer's mistake; who means nothing leaves the field out."""
    (problem,) = refusals({**good, **change})
    assert (problem.type, problem.pointer) == ("empty", pointer)


def test_a_document_is_measured_before_it_is_read(good: dict[str, Any], refusals: Refusals) -> None:
    """A document at the limit is read; one past it is not."""
    raw = json.dumps(good).encode()
    parse_mail(raw.ljust(DOCUMENT_MAX))
    (problem,) = refusals(raw.ljust(DOCUMENT_MAX + 1))
    assert (problem.type, problem.pointer) == ("too-large", "")
    assert (problem.limit, problem.given) == (DOCUMENT_MAX, DOCUMENT_MAX + 1)


def test_the_problems_told_of_one_mail_are_bounded(
    good: dict[str, Any], refusals: Refusals
) -> None:
    """A hundred bad addresses are told as fifty."""
    assert len(refusals({**good, "to": ["x"] * 100})) == PROBLEMS_MAX


@pytest.mark.parametrize("where", ["mail", "sender", "template", "reply_to", "attachment"])
def test_an_object_of_very_many_names_is_refused_at_once(
    where: str, good: dict[str, Any], refusals: Refusals
) -> None:
    """A hundred thousand unknown names are one problem."""
    flood: dict[str, Any] = {str(number): 0 for number in range(100_000)}
    mail, pointer = {
        "mail": (flood, ""),
        "sender": ({**good, "sender": flood}, "/sender"),
        "template": ({**good, "template": flood}, "/template"),
        "reply_to": ({**good, "reply_to": flood}, "/reply_to"),
        "attachment": ({**good, "attachments": [flood]}, "/attachments/0"),
    }[where]
    (problem,) = refusals(mail)
    assert (problem.type, problem.pointer) == ("too-many", pointer)
    assert (problem.limit, problem.given) == (FIELDS_MAX, 100_000)
