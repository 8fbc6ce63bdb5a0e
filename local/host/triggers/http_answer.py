"""A function's result as the answer to an HTTP request, or the platform's own answer for it.

https://www.alibabacloud.com/help/en/functioncompute/fc/http-trigger-invoking-function
https://www.alibabacloud.com/help/doc-detail/85445.htm
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local.host.instances.invocation import FUNCTION_ERROR, OK, PLATFORM_ERROR, Invocation

# https://www.alibabacloud.com/help/en/functioncompute/fc/product-overview/limits-of-usage
HEADERS_LIMIT = 8 * 1024

_BAD_GATEWAY = 502
_FINAL_STATUS = range(200, 600)
# A response may not set these; the platform drops them.
_NOT_ANSWERED = frozenset(
    {"connection", "content-length", "date", "keep-alive", "server", "upgrade"}
)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FIELD_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


@dataclass(frozen=True)
class HttpAnswer:
    """One answer."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def http_answer(invocation: Invocation) -> HttpAnswer:
    """The answer to the caller: the function's own, or the platform's 502, 429 or 4xx."""
    if invocation.error_type == FUNCTION_ERROR:
        return _platform_answer(invocation, _BAD_GATEWAY, FUNCTION_ERROR, invocation.body)
    if invocation.error_type is not None or invocation.status != OK:
        return _platform_answer(invocation, invocation.status, PLATFORM_ERROR, invocation.body)
    try:
        return _from_result(invocation)
    except _BadResponseError as error:
        document = {
            "Code": "BadResponse",
            "Message": str(error),
            "RequestId": invocation.request_id,
        }
        body = json.dumps(document).encode()
        return _platform_answer(invocation, _BAD_GATEWAY, FUNCTION_ERROR, body)


class _BadResponseError(ValueError):
    """The function's result is not an HTTP response."""


def _from_result(invocation: Invocation) -> HttpAnswer:
    try:
        result = json.loads(invocation.body)
    except ValueError:
        raise _BadResponseError("the function's result is not JSON") from None
    if not isinstance(result, dict):
        raise _BadResponseError("the function's result is not an object")
    status = result.get("statusCode")
    if type(status) is not int or status not in _FINAL_STATUS:
        raise _BadResponseError("the result's statusCode is not a final HTTP status")
    headers = _answer_headers(result.get("headers") or {})
    return HttpAnswer(status, (*headers, *_own_headers(invocation)), _answer_body(result))


def _answer_headers(headers: Any) -> list[tuple[str, str]]:
    if not isinstance(headers, Mapping):
        raise _BadResponseError("the result's headers are not an object")
    for name, value in headers.items():
        if not isinstance(value, str) or not _FIELD_VALUE.fullmatch(value):
            raise _BadResponseError(f"the value of the header {name!r} cannot be sent")
        if not _TOKEN.fullmatch(name):
            raise _BadResponseError(f"{name!r} is not a header's name")
    if sum(len(name) + len(value) for name, value in headers.items()) > HEADERS_LIMIT:
        raise _BadResponseError(f"the result's headers have more than {HEADERS_LIMIT} bytes")
    return [(name, value) for name, value in headers.items() if _may_answer(name.lower(), value)]


def _may_answer(name: str, value: str) -> bool:
    attachment = name == "content-disposition" and value.strip().lower().startswith("attachment")
    return name not in _NOT_ANSWERED and not attachment


def _answer_body(result: Mapping[str, Any]) -> bytes:
    body = result.get("body", "")
    if not isinstance(body, str):
        raise _BadResponseError("the result's body is not a text")
    if result.get("isBase64Encoded") is not True:
        return body.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise _BadResponseError("the result's body is not the base64 that it says") from None


def _own_headers(invocation: Invocation) -> tuple[tuple[str, str], ...]:
    return (("X-Fc-Request-Id", invocation.request_id),)


def _platform_answer(
    invocation: Invocation, status: int, error_type: str, body: bytes
) -> HttpAnswer:
    headers = (
        ("Content-Type", "application/json"),
        ("X-Fc-Error-Type", error_type),
        *_own_headers(invocation),
    )
    return HttpAnswer(status, headers, body)
