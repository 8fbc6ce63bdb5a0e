"""An instance's first moments: what is held back while it imports, and what is ready afterwards."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from shared.app import App, Instance
from shared.triggers.context import Invocation

ROOT = Path(__file__).parents[2]


def fresh(program: str, **environment: str) -> list[str]:
    """Run a program in a fresh process; gives what it printed."""
    done = subprocess.run(  # noqa: S603  # our own program
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.split()


def test_nothing_is_collected_while_a_function_is_imported() -> None:
    """The collector is off from the first import on, and on again when the instance is ready."""
    program = (
        "import gc, sys, functions; print(gc.isenabled(), 'asyncio' in sys.modules)\n"
        "frozen = gc.get_freeze_count(); from shared.coldstart import end; end(); "
        "print(gc.isenabled(), gc.get_freeze_count() > frozen)"
    )
    assert fresh(program, FC_FUNC_CODE_PATH="/code") == ["False", "False", "True", "True"]


def test_a_process_that_is_no_function_is_left_as_it_is() -> None:
    """A test or a command that imports a function keeps its collector."""
    # Python 3.12 has frozen some objects of its own by then.
    program = (
        "import gc; frozen = gc.get_freeze_count(); import functions; "
        "print(gc.isenabled(), gc.get_freeze_count() == frozen)"
    )
    assert fresh(program) == ["True", "True"]


def instance(*warm: Any) -> Instance[Any]:
    """An instance whose app warms these up."""
    edge = SimpleNamespace(use=lambda _call: None)
    return Instance(lambda: App(SimpleNamespace(), edge, edge, None, warm))  # type: ignore[arg-type]  # fakes


def test_the_initializer_does_what_the_first_request_would_wait_for() -> None:
    """Each part is warmed up once, with the credentials of the initializer."""
    calls: list[Invocation] = []
    key = SimpleNamespace(access_key_id="id", access_key_secret="secret", security_token="")
    instance(calls.append).ready(SimpleNamespace(request_id="r", credentials=key))
    assert [
        (call.request_id, call.credentials and call.credentials.complete) for call in calls
    ] == [("r", True)]


def test_an_initializer_does_not_fail_where_something_cannot_be_reached(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What is not there yet may be there when it is needed; the rest is warmed up all the same."""
    calls: list[Invocation] = []

    def unreachable(_call: Invocation) -> None:
        raise ConnectionRefusedError("nobody at 10.0.0.1")

    instance(unreachable, calls.append).ready(None)
    assert len(calls) == 1
    printed = capsys.readouterr().out
    assert "instance.not_warm" in printed
    assert "10.0.0.1" not in printed
