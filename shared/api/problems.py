"""Errors of the API as problem documents (RFC 9457); each kind has its type and its status."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shared.schema.problems import Problem
from shared.triggers.http import Response

TYPE_PREFIX = "urn:postbus:problem:"

# type -> (HTTP status, title). The types are stable; programs may rely on them.
KINDS: dict[str, tuple[int, str]] = {
    "bad-request": (400, "The request cannot be read"),
    "key-given-twice": (400, "Idempotency-Key and the mail's key differ"),
    "not-signed": (401, "The request's signature does not hold"),
    "not-found": (404, "There is no such thing"),
    "method-not-allowed": (405, "This address does not take that method"),
    "in-progress": (409, "This mail is being sent right now"),
    "too-big": (413, "The mail is too big for this way"),
    "wrong-content-type": (415, "The body has to be application/json"),
    "invalid-mail": (422, "The mail breaks the contract"),
    "other-payload": (422, "This key was used for another mail"),
    "expired": (422, "The mail's own time was over before it was sent"),
    "suppressed": (422, "Nobody is left whom the mail may be sent to"),
    "invalid-suppression": (422, "The suppression breaks the contract"),
    "refused-by-provider": (422, "DirectMail refused the mail"),
    "throttled": (429, "DirectMail takes no more mails for the moment"),
    "quota": (429, "DirectMail's quota is used up for today"),
    "misconfigured": (502, "DirectMail refused this account's settings"),
    "unavailable": (503, "DirectMail cannot be reached; the mail was not sent"),
    "ledger-unavailable": (503, "The ledger cannot be reached; the mail was not sent"),
    "queue-unavailable": (503, "The queue cannot be reached"),
    "certificate-unavailable": (503, "The sender's certificate cannot be had just now"),
}

# Those that the function `webhooks` alone answers.
WEBHOOK_KINDS = frozenset({"not-signed", "certificate-unavailable"})


def problem(
    kind: str,
    detail: str,
    *,
    problems: Sequence[Problem] = (),
    retry_after_ms: int | None = None,
    headers: dict[str, str] | None = None,
    **members: Any,
) -> Response:
    """A problem document.

    Args:
        kind: a key of `KINDS`.
        detail: what happened and what to do, for a person.
        problems: what is wrong with the mail, each with its JSON pointer.
        retry_after_ms: when to come back; becomes `Retry-After` in whole seconds.
        headers: more headers.
        members: more members, e.g. the provider's own code.
    """
    status, title = KINDS[kind]
    document: dict[str, Any] = {
        "type": TYPE_PREFIX + kind,
        "title": title,
        "status": status,
        "detail": detail,
    }
    if problems:
        document["errors"] = [each.as_dict() for each in problems]
    document.update({name: value for name, value in members.items() if value is not None})
    extra = dict(headers or {})
    if retry_after_ms is not None:
        extra["Retry-After"] = str(max(1, -(-retry_after_ms // 1000)))
    return Response(status, document, extra, "application/problem+json")
