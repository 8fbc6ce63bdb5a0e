"""Queue messages -> SingleSendMail.

Trigger: the queue of mails, in batches. Each message is settled by itself; the function fails only
when a message could not even be put back, and then the platform delivers the batch again.
"""

from __future__ import annotations

from typing import Any

from shared.app import Instance, build_consumer
from shared.triggers.queue import read_queue_event

_instance = Instance(build_consumer)


def initialize(context: Any) -> None:
    """Make the instance ready to work (the platform's Initializer hook)."""
    _instance.ready(context)


def handler(event: bytes, context: Any) -> str:
    """Settle every message of the batch.

    Args:
        event: a queue trigger's event, in any of its forms.
        context: the platform's context.

    Raises:
        QueueUnavailable: a message could not be settled in any way.
    """
    app = _instance.app()
    messages = read_queue_event(event)
    app.use.settle_all(messages, app.begin(context))
    return f"{len(messages)} settled"
