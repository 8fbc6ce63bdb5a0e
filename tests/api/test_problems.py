"""Problem documents."""

from __future__ import annotations

import pytest

from shared.api.answers import invalid_mail
from shared.api.problems import KINDS, problem
from shared.schema.problems import InvalidMail, Problem


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind(kind: str) -> None:
    """Each kind has a stable type, a title for people, and the status that it is sent with."""
    answer = problem(kind, "what to do")
    status, title = KINDS[kind]
    assert (answer.status, answer.content_type) == (status, "application/problem+json")
    assert answer.body == {
        "type": f"urn:postbus:problem:{kind}",
        "title": title,
        "status": status,
        "detail": "what to do",
    }
    assert 400 <= status < 600
    assert title[0].isupper()
    assert answer.headers == {}


@pytest.mark.parametrize(
    ("ms", "seconds"),
    [(0, "1"), (1, "1"), (1_000, "1"), (1_001, "2"), (-5, "1"), (86_400_000, "86400")],
)
def test_retry_after(ms: int, seconds: str) -> None:
    """`Retry-After` is in whole seconds, never too early and never 0."""
    assert problem("throttled", "later", retry_after_ms=ms).headers == {"Retry-After": seconds}


def test_members() -> None:
    """Errors and further members stand in the document; those without a value do not."""
    answer = problem(
        "invalid-mail",
        "wrong",
        problems=[Problem("/to/0", "address", "must be one", given="x")],
        headers={"Allow": "GET"},
        code="C",
        mail_id=None,
    )
    assert answer.body is not None
    assert answer.body["errors"] == [
        {"pointer": "/to/0", "type": "address", "detail": "must be one", "given": "x"}
    ]
    assert (answer.body["code"], "mail_id" in answer.body) == ("C", False)
    assert answer.headers == {"Allow": "GET"}


@pytest.mark.parametrize(
    ("types", "kind", "counted"),
    [
        (["address"], "invalid-mail", "1 thing is"),
        (["address", "missing"], "invalid-mail", "2 things are"),
        (["too-large"], "too-big", "1 thing is"),
        (["too-big-for-the-queue"], "too-big", "1 thing is"),
        (["body-too-large"], "invalid-mail", "1 thing is"),
        (["not-json"], "bad-request", "1 thing is"),
        (["not-an-object"], "bad-request", "1 thing is"),
        (["other-payload"], "other-payload", "1 thing is"),
        (["other-payload", "address"], "invalid-mail", "2 things are"),
    ],
)
def test_what_an_invalid_mail_is(types: list[str], kind: str, counted: str) -> None:
    """What is wrong decides between the kinds of problems, and the detail counts it."""
    answer = invalid_mail(InvalidMail(Problem("", each, "is wrong") for each in types))
    assert answer.body is not None
    assert answer.body["type"] == f"urn:postbus:problem:{kind}"
    assert answer.body["detail"].startswith(counted)
