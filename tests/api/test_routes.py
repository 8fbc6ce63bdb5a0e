"""Addresses and methods; and whatever is asked, an answer."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.triggers.http import Request, write_http_answer
from tests.api.conftest import JSON, MAIL, Service


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "",
        "/v1",
        "/v2/mails",
        "/v1/mail",
        "/v1/mails/a/b",
        "/V1/mails",
        "/healthz/x",
        "//v1/mails",
    ],
)
def test_addresses_that_are_not_there(service: Service, path: str) -> None:
    """What is not there is a 404, with any method."""
    for method in ("GET", "POST", "DELETE"):
        answer = service.ask(method, path, body=json.dumps(MAIL).encode(), headers=JSON)
        assert answer.status == 404
        assert answer.body is not None
        assert answer.body["type"] == "urn:postbus:problem:not-found"


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/mails", "GET, POST"),
        ("/v1/mails/x", "GET"),
        ("/healthz", "GET"),
        ("/openapi.json", "GET"),
    ],
)
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "", "get"])
def test_methods_that_are_not_allowed(
    service: Service, path: str, allowed: str, method: str
) -> None:
    """A method that an address does not take is a 405 that names those it takes."""
    answer = service.ask(method, path)
    assert (answer.status, answer.headers["Allow"]) == (405, allowed)
    assert answer.body is not None
    assert answer.body["type"] == "urn:postbus:problem:method-not-allowed"


@pytest.mark.parametrize("path", ["/v1/mails/", "/v1/mails//"])
def test_a_slash_more(service: Service, path: str) -> None:
    """A slash at the end makes no other address."""
    answer = service.ask("POST", path, body=json.dumps(MAIL).encode(), headers=JSON)
    assert answer.status == 201


def test_healthz(service: Service) -> None:
    """The API says that it is up and which environment it is, and touches nothing."""
    answer = service.ask("GET", "/healthz")
    assert (answer.status, answer.body) == (200, {"ok": True, "environment": "test"})
    assert service.world.steps.names == []


@pytest.fixture(scope="module")
def lasting() -> Service:
    """One service for many requests."""
    return Service()


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    [*MAIL, "key", "sender", "notify", "headers", "template", "separate", "tag"]
)
BODIES = st.one_of(
    st.binary(max_size=60),
    st.builds(lambda value: json.dumps(value).encode(), JSON_VALUES),
    st.builds(
        lambda changes: json.dumps({**MAIL, **changes}).encode(),
        st.dictionaries(FIELDS, JSON_VALUES, max_size=3),
    ),
)
REQUESTS = st.builds(
    Request,
    method=st.sampled_from(["GET", "POST", "PUT"]) | st.text(max_size=8),
    path=st.sampled_from(["/v1/mails", "/v1/mails/x", "/healthz", "/openapi.json"])
    | st.text(max_size=20).map(lambda end: "/v1/mails/" + end)
    | st.text(max_size=20),
    headers=st.fixed_dictionaries(
        {"content-type": st.just("application/json") | st.text(max_size=20)},
        optional={
            "idempotency-key": st.text(max_size=20),
            "prefer": st.just("respond-async") | st.text(max_size=20),
        },
    ),
    query=st.dictionaries(st.just("key") | st.text(max_size=5), st.text(max_size=20), max_size=2),
    body=BODIES,
)


@settings(max_examples=300, deadline=None)
@given(REQUESTS)
def test_every_request_has_an_answer(lasting: Service, request_: Request) -> None:
    """Whatever is asked, there is an answer the platform can send, and bad input is never a 5xx."""
    answer = lasting.api.answer(request_, lasting.world.clock.invocation())
    assert 200 <= answer.status < 500
    written = write_http_answer(answer)
    json.dumps(written).encode()
    assert json.loads(written["body"]) == answer.body
    if answer.status >= 400:
        assert answer.content_type == "application/problem+json"
