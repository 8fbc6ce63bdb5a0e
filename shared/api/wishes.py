"""What an HTTP request wants beside its body: its key, its trace, whether now or later."""

from __future__ import annotations

from collections.abc import Mapping

from shared.schema.tracing import read_trace
from shared.sending.letters import Letter, first_letter
from shared.triggers.http import Request

KEY_HEADER = "idempotency-key"


class KeysDiffer(Exception):  # it is read as what happened
    """Header and body name different keys."""


def with_header_key(letter: Letter, header: str | None) -> Letter:
    """The letter under the key of the Idempotency-Key header, bare or quoted."""
    if header is None:
        return letter
    key = header.strip()
    if len(key) > 1 and key.startswith('"') and key.endswith('"'):
        key = key[1:-1]
    if letter.mail.key is not None and letter.mail.key != key:
        raise KeysDiffer
    return first_letter({**letter.given, "key": key}, key=key, now=letter.first_seen)


def with_trace(letter: Letter, headers: Mapping[str, str]) -> Letter:
    """The letter with the trace of the request's headers, unless it has one of its own."""
    trace = read_trace(headers.get("traceparent"), headers.get("tracestate"))
    if trace is None or letter.mail.trace is not None:
        return letter
    return first_letter({**letter.given, "trace": trace}, key=letter.key, now=letter.first_seen)


def wants_later(request: Request) -> bool:
    """`Prefer: respond-async` (RFC 7240)."""
    wishes = request.headers.get("prefer", "").lower().split(",")
    return any(wish.partition(";")[0].strip() == "respond-async" for wish in wishes)
