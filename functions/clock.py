"""Timers -> a timer's own mail; sweeps.

Trigger: a timer whose payload is a mail request, or `{"task": "sweep"}`. A mail's key is the
trigger's name and time, so that the platform's own repeats of one tick send one mail.
"""

from __future__ import annotations

from typing import Any

from shared.app import Instance, build_clockwork
from shared.triggers.queue import QueueMessage, fingerprint
from shared.triggers.timer import BadTimerEvent, read_timer_event

_instance = Instance(build_clockwork)


def initialize(context: Any) -> None:
    """Make the instance ready to work (the platform's Initializer hook)."""
    _instance.ready(context)


def handler(event: bytes, context: Any) -> dict[str, int]:
    """Do what this tick asks for.

    Args:
        event: a timer trigger's event.
        context: the platform's context.

    Raises:
        LedgerUnavailable: a sweep could not be finished.
        QueueUnavailable: the mail could not be settled in any way; the platform tries again.
    """
    app = _instance.app()
    call = app.begin(context)
    try:
        done: dict[str, int] = app.use.tick(read_timer_event(event), call)
    except BadTimerEvent as error:
        app.use.settle(QueueMessage(fingerprint(event), event, str(error)), call)
        return {"rejected": 1}
    return done
