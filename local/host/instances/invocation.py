"""A call of a function, what comes of it, and the platform's own refusals."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass, field

# https://www.alibabacloud.com/help/en/functioncompute/fc/product-overview/limits-of-usage
SYNCHRONOUS_LIMIT = 32 * 1024 * 1024
ASYNCHRONOUS_LIMIT = 128 * 1024

OK = 200
FUNCTION_ERROR = "UnhandledInvocationError"
PLATFORM_ERROR = "FcCommonError"

# How long a synchronous caller waits in line for an instance before the platform's 429.
WAIT_SECONDS = 10.0

# https://www.alibabacloud.com/help/en/functioncompute/error-codes
_REFUSALS = {
    "AccessDenied": (403, "%s"),
    "EntityTooLarge": (400, "payload size exceeds maximum allowed size (%s bytes)"),
    "FunctionNotFound": (404, "function '%s' does not exist"),
    "InternalServerError": (500, "%s"),
    "InvalidArgument": (400, "%s"),
    "ResourceExhausted": (429, "all instances of function '%s' are busy"),
}


def new_request_id() -> str:
    """A request id in the platform's form: `1-<hex time>-<hex>-<hex>`."""
    return f"1-{int(time.time()):08x}-{secrets.token_hex(4)}-{secrets.token_hex(6)}"


@dataclass(frozen=True)
class Call:
    """One call of a function.

    Attributes:
        payload: the event.
        trigger: what caused it, for the activity: invoke, http, queue, topic, timer or eventbridge.
        messages: how many queue messages the event holds, for the activity.
        request_id: the platform's id of it.
        retry_count: how often it was repeated before, for the function's context.
        wait_seconds: how long to wait in line for an instance; None is for as long as it takes.
    """

    payload: bytes
    trigger: str = "invoke"
    messages: int = 0
    request_id: str = field(default_factory=new_request_id)
    retry_count: int = 0
    wait_seconds: float | None = WAIT_SECONDS


@dataclass(frozen=True)
class Invocation:
    """One invocation and its outcome.

    Attributes:
        request_id: the platform's id of it.
        status: the HTTP status of InvokeFunction: 200 also when the function failed.
        body: the result, or the error JSON.
        error_type: `UnhandledInvocationError` for the function's failures, `FcCommonError` for
            the platform's refusals, None for a result.
        duration_ms: from the request to the result, without waiting for an instance.
        instance_id: where it ran; empty where nothing ran.
        log_tail: the last 4 KB that the function printed.
    """

    request_id: str
    status: int
    body: bytes
    error_type: str | None = None
    duration_ms: float = 0.0
    instance_id: str = ""
    log_tail: bytes = b""

    @property
    def ok(self) -> bool:
        """Whether the function ran to its end and gave a result."""
        return self.error_type is None


def refuse(code: str, detail: object, request_id: str | None = None) -> Invocation:
    """The platform's own error: the function was not run.

    Args:
        code: one of the documented codes.
        detail: what the code's sentence is about.
        request_id: of the invocation, if it has one already.
    """
    status, text = _REFUSALS[code]
    request_id = request_id or new_request_id()
    document = {"Code": code, "Message": text % detail, "RequestId": request_id}
    return Invocation(request_id, status, json.dumps(document).encode(), PLATFORM_ERROR)
