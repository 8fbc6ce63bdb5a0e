"""The HTTP trigger and InvokeFunction, over real HTTP messages."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.host.app import create_app
from local.host.model import FunctionSpec, HttpTrigger
from tests.local.host.conftest import Play, Stage, function, template

Ask = Callable[[httpx.AsyncClient], Awaitable[httpx.Response]]
Serve = Callable[..., httpx.Response]
INVOKE = "/2023-03-30/functions/{}/invocations"


@pytest.fixture
def serve(play: Play) -> Serve:
    """Serves one function with an HTTP trigger at `/v1/*` and `/healthz`, and asks it once."""

    def run(ask: Ask, spec: FunctionSpec | None = None, **options: Any) -> httpx.Response:
        spec = spec or function("recording.http")
        methods = options.pop("methods", ("GET", "HEAD", "POST", "DELETE"))
        trigger = HttpTrigger("web", spec.name, methods, ("/v1/*", "/healthz"))

        async def scene(stage: Stage) -> httpx.Response:
            transport = httpx.ASGITransport(create_app(stage.host), client=("10.1.2.3", 1))
            async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
                return await ask(client)

        return play(scene, template(spec, triggers=(trigger,)), **options)

    return run


def test_the_event_is_payload_format_v1(serve: Serve) -> None:
    """Every field that the platform documents, and no other."""

    async def ask(client: httpx.AsyncClient) -> httpx.Response:
        url = "/v1/mails/%C3%A9%2Fx?a=1&b=&a=2&c=%20%26"
        headers = [("x-multi", "one"), ("x-multi", "two"), ("user-agent", "test/1")]
        return await client.post(url, content='{"é": 1}', headers=headers)

    answer = serve(ask)
    event = answer.json()
    context = event.pop("requestContext")
    headers = event.pop("headers")
    assert event == {
        "version": "v1",
        "rawPath": "/v1/mails/%C3%A9%2Fx",
        "body": '{"é": 1}',
        "isBase64Encoded": False,
        "queryParameters": {"a": "1,2", "b": "", "c": " &"},
    }
    assert headers["X-Multi"] == "one,two"
    assert headers["Host"] == "here"
    assert context.pop("time").endswith("Z")
    assert context.pop("timeEpoch").isdigit()
    assert context.pop("requestId") == answer.headers["x-fc-request-id"]
    prefix = context.pop("domainPrefix")
    assert context.pop("domainName") == f"{prefix}.cn-hangzhou.fcapp.run"
    assert context == {
        "accountId": "1234567890123456",
        "http": {
            "method": "POST",
            "path": "/v1/mails/é/x",
            "protocol": "HTTP/1.1",
            "sourceIp": "10.1.2.3",
            "userAgent": "test/1",
        },
    }


def test_the_platform_s_own_headers_are_not_passed_on(serve: Serve) -> None:
    """x-fc-*, Connection and Keep-Alive belong to the platform."""

    async def ask(client: httpx.AsyncClient) -> httpx.Response:
        headers = {"x-fc-account-id": "1", "connection": "close", "keep-alive": "5", "x-other": "y"}
        return await client.get("/healthz", headers=headers)

    names = set(serve(ask).json()["headers"])
    assert "X-Other" in names
    assert not names & {"X-Fc-Account-Id", "Connection", "Keep-Alive"}


@pytest.mark.parametrize(
    ("content_type", "body", "encoded"),
    [
        ("application/json; charset=utf-8", b"{}", False),
        ("application/problem+json", b"{}", False),
        ("application/vnd.x+xml", b"<a/>", False),
        ("application/x-www-form-urlencoded", b"a=b", False),
        ("text/csv", b"a,b", False),
        (None, b"plain", False),
        ("application/json", b'"\xff"', True),
        ("application/octet-stream", b"plain", True),
        ("image/png", b"\x89PNG", True),
        ("multipart/form-data; boundary=x", b"--x--", True),
        ("application/jsonish", b"{}", True),
    ],
)
def test_a_binary_body_arrives_in_base64(
    serve: Serve, content_type: str | None, body: bytes, *, encoded: bool
) -> None:
    """By content type; and a text that is not UTF-8 too, for JSON has no place for it."""

    async def ask(client: httpx.AsyncClient) -> httpx.Response:
        headers = {"content-type": content_type} if content_type else {}
        return await client.post("/v1/x", content=body, headers=headers)

    event = serve(ask).json()
    assert event["isBase64Encoded"] is encoded
    got = base64.b64decode(event["body"]) if encoded else event["body"].encode()
    assert got == body


def _returning(result: Any) -> Ask:
    async def ask(client: httpx.AsyncClient) -> httpx.Response:
        return await client.post("/v1/x", json={"return": result})

    return ask


def test_the_result_becomes_the_answer(serve: Serve) -> None:
    """Status, headers and body, with the platform's request id beside them."""
    headers = {"Content-Type": "text/plain", "X-Own": "ü"}
    result = {"statusCode": 418, "headers": headers, "isBase64Encoded": False, "body": "té"}
    answer = serve(_returning(result))
    assert (answer.status_code, answer.text) == (418, "té")
    assert answer.headers["x-own"] == "ü"
    assert answer.headers["content-type"] == "text/plain"
    assert answer.headers["x-fc-request-id"].startswith("1-")
    assert answer.headers["content-length"] == "3"


