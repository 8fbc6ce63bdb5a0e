"""What functions print: cut into lines for whoever listens, the last 4 KB kept per request.

`X-Fc-Log-Type: Tail` gives a caller the last 4 KB of an invocation's log.
https://www.alibabacloud.com/help/en/functioncompute/fc/developer-reference/api-fc-2023-03-30-invokefunction
"""

from __future__ import annotations

import logging
from collections.abc import Callable

TAIL_BYTES = 4096
# A line longer than this is passed on in pieces, as the platform's log does (32 KB).
LINE_BYTES = 32 * 1024

LogSink = Callable[[str, str], None]
"""Takes a function's name and one line, without its end."""

_LOGGER = logging.getLogger("postbus.functions")


def log_to_logger(function: str, line: str) -> None:
    """The default sink: Python's logging, at level INFO."""
    _LOGGER.info("%s %s", function, line)


class Output:
    """One instance's output. `mark()` starts a request's share, `tail` is the end of that share."""

    def __init__(self, function: str, sink: LogSink) -> None:
        self._function = function
        self._sink = sink
        self._partial = bytearray()
        self._tail = bytearray()

    @property
    def tail(self) -> bytes:
        """The last 4 KB since `mark()`."""
        return bytes(self._tail)

    def mark(self) -> None:
        """A request begins."""
        self._tail.clear()

    def feed(self, data: bytes) -> None:
        """Take what the process has written."""
        self._tail += data
        del self._tail[:-TAIL_BYTES]
        self._partial += data
        *lines, rest = self._partial.split(b"\n")
        while len(rest) >= LINE_BYTES:
            lines.append(rest[:LINE_BYTES])
            rest = rest[LINE_BYTES:]
        self._partial = rest
        for line in lines:
            self._emit(line)

    def say(self, line: str) -> None:
        """Add a line of the platform's own."""
        self.flush()
        self.feed(line.encode() + b"\n")

    def flush(self) -> None:
        """Pass on a last line that has no end."""
        if self._partial:
            self._emit(self._partial)
            self._partial = bytearray()

    def _emit(self, line: bytearray) -> None:
        self._sink(self._function, line.decode("utf-8", "replace"))
