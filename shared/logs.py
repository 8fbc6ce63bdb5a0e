"""Logs: one JSON object a line on standard output, where the platform picks them up.

Event names are dotted (`mail.sent`). No line holds a full address, a subject or a body.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

import structlog

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}

# Made once: `json.dumps` makes an encoder for every line that it writes with options.
_encode = json.JSONEncoder(ensure_ascii=False, default=repr).encode


def configure(level: str) -> None:
    """Set the logs up, once per process.

    Args:
        level: a key of `LEVELS`; anything else means `info`.
    """
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_json),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS.get(level, logging.INFO)),
        cache_logger_on_first_use=True,
    )


def _json(line: Mapping[str, Any], **_options: Any) -> str:
    return _encode(line)


def bind(**fields: str) -> None:
    """Put fields into every line until the next `bind`, e.g. the request id."""
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(**fields)
