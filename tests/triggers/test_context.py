"""The context of either runtime: who is calling, with whose credentials, and how long."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from shared.triggers.context import Credentials, Invocation, read_context

NOW = 1_800_000_000_000
ENVIRONMENT = {
    "ALIBABA_CLOUD_ACCESS_KEY_ID": "STS.environment",
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "environment-secret",
    "ALIBABA_CLOUD_SECURITY_TOKEN": "environment-token",
}
FROM_ENVIRONMENT = Credentials("STS.environment", "environment-secret", "environment-token")
FROM_CONTEXT = Credentials("STS.context", "context-secret", "context-token")


def context(**changes: Any) -> Any:
    """A context as python3.10 gives it, with `changes`; None leaves a member out."""
    members = {
        "request_id": "1-abc",
        "function": SimpleNamespace(name="postbus-local-send-mail", timeout=60),
        "credentials": SimpleNamespace(
            access_key_id="STS.context",
            access_key_secret="context-secret",
            security_token="context-token",
        ),
        **changes,
    }
    return SimpleNamespace(**{name: value for name, value in members.items() if value is not None})


def read(given: Any, environment: dict[str, str] | None = None) -> Invocation:
    """Read a context at `NOW`."""
    return read_context(given, environment or {}, lambda: NOW)


@pytest.mark.parametrize(
    ("given", "environment", "expected"),
    [
        (context(), {}, FROM_CONTEXT),
        (context(), ENVIRONMENT, FROM_CONTEXT),
        (context(credentials=None), ENVIRONMENT, FROM_ENVIRONMENT),
        (context(credentials=SimpleNamespace(access_key_id="")), ENVIRONMENT, FROM_ENVIRONMENT),
        (context(credentials=SimpleNamespace(access_key_id=None)), {}, None),
        (context(credentials=None), {}, None),
        (
            context(
                credentials=SimpleNamespace(
                    access_key_id="a", access_key_secret="s", security_token=None
                )
            ),
            {},
            Credentials("a", "s", ""),
        ),
        (object(), {"ALIBABA_CLOUD_ACCESS_KEY_ID": "a"}, Credentials("a", "", "")),
    ],
    ids=[
        "python3.10",
        "both",
        "python3.12",
        "empty in the context",
        "none in the context",
        "no role",
        "no token",
        "environment without a secret",
    ],
)
def test_credentials_are_this_invocations(
    given: Any, environment: dict[str, str], expected: Credentials | None
) -> None:
    """The context's credentials come first, then the environment's; without a role none."""
    assert read(given, environment).credentials == expected


@pytest.mark.parametrize(
    ("function", "seconds"),
    [
        (SimpleNamespace(name="f", timeout=300), 300),
        (SimpleNamespace(name="f", timeout="300"), 60),
        (SimpleNamespace(name="f", timeout=0), 60),
        (SimpleNamespace(name="f", timeout=-1), 60),
        (SimpleNamespace(name="f"), 60),
        (None, 60),
    ],
)
def test_the_deadline_is_the_functions_timeout_from_now(function: Any, seconds: int) -> None:
    """A timeout that is missing or senseless counts as the console's default of 60 s."""
    assert read(context(function=function)).deadline == NOW + seconds * 1000


@pytest.mark.parametrize(
    ("given", "request_id", "function"),
    [
        (context(), "1-abc", "postbus-local-send-mail"),
        (context(request_id="", function=SimpleNamespace(name="")), "unknown", "unknown"),
        (object(), "unknown", "unknown"),
        (None, "unknown", "unknown"),
    ],
)
def test_names_are_texts_always(given: Any, request_id: str, function: str) -> None:
    """What the context does not say is `unknown`, never empty."""
    call = read(given)
    assert (call.request_id, call.function) == (request_id, function)


def test_the_remaining_time_runs_down_to_zero() -> None:
    """The time left is measured against the clock at each question, and is never negative."""
    times = iter([NOW, NOW, NOW + 59_000, NOW + 61_000, NOW + 61_000])
    call = read_context(context(), {}, lambda: next(times))
    assert [call.remaining() for _ in range(3)] == [60_000, 1_000, 0]
    assert call.now() == NOW + 61_000


def test_credentials_do_not_print_their_secrets() -> None:
    """In a traceback or a log line stands the beginning of the key's id and nothing else."""
    shown = f"{FROM_CONTEXT} {FROM_CONTEXT!r} {read(context())}"
    assert "STS.cont" in shown
    for hidden in ("STS.context", "context-secret", "context-token"):
        assert hidden not in shown


@pytest.mark.parametrize(
    ("credentials", "complete"),
    [
        (FROM_CONTEXT, True),
        (Credentials("a", "s"), True),
        (Credentials("a", ""), False),
        (Credentials("", "s"), False),
    ],
    ids=["temporary", "lasting", "no secret", "no id"],
)
def test_credentials_sign_only_when_complete(
    credentials: Credentials,
    complete: bool,
) -> None:
    """A token is not needed, the other two are."""
    assert credentials.complete is complete
