"""What a handler gets and what comes of its result."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from local.host.instances.invocation import Invocation
from tests.local.host.conftest import HANDLERS, Play, Stage, function, template

Invoke = Callable[..., Invocation]


def test_event_is_bytes_and_result_bytes_are_unchanged(invoke: Invoke) -> None:
    """Every byte value goes in and comes out, with status 200 and no error type."""
    every_byte = bytes(range(256))
    invocation = invoke("basic.echo", every_byte)
    assert (invocation.status, invocation.error_type) == (200, None)
    assert invocation.body == every_byte


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("bytes", b"\x00\xff"),
        ("text", "grüße".encode()),
        ("none", b"null"),
        ("dict", b'{\n    "a": [\n        true,\n        null\n    ],\n    "b": 1\n}'),
        ("decimal", b"1.5"),
        ("date", b'"2026-11-21"'),
        ("to_json", b'{\n    "kind": "mail"\n}'),
    ],
)
def test_results_are_written_as_the_platform_writes_them(
    invoke: Invoke, name: str, body: bytes
) -> None:
    """Text and bytes as they are, the rest as sorted JSON indented by four."""
    assert invoke("basic.result", name.encode()).body == body


@pytest.mark.parametrize(
    ("name", "kind"), [("object", "TypeError"), ("surrogate", "UnicodeEncodeError")]
)
def test_a_result_that_cannot_be_written_is_a_function_error(
    invoke: Invoke, name: str, kind: str
) -> None:
    """The function is told, as for its own exceptions."""
    invocation = invoke("basic.result", name.encode())
    assert (invocation.status, invocation.error_type) == (200, "UnhandledInvocationError")
    assert json.loads(invocation.body)["errorType"] == kind


def test_large_events_and_results_pass_whole(invoke: Invoke) -> None:
    """Ten megabytes there and back."""
    event = b"0123456789" * 1_000_000
    assert invoke("basic.echo", event).body == event


def test_an_event_over_the_limit_is_refused(invoke: Invoke) -> None:
    """More than 32 MB never reach the function."""
    invocation = invoke("basic.echo", b"x" * (32 * 1024 * 1024 + 1))
    assert (invocation.status, invocation.error_type) == (400, "FcCommonError")
    assert json.loads(invocation.body)["Code"] == "EntityTooLarge"


def test_an_unknown_function_is_refused(play: Play) -> None:
    """FunctionNotFound, with its name."""

    async def scene(stage: Stage) -> Invocation:
        return await stage.host.invoke("nobody", b"")

    invocation = play(scene, template())
    assert invocation.status == 404
    assert json.loads(invocation.body)["Message"] == "function 'nobody' does not exist"


@pytest.mark.parametrize("name", ["basic-who", "Sample", "basic"])
def test_a_function_is_found_by_each_of_its_names(play: Play, name: str) -> None:
    """Full name, logical id or module."""

    async def scene(stage: Stage) -> Invocation:
        return await stage.host.invoke(name, b"")

    assert play(scene, template(function("basic.who"))).ok


def test_the_context_on_312_is_documented(invoke: Invoke) -> None:
    """An FCContext without credentials and service; the logger comes with getLogger()."""
    seen = json.loads(invoke("basic.describe", runtime="python3.12", timeout_seconds=7).body)
    assert seen["class"] == "FCContext"
    attributes: dict[str, Any] = seen["attributes"]
    assert attributes.pop("request_id").startswith("1-")
    assert attributes == {
        "account_id": "1234567890123456",
        "function": {
            "name": "basic-describe",
            "handler": "basic.describe",
            "memory": 256,
            "timeout": 7,
            "version_id": "LATEST",
            "qualifier": "LATEST",
        },
        "log_project": "",
        "log_store": "",
        "region": "cn-hangzhou",
    }
    assert seen["logger"] is False
    assert seen["json"] is None


def test_the_context_on_310_has_credentials_and_service(invoke: Invoke) -> None:
    """Those that 3.12 leaves to the environment; and the retry count."""
    seen = json.loads(invoke("basic.describe", runtime="python3.10").body)
    attributes = seen["attributes"]
    assert attributes["credentials"]["access_key_id"].startswith("STS.")
    assert attributes["credentials"]["security_token"]
    assert attributes["function"] == {
        "name": "basic-describe",
        "handler": "basic.describe",
        "memory": 256,
        "timeout": 10,
    }
    assert attributes["service"]["qualifier"] == "LATEST"
    assert attributes["retry_count"] == 0
    assert seen["logger"] is True
    assert seen["json"]["accountId"] == "1234567890123456"


def test_the_environment_is_the_platform_s_and_the_template_s(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the host's own environment leaks in; overrides win over the template."""
    monkeypatch.setenv("SECRET_OF_THE_HOST", "x")
    template_s = {"TEMPLATE": "a", "BOTH": "template"}
    given = _surroundings(invoke, environment=template_s, overrides={"BOTH": "override"})
    assert "SECRET_OF_THE_HOST" not in given
    assert (given["TEMPLATE"], given["BOTH"]) == ("a", "override")
    assert given["FC_FUNCTION_VERSION"] == "LATEST"
    assert "FC_VER_ID" not in given
    assert given["FC_FUNC_CODE_PATH"] == str(HANDLERS)
    assert given["ALIBABA_CLOUD_ACCESS_KEY_ID"].startswith("STS.")
    assert set(given) - {"LC_CTYPE"} == {
        *("ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET"),
        *("ALIBABA_CLOUD_SECURITY_TOKEN", "BOTH", "TEMPLATE", "PATH", "LANG", "HOME"),
        *("FC_ACCOUNT_ID", "FC_CUSTOM_LISTEN_PORT", "FC_FUNCTION_HANDLER"),
        *("FC_FUNCTION_MEMORY_SIZE", "FC_FUNCTION_NAME", "FC_FUNCTION_VERSION"),
        *("FC_FUNC_CODE_PATH", "FC_INSTANCE_ID", "FC_REGION"),
    }


def test_on_310_the_version_has_its_older_name(invoke: Invoke) -> None:
    """FC_VER_ID, as on Debian 10."""
    given = _surroundings(invoke, runtime="python3.10")
    assert given["FC_VER_ID"] == "LATEST"
    assert "FC_FUNCTION_VERSION" not in given


def test_without_a_role_there_are_no_credentials(invoke: Invoke) -> None:
    """Neither in the environment nor in the context."""
    given = _surroundings(invoke, role=None)
    assert not [name for name in given if name.startswith("ALIBABA_CLOUD")]


def test_each_instance_has_credentials_that_the_twins_know(play: Play) -> None:
    """The key in the worker's environment is one that the account issued."""

    async def scene(stage: Stage) -> bool:
        answer = await stage.host.invoke("Sample", b"")
        key_id = json.loads(answer.body)["environment"]["ALIBABA_CLOUD_ACCESS_KEY_ID"]
        return stage.account.find(key_id) is not None

    assert play(scene, template(function("basic.surroundings")))


def test_the_code_root_comes_first_and_little_is_loaded(invoke: Invoke) -> None:
    """Modules are found there first; the worker itself loads the standard library only."""
    seen = json.loads(invoke("basic.surroundings").body)
    assert seen["cwd"] == str(HANDLERS)
    assert seen["path"][0] == str(HANDLERS)
    heavy = {"asyncio", "dataclasses", "inspect", "pydantic", "starlette", "yaml", "structlog"}
    assert not heavy & set(seen["modules"])


def _surroundings(invoke: Invoke, **changes: Any) -> dict[str, str]:
    return dict(json.loads(invoke("basic.surroundings", **changes).body)["environment"])
