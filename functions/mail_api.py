"""HTTP requests -> send now, accept for later, look up.

Trigger: HTTP, payload format v1. The addresses are in `shared.api.routes`.
"""

from __future__ import annotations

from typing import Any

from shared.api.door import answer_event
from shared.app import Instance, build_api

_instance = Instance(build_api)


def initialize(context: Any) -> None:
    """Make the instance ready to work (the platform's Initializer hook)."""
    _instance.ready(context)


def handler(event: bytes, context: Any) -> dict[str, Any]:
    """Answer one request.

    Args:
        event: an HTTP trigger's event.
        context: the platform's context.
    """
    app = _instance.app()
    call = app.begin(context)
    return answer_event(event, lambda request: app.use.answer(request, call))
