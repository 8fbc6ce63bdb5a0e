"""The console's address for firing: `POST /_local/fire` with an order."""

from __future__ import annotations

import json

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.fire.firing import Firing, NotFound
from local.fire.orders import PATH, Order, OrderError


def route(firing: Firing) -> Route:
    """The address: what was fired, or `{"error": ...}` with 400 (the order) or 404 (the mail)."""

    async def serve(request: Request) -> Response:
        try:
            order = Order.from_json(_document(await request.body()))
            return JSONResponse(firing.fire(order))
        except OrderError as error:
            return JSONResponse({"error": str(error)}, 400)
        except NotFound as error:
            return JSONResponse({"error": str(error)}, 404)

    return Route(PATH, serve, methods=["POST"])


def _document(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise OrderError("this is not JSON") from None
