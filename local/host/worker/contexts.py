"""The `context` object that a handler gets, as each runtime documents it.

python3.12 passes an `FCContext` without credentials and service; up to python3.10 both are there.
An approximation written from the documentation alone; the platform's own classes are not public.
https://help.aliyun.com/en/functioncompute/fc/context-1

Runs in the worker process: standard library only, and of that what loads fast (no dataclasses).
"""

from __future__ import annotations

import json
import logging
from typing import Any

QUALIFIER = "LATEST"


class Fields:
    """Attributes by name, as the documentation lists them; nothing else."""

    def __init__(self, **fields: Any) -> None:
        vars(self).update(fields)

    def __repr__(self) -> str:
        shown = {k: "…" if "secret" in k or "token" in k else v for k, v in vars(self).items()}
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in shown.items())})"


class FunctionMeta(Fields):
    """`context.function`: name, handler, memory (MB), timeout (s); more on python3.12."""


class Credentials(Fields):
    """`context.credentials` up to python3.10: access_key_id, access_key_secret, security_token."""


class ServiceMeta(Fields):
    """`context.service` up to python3.10; Function Compute 3.0 has no services, so no name."""


class Tracing(Fields):
    """`context.tracing` up to python3.10; empty, tracing is off here."""


class FCContext:
    """The context on python3.12. `logger` is None until `getLogger()` was called."""

    def __init__(  # noqa: PLR0913, PLR0917  # the documented constructor
        self,
        account_id: str,
        request_id: str,
        function_meta: FunctionMeta,
        logger: logging.Logger | None,
        log_project: str,
        log_store: str,
        region: str,
    ) -> None:
        self.account_id = account_id
        self.request_id = request_id
        self.function = function_meta
        self.logger = logger
        self.log_project = log_project
        self.log_store = log_store
        self.region = region

    def getLogger(self) -> logging.Logger:  # noqa: N802  # the documented name
        """The function's logger: the root logger, whose lines carry the request id."""
        self.logger = logging.getLogger()
        return self.logger


class Context310(FCContext):
    """The context up to python3.10: with credentials, service, tracing and the retry count."""

    credentials: Credentials
    service: ServiceMeta
    tracing: Tracing
    retry_count: int

    def to_json(self) -> str:
        """The context as JSON text."""
        return json.dumps(
            {
                "requestId": self.request_id,
                "credentials": vars(self.credentials),
                "function": vars(self.function),
                "service": vars(self.service),
                "region": self.region,
                "accountId": self.account_id,
                "retryCount": self.retry_count,
            }
        )


def make_context(settings: dict[str, Any], request_id: str, retry_count: int) -> FCContext:
    """The context of one request.

    Args:
        settings: what stays the same for an instance: `runtime`, `account_id`, `region`,
            `function` {name, handler, memory, timeout} and `credentials`.
        request_id: the platform's id of the invocation.
        retry_count: how often an asynchronous invocation was repeated before.
    """
    account_id, region = settings["account_id"], settings["region"]
    if settings["runtime"] != "python3.10":
        meta = FunctionMeta(**settings["function"], version_id=QUALIFIER, qualifier=QUALIFIER)
        return FCContext(account_id, request_id, meta, None, "", "", region)
    meta, logger = FunctionMeta(**settings["function"]), logging.getLogger()
    context = Context310(account_id, request_id, meta, logger, "", "", region)
    context.credentials = Credentials(**settings["credentials"])
    context.service = ServiceMeta(
        name="", log_project="", log_store="", qualifier=QUALIFIER, version_id=""
    )
    context.tracing = Tracing(span_context="", jaeger_endpoint="", span_baggages={})
    context.retry_count = retry_count
    return context
