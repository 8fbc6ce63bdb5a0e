"""DirectMail's events, read: field names of the edge in, facts in the field's words out.

https://help.aliyun.com/zh/eventbridge/user-guide/events-of-the-direct-mail-type

What the page and the events in the wild disagree about is read either way: `acs:dm` and `acs.dm`,
numbers as text, `header` as an object or as JSON text with its names in any case, times with and
without an offset.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from shared.delivery.facts import DeliveryFact, Unrecognised
from shared.sending.compose import NOTIFY_PREFIX
from shared.sending.identity import NOTIFY_NAME, MailToken, read_message_id, read_token
from shared.times import rfc3339
from shared.triggers.events import ArrivedEvent
from shared.triggers.json_bytes import NotJson, read_json
from shared.triggers.queue import fingerprint

SOURCES = frozenset({"acs:dm", "acs.dm"})
SUCCEEDED = "dm:Deliver:Succeed"
FAILED = "dm:Deliver:Fail"
# Older pages name the same type so.
TYPES = {SUCCEEDED: "delivered", "dm:Deliver:Success": "delivered", FAILED: "bounced"}

# Times without an offset are China's. (2024 events carry +08:00, 2025 ones carry none.)
CHINA = timezone(timedelta(hours=8))

# `failed_type` of a bounce that is worth another mail later: the recipient's side was full, slow
# or away. What is not listed falls back on the SMTP code.
TEMPORARY = frozenset(
    {
        "SmtpMfFreq",
        "SmtpMfdFreq",
        "SmtpIPFreq",
        "SmtpRcptFreq",
        "SmtpMfLimit",
        "SysOutConnError",
        "SysOutConnTooMuch",
        "SysOutSocksConnError",
        "SysOutSocksError",
    }
)
PERMANENT_CLASS = 5
INVALID_ADDRESS = "2"


def read_event(arrived: ArrivedEvent) -> DeliveryFact | Unrecognised:
    """Read one event. Total: what cannot be read is `Unrecognised`, with the event kept whole."""
    document = arrived.document
    if document is None:
        text = arrived.raw.decode("utf-8", "replace")
        return Unrecognised(arrived.id, arrived.broken or "not an object", text)
    event_id = _event_id(document)
    kind, source, data = document.get("type"), document.get("source"), document.get("data")
    state = TYPES.get(kind.strip()) if isinstance(kind, str) else None
    if state is None:
        return Unrecognised(event_id, f"type {kind!r:.80}", document)
    if not isinstance(source, str) or source not in SOURCES:
        return Unrecognised(event_id, f"source {source!r:.80}", document)
    if not isinstance(data, dict):
        return Unrecognised(event_id, "no data object", document)
    return _fact(event_id, state, data, document)


def _event_id(document: Mapping[str, Any]) -> str:
    """Source and id; without an id a fingerprint, lest two such events look like one's repeat."""
    given = document.get("id")
    if isinstance(given, str) and given:
        return f"{document.get('source')}/{given}"
    return fingerprint(json.dumps(document, sort_keys=True).encode())


def _fact(
    event_id: str, state: str, data: Mapping[str, Any], document: Mapping[str, Any]
) -> DeliveryFact:
    headers = _headers(data.get("header"))
    token = read_token(headers.pop(NOTIFY_NAME.lower(), ("", ""))[1])
    code = _number(data.get("err_code"))
    reason = _text(data.get("failed_type"))
    delivered_at = _time(data.get("deliver_time"))
    return DeliveryFact(
        event_id=event_id,
        state=state,
        recipient=_text(data.get("rcpt")),
        token=token or _token_of_message_id(data.get("msg_id")),
        envelope_id=_text(data.get("env_id")),
        permanent=_permanent(data, reason, code) if state == "bounced" else None,
        smtp_code=code,
        smtp_message=_text(data.get("err_msg")),
        reason=reason,
        sender=_text(data.get("from")) or _text(data.get("account")),
        tag=_text(data.get("tag")),
        notify=dict(headers.values()),
        sent_at=_time(data.get("send_time")),
        delivered_at=delivered_at,
        occurred_at=_time(document.get("time")) or delivered_at,
        raw=document,
    )


def _headers(header: Any) -> dict[str, tuple[str, str]]:
    """The notify headers: lower-case name -> (name as it came, value), prefix taken off."""
    if isinstance(header, str):
        try:
            header = read_json(header)
        except NotJson:
            return {}
    if not isinstance(header, dict):
        return {}
    prefix = NOTIFY_PREFIX.lower()
    return {
        name.lower()[len(prefix) :]: (name[len(prefix) :], value)
        for name, value in header.items()
        if name.lower().startswith(prefix) and isinstance(value, str)
    }


def _token_of_message_id(value: Any) -> MailToken | None:
    return read_message_id(value) if isinstance(value, str) else None


def _permanent(data: Mapping[str, Any], reason: str | None, code: int | None) -> bool:
    """Whether a bounce is for good: by its classification, else its status, else its SMTP class."""
    if reason in TEMPORARY:
        return False
    if str(data.get("status")) == INVALID_ADDRESS:
        return True
    return code is not None and code // 100 == PERMANENT_CLASS


def _number(value: Any) -> int | None:
    """A number, or text that is one; SMTP codes have three digits."""
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 10:  # noqa: PLR2004  # far more than any code
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _time(value: Any) -> str | None:
    """RFC 3339 in UTC, or None for what is no time."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.strip().replace("Z", "+00:00"))
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=CHINA)
    try:
        return rfc3339(int(moment.timestamp() * 1000))
    except (OverflowError, OSError, ValueError):
        return None
