"""An HTTP trigger's event in, its answer out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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


def answer_by(
    methods: Mapping[str, Callable[[], Response]] | None, request: Request, missing: str
) -> Response:
    """Answer by the request's method: no address is a 404, a wrong method a 405.

    Args:
        methods: what the address does; None where there is nothing.
        request: whose method counts.
        missing: what a 404 says.
    """
    if methods is None:
        return problem("not-found", missing)
    answer = methods.get(request.method)
    if answer is None:
        allowed = ", ".join(sorted(methods))
        return problem(
            "method-not-allowed", f"this address takes {allowed}", headers={"Allow": allowed}
        )
    return answer()
