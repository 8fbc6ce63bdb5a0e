"""DirectMail's events, in the form of the EventBridge page of November 2025.

That page shows `Deliver:Fail` whole and names the other types. Feedback events have another
vocabulary: no `env_id` but `envid` or none, epoch seconds as texts, `message_id` in brackets.
https://www.alibabacloud.com/help/en/eventbridge/user-guide/events-of-the-direct-mail-type
"""

from __future__ import annotations

import hashlib
import uuid
from datetime import datetime, timedelta, timezone
from typing import Any

from local.account import Account
from local.twins.directmail import fates, headers
from local.twins.directmail.outbox import DueEvent
from local.twins.directmail.parameters import Mail
from local.twins.directmail.rules import HeaderStyle

# As on the page; console and rules show `acs.dm`, so a receiver has to accept both.
SOURCE = "acs:dm"

CHINA = timezone(timedelta(hours=8))
# Addresses that are reserved for documentation (RFC 5737).
_OUTBOUND_IP = "203.0.113.7"
_CLIENT_IP = "198.51.100.7"


def facts(mail: Mail, message_id: str, at: float) -> dict[str, Any]:
    """What the events of a mail say of it, kept with it until they are due.

    Args:
        mail: the mail.
        message_id: without angle brackets.
        at: when it was accepted, in seconds since 1970.
    """
    return {
        "account": mail.account,
        "from": mail.sender,
        "msg_id": message_id,
        "headers": mail.headers,
        "tag": mail.tag or "",
        "ip_pool_id": mail.ip_pool_id or "",
        "subject": mail.subject,
        "at": at,
    }


def event_id(event: DueEvent) -> str:
    """The event's id: the same however often it is emitted, so that a receiver can drop repeats."""
    seed = f"{event.env_id}/{event.sequence}".encode()
    return str(uuid.UUID(bytes=hashlib.sha256(seed).digest()[:16]))


def event_type(event: DueEvent) -> str:
    """The event's type, such as `dm:Deliver:Succeed`."""
    report = fates.REPORTS.get(event.kind)
    return report.type if report else event.kind


def render(event: DueEvent, *, account: Account, style: HeaderStyle, now: float) -> dict[str, Any]:
    """The event as EventBridge publishes it: CloudEvents 1.0 with Alibaba Cloud's extensions.

    Args:
        event: what happened; its `due_at` is when.
        account: whose default bus it comes on.
        style: how the notify headers come back.
        now: the time of publishing, in seconds since 1970.
    """
    published = datetime.fromtimestamp(now, CHINA)
    return {
        "data": _data(event, account.region, style),
        "id": event_id(event),
        "source": SOURCE,
        "specversion": "1.0",
        "subject": f"acs:dm:{account.region}:{account.id}:*",
        "time": f"{_local(event.due_at)}+08:00",
        "type": event_type(event),
        "aliyunaccountid": account.id,
        "aliyunpublishtime": published.strftime("%Y-%m-%dT%H:%M:%S.")
        + f"{published.microsecond // 1000:03d}PRC",
        "aliyuneventbusname": "default",
        "aliyunregionid": account.region,
        "aliyunpublishaddr": "127.0.0.1",
    }


def _data(event: DueEvent, region: str, style: HeaderStyle) -> dict[str, Any]:
    if event.kind == fates.COMPLAINT:
        return _complaint(event)
    if event.kind == fates.UNSUBSCRIBE:
        return {
            "operate_time": _local(event.due_at),
            "envid": event.env_id,
            "from": event.facts["from"],
            "rcpt": event.recipient,
            "client_ip": _CLIENT_IP,
        }
    return _delivery(event, region, style)


def _delivery(event: DueEvent, region: str, style: HeaderStyle) -> dict[str, Any]:
    mail, report = event.facts, fates.REPORTS[event.kind]
    header = headers.returned([(name, value) for name, value in mail["headers"]], style)
    return {
        **({} if header is None else {"header": header}),
        "env_id": event.env_id,
        "account": mail["account"],
        "from": mail["from"],
        "rcpt": event.recipient,
        "msg_id": mail["msg_id"],
        "channel_name": "bg:vip_local",
        "outbound_ip": _OUTBOUND_IP,
        "send_time": _local(mail["at"]),
        "deliver_time": _local(event.due_at),
        "status": report.status,
        "event": report.type,
        "region": region,
        "err_code": report.code,
        "err_msg": report.message.format(rcpt=event.recipient),
        "failed_type": report.failed_type,
        "esp": event.recipient.rpartition("@")[2],
        "ip_pool_id": mail["ip_pool_id"],
        "is_dedicated_ip": bool(mail["ip_pool_id"]),
        "tag": mail["tag"],
    }


def _complaint(event: DueEvent) -> dict[str, Any]:
    mail = event.facts
    return {
        "send_time": str(int(mail["at"])),
        "block_time": str(int(event.due_at)),
        "send_email": mail["from"],
        "block_email": event.recipient,
        "subject": mail["subject"],
        "message_id": f"<{mail['msg_id']}>",
        "fbl_isp": "outlook",
        "fingerprint": f"SMTPD_{event_id(event).replace('-', '')}",
    }


def _local(at: float) -> str:
    # Naive and in China's time, as the page of 2025 has them.
    return datetime.fromtimestamp(at, CHINA).strftime("%Y-%m-%dT%H:%M:%S")
