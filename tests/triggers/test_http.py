"""An HTTP trigger's event and answer, payload format v1."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.triggers.http import (
    BadHttpEvent,
    Request,
    Response,
    read_http_event,
    write_http_answer,
)

Sample = Callable[[str], bytes]
# A busy machine proves nothing.
ANY_TIME = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def test_the_documented_sample_is_read(sample: Sample) -> None:
    """Repeated headers and parameters stay joined by commas, as the platform joins them."""
    assert read_http_event(sample("http-trigger-get.json")) == Request(
        method="GET",
        path="/example",
        headers={"header1": "value1", "header2": "value1,value2"},
        query={"parameter1": "value1", "parameter2": "value1,value2"},
        body=b"Hello FC!",
    )


@pytest.mark.parametrize("name", ["http-trigger-post.json", "http-trigger-post-base64.json"])
def test_a_body_arrives_as_it_was_posted(sample: Sample, name: str) -> None:
    """Text and base64 give the same bytes, and header names are found in lower case."""
    request = read_http_event(sample(name))
    assert (request.method, request.path) == ("POST", "/v1/mails")
    assert request.headers["idempotency-key"] == "order-4711"
    assert json.loads(request.body) == json.loads(sample("mail-request.json"))


def event(**changes: Any) -> bytes:
    """A small good event with `changes` to its members; None leaves a member out."""
    http = {"method": "POST", "path": "/p q"}
    good = {"version": "v1", "rawPath": "/p%20q", "requestContext": {"http": http}}
    members = {**good, **changes}
    return json.dumps(
        {name: value for name, value in members.items() if value is not None}
    ).encode()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Request("POST", "/p q")),
        ({"requestContext": None}, Request("GET", "/p%20q")),
        ({"requestContext": None, "rawPath": None}, Request("GET", "/")),
        ({"requestContext": 7, "rawPath": ""}, Request("GET", "/")),
        ({"requestContext": {"http": []}}, Request("GET", "/p%20q")),
        ({"requestContext": {"http": {"method": "put", "path": ""}}}, Request("PUT", "/p%20q")),
        ({"requestContext": {"http": {"method": 1, "path": 2}}}, Request("1", "2")),
        ({"headers": {"X-Acs-Action": "A"}}, Request("POST", "/p q", {"x-acs-action": "A"})),
        ({"headers": {"n": 1, "m": None}}, Request("POST", "/p q", {"n": "1", "m": "None"})),
        ({"headers": "none"}, Request("POST", "/p q")),
        ({"queryParameters": {"Key": "A"}}, Request("POST", "/p q", {}, {"Key": "A"})),
        ({"queryParameters": [1]}, Request("POST", "/p q")),
        ({"body": "世"}, Request("POST", "/p q", body="世".encode())),
        ({"body": "YQ==", "isBase64Encoded": True}, Request("POST", "/p q", body=b"a")),
        ({"body": "YQ==", "isBase64Encoded": "true"}, Request("POST", "/p q", body=b"YQ==")),
        ({"body": "", "isBase64Encoded": True}, Request("POST", "/p q")),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_what_is_missing_or_odd_has_a_safe_reading(
    changes: dict[str, Any], expected: Request
) -> None:
    """Captured events leave members out: the request still has a method, a path and a body."""
    assert read_http_event(event(**changes)) == expected


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 10_000, "not JSON"),
        (b"[]", "not an object"),
        (b"7", "not an object"),
        (event(body={}), "body is not text"),
        (event(body=0), "body is not text"),
        (event(body="!", isBase64Encoded=True), "marked as base64 and is not"),
        (event(body="YQ", isBase64Encoded=True), "marked as base64 and is not"),
        (event(body="世", isBase64Encoded=True), "marked as base64 and is not"),
    ],
    ids=lambda value: repr(value[:16]),
)
def test_a_bad_event_is_refused(data: bytes, reason: str) -> None:
    """Everything that is no HTTP event ends in the one error that is answered with a 400."""
    with pytest.raises(BadHttpEvent, match=reason):
        read_http_event(data)


@ANY_TIME
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """Whatever bytes come, nothing but `BadHttpEvent` is raised."""
    with contextlib.suppress(BadHttpEvent):
        read_http_event(data)


@ANY_TIME
@given(data=st.data())
def test_any_json_is_read_or_refused(data: st.DataObject, any_json: Callable[..., Any]) -> None:
    """Whatever JSON comes, the request has texts and bytes where it says so."""
    names = ("body", "headers", "http", "isBase64Encoded", "method", "path", "requestContext")
    document = data.draw(any_json(*names))
    try:
        request = read_http_event(json.dumps(document).encode())
    except BadHttpEvent:
        return
    assert isinstance(request.body, bytes)
    assert all(isinstance(text, str) for text in (request.method, request.path))
    assert all(name == name.lower() for name in request.headers)


@ANY_TIME
@given(st.binary(max_size=100))
def test_any_body_survives_base64(body: bytes) -> None:
    """A binary body comes out byte for byte."""
    text = base64.b64encode(body).decode()
    assert read_http_event(event(body=text, isBase64Encoded=True)).body == body


@pytest.mark.parametrize(
    ("response", "status", "body", "headers"),
    [
        (
            Response(201, {"id": "é"}),
            201,
            '{"id": "é"}',
            {"Content-Type": "application/json", "Cache-Control": "no-store"},
        ),
        (
            Response(204),
            204,
            "",
            {"Content-Type": "application/json", "Cache-Control": "no-store"},
        ),
        (
            Response(429, {}, {"Retry-After": "3"}, "application/problem+json"),
            429,
            "{}",
            {
                "Content-Type": "application/problem+json",
                "Cache-Control": "no-store",
                "Retry-After": "3",
            },
        ),
        (
            Response(200, {}, {"Cache-Control": "max-age=60"}),
            200,
            "{}",
            {"Content-Type": "application/json", "Cache-Control": "max-age=60"},
        ),
    ],
    ids=["body", "none", "problem", "own header"],
)
def test_an_answer_has_all_four_keys(
    response: Response, status: int, body: str, headers: dict[str, str]
) -> None:
    """The platform does not document what it does with an answer that lacks one."""
    assert write_http_answer(response) == {
        "statusCode": status,
        "headers": headers,
        "isBase64Encoded": False,
        "body": body,
    }
