"""An HTTP request as the event that a function gets.

Payload format v1 of Function Compute 3.0's built-in runtimes.
https://www.alibabacloud.com/help/en/functioncompute/fc/http-trigger-invoking-function
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from urllib.parse import parse_qsl, unquote

# A request may not bring these; they belong to the connection and to the platform.
_NOT_FORWARDED = frozenset({"connection", "keep-alive"})
_TEXT_TYPES = re.compile(
    r"text/|application/([\w.+-]*\+)?(json|xml)\b|application/(javascript|x-www-form-urlencoded)\b"
)


@dataclass(frozen=True)
class HttpRequest:
    """One request as it arrived; `target` is path and query, percent-encoded as sent."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    source_ip: str = "127.0.0.1"
    protocol: str = "HTTP/1.1"


@dataclass(frozen=True)
class Site:
    """What the event says about where the request arrived."""

    account_id: str
    region: str
    trigger: str
    function: str

    @property
    def domain_prefix(self) -> str:
        """The trigger's id in the domain name, made from the names and always the same."""
        digest = hashlib.sha256(f"{self.function}/{self.trigger}".encode()).hexdigest()
        return f"{self.trigger}-{digest[:10]}"


def http_event(request: HttpRequest, site: Site, request_id: str, moment: datetime) -> bytes:
    """The event of one request.

    Header names are in canonical case; a name or parameter that is there more than once has its
    values joined with commas.
    """
    path, _, query = request.target.partition("?")
    body, encoded = _body(request)
    headers = _joined((_canonical(name), value) for name, value in _forwarded(request.headers))
    document = {
        "version": "v1",
        "rawPath": path,
        "body": body,
        "isBase64Encoded": encoded,
        "headers": headers,
        "queryParameters": _joined(parse_qsl(query, keep_blank_values=True)),
        "requestContext": {
            "accountId": site.account_id,
            "domainName": f"{site.domain_prefix}.{site.region}.fcapp.run",
            "domainPrefix": site.domain_prefix,
            "http": {
                "method": request.method,
                "path": unquote(path),
                "protocol": request.protocol,
                "sourceIp": request.source_ip,
                "userAgent": headers.get("User-Agent", ""),
            },
            "requestId": request_id,
            "time": moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "timeEpoch": str(int(moment.timestamp() * 1000)),
        },
    }
    return json.dumps(document, ensure_ascii=False).encode()


def _forwarded(headers: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    for name, value in headers:
        if name.lower() not in _NOT_FORWARDED and not name.lower().startswith("x-fc-"):
            yield name, value


def _canonical(name: str) -> str:
    return "-".join(part.capitalize() for part in name.split("-"))


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return {name: ",".join(values) for name, values in found.items()}


def _body(request: HttpRequest) -> tuple[str, bool]:
    """The body as text, or in base64 for a binary content type (and for what is no UTF-8)."""
    names = {name.lower(): value for name, value in request.headers}
    content_type = names.get("content-type", "text/plain").strip().lower()
    if _TEXT_TYPES.match(content_type):
        try:
            return request.body.decode("utf-8"), False
        except UnicodeDecodeError:
            pass  # a JSON event has no place for these bytes
    return base64.b64encode(request.body).decode(), True