def test_a_base64_body_is_decoded(serve: Serve) -> None:
    """So a function can answer with any bytes."""
    body = base64.b64encode(bytes(range(256))).decode()
    answer = serve(_returning({"statusCode": 200, "isBase64Encoded": True, "body": body}))
    assert answer.content == bytes(range(256))


def test_headers_that_a_response_may_not_set_are_dropped(serve: Serve) -> None:
    """Those of the connection, and a download's."""
    headers = {
        "Connection": "close",
        "Content-Length": "999",
        "Date": "yesterday",
        "Keep-Alive": "1",
        "Server": "mine",
        "Upgrade": "h2c",
        "Content-Disposition": "attachment; filename=x",
        "X-Kept": "yes",
    }
    answer = serve(_returning({"statusCode": 200, "headers": headers, "body": "ok"}))
    assert answer.headers["content-length"] == "2"
    assert set(answer.headers) == {"x-kept", "x-fc-request-id", "content-length"}


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_that_has_no_body_is_sent_without(serve: Serve, status: int) -> None:
    """Whatever the function gave."""
    answer = serve(_returning({"statusCode": status, "body": "not sent"}))
    assert (answer.status_code, answer.content) == (status, b"")


@pytest.mark.parametrize(
    "result",
    [
        None,
        "text",
        [200],
        {},
        {"body": "no status"},
        {"statusCode": "200"},
        {"statusCode": True},
        {"statusCode": 100},
        {"statusCode": 600},
        {"statusCode": 200, "headers": ["x"]},
        {"statusCode": 200, "headers": {"X": 1}},
        {"statusCode": 200, "headers": {"X": "a\r\nb: c"}},
        {"statusCode": 200, "headers": {"X Y": "a"}},
        {"statusCode": 200, "headers": {"X": "y" * 9000}},
        {"statusCode": 200, "body": 5},
        {"statusCode": 200, "isBase64Encoded": True, "body": "%%%"},
    ],
)
def test_a_result_that_is_no_response_is_a_502(serve: Serve, result: Any) -> None:
    """BadResponse, with a sentence that says why."""
    answer = serve(_returning(result))
    assert answer.status_code == 502
    assert answer.headers["x-fc-error-type"] == "UnhandledInvocationError"
    assert answer.json()["Code"] == "BadResponse"


def test_a_result_that_is_not_json_is_a_502(serve: Serve) -> None:
    """A function's bytes are not an answer."""

    async def ask(client: httpx.AsyncClient) -> httpx.Response:
        return await client.get("/healthz")

    assert serve(ask, function("basic.talk")).status_code == 502


def test_a_failure_is_a_502_with_the_error_json(serve: Serve, tmp_path: Path) -> None:
    """As InvokeFunction gives it, but with a status that browsers understand."""
    (tmp_path / "boom.py").write_text("def handler(e, c): raise ValueError('boom')\n", "utf-8")

    async def ask(client: httpx.AsyncClient) -> httpx.Response:
        return await client.get("/healthz")

    answer = serve(ask, function("boom.handler"), code_root=tmp_path)
    assert answer.status_code == 502
    assert answer.headers["x-fc-error-type"] == "UnhandledInvocationError"
    assert answer.json()["errorMessage"] == "boom"


def test_a_method_that_the_trigger_does_not_allow_is_a_403(serve: Serve) -> None:
    """As the platform documents it: not a 405."""

    async def ask(client: httpx.AsyncClient) -> httpx.Response:
        return await client.delete("/v1/mails/1")

    answer = serve(ask, methods=("GET", "POST"))
    assert answer.status_code == 403
    assert answer.headers["x-fc-error-type"] == "FcCommonError"
    assert answer.json()["Code"] == "AccessDenied"


def test_paths_outside_the_routes_are_nobody_s(serve: Serve) -> None:
    """Left to whatever else is served at the address."""

    async def ask(client: httpx.AsyncClient) -> httpx.Response:
        return await client.get("/v2/mails")

    assert serve(ask).status_code == 404


def test_a_body_at_the_limit_passes_and_one_byte_more_does_not(serve: Serve) -> None:
    """128 KB for an asynchronous request, which is the smaller limit."""
    limit = 128 * 1024

    async def ask(client: httpx.AsyncClient) -> httpx.Response:
        headers = {"x-fc-invocation-type": "Async"}
        fits = await client.post("/v1/x", content=b"x" * (limit - 4096), headers=headers)
        assert fits.status_code == 202
        return await client.post("/v1/x", content=b"x" * (limit + 1), headers=headers)

    answer = serve(ask)
    assert answer.status_code == 400
    assert answer.json()["Code"] == "EntityTooLarge"


