"""What happened on this machine, in order: the twins and the host report here.

`make run` prints the journey of a mail from it, and `postbus up` its log. It is a view and not a
record: nothing depends on it, and it is gone with the process.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

KEPT = 10_000


@dataclass(frozen=True)
class Happening:
    """One thing that happened: a dotted name with its fields, at a time (seconds since 1970)."""

    name: str
    fields: dict[str, Any]
    at: float = field(default_factory=time.time)


class Activity:
    """A bounded list of happenings that any number of readers can follow.

    `record` may be called from the event loop's thread only; that is where the twins and the host
    live.
    """

    def __init__(self) -> None:
        self._kept: deque[Happening] = deque(maxlen=KEPT)
        self._readers: set[asyncio.Queue[Happening]] = set()

    def record(self, name: str, **fields: Any) -> None:
        """Add one happening and wake whoever follows."""
        happening = Happening(name, fields)
        self._kept.append(happening)
        for reader in self._readers:
            reader.put_nowait(happening)

    def kept(self) -> list[Happening]:
        """The latest happenings, oldest first, at most `KEPT`."""
        return list(self._kept)

    async def follow(self) -> AsyncIterator[Happening]:
        """Yield what happens from now on, until the reader stops."""
        reader: asyncio.Queue[Happening] = asyncio.Queue()
        self._readers.add(reader)
        try:
            while True:
                yield await reader.get()
        finally:
            self._readers.discard(reader)
