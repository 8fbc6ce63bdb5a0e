"""A function's logging: every record on standard output, with the time and the request id.

    2017-07-05T05:13:35.920Z a72df088-f738-cee3-e0fe-323ad89118e5 [INFO] hello world

https://www.alibabacloud.com/help/en/functioncompute/fc/logging-2

The platform's runtime has replaced the root logger's handlers before a function is loaded, so
`logging.basicConfig()` does nothing there; nor does it here.
Runs in the worker process: standard library only.
"""

from __future__ import annotations

import io
import logging
import sys
import time

RECORD_LIMIT = 128 * 1024

current_request_id = ""
"""The request that is running; the worker sets it. One request at a time, so one name."""


class _Formatter(logging.Formatter):
    """The platform's line; times in UTC."""

    def format(self, record: logging.LogRecord) -> str:
        """One record as text, cut at `RECORD_LIMIT` characters."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        head = f"{stamp}.{int(record.msecs):03d}Z {current_request_id} [{record.levelname}] "
        line = head + super().format(record)
        return line[:RECORD_LIMIT]


class _StandardOutput(logging.Handler):
    """Writes to whatever `sys.stdout` is at the moment."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        sys.stdout.write(self.format(record) + "\n")


def install() -> None:
    """Replace the root logger's handlers, and have lines leave the process as they are written."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True, errors="backslashreplace")
    handler = _StandardOutput()
    handler.setFormatter(_Formatter("%(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
