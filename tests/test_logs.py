"""Logs: one JSON object a line, on standard output, with the request's id."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import pytest
import structlog

from shared import logs


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    """Leave the process's settings as they were."""
    yield
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What was printed since the last look."""
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_line_is_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    """Event, level, time in UTC and the fields; line breaks and foreign letters do no harm."""
    logs.configure("info")
    structlog.get_logger("any").info("mail.sent", mail_id="a\nb", text="世界")
    (line,) = lines(capsys)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "mail.sent", "level": "info", "mail_id": "a\nb", "text": "世界"}


@pytest.mark.parametrize(
    ("level", "printed"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
        ("", ["info", "warning", "error"]),
        ("LOUD", ["info", "warning", "error"]),
    ],
)
def test_the_level_decides_what_is_printed(
    capsys: pytest.CaptureFixture[str], level: str, printed: list[str]
) -> None:
    """A level that does not exist means `info`: a typing error must not silence a function."""
    logs.configure(level)
    log = structlog.get_logger("any")
    for each in ("debug", "info", "warning", "error"):
        getattr(log, each)("event")
    assert [line["level"] for line in lines(capsys)] == printed


def test_bound_fields_are_in_every_line_until_the_next_binding(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The next invocation's lines have its id and nothing of the one before."""
    logs.configure("info")
    log = structlog.get_logger("any")
    logs.bind(request_id="1", extra="x")
    log.info("one")
    logs.bind(request_id="2")
    log.info("two")
    first, second = lines(capsys)
    assert (first["request_id"], first["extra"]) == ("1", "x")
    assert second["request_id"] == "2"
    assert "extra" not in second


def test_bound_fields_go_along_into_threads(capsys: pytest.CaptureFixture[str]) -> None:
    """With the context, as the pools of this project carry it."""
    logs.configure("info")
    logs.bind(request_id="1")
    with ThreadPoolExecutor(1) as pool:
        pool.submit(copy_context().run, structlog.get_logger("any").info, "event").result()
    assert lines(capsys)[0]["request_id"] == "1"


def test_an_exception_is_one_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    """Its traceback is a field."""
    logs.configure("info")
    try:
        raise ValueError("why")  # noqa: TRY301  # there must be one to log
    except ValueError:
        structlog.get_logger("any").exception("went.wrong")
    (line,) = lines(capsys)
    assert line["exception"].endswith("ValueError: why")
