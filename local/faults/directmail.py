"""DirectMail's API misbehaves: an application in front of the twin's own."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs, unquote_plus

from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Message, Scope

from local.faults.edge import Edge
from local.faults.exchange import Exchange
from local.faults.registry import Fault
from local.twins.directmail.errors import ERRORS, refusal

_OK = 200
_UNAVAILABLE = 503
# What a rule's `match` is looked for in, of a request's body.
_LOOKED_AT_BYTES = 1024 * 1024

_REFUSALS = {
    "daily-quota": "InvalidSendMail.Spam",
    "expired-token": "InvalidSecurityToken.Expired",
    "internal-error": "InternalError",
    "quota": "InvalidSendMail.Spam",
    "rate-limit": "Throttling.User",
    "throttled": "Throttling.User",
    "unavailable": "ServiceUnavailable",
}
# What a proxy in front of the service says, which is none of the service's own words.
_PAGE = "<html>\r\n<head><title>{0}</title></head>\r\n<body><h1>{0}</h1></body>\r\n</html>\r\n"


class DirectMailEdge(Edge):
    """The twin's application, with the faults of target `directmail`."""

    target = "directmail"

    async def serve(self, exchange: Exchange, scope: Scope) -> None:
        """See `Edge.serve`."""
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        action, host = headers.get(b"x-acs-action", ""), headers.get(b"host", "")
        form = scope["query_string"] + b"&" + exchange.body[:_LOOKED_AT_BYTES]
        detail, recipients = unquote_plus(form.decode("latin-1")), _recipients(form)
        fault = self._faults.choose(self.target, action, detail, recipients=recipients)

        def count(status: int) -> None:
            if status == _OK and action == "SingleSendMail":
                self._faults.accepted(action, detail, recipients)

        if fault is None:
            await exchange.serve(self._app, count)
        elif fault.kind in _REFUSALS:
            await exchange.answer(_refused(_REFUSALS[fault.kind], host, fault.seconds))
        elif fault.kind in _BEFORE:
            await _BEFORE[fault.kind](exchange, fault)
        else:
            answer = await exchange.hold(self._app)
            count(next((message["status"] for message in answer if "status" in message), 0))
            await _spoil(exchange, answer, fault, host)


async def _spoil(exchange: Exchange, answer: list[Message], fault: Fault, host: str) -> None:
    """Do to an answer what the fault says."""
    if fault.kind == "internal-error-after":
        await exchange.answer(_refused("InternalError", host))
    elif fault.kind == "empty":
        await exchange.answer(Response(media_type="application/json;charset=utf-8"))
    elif fault.kind == "html":
        await exchange.answer(_page("Welcome", _OK))
    elif fault.kind == "reset-after":
        await exchange.reset()
    elif fault.kind == "timeout-after":
        await exchange.silence(fault.seconds)
    elif fault.kind == "trickle":
        await exchange.trickle(answer, fault.seconds)
    elif not await exchange.left_within(fault.seconds):  # slow
        await exchange.release(answer)


def _recipients(form: bytes) -> int:
    given = parse_qs(form.decode("latin-1"))
    return sum(
        len(text.split(",")) for name in ("ToAddress", "BccAddress") for text in given.get(name, ())
    )


def _refused(code: str, host: str, retry_after_seconds: float = 0) -> Response:
    request_id = str(uuid.uuid4()).upper()
    status, sentence = ERRORS[code]
    headers = {"x-acs-request-id": request_id}
    if retry_after_seconds:
        headers["x-acs-retry-after"] = str(int(retry_after_seconds * 1000))
    return JSONResponse(refusal(code, sentence, request_id, host), status, headers)


def _page(title: str, status: int) -> Response:
    return HTMLResponse(_PAGE.format(title), status)


_BEFORE: dict[str, Callable[[Exchange, Fault], Awaitable[None]]] = {
    "reset-before": lambda exchange, _: exchange.reset(),
    "timeout-before": lambda exchange, fault: exchange.silence(fault.seconds),
    "unavailable-html": lambda exchange, _: exchange.answer(
        _page("503 Service Temporarily Unavailable", _UNAVAILABLE)
    ),
}
