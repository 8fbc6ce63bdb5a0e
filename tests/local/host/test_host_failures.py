"""How a function's failures are reported, and what becomes of its instance."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local.host.instances.invocation import Invocation
from local.host.model import Initializer
from tests.local.host.conftest import Play, Stage, function, template

Invoke = Callable[..., Invocation]
FAILED = (200, "UnhandledInvocationError")
EXITED = {"errorMessage": "Process exited unexpectedly before completing request"}


def _failure(invocation: Invocation) -> dict[str, Any]:
    assert (invocation.status, invocation.error_type) == FAILED
    return dict(json.loads(invocation.body))


def test_an_exception_becomes_the_error_json(invoke: Invoke) -> None:
    """Message, type and the function's own frames; none of the worker's."""
    failure = _failure(invoke("failing.handler", b"wrong"))
    assert failure["errorMessage"] == "something is wrong"
    assert failure["errorType"] == "ValueError"
    last = failure["stackTrace"][-1]
    assert last[0].endswith('failing.py"')
    assert last[2:] == ["in _wrong", 'raise ValueError("something is wrong")']
    assert not any("worker" in frame[0] for frame in failure["stackTrace"])


def test_an_exception_without_a_text_is_reported_too(invoke: Invoke) -> None:
    """Even one whose __str__ fails."""
    assert _failure(invoke("failing.handler", b"mute"))["errorType"] == "Mute"


@pytest.mark.parametrize("way", [b"exit", b"hard exit", b"killed"])
def test_the_end_of_the_process_is_reported(invoke: Invoke, way: bytes) -> None:
    """sys.exit, os._exit and a SIGKILL look the same from outside."""
    assert _failure(invoke("failing.handler", way)) == EXITED


def test_the_instance_goes_on_after_an_exception(play: Play) -> None:
    """The next request finds the same process."""

    async def scene(stage: Stage) -> set[str]:
        answers = [await stage.host.invoke("failing", b"wrong") for _ in range(3)]
        return {answer.instance_id for answer in answers}

    assert len(play(scene, template(function("failing.handler")))) == 1


def test_a_crashed_instance_is_replaced(play: Play) -> None:
    """The next request gets a new process, and the end is recorded."""

    async def scene(stage: Stage) -> list[Invocation]:
        answers = [await stage.host.invoke("failing", way) for way in (b"killed", b"wrong")]
        assert [one.fields["reason"] for one in stage.happened("function.killed")] == [
            EXITED["errorMessage"]
        ]
        return answers

    first, second = play(scene, template(function("failing.handler")))
    assert first.instance_id != second.instance_id
    assert _failure(second)["errorType"] == "ValueError"


def test_an_instance_that_dies_while_idle_is_not_used(play: Play) -> None:
    """Nobody's request is lost to it."""

    async def scene(stage: Stage) -> bool:
        first = json.loads((await stage.host.invoke("basic", b"0")).body)
        os.kill(first["pid"], 9)
        await stage.until(lambda: not Path(f"/proc/{first['pid']}").exists())
        return (await stage.host.invoke("basic", b"0")).ok

    assert play(scene, template(function("basic.who")))


@pytest.mark.parametrize("way", [b"hang", b"stubborn"])
def test_a_time_out_ends_the_process(play: Play, way: bytes) -> None:
    """SIGTERM, then SIGKILL for one that ignores it; then the platform's words."""

    async def scene(stage: Stage) -> Invocation:
        return await stage.host.invoke("failing", way)

    start = time.monotonic()
    spec = function("failing.handler", timeout_seconds=1)
    invocation = play(scene, template(spec))
    assert _failure(invocation) == {"errorMessage": "Function time out after 1 seconds"}
    assert time.monotonic() - start < 5


def test_what_a_function_started_ends_with_it(play: Play, tmp_path: Path) -> None:
    """A time-out takes the worker's children along."""
    note = tmp_path / "child"

    async def scene(stage: Stage) -> None:
        assert not (await stage.host.invoke("failing", b"")).ok
        child = int(note.read_text(encoding="utf-8"))
        await stage.until(lambda: not _lives(child))

    spec = function("failing.child", timeout_seconds=1, environment={"CHILD": str(note)})
    play(scene, template(spec))