def test_a_body_over_32_mb_is_refused_before_it_is_all_there(serve: Serve) -> None:
    """Reading stops at the limit, whatever length was announced."""
    sent = 0

    async def chunks() -> Any:
        nonlocal sent
        for _ in range(60):
            sent += 1
            yield b"x" * 1024 * 1024

    async def ask(client: httpx.AsyncClient) -> httpx.Response:
        return await client.post("/v1/x", content=chunks())

    assert serve(ask).json()["Code"] == "EntityTooLarge"
    assert sent <= 34


def test_a_large_binary_body_passes_whole(serve: Serve) -> None:
    """The limit counts the body, not the larger event that it makes."""
    body = bytes(range(256)) * 4096 * 25

    async def ask(client: httpx.AsyncClient) -> httpx.Response:
        headers = {"content-type": "application/octet-stream"}
        return await client.post("/v1/x", content=body, headers=headers)

    assert base64.b64decode(serve(ask).json()["body"]) == body


@pytest.mark.parametrize(
    ("url", "headers"),
    [("/v1/" + "x" * 4096, {}), ("/healthz?q=" + "x" * 4096, {}), ("/healthz", {"x": "y" * 8192})],
)
def test_a_request_head_over_the_limits_is_refused(
    serve: Serve, url: str, headers: dict[str, str]
) -> None:
    """4 KB of path and query, 8 KB of headers."""

    async def ask(client: httpx.AsyncClient) -> httpx.Response:
        return await client.get(url, headers=headers)

    answer = serve(ask)
    assert answer.status_code == 400
    assert answer.json()["Code"] == "InvalidArgument"


def test_an_asynchronous_request_is_accepted_and_runs(serve: Serve, tmp_path: Path) -> None:
    """202 with the request id that the function then sees."""
    record = tmp_path / "record"

    async def ask(client: httpx.AsyncClient) -> httpx.Response:
        answer = await client.post("/v1/x", headers={"x-fc-invocation-type": "Async"})
        while not record.exists():  # noqa: ASYNC110  # another process writes it
            await asyncio.sleep(0.01)
        return answer

    spec = function("recording.record", environment={"RECORD": str(record)})
    answer = serve(ask, spec)
    assert (answer.status_code, answer.content) == (202, b"")
    line = json.loads(record.read_text(encoding="utf-8"))
    assert line["id"] == answer.headers["x-fc-request-id"]


def test_invoke_function_gives_the_result_and_the_platform_s_headers(serve: Serve) -> None:
    """Request id, instance, duration; the log's tail where it is asked for."""

    async def ask(client: httpx.AsyncClient) -> httpx.Response:
        headers = {"x-fc-log-type": "Tail"}
        return await client.post(INVOKE.format("basic-talk"), content=b"hi", headers=headers)

    answer = serve(ask, function("basic.talk"))
    assert (answer.status_code, answer.content) == (200, b"talked")
    assert answer.headers["x-fc-instance-id"].startswith("c-")
    assert answer.headers["x-fc-invocation-duration"].isdigit()
    assert "x-fc-error-type" not in answer.headers
    assert b"printed hi\n" in base64.b64decode(answer.headers["x-fc-log-result"])


def test_invoke_function_gives_a_failure_with_status_200(serve: Serve) -> None:
    """And the error type in a header."""

    async def ask(client: httpx.AsyncClient) -> httpx.Response:
        return await client.post(INVOKE.format("failing-handler"), content=b"wrong")

    answer = serve(ask, function("failing.handler"))
    assert answer.status_code == 200
    assert answer.headers["x-fc-error-type"] == "UnhandledInvocationError"
    assert answer.json()["errorType"] == "ValueError"


@pytest.mark.parametrize("kind", ["Sync", "Async"])
def test_invoke_function_refuses_an_unknown_function(serve: Serve, kind: str) -> None:
    """404 with the platform's own error, before anything is accepted."""

    async def ask(client: httpx.AsyncClient) -> httpx.Response:
        headers = {"x-fc-invocation-type": kind}
        return await client.post(INVOKE.format("nobody"), headers=headers)

    answer = serve(ask)
    assert answer.status_code == 404
    assert answer.json()["Code"] == "FunctionNotFound"


def test_invoke_function_refuses_a_large_asynchronous_event(serve: Serve) -> None:
    """128 KB and no more."""

    async def ask(client: httpx.AsyncClient) -> httpx.Response:
        headers = {"x-fc-invocation-type": "Async"}
        body = b"x" * (128 * 1024 + 1)
        return await client.post(INVOKE.format("Sample"), content=body, headers=headers)

    assert serve(ask).json()["Code"] == "EntityTooLarge"
