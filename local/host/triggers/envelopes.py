"""What a queue trigger hands to its function: CloudEvents, or the messages' own data.

    [{"id": .., "source": .., "specversion": "1.0", "type": "mns:Queue:SendMessage", ..,
      "data": {"requestId": .., "messageId": .., "messageBody": ".."}}]

https://www.alibabacloud.com/help/en/functioncompute/fc/mns-queue-triggers
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from local.host.model import QueueTrigger
from local.twins.smq.model import Message


@dataclass(frozen=True)
class Origin:
    """The account and region that the envelope names."""

    account_id: str
    region: str


def envelope(
    trigger: QueueTrigger, messages: Sequence[Message], origin: Origin, published_at: float
) -> bytes:
    """The event for a batch: an array, or one object where the trigger does not stream.

    Args:
        trigger: decides about the form.
        messages: one or more; exactly one for a trigger that does not stream.
        origin: for the envelope's names.
        published_at: seconds since 1970.
    """
    form = _raw_data if trigger.schema == "RawData" else _cloud_event
    items = [form(trigger, message, origin, published_at) for message in messages]
    return json.dumps(items if trigger.streaming else items[0], ensure_ascii=False).encode(
        "utf-8", "surrogatepass"
    )


def _cloud_event(
    trigger: QueueTrigger, message: Message, origin: Origin, published_at: float
) -> dict[str, Any]:
    bus = f"MNS-{trigger.function}-{trigger.name}"
    return {
        "id": message.id,
        "source": bus,
        "specversion": "1.0",
        "type": "mns:Queue:SendMessage",
        "datacontenttype": "application/json; charset=utf-8",
        "subject": f"acs:mns:{origin.region}:{origin.account_id}:queues/{trigger.queue}",
        "time": _time(message.enqueued_at_ms / 1000),
        "aliyunaccountid": origin.account_id,
        "aliyunpublishtime": _time(published_at),
        "aliyunoriginalaccountid": origin.account_id,
        "aliyuneventbusname": bus,
        "aliyunregionid": origin.region,
        "aliyunpublishaddr": "127.0.0.1",
        "data": _raw_data(trigger, message, origin, published_at),
    }


def _raw_data(
    trigger: QueueTrigger, message: Message, origin: Origin, published_at: float
) -> dict[str, Any]:
    del origin, published_at
    body = decode(message.body) if trigger.base64_decode else message.body
    request_id = secrets.token_hex(12).upper()
    return {"requestId": request_id, "messageId": message.id, "messageBody": body}


def decode(body: str) -> str:
    """Undo base64 where the body is that, strictly, and text inside; else leave it as it is.

    What the platform makes of a body that is not base64 is not documented; nothing is lost here.
    """
    try:
        return base64.b64decode(body, validate=True).decode("utf-8") or body
    except (binascii.Error, ValueError):
        return body


def _time(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
