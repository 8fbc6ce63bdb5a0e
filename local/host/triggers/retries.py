"""The pauses between repeats, as the platform documents them. All in seconds.

https://www.alibabacloud.com/help/en/eventbridge/user-guide/retry-and-dead-letter-queues
https://www.alibabacloud.com/help/en/functioncompute/fc/error-handling-1-1
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from local.host.model import RetryStrategy

_BACKOFF_RETRIES = 3
_BACKOFF_SECONDS = (10.0, 20.0)
_DECAY_RETRIES = 176
_DECAY_LIMIT_SECONDS = 512.0

# An asynchronous invocation is repeated three times when its function fails. How far apart is not
# documented. (One that finds no instance is repeated for hours; here it waits in line instead.)
ASYNCHRONOUS_PAUSES = (1.0, 2.0, 4.0)


def push_pauses(strategy: RetryStrategy | None) -> Iterator[float]:
    """How long EventBridge waits before each repeat of a push; None is its default strategy."""
    if strategy != "EXPONENTIAL_DECAY_RETRY":
        for _ in range(_BACKOFF_RETRIES):
            yield random.uniform(*_BACKOFF_SECONDS)  # noqa: S311  # spreads load, keeps no secret
        return
    for attempt in range(_DECAY_RETRIES):
        yield min(2.0**attempt, _DECAY_LIMIT_SECONDS)
