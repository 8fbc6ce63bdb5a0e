"""What the SDK returns or raises, as an answer in the field's words."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import Any

import urllib3.exceptions

from shared.cloud.directmail_sdk import TeaException, requests
from shared.sending.answers import Accepted, Answer, Broken, BrokenKind, Rejected

SERVER_ERRORS = 500
# What the SDK makes of an error in JSON that has no `Code`: not DirectMail's, but somebody's
# before it.
NO_CODE = "None"


def accepted(body: Any) -> Answer:
    """What an answer of 200 says."""
    told = body if isinstance(body, dict) else {}
    envelope_id, request_id = told.get("EnvId"), told.get("RequestId")
    if not envelope_id or not isinstance(envelope_id, str | int):
        return Broken("unparsable", "an answer of 200 without an EnvId")
    return Accepted(str(envelope_id), str(request_id) if request_id else None)


def answer_of(error: BaseException, *, begun: bool) -> Answer:
    """What an exception of the SDK says about the mail."""
    code = getattr(error, "code", None)
    if isinstance(error, TeaException) and code and code != NO_CODE:
        status = getattr(error, "status_code", None) or getattr(error, "statusCode", None)
        if not begun and (status is None or status >= SERVER_ERRORS):
            return Broken("upload", str(code))
        retry_after = getattr(error, "retry_after", None)
        return Rejected(
            code=str(code),
            status=status if isinstance(status, int) else None,
            message=str(getattr(error, "message", "")),
            request_id=getattr(error, "request_id", None),
            retry_after_ms=retry_after if isinstance(retry_after, int) else None,
        )
    kind = "unparsable" if code == NO_CODE else _kind_of(error)
    if not begun and kind != "connect":
        kind = "upload"
    return Broken(kind, type(error).__name__)


# What was really raised lies somewhere in the SDK's wrapping; the first row that occurs in the
# chain decides. Only what happens before a request can have gone out counts as `connect`.
_KINDS: tuple[tuple[tuple[type[BaseException], ...], BrokenKind], ...] = (
    (
        (
            requests.exceptions.ConnectTimeout,
            urllib3.exceptions.NewConnectionError,
            urllib3.exceptions.ConnectTimeoutError,
            ssl.SSLCertVerificationError,
        ),
        "connect",
    ),
    ((requests.exceptions.ReadTimeout, urllib3.exceptions.ReadTimeoutError), "read-timeout"),
    (
        (requests.exceptions.ConnectionError, urllib3.exceptions.ProtocolError, ConnectionError),
        "reset",
    ),
    ((requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError), "reset"),
    # The SDK takes whatever JSON comes for an object.
    ((RuntimeError, ValueError, AttributeError), "unparsable"),
)


def _kind_of(error: BaseException) -> BrokenKind:
    chain = list(_chain(error))
    for types, kind in _KINDS:
        if any(isinstance(link, types) for link in chain):
            return kind
    return "other"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An exception and everything it wraps, by all the ways that the SDK and urllib3 use."""
    seen: set[int] = set()
    waiting: list[Any] = [error]
    while waiting:
        link = waiting.pop()
        if not isinstance(link, BaseException) or id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        waiting += [
            link.__cause__,
            link.__context__,
            getattr(link, "inner_exception", None),
            getattr(link, "reason", None),
            *link.args,
        ]