def _lives(pid: int) -> bool:
    """Whether the process runs; one that waits for its parent to notice its end does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_a_closed_standard_output_does_no_harm(invoke: Invoke) -> None:
    """The result arrives all the same."""
    assert invoke("failing.handler", b"deaf").body == b"still answers"


@pytest.mark.parametrize(
    ("code", "kind", "message"),
    [
        (None, "ImportModuleError", "Unable to import module 'late'"),
        ("import nothing_of_that_name\n", "ImportModuleError", "Unable to import module 'late'"),
        ("def handler(:\n", "UserCodeSyntaxError", "Syntax error in module 'late'"),
        ("1 / 0\n", "UserCodeError", "Module 'late' failed: division by zero"),
        ("handle = 1\n", "HandlerNotFound", "Handler 'handler' is missing on module 'late'"),
        ("handler = 1\n", "HandlerNotFound", "Handler 'handler' is missing on module 'late'"),
    ],
)
def test_code_that_cannot_be_loaded_is_named(
    invoke: Invoke, tmp_path: Path, code: str | None, kind: str, message: str
) -> None:
    """By the platform's own error types."""
    if code is not None:
        (tmp_path / "late.py").write_text(code, encoding="utf-8")
    failure = _failure(invoke("late.handler", code_root=tmp_path))
    assert (failure["errorType"], failure["errorMessage"]) == (kind, message)
    assert all(isinstance(line, str) for line in failure["stackTrace"])


def test_a_handler_without_a_module_is_named(invoke: Invoke) -> None:
    """InvalidHandleName."""
    assert _failure(invoke("handler"))["errorType"] == "InvalidHandleName"


def test_slashes_in_a_handler_are_dots(invoke: Invoke, tmp_path: Path) -> None:
    """`folder/module.handler` is loaded as the module `folder.module`."""
    (tmp_path / "folder").mkdir()
    code = "def handler(event, context):\n    return __name__\n"
    (tmp_path / "folder" / "module.py").write_text(code, encoding="utf-8")
    assert invoke("folder/module.handler", code_root=tmp_path).body == b"folder.module"


def test_mended_code_is_loaded_by_the_next_request(play: Play, tmp_path: Path) -> None:
    """An instance whose code could not be loaded is thrown away."""

    async def scene(stage: Stage) -> list[bool]:
        answers = [await stage.host.invoke("late", b"")]
        (tmp_path / "late.py").write_text("def handler(e, c): return 'mended'", encoding="utf-8")
        return [*(answer.ok for answer in answers), (await stage.host.invoke("late", b"")).ok]

    assert play(scene, template(function("late.handler")), code_root=tmp_path) == [False, True]


def test_the_initializer_runs_once_for_each_instance(play: Play) -> None:
    """Before its first request, and not again."""

    async def scene(stage: Stage) -> list[dict[str, Any]]:
        answers = [await stage.host.invoke("basic", b"0") for _ in range(3)]
        return [json.loads(answer.body) for answer in answers]

    answers = play(scene, template(function("basic.who", initializer="basic.initialize")))
    assert [(a["initialised"], a["requests"]) for a in answers] == [(1, 1), (1, 2), (1, 3)]
    assert len({answer["id"] for answer in answers}) == 3


def test_a_failed_initializer_fails_the_invocation_and_ends_the_instance(
    play: Play, tmp_path: Path
) -> None:
    """The next invocation gets a new instance, which may be luckier."""
    ready = tmp_path / "ready"

    async def scene(stage: Stage) -> None:
        failure = _failure(await stage.host.invoke("failing", b"wrong"))
        assert failure["errorMessage"] == "not ready yet"
        ready.touch()
        assert _failure(await stage.host.invoke("failing", b"wrong"))["errorType"] == "ValueError"
        assert len(stage.happened("function.started")) == 2

    environment = {"READY": str(ready)}
    spec = function("failing.handler", initializer="failing.initialize", environment=environment)
    play(scene, template(spec))


def test_an_initializer_has_its_own_time_out(play: Play) -> None:
    """And its end is recorded as a kill."""

    async def scene(stage: Stage) -> dict[str, Any]:
        failure = _failure(await stage.host.invoke("failing", b"wrong"))
        assert len(stage.happened("function.killed")) == 1
        return failure

    hook = Initializer("failing.initialize_slowly", 1)
    failure = play(scene, template(function("failing.handler", initializer=hook)))
    assert failure["errorMessage"] == "Function time out after 1 seconds"


def test_a_worker_that_does_not_start_is_the_platform_s_fault(play: Play, tmp_path: Path) -> None:
    """An interpreter that is missing or ends at once: a 500, and the reason is in the log."""
    assert _started_with(play, tmp_path / "nowhere").status == 500
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho no python here\nexit 1\n", encoding="utf-8")
    broken.chmod(0o755)
    invocation = _started_with(play, broken)
    assert (invocation.status, invocation.error_type) == (500, "FcCommonError")


def _started_with(play: Play, python: Path) -> Invocation:
    async def scene(stage: Stage) -> Invocation:
        invocation = await stage.host.invoke("basic", b"")
        assert any("no python here" in text or "No such file" in text for _, text in stage.lines)
        return invocation

    return play(scene, template(function()), python=python)
