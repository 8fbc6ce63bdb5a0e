"""Problems: where they point, and what they do not give away."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.schema.mail_request import parse_mail
from shared.schema.problems import InvalidMail, Problem, json_type, pointer_to, shown
from tests.schema.samples import Refusals, Told

SECRET = "s3cret"


def test_a_problem_is_a_json_object_without_what_does_not_apply() -> None:
    """Limit and given are there only where the rule has them; zero is one."""
    assert Problem("/to/3", "address", "is bad").as_dict() == {
        "pointer": "/to/3",
        "type": "address",
        "detail": "is bad",
    }
    assert Problem("/to", "too-few", "is bad", limit=1, given=0).as_dict() == {
        "pointer": "/to",
        "type": "too-few",
        "detail": "is bad",
        "limit": 1,
        "given": 0,
    }


PRIVATE: dict[str, dict[str, Any]] = {
    "html too large": {"html": SECRET + "上" * 1_000_000},
    "html of another type": {"html": [SECRET]},
    "text of another type": {"text": {SECRET: SECRET}},
    "a subject": {"subject": SECRET + "\n"},
    "a subject too long": {"subject": SECRET * 100},
    "an attachment": {"attachments": [{"name": "a", "content": SECRET + "!"}]},
    "a template's value": {"template": {"id": "1", "data": {"a": [SECRET]}}},
    "a template's values": {"template": {"id": "1", "data": {"a": SECRET + "上" * 1_000_000}}},
    "an unknown field": {"body": SECRET},
    "a header's value": {"headers": {"X-User-A": SECRET + "\n"}},
    "a notify value": {"notify": {"a": SECRET + "ä"}},
}


@pytest.mark.parametrize("change", PRIVATE.values(), ids=PRIVATE.keys())
def test_no_problem_repeats_what_is_private(
    change: dict[str, Any], good: dict[str, Any], refusals: Refusals
) -> None:
    """Of a body, a subject or a header only the size is told."""
    for problem in refusals({**good, **change}):
        assert SECRET not in json.dumps(problem.as_dict())


def test_the_error_carries_no_copy_of_the_mail(good: dict[str, Any]) -> None:
    """A log that follows causes and contexts finds no pydantic error, which holds its input."""
    with pytest.raises(InvalidMail) as caught:
        parse_mail({**good, "to": [], "html": SECRET})
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert str(caught.value) == "/to: has at least 1 entry"


SHORT: list[tuple[dict[str, Any], Any, Any]] = [
    ({"version": 2}, 1, "2"),
    ({"version": 10**4000}, 1, "number"),
    ({"address_type": "both"}, "'sender' or 'random'", "both"),
    ({"address_type": 1.5}, "'sender' or 'random'", "number"),
    ({"address_type": "x" * 500}, "'sender' or 'random'", "x" * 80),
    ({"address_type": "\r\n\u202e" * 100}, "'sender' or 'random'", "\\r\\n\\u202e" * 8),
    ({"to": ["eve" * 40]}, None, "eve" * 26 + "ev"),
    ({"tag": "two words"}, None, "two words"),
    ({"domain_auth": "yes"}, None, "string"),
    ({"reply_to": "a@b.co"}, "none, console", "a@b.co"),
]


@pytest.mark.parametrize(("change", "limit", "given"), SHORT)
def test_a_short_value_is_shown_cut_and_on_one_line(
    change: dict[str, Any], limit: Any, given: Any, good: dict[str, Any], refusals: Refusals
) -> None:
    """A person finds the mistake; a log finds no control character and no flood."""
    (problem,) = refusals({**good, **change})
    assert (problem.limit, problem.given) == (limit, given)


POINTERS: list[tuple[list[str | int], str]] = [
    ([], ""),
    (["to", 3], "/to/3"),
    (["a/b", "c~d", "~1"], "/a~1b/c~0d/~01"),
    ([""], "/"),
    (["x" * 500], "/" + "x" * 80),
    (["\ud800"], "/\\ud800"),
]


@pytest.mark.parametrize(("parts", "pointer"), POINTERS)
def test_a_pointer_is_written_as_rfc_6901_says(parts: list[str | int], pointer: str) -> None:
    """Slashes and tildes are escaped, endless names cut, and UTF-8 can carry the rest."""
    assert pointer_to(parts) == pointer
    assert pointer_to(parts).encode("utf-8") == pointer.encode("utf-8")


FROM_PYTHON: list[tuple[dict[Any, Any], list[tuple[str, str]]]] = [
    ({1: 2}, [("wrong-type", "/1")]),
    ({"\ud800": 1}, [("not-unicode", "")]),
    ({"subject": "\ud800"}, [("not-unicode", "/subject")]),
    ({"text": "\ud800"}, [("not-unicode", "/text")]),
    ({"key": "\ud800"}, [("not-unicode", "/key")]),
    ({"to": ["\ud800@b.co"]}, [("address", "/to/0")]),
    ({"notify": {"\ud800": "a"}}, [("header-name", "/notify/\\ud800")]),
    ({"notify": {1: "a"}}, [("wrong-type", "/notify/1/[key]")]),
    ({"headers": {"X-User-A": "\udcff"}}, [("unsafe-character", "/headers/X-User-A")]),
    ({"to": ("a@b.co",)}, [("wrong-type", "/to")]),
    ({"html": b"<p>"}, [("wrong-type", "/html")]),
    ({"version": 10**5000}, [("not-allowed", "/version")]),
]


@pytest.mark.parametrize(("change", "problems"), FROM_PYTHON)
def test_a_dict_that_no_json_could_be_is_refused_likewise(
    change: dict[Any, Any], problems: list[tuple[str, str]], good: dict[Any, Any], told: Told
) -> None:
    """An object handed in by a caller may hold what a reader of JSON would have refused."""
    assert told({**good, **change}) == problems


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (None, "null"),
        (True, "boolean"),
        (1, "number"),
        (1.5, "number"),
        ("", "string"),
        ([], "array"),
        ({}, "object"),
        (b"", "bytes"),
    ],
)
def test_types_have_json_s_names(value: Any, name: str) -> None:
    """A producer in Java knows no dict."""
    assert json_type(value) == name


def test_true_is_shown_as_json_writes_it() -> None:
    """Not as Python does."""
    assert (shown(True), shown(None)) == ("true", "null")  # noqa: FBT003  # the value under test
