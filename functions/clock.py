"""Timers -> a timer's own mail.

Trigger: a timer whose payload is a mail request. Its key is the trigger's name and time, so that
the platform's own repeats of one tick send one mail.
"""

from __future__ import annotations

from typing import Any

from shared.app import Instance, build_consumer
from shared.triggers.queue import QueueMessage, fingerprint
from shared.triggers.timer import BadTimerEvent, read_timer_event

_instance = Instance(build_consumer)


def initialize(context: Any) -> None:  # noqa: ARG001  # the platform's signature
    """Make the instance ready to work (the platform's Initializer hook)."""
    _instance.app()


def handler(event: bytes, context: Any) -> str:
    """Send the mail of this tick.

    Args:
        event: a timer trigger's event.
        context: the platform's context.

    Raises:
        QueueUnavailable: the mail could not be settled in any way; the platform tries again.
    """
    app = _instance.app()
    call = app.begin(context)
    try:
        tick = read_timer_event(event)
        message = QueueMessage(tick.key, tick.payload, key=tick.key)
    except BadTimerEvent as error:
        message = QueueMessage(fingerprint(event), event, str(error))
    app.use.settle_all([message], call)
    return message.id
