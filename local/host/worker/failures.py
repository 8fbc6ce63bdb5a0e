r"""How a function's failure is written: the error JSON of Function Compute's Python runtimes.

    {"errorMessage": "...", "errorType": "...", "stackTrace": [["File "..."", "line 2", ...]]}

https://www.alibabacloud.com/help/en/functioncompute/fc/error-handling-1-1

Runs in the worker process: standard library only.
"""

from __future__ import annotations

import json
import traceback
from types import TracebackType


class LoadError(Exception):
    """The handler cannot be loaded. `kind` is the platform's name for why."""

    def __init__(self, kind: str, message: str, trace: list[str] | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.trace = trace or []


def error_json(message: str, kind: str, trace: list[list[str]] | list[str]) -> bytes:
    """The error JSON; `stackTrace` is left out where there is none."""
    document = {"errorMessage": message, "errorType": kind, "stackTrace": trace}
    return json.dumps(document).encode("utf-8", "backslashreplace")


def describe(error: BaseException, own_files: frozenset[str]) -> bytes:
    """The error JSON of an exception that left the handler, without the worker's own frames."""
    if isinstance(error, LoadError):
        return error_json(str(error), error.kind, error.trace)
    return error_json(_message(error), type(error).__name__, frames(error.__traceback__, own_files))


def frames(trace: TracebackType | None, own_files: frozenset[str]) -> list[list[str]]:
    """The stack as the platform lists it: file, line, function and source line of each frame."""
    return [
        [f'File "{frame.filename}"', f"line {frame.lineno}", f"in {frame.name}", frame.line or ""]
        for frame in traceback.extract_tb(trace)
        if frame.filename not in own_files and not frame.filename.startswith("<frozen ")
    ]


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001  # a function's own __str__ may fail in any way
        return f"<{type(error).__name__} without a readable message>"
