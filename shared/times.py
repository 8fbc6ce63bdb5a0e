"""Times: inside, milliseconds since 1970; outside, RFC 3339 in UTC."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def rfc3339(ms: int) -> str:
    """A time in ms since 1970 as text, e.g. `2026-11-22T08:00:00.000Z`."""
    moment = _EPOCH + timedelta(milliseconds=ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
