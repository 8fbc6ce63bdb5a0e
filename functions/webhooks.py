"""Signed HTTP pushes -> the same code as their queue or EventBridge twin; mails of other programs.

Trigger: HTTP, payload format v1, without the platform's own authentication: EventBridge, SMQ, mail
programs and other companies' programs have no access key of ours. What comes in proves itself with
a signature. The addresses are in `shared.hooks.routes`.
"""

from __future__ import annotations

from typing import Any

from shared.api.door import answer_event
from shared.app import Instance, build_webhooks

_instance = Instance(build_webhooks)


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
