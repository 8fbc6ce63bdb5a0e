"""The API's addresses: which method of which path does what."""

from __future__ import annotations

from collections.abc import Callable

from shared.api.door import answer_by
from shared.api.mails import Mails
from shared.api.openapi import openapi
from shared.api.recipients import RecipientApi
from shared.api.suppressions import SuppressionApi
from shared.triggers.context import Invocation
from shared.triggers.http import Request, Response
from shared.values import dataclass

MAILS, SUPPRESSIONS, RECIPIENTS = "/v1/mails", "/v1/suppressions", "/v1/recipients"


@dataclass(frozen=True)
class Api:
    """Answers requests.

    Args:
        mails: the `/v1/mails` resource.
        suppressions: the `/v1/suppressions` resource.
        recipients: the `/v1/recipients` resource.
        environment: named by `/healthz`.
    """

    mails: Mails
    suppressions: SuppressionApi
    recipients: RecipientApi
    environment: str

    def answer(self, request: Request, call: Invocation) -> Response:
        """Answer one request; an address that is not there is a 404, a wrong method a 405."""
        return answer_by(
            self._methods(request, call), request, f"there is nothing at {request.path!r:.120}"
        )

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
        if path == SUPPRESSIONS:
            return {"GET": lambda: self.suppressions.page(request.query, call)}
        if path.startswith(f"{SUPPRESSIONS}/") and path.count("/") == SUPPRESSIONS.count("/") + 2:
            scope, address = path.split("/")[-2:]
            return {
                "GET": lambda: self.suppressions.get(scope, address, call),
                "PUT": lambda: self.suppressions.put(scope, address, request, call),
                "DELETE": lambda: self.suppressions.delete(scope, address, request.query, call),
            }
        if path.startswith(f"{RECIPIENTS}/") and path.count("/") == RECIPIENTS.count("/") + 1:
            address = path.rpartition("/")[2]
            return {"DELETE": lambda: self.recipients.delete(address, request.query, call)}
        if path == "/healthz":
            return {"GET": lambda: Response(200, {"ok": True, "environment": self.environment})}
        if path == "/openapi.json":
            return {"GET": lambda: Response(200, openapi())}
        return None
