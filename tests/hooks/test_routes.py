"""The addresses that need no access key."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from shared.hooks.routes import EVENTBRIDGE, SMQ, Webhooks
from shared.triggers.context import Invocation
from shared.triggers.http import Request, Response
from tests.hooks.conftest import call


@dataclass
class Door:
    """Notes what it is asked."""

    name: str
    asked: list[str] = field(default_factory=list)

    def answer(self, request: Request, *more: object) -> Response:
        """Answer."""
        told = [each for each in more if not isinstance(each, Invocation)]
        self.asked.append(" ".join([self.name, request.method, *map(str, told)]))
        return Response(200)


@pytest.fixture
def door() -> Door:
    """Behind every address."""
    return Door("door")


@pytest.fixture
def webhooks(door: Door) -> Webhooks:
    """All addresses."""
    return Webhooks({SMQ: door, EVENTBRIDGE: door}, door, door)


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/push/smq", "door POST"),
        ("POST", "/push/eventbridge", "door POST"),
        ("POST", "/hooks/crm", "door POST crm"),
        ("GET", "/unsubscribe/abc", "door GET abc"),
        ("POST", "/unsubscribe/abc", "door POST abc"),
    ],
)
def test_each_address_has_its_door(
    webhooks: Webhooks, door: Door, method: str, path: str, expected: str
) -> None:
    """And gets the source's name or the token."""
    assert webhooks.answer(Request(method, path), call()).status == 200
    assert door.asked == [expected]


@pytest.mark.parametrize(
    "path",
    [
        *("/", "", "/push", "/push/", "/push/smq/", "/push/smq/x", "/push/other", "/hooks"),
        *(
            "/hooks/",
            "/hooks/a/b",
            "/unsubscribe",
            "/unsubscribe/",
            "/unsubscribe/a/b",
            "/v1/mails",
        ),
        *("push/smq", "//push/smq", "/PUSH/smq"),
    ],
)
def test_elsewhere_is_nothing(webhooks: Webhooks, door: Door, path: str) -> None:
    """A 404 as a problem document."""
    answer = webhooks.answer(Request("POST", path), call())
    assert (answer.status, answer.content_type) == (404, "application/problem+json")
    assert door.asked == []


@pytest.mark.parametrize(
    ("path", "allowed"),
    [("/push/smq", "POST"), ("/hooks/crm", "POST"), ("/unsubscribe/t", "GET, POST")],
)
@pytest.mark.parametrize("method", ["PUT", "DELETE", "HEAD", "OPTIONS"])
def test_another_method_is_a_405(
    webhooks: Webhooks, door: Door, method: str, path: str, allowed: str
) -> None:
    """That says which ones there are."""
    answer = webhooks.answer(Request(method, path), call())
    assert (answer.status, answer.headers["Allow"]) == (405, allowed)
    assert door.asked == []


def test_what_is_not_set_up_is_not_there(door: Door) -> None:
    """Without a token, EventBridge has no address; without their builder, unsubscribes."""
    webhooks = Webhooks({SMQ: door}, door)
    for path in (EVENTBRIDGE, "/unsubscribe/t"):
        assert webhooks.answer(Request("POST", path), call()).status == 404
