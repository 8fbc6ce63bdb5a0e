"""Connections that have been idle for long are not trusted: an instance may have been frozen.

Function Compute freezes an instance between invocations, for minutes; the other side closes the
connection meanwhile, and a request written into it can get lost. For a send that would mean
"perhaps sent", so it is cheaper to connect anew.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

# Servers in front of Alibaba Cloud's APIs keep idle connections for at least this long.
TRUSTED_IDLE_SECONDS = 20.0


class IdleGuard:
    """Drops idle connections before the next use.

    Args:
        drop: closes what is idle.
        clock: seconds; the wall clock, since a monotonic one stands still in a frozen instance.
    """

    def __init__(self, drop: Callable[[], None], clock: Callable[[], float] = time.time) -> None:
        self._drop = drop
        self._clock = clock
        self._last_use = clock()
        self._lock = threading.Lock()

    def touch(self) -> None:
        """Call this before each use."""
        # One thread drops, and no other goes on before that: a connection pool that is emptied
        # while somebody takes a connection out of it fails that request.
        with self._lock:
            now = self._clock()
            if now - self._last_use > TRUSTED_IDLE_SECONDS:
                self._drop()
            self._last_use = now
