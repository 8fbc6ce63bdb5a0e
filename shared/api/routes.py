"""The API's addresses: which method of which path does what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from shared.api.mails import Mails
from shared.api.openapi import openapi
from shared.api.problems import problem
from shared.triggers.context import Invocation
from shared.triggers.http import Request, Response

MAILS = "/v1/mails"


@dataclass(frozen=True)
class Api:
    """Answers requests.

    Args:
        mails: the `/v1/mails` resource.
        environment: named by `/healthz`.
    """

    mails: Mails
    environment: str

    def answer(self, request: Request, call: Invocation) -> Response:
        """Answer one request; an address that is not there is a 404, a wrong method a 405."""
        methods = self._methods(request, call)
        if methods is None:
            return problem("not-found", f"there is nothing at {request.path!r:.120}")
        answer = methods.get(request.method)
        if answer is None:
            allowed = ", ".join(sorted(methods))
            return problem(
                "method-not-allowed", f"this address takes {allowed}", headers={"Allow": allowed}
            )
        return answer()

    def _methods(
        self, request: Request, call: Invocation
    ) -> dict[str, Callable[[], Response]] | None:
        path = request.path.rstrip("/") or "/"
        if path == MAILS:
            return {
                "POST": lambda: self.mails.post(request, call),
                "GET": lambda: self.mails.find(request.query),
            }
        if path.startswith(f"{MAILS}/") and path.count("/") == MAILS.count("/") + 1:
            return {"GET": lambda: self.mails.get(path.rpartition("/")[2])}
        if path == "/healthz":
            return {"GET": lambda: Response(200, {"ok": True, "environment": self.environment})}
        if path == "/openapi.json":
            return {"GET": lambda: Response(200, openapi())}
        return None
