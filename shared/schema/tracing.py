"""W3C Trace Context: in which trace a mail's producer was when it asked for the mail.

https://www.w3.org/TR/trace-context/#traceparent-header-field-values
"""

from __future__ import annotations

import re

from shared.schema.problems import refuse, shown

# Version 00: the trace's id and the parent's, neither all zeros, and flags.
TRACEPARENT = "00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
# What tracing systems add. The standard has systems keep at least 512 characters.
TRACESTATE = "[ -~]{0,511}[!-~]"
TRACESTATE_MAX = 512

_parent = re.compile(TRACEPARENT)
_state = re.compile(TRACESTATE)


def check_traceparent(text: str) -> str:
    """Refuse what is no `traceparent` of version 00."""
    if not _parent.fullmatch(text):
        raise refuse(
            "traceparent",
            "must be a traceparent of W3C Trace Context, version 00, in lower case",
            given=shown(text),
        )
    return text


def check_tracestate(text: str) -> str:
    """Refuse what is no `tracestate`."""
    if not _state.fullmatch(text):
        raise refuse("tracestate", "must be printable ASCII, not ending in a space")
    return text


def read_trace(traceparent: str | None, tracestate: str | None) -> dict[str, str] | None:
    """The trace that a request's headers tell, as a mail's `trace`; None where they tell none.

    Headers are no part of a mail's contract: what is malformed is ignored, as the standard says.
    """
    parent = (traceparent or "").strip()
    if not _parent.fullmatch(parent):
        return None
    state = (tracestate or "").strip()
    return {"traceparent": parent, **({"tracestate": state} if _state.fullmatch(state) else {})}
