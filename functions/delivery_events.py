"""DirectMail's events -> the ledger, then the topic of mail events.

Triggers: the queue of delivery events, or EventBridge itself. The function fails only when an
event could not be published; the batch then comes again, and the events have the same ids.
"""

from __future__ import annotations

from typing import Any

from shared.app import Instance, build_forwarder
from shared.triggers.events import read_events

_instance = Instance(build_forwarder)


def initialize(context: Any) -> None:
    """Make the instance ready to work (the platform's Initializer hook)."""
    _instance.ready(context)


def handler(event: bytes, context: Any) -> dict[str, int]:
    """Forward every event.

    Args:
        event: the event of either trigger, in any of its forms.
        context: the platform's context.

    Raises:
        QueueUnavailable: an event could not be published.
    """
    app = _instance.app()
    call = app.begin(context)
    return dict(app.use.forward_all(read_events(event), call))
