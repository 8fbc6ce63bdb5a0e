"""HTTP requests -> send now, accept for later, look up.

Trigger: HTTP, payload format v1. The addresses are in `shared.api.routes`.
"""

from __future__ import annotations

from typing import Any

from shared.api.problems import problem
from shared.app import Instance, build_api
from shared.triggers.http import BadHttpEvent, read_http_event, write_http_answer

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
    try:
        request = read_http_event(event)
    except BadHttpEvent as error:
        return write_http_answer(problem("bad-request", str(error)))
    return write_http_answer(app.use.answer(request, call))
