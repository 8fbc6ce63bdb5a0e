"""Handlers that answer, in every form a function may answer in."""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

_state = {"initialised": 0, "requests": 0}


class Mail:
    """Something with a `to_json` of its own."""

    def to_json(self) -> dict[str, str]:
        """What it is as JSON."""
        return {"kind": "mail"}


_RESULTS: dict[str, Any] = {
    "bytes": b"\x00\xff",
    "text": "grüße",
    "none": None,
    "dict": {"b": 1, "a": [True, None]},
    "decimal": Decimal("1.5"),
    "date": dt.date(2026, 11, 21),
    "to_json": Mail(),
    "object": object(),
    "surrogate": "\ud800",
}


def initialize(context: Any) -> None:
    """Count, and print that it happened."""
    _state["initialised"] += 1
    print("initialised for", context.function.name)  # what a function prints is under test


def echo(event: bytes, context: Any) -> bytes:  # noqa: ARG001  # the platform's signature
    """The event."""
    return event


def result(event: bytes, context: Any) -> Any:  # noqa: ARG001  # the platform's signature
    """One of the results, by its name."""
    return _RESULTS[event.decode()]


def who(event: bytes, context: Any) -> dict[str, Any]:
    """Which process this is, and what it has lived through; sleeps so many seconds first."""
    time.sleep(float(event or b"0"))
    _state["requests"] += 1
    return {"pid": os.getpid(), "event": type(event).__name__, "id": context.request_id, **_state}


def surroundings(event: bytes, context: Any) -> dict[str, Any]:  # noqa: ARG001  # the platform's signature
    """What the process was given."""
    return {
        "environment": dict(os.environ),
        "cwd": str(Path.cwd()),
        "path": sys.path,
        "modules": sorted(sys.modules),
    }


def describe(event: bytes, context: Any) -> dict[str, Any]:  # noqa: ARG001  # the platform's signature
    """The context, attribute by attribute."""
    plain = {
        name: vars(value) if hasattr(value, "__dict__") else value
        for name, value in vars(context).items()
        if name != "logger"
    }
    document = json.loads(context.to_json()) if hasattr(context, "to_json") else None
    return {
        "class": type(context).__name__,
        "attributes": plain,
        "logger": context.logger is not None,
        "json": document,
    }


def talk(event: bytes, context: Any) -> str:
    """Print, and log in both ways."""
    logging.basicConfig(level=logging.DEBUG)
    print("printed", event.decode())  # what a function prints is under test
    sys.stderr.write("to stderr\n")
    context.getLogger().info("logged %s", "one")
    logging.getLogger("module").warning("logged two")
    logging.getLogger("module").debug("not shown")
    sys.stdout.write("no end of line")
    return "talked"


def chatter(event: bytes, context: Any) -> str:  # noqa: ARG001  # the platform's signature
    """Print as many numbered lines as the event says."""
    for number in range(int(event)):
        print(f"line {number:06d}")  # what a function prints is under test
    return "done"
