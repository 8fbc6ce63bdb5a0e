"""Whatever bytes come in, no function fails; each bad mail is told what is wrong with it."""

from __future__ import annotations

import base64
import json
import secrets
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.stack

GOOD = {"to": ["ada@example.net"], "subject": "Hello", "text": "Hello Ada"}

# body on the queue -> the problems that its letter on the reject queue must tell
QUEUE_TABLE: dict[str, tuple[bytes, list[tuple[str, str]]]] = {
    "empty": (b"", [("", "not-json")]),
    "not JSON": (b"hello", [("", "not-json")]),
    "invalid UTF-8": (b'{"to": "\xff"}', [("", "not-json")]),
    "a lone surrogate": (b'{"subject": "\\ud800"}', [("", "not-json")]),
    "nested deeply": (b"[" * 20_000 + b"]" * 20_000, [("", "not-json")]),
    "an array": (b"[1]", [("", "not-an-object")]),
    "a number": (b"1e400", [("", "not-an-object")]),
    "a huge number": (
        json.dumps({**GOOD, "version": 1}).replace("1}", "1" + "0" * 4_000 + "}").encode(),
        [("/version", "not-allowed")],
    ),
    "NaN": (b'{"version": NaN}', [("", "not-json")]),
    "an unknown field": (
        json.dumps({**GOOD, "cc": ["a@example.net"]}).encode(),
        [("/cc", "unknown-field")],
    ),
    "wrong types": (
        json.dumps({**GOOD, "to": "ada@example.net", "subject": 7}).encode(),
        [("/to", "wrong-type"), ("/subject", "wrong-type")],
    ),
    "a bad recipient": (
        json.dumps({**GOOD, "to": ["ada@example.net", "bob"]}).encode(),
        [("/to/1", "address")],
    ),
    "a line break in the subject": (
        json.dumps({**GOOD, "subject": "a\r\nBcc: b@example.net"}).encode(),
        [("/subject", "unsafe-character")],
    ),
    "not there yet": (
        json.dumps({**GOOD, "lane": "bulk"}).encode(),
        [("/lane", "not-yet-supported")],
    ),
    "a false envelope": (b'{"postbus": 1}', [("/postbus", "bad-envelope")]),
}


def trigger_event(*bodies: bytes) -> bytes:
    """A queue trigger's event with these message bodies, in base64; each has an id of its own."""
    run = secrets.token_hex(4)
    return json.dumps(
        [
            {
                "id": f"m-{run}-{number}",
                "source": "test",
                "specversion": "1.0",
                "type": "mns:Queue:SendMessage",
                "data": {
                    "messageId": f"m-{run}-{number}",
                    "messageBody": base64.b64encode(body).decode(),
                },
            }
            for number, body in enumerate(bodies)
        ]
    ).encode()


def invoke(url: str, function: str, event: bytes) -> httpx.Response:
    """Call a function; it must not fail."""
    answer = httpx.post(
        f"{url}/2023-03-30/functions/{function}/invocations",
        content=event,
        trust_env=False,
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    assert "x-fc-error-type" not in answer.headers, answer.text
    return answer


@pytest.mark.parametrize("name", QUEUE_TABLE)
def test_a_bad_mail_is_rejected_with_its_problems(name: str, stack: Any) -> None:
    """Each goes to the reject queue, whole, with the type and the pointer of what is wrong."""
    body, problems = QUEUE_TABLE[name]
    stack.take_letters("rejected")
    invoke(stack.url, "send_mail", trigger_event(body))
    (letter,) = stack.take_letters("rejected")
    assert [(p["pointer"], p["type"]) for p in letter["problems"]] == problems
    if "body" in letter:
        assert letter["body"].encode() == body
    else:
        assert base64.b64decode(letter["body_base64"]) == body


def test_a_bad_mail_stops_nobody_else(stack: Any) -> None:
    """Of a batch with bad mails among good ones, the good ones are sent."""
    before = stack.outbox().count()
    stack.take_letters("rejected")
    good = [json.dumps({**GOOD, "key": f"among-bad-{n}"}).encode() for n in range(5)]
    bad = [body for body, _ in list(QUEUE_TABLE.values())[:5]]
    mixed = [body for pair in zip(good, bad, strict=True) for body in pair]
    invoke(stack.url, "send_mail", trigger_event(*mixed))
    assert stack.outbox().count() == before + 5
    assert len(stack.take_letters("rejected")) == 5


def test_ten_megabytes_fail_no_function(stack: Any) -> None:
    """10 MB of whatever: every function answers."""
    for size, unit in ((10_000_000, b"x"), (5_000_000, b"[]"), (10_000_000, b"\xff")):
        for function in ("send_mail", "mail_api", "clock", "delivery_events"):
            invoke(stack.url, function, unit * (size // len(unit)))
    answer = httpx.post(
        f"{stack.url}/v1/mails",
        content=json.dumps({**GOOD, "text": "x" * 10_000_000}),
        headers={"content-type": "application/json"},
        trust_env=False,
        timeout=60,
    )
    assert answer.status_code in (413, 422)
    assert {error["pointer"] for error in answer.json()["errors"]} == {"/text"}


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner),
    max_leaves=12,
)
FUNCTIONS = st.sampled_from(["send_mail", "mail_api", "clock", "delivery_events"])
BYTES = st.one_of(
    st.binary(max_size=200),
    JSON_VALUES.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(
        st.sampled_from(
            ["data", "messageBody", "messageId", "id", "type", "source", "body", "headers",
             "isBase64Encoded", "requestContext", "payload", "triggerName", "triggerTime"]
        ),
        JSON_VALUES,
    ).map(lambda value: json.dumps([value]).encode()),
)  # fmt: skip


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(function=FUNCTIONS, event=BYTES)
@example(function="delivery_events", event=b'{"type": "dm:Deliver:Succeed", "source": "acs:dm"}')
@example(function="clock", event=b'{"triggerName": "t", "triggerTime": "now", "payload": "{}"}')
def test_no_function_fails_on_any_event(function: str, event: bytes, stack: Any) -> None:
    """Random bytes, random JSON and near misses of real events: every function answers."""
    invoke(stack.url, function, event)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(value=JSON_VALUES, field=st.sampled_from(["to", "subject", "text", "key", "notify", "tag"]))
def test_bad_http_input_is_the_callers_fault(value: Any, field: str, stack: Any) -> None:
    """Whatever a field holds, the API answers 201 or a 4xx problem, and never a 5xx."""
    answer = httpx.post(
        f"{stack.url}/v1/mails",
        content=json.dumps({**GOOD, field: value}),
        headers={"content-type": "application/json"},
        trust_env=False,
        timeout=60,
    )
    assert answer.status_code == 201 or 400 <= answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["type"].startswith("urn:postbus:problem:")
