"""Handlers that fail, in every way a function may fail in."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def initialize(context: Any) -> None:  # noqa: ARG001  # the platform's signature
    """Fail, unless the file that the environment names is there."""
    if not Path(os.environ["READY"]).exists():
        raise RuntimeError("not ready yet")


def initialize_slowly(context: Any) -> None:  # noqa: ARG001  # the platform's signature
    """Take longer than any time-out of the tests."""
    time.sleep(60)


def handler(event: bytes, context: Any) -> str:  # noqa: ARG001  # the platform's signature
    """Fail in the way the event names."""
    return _WAYS[event.decode()]()


def child(event: bytes, context: Any) -> str:  # noqa: ARG001  # the platform's signature
    """Start a process that outlives the request, say its id, and hang."""
    process = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"]
    )  # our own interpreter
    Path(os.environ["CHILD"]).write_text(str(process.pid), encoding="utf-8")
    time.sleep(60)
    return ""


def _wrong() -> str:
    raise ValueError("something is wrong")


def _mute() -> str:
    class Mute(Exception):  # a user's exception may have any name
        def __str__(self) -> str:
            raise RuntimeError("no text")

    raise Mute


def _exit() -> str:
    sys.exit(3)


def _hard_exit() -> str:
    os._exit(1)


def _killed() -> str:
    os.kill(os.getpid(), signal.SIGKILL)
    return ""


def _hang() -> str:
    print("hanging")  # what a function prints is under test
    time.sleep(60)
    return ""


def _stubborn() -> str:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(60)
    return ""


def _deaf() -> str:
    sys.stdout.close()
    return "still answers"


_WAYS = {
    "wrong": _wrong,
    "mute": _mute,
    "exit": _exit,
    "hard exit": _hard_exit,
    "killed": _killed,
    "hang": _hang,
    "stubborn": _stubborn,
    "deaf": _deaf,
}
