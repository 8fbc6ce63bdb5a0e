"""An HTTP trigger's event in, its answer out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shared.api.problems import problem
from shared.triggers.http import (
    BadHttpEvent,
    Request,
    Response,
    read_http_event,
    write_http_answer,
)


def answer_event(event: bytes, answer: Callable[[Request], Response]) -> dict[str, Any]:
    """Answer one request; what is no request is a 400.

    Args:
        event: an HTTP trigger's event.
        answer: the use case.
    """
    try:
        request = read_http_event(event)
    except BadHttpEvent as error:
        return write_http_answer(problem("bad-request", str(error)))
    return write_http_answer(answer(request))
