"""What each type of event says: its `data`, before a dialect spells it.

Feedback events have another vocabulary: no `env_id` but `envid` or none, epoch seconds as texts,
`message_id` in brackets. Of `dm:Validator:GrayListResult` nothing is documented but its name; what
is here are the words of the call that asks for it.
https://www.alibabacloud.com/help/en/eventbridge/user-guide/events-of-the-direct-mail-type
https://www.alibabacloud.com/help/en/direct-mail/api-dm-2015-11-23-validateemail
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from local.twins.directmail import catalogue, headers
from local.twins.directmail.dialects import Dialect, Times, spell
from local.twins.directmail.parameters import Mail
from local.twins.directmail.reports import KNOWN, Report

# Addresses that are reserved for documentation (RFC 5737).
_OUTBOUND_IP = "203.0.113.7"
_CLIENT_IP = "198.51.100.7"
USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64) postbus-twin"
URL = "https://www.example.com/?from=mail"


@dataclass(frozen=True)
class Occurrence:
    """One thing that happened to a mail, for one recipient.

    Attributes:
        id: of its event, equal for its repeats.
        type: one of `catalogue.TYPES`.
        at: when, in seconds since 1970.
        env_id: DirectMail's id of the mail.
        recipient: the address.
        mail: what `facts` says of the mail.
        report: how the delivery ended.
        url: what was clicked.
        user_agent: of who opened or clicked.
    """

    id: str
    type: str
    at: float
    env_id: str
    recipient: str
    mail: Mapping[str, Any]
    report: Report = KNOWN["SendOk"]
    url: str = URL
    user_agent: str = USER_AGENT


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


def data(event: Occurrence, region: str, dialect: Dialect) -> dict[str, Any]:
    """The event's `data`."""
    body = _BODIES[event.type](event, region)
    if event.type in catalogue.DELIVERIES or dialect.header_everywhere:
        body = {**returned(event, dialect), **body}
    times, ids = _OWN.get(event.type, ("naive", "deliver"))
    if event.type in catalogue.DELIVERIES and dialect.year == "2024":
        times = "zoned"
    return spell(body, dialect, times=times, ids=ids)


def returned(event: Occurrence, dialect: Dialect) -> dict[str, Any]:
    """The notify headers as a field; nothing where they are left out."""
    given = [(name, value) for name, value in event.mail["headers"]]
    header = headers.returned(given, dialect.header)
    return {} if header is None else {"header": header}


def _delivery(event: Occurrence, region: str) -> dict[str, Any]:
    mail, report = event.mail, event.report
    return {
        "env_id": event.env_id,
        "account": mail["account"],
        "from": mail["from"],
        "rcpt": event.recipient,
        "msg_id": mail["msg_id"],
        "channel_name": "bg:vip_local",
        "outbound_ip": _OUTBOUND_IP,
        "send_time": mail["at"],
        "deliver_time": event.at,
        "status": report.status,
        "event": event.type,
        "region": region,
        "err_code": report.code,
        "err_msg": report.message.replace("{rcpt}", event.recipient),
        "failed_type": report.failed_type,
        "esp": event.recipient.rpartition("@")[2],
        "ip_pool_id": mail["ip_pool_id"],
        "is_dedicated_ip": bool(mail["ip_pool_id"]),
        "tag": mail["tag"],
    }


def _complaint(event: Occurrence, _: str) -> dict[str, Any]:
    mail = event.mail
    return {
        "send_time": mail["at"],
        "block_time": event.at,
        "from": mail["from"],
        "rcpt": event.recipient,
        "subject": mail["subject"],
        "msg_id": mail["msg_id"],
        "fbl_isp": "outlook",
        "fingerprint": f"SMTPD_{event.id.replace('-', '')}",
    }


def _subscription(event: Occurrence, _: str) -> dict[str, Any]:
    return {
        "operate_time": event.at,
        "env_id": event.env_id,
        "from": event.mail["from"],
        "rcpt": event.recipient,
        "client_ip": _CLIENT_IP,
    }


def _trace(event: Occurrence, _: str) -> dict[str, Any]:
    url = {"url": event.url} if event.type == catalogue.CLICK else {}
    return {
        "operate_time": event.at,
        "env_id": event.env_id,
        "msg_id": event.mail["msg_id"],
        "from": event.mail["from"],
        "rcpt": event.recipient,
        "client_ip": _CLIENT_IP,
        "user_agent": event.user_agent,
        "tag": event.mail["tag"],
        **url,
    }


def _validation(event: Occurrence, _: str) -> dict[str, Any]:
    return {"email": event.recipient, "status": "VALID", "sub_status": "UNSPECIFIED"}


_BODIES: Mapping[str, Callable[[Occurrence, str], dict[str, Any]]] = {
    **dict.fromkeys(catalogue.DELIVERIES, _delivery),
    **dict.fromkeys(catalogue.TRACES, _trace),
    catalogue.COMPLAINT: _complaint,
    catalogue.SUBSCRIBE: _subscription,
    catalogue.UNSUBSCRIBE: _subscription,
    catalogue.VALIDATION: _validation,
}
# How a type spells times and ids by itself, where not as a delivery of 2025 does.
_OWN: Mapping[str, tuple[Times, str]] = {
    catalogue.COMPLAINT: ("epoch", "complaint"),
    catalogue.SUBSCRIBE: ("naive", "feedback"),
    catalogue.UNSUBSCRIBE: ("naive", "feedback"),
}
