"""What functions print: line by line to the sink, the end of it with the invocation."""

from __future__ import annotations

import re

from local.host.instances.invocation import Invocation
from local.host.instances.outputs import LINE_BYTES, Output
from tests.local.host.conftest import Play, Stage, function, template


def test_prints_and_log_records_reach_the_sink(play: Play) -> None:
    """In order, records with time, request id and level; basicConfig changes nothing."""

    async def scene(stage: Stage) -> tuple[Invocation, list[str]]:
        answer = await stage.host.invoke("basic", b"this")
        return answer, [line for name, line in stage.lines if name == "basic-talk"]

    answer, lines = play(scene, template(function("basic.talk")))
    stamp = rf"\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{3}}Z {answer.request_id}"
    patterns = [
        rf"FC Invoke Start RequestId: {answer.request_id}",
        "printed this",
        "to stderr",
        rf"{stamp} \[INFO\] logged one",
        rf"{stamp} \[WARNING\] logged two",
        "no end of line",
        rf"FC Invoke End RequestId: {answer.request_id}",
    ]
    assert len(lines) == len(patterns)
    for line, pattern in zip(lines, patterns, strict=True):
        assert re.fullmatch(pattern, line), line


def test_the_tail_is_the_last_four_kilobytes_of_this_request(play: Play) -> None:
    """Complete at the moment of the answer, and without what was printed before."""

    async def scene(stage: Stage) -> list[Invocation]:
        return [await stage.host.invoke("basic", count) for count in (b"2000", b"1")]

    long, short = play(scene, template(function("basic.chatter")))
    assert len(long.log_tail) == 4096
    assert b"line 001999\nFC Invoke End" in long.log_tail
    assert short.log_tail.count(b"line ") == 1


def test_a_failure_s_traceback_is_in_the_log(play: Play) -> None:
    """And the platform's closing line says that it failed."""

    async def scene(stage: Stage) -> bytes:
        return (await stage.host.invoke("failing", b"wrong")).log_tail

    tail = play(scene, template(function("failing.handler")))
    assert b"ValueError: something is wrong" in tail
    assert tail.endswith(b", Error: Unhandled function error\n")


def test_the_initializer_s_output_is_kept(play: Play) -> None:
    """Between the platform's lines for it."""

    async def scene(stage: Stage) -> list[str]:
        await stage.host.warm()
        return [line for _, line in stage.lines]

    lines = play(scene, template(function(initializer="basic.initialize")))
    assert lines[1] == "initialised for basic-echo"
    assert [line.rpartition(":")[0] for line in (lines[0], lines[2])] == [
        "FC Initialize Start RequestId",
        "FC Initialize End RequestId",
    ]


def test_a_time_out_keeps_what_was_printed(play: Play) -> None:
    """The tail shows how far the function came."""

    async def scene(stage: Stage) -> bytes:
        return (await stage.host.invoke("failing", b"hang")).log_tail

    tail = play(scene, template(function("failing.handler", timeout_seconds=1)))
    assert b"hanging\n" in tail
    assert b"Error: Function time out after 1 seconds" in tail


def test_output_without_line_ends_is_cut() -> None:
    """At the platform's line limit, so that nothing grows without bound."""
    lines: list[str] = []
    output = Output("f", lambda _, line: lines.append(line))
    output.feed(b"x" * (2 * LINE_BYTES + 5))
    output.feed(b"\xff")
    assert [len(line) for line in lines] == [LINE_BYTES, LINE_BYTES]
    output.flush()
    assert lines[2] == "x" * 5 + "\ufffd"
