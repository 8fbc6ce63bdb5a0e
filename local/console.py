"""What a person at this machine may look at: `/` for a browser, `/_local/…` for the command.

None of this exists in the cloud, and no function knows of it.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from local.faults import admin
from local.fire import admin as fire_admin
from local.twins.smq.errors import SmqError

if TYPE_CHECKING:
    from local.stack import Stack

POLL_SECONDS = 0.05
WAIT_MAX_SECONDS = 30.0
PAGE = 200


def create_app(stack: Stack) -> Starlette:
    """The console's ASGI application."""

    async def front_page(_: Request) -> Response:
        lines = ["Postbus runs on this machine.", ""]
        lines += [f"  {name:<28} {what}" for name, what in addresses(stack.url).items()]
        return PlainTextResponse("\n".join([*lines, ""]))

    async def status(_: Request) -> Response:
        queues = {name: vars(stack.broker.depth(name)) for name in stack.broker.queues()}
        return JSONResponse(
            {
                "queues": queues,
                "topics": stack.broker.topics(),
                "functions": [function.name for function in stack.template.functions],
                "accepted_mails": stack.outbox.count(),
                "not_simulated": [each.sentence for each in stack.host.unsimulated],
            }
        )

    async def topic_messages(request: Request) -> Response:
        topic, after = request.path_params["topic"], _number(request, "after")
        deadline = asyncio.get_running_loop().time() + min(
            _number(request, "wait"), WAIT_MAX_SECONDS
        )
        while True:
            try:
                found = stack.broker.published(topic, after=after, limit=PAGE)
            except SmqError as error:
                return JSONResponse({"error": error.message}, error.status)
            if found or asyncio.get_running_loop().time() >= deadline:
                break
            await asyncio.sleep(POLL_SECONDS)
        return JSONResponse(
            [
                {"sequence": m.sequence, "id": m.id, "tag": m.tag, "at_ms": m.at_ms, "body": m.body}
                for m in found
            ]
        )

    async def queue_messages(request: Request) -> Response:
        try:
            found = stack.broker.look(request.path_params["queue"], PAGE)
        except SmqError as error:
            return JSONResponse({"error": error.message}, error.status)
        return JSONResponse(
            [
                {
                    "id": m.id,
                    "body": _readable(m.body),
                    "enqueued_at_ms": m.enqueued_at_ms,
                    "dequeue_count": m.dequeue_count,
                    "why": {p.name: p.value for p in (*m.properties, *m.system_properties)},
                }
                for m in found
            ]
        )

    async def outbox(request: Request) -> Response:
        mails = stack.outbox.mails(after=_number(request, "after"), limit=PAGE)
        return JSONResponse(
            [
                {
                    "sequence": m.sequence,
                    "env_id": m.env_id,
                    "at": m.at,
                    "to": list(m.recipients),
                    "bcc": list(m.bcc),
                    "subject": m.parameters.get("Subject"),
                    "sender": m.parameters.get("AccountName"),
                    "eml": str(m.eml_path),
                }
                for m in mails
            ]
        )

    return Starlette(
        routes=[
            Route("/", front_page),
            Route("/_local/status", status),
            admin.route(stack.faults),
            fire_admin.route(stack.firing),
            Route("/_local/topics/{topic}/messages", topic_messages),
            Route("/_local/queues/{queue}/messages", queue_messages),
            Route("/_local/outbox", outbox),
        ]
    )


def addresses(url: str) -> dict[str, str]:
    """The local addresses and what is behind them."""
    return {
        f"{url}/v1/mails": "the HTTP API (mail_api)",
        f"{url}/queues/…": "SMQ: queues and topics, for the official SDKs",
        f"POST {url}/": "DirectMail, for the official SDKs",
        f"{url}/2023-03-30/functions/…": "InvokeFunction",
    }


def _readable(body: str) -> str:
    """A body as text; base64 is undone where it is base64 of text."""
    try:
        return base64.b64decode(body, validate=True).decode()
    except (binascii.Error, ValueError):
        return body


def _number(request: Request, name: str) -> int:
    text: Any = request.query_params.get(name, "0")
    return int(text) if text.isdecimal() else 0
