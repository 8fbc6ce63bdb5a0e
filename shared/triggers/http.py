"""An HTTP trigger's event and answer, payload format v1.

https://www.alibabacloud.com/help/en/functioncompute/fc/http-trigger-invoking-function
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from shared.triggers.json_bytes import NotJson, read_json
from shared.values import dataclass


@dataclass(frozen=True)
class Request:
    """One HTTP request; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Response:
    """One HTTP answer: `body` is sent as JSON, `text` (a page, say) as it is."""

    status: int
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    text: str | None = None


class BadHttpEvent(ValueError):
    """The event is not an HTTP trigger's, or its body is not the base64 it says. A 400."""


def read_http_event(event: bytes) -> Request:
    """Peel an HTTP trigger's event. Header names arrive in any case and are lowered here.

    Raises:
        BadHttpEvent: and nothing else.
    """
    try:
        document = read_json(event)
    except NotJson as error:
        raise BadHttpEvent(f"the HTTP event is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise BadHttpEvent("the HTTP event is not an object")
    http = _mapping(_mapping(document.get("requestContext")).get("http"))
    path = http.get("path") or document.get("rawPath") or "/"
    return Request(
        method=str(http.get("method") or "GET").upper(),
        path=str(path),
        headers={k.lower(): str(v) for k, v in _mapping(document.get("headers")).items()},
        query={k: str(v) for k, v in _mapping(document.get("queryParameters")).items()},
        body=_body(document),
    )


def write_http_answer(response: Response) -> dict[str, Any]:
    """The mapping that the platform turns into the HTTP answer; all four keys, always."""
    headers = {"Content-Type": response.content_type, "Cache-Control": "no-store"}
    body = response.text or ""
    if response.body is not None:
        body = json.dumps(response.body, ensure_ascii=False)
    return {
        "statusCode": response.status,
        "headers": {**headers, **response.headers},
        "isBase64Encoded": False,
        "body": body,
    }


def _body(document: Mapping[str, Any]) -> bytes:
    body = document.get("body")
    if body is None:
        return b""
    if not isinstance(body, str):
        raise BadHttpEvent("the HTTP event's body is not text")
    if document.get("isBase64Encoded") is not True:
        return body.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise BadHttpEvent("the body is marked as base64 and is not") from None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
