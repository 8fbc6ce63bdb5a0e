"""The console's address for the rules: `GET`, `PUT` and `DELETE /_local/faults`."""

from __future__ import annotations

import json

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.faults.registry import Faults
from local.faults.rules import PATH, RuleError, rules_of


def route(faults: Faults) -> Route:
    """The address. Every answer is `{"rules": [...]}` as they are now, or 400 `{"error": ...}`."""

    async def serve(request: Request) -> Response:
        if request.method == "DELETE":
            faults.clear()
        elif request.method == "PUT":
            try:
                faults.set(rules_of(_document(await request.body())))
            except RuleError as error:
                return JSONResponse({"error": str(error)}, 400)
        return JSONResponse({"rules": faults.list()})

    return Route(PATH, serve, methods=["GET", "PUT", "DELETE"])


def _document(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise RuleError("this is not JSON") from None
