"""What happened to one mail, said in every dialect.

One occurrence for each of the eight types, and an axis for each thing that is spelled in more than
one way. Nothing here knows how events are read.

The pages: https://help.aliyun.com/zh/eventbridge/user-guide/events-of-the-direct-mail-type (types,
fields), https://help.aliyun.com/document_detail/52965.html (the older text).
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta, timezone
from typing import Any

from shared.sending.identity import mail_id_of
from shared.stores.ledger import MailRecord

NOW = 1_800_000_000_000
MAIL_ID = mail_id_of("local", "order-4711")
MESSAGE_ID = f"{MAIL_ID}.local@mail.example.com"
SENDER = "noreply@mail.example.com"
RECIPIENT = "ada@example.net"
ENV_ID = "600000192837465010"
EVENT_ID = "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d"
URL = "https://shop.example.com/?order=4711&from=mail&status=9"
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv=128)"
# A value of the sender's own that looks like pairs.
NOTIFY = {"OrderId": "4711", "Back": "https://shop.example.com/?rcpt=x&status=9"}
# Seconds since 1970: 2024-04-29T11:07:04 and :12 in China.
SENT, HAPPENED = 1_714_360_024, 1_714_360_032
SENT_UTC, HAPPENED_UTC = "2024-04-29T03:07:04Z", "2024-04-29T03:07:12Z"
CHINA = timezone(timedelta(hours=8))

MAIL = MailRecord(
    mail_id=MAIL_ID,
    key="order-4711",
    state="sent",
    attempt=1,
    envelope_id=ENV_ID,
    evidence="answer",
    sender=SENDER,
    tag="order-shipped",
    notify=NOTIFY,
    attempted_at=NOW - 60_000,
)
Document = dict[str, Any]


@dataclass(frozen=True)
class Occurrence:
    """One thing that happened.

    Attributes:
        type: DirectMail's name.
        data: its fields in the spelling of a delivery of 2025; times in seconds since 1970.
        clean: what has to come out, beside what is the same for all.
        older: the type's name on older pages.
        legacy: the word of the older notification; None: it has none for this.
    """

    type: str
    data: Mapping[str, Any]
    clean: Mapping[str, Any]
    older: str | None = None
    legacy: str | None = None


_IDS = {"env_id": ENV_ID, "msg_id": MESSAGE_ID, "from": SENDER, "rcpt": RECIPIENT}
_NEW = {
    "channel_name": "bg:vip_*",
    "outbound_ip": "203.0.113.7",
    "esp": "example.net",
    "ip_pool_id": "",
    "is_dedicated_ip": False,
    "tag": "order-shipped",
}


def _delivery(kind: str, status: str, code: str, text: str, failed_type: str) -> dict[str, Any]:
    return {
        **_IDS,
        "account": SENDER,
        "send_time": SENT,
        "deliver_time": HAPPENED,
        "status": status,
        "event": kind,
        "region": "cn-hangzhou",
        "err_code": code,
        "err_msg": f"{code} {text}",
        "failed_type": failed_type,
        **_NEW,
    }


def _bounce(status: str, code: str, text: str, failed_type: str, *why: str) -> Occurrence:
    reason, bounce = why
    return Occurrence(
        "dm:Deliver:Fail",
        _delivery("dm:Deliver:Fail", status, code, text, failed_type),
        {
            "state": "bounced",
            "reason": reason,
            "bounce": bounce,
            "permanent": bounce == "permanent",
            "classification": failed_type,
            "smtp": {"code": int(code), "message": f"{code} {text}"},
            "sent_at": SENT_UTC,
        },
        older="dm:Deliver:SendFailed",
        legacy="deliver",
    )


_OPERATED = {"operate_time": HAPPENED, "client_ip": "198.51.100.7"}
_TRACE = {**_IDS, **_OPERATED, "user_agent": AGENT, "tag": "order-shipped"}
_SUBSCRIPTION = {**_OPERATED, "env_id": ENV_ID, "from": SENDER, "rcpt": RECIPIENT}

OCCURRENCES: Mapping[str, Occurrence] = {
    "delivered": Occurrence(
        "dm:Deliver:Succeed",
        _delivery("dm:Deliver:Succeed", "0", "250", "Send Mail OK", "SendOk"),
        {
            "state": "delivered",
            "classification": "SendOk",
            "smtp": {"code": 250, "message": "250 Send Mail OK"},
            "sent_at": SENT_UTC,
            "delivered_at": HAPPENED_UTC,
        },
        older="dm:Deliver:Success",
        legacy="deliver",
    ),
    "bounced": _bounce(
        "2", "554", "no <a&status=0&rcpt=b@c> here", "SmtpNxBox", "mailbox-not-found", "permanent"
    ),
    "bounced-later": _bounce(
        "4", "427", "a=b&failed_type=SendOk&c", "SysOutConnError", "connection", "temporary"
    ),
    "bounced-spam": _bounce(
        "3", "554", "Reject by content spam", "SmtpContSpam", "content-spam", "sender-side"
    ),
    "complained": Occurrence(
        "dm:Feedback:FblReport",
        {
            "send_time": SENT,
            "block_time": HAPPENED,
            "from": SENDER,
            "rcpt": RECIPIENT,
            "subject": "Your order & event=deliver",
            "msg_id": MESSAGE_ID,
            "fbl_isp": "outlook",
            "fingerprint": "SMTPD_9b1deb4d",
        },
        {"state": "complained", "reason": "complaint", "sent_at": SENT_UTC, "env_id": None},
        legacy="complaint",
    ),
    "unsubscribed": Occurrence(
        "dm:Feedback:UnSubscribe",
        _SUBSCRIPTION,
        {"state": "unsubscribed", "reason": "unsubscribed", "client_ip": "198.51.100.7"},
        legacy="unsubscribe",
    ),
    "resubscribed": Occurrence(
        "dm:Feedback:Subscribe",
        _SUBSCRIPTION,
        {"state": "resubscribed", "client_ip": "198.51.100.7"},
        legacy="subscribe",
    ),
    "opened": Occurrence(
        "dm:Trace:Open",
        _TRACE,
        {"state": "opened", "user_agent": AGENT, "client_ip": "198.51.100.7"},
        older="dm:Deliver:Open",
        legacy="open",
    ),
    "clicked": Occurrence(
        "dm:Trace:Click",
        {**_TRACE, "url": URL},
        {"state": "clicked", "user_agent": AGENT, "client_ip": "198.51.100.7", "url": URL},
        older="dm:Deliver:Click",
        legacy="click",
    ),
    "validated": Occurrence(
        "dm:Validator:GrayListResult",
        {"email": RECIPIENT, "status": "VALID", "sub_status": "UNSPECIFIED"},
        {"state": None, "classification": "VALID"},
    ),
}


def expected(what: Occurrence) -> Document:
    """The clean event's `data`, without `raw`, as it has to come out whatever the dialect."""
    told = dict(what.clean)
    mail = what.type != OCCURRENCES["validated"].type
    times = {
        "sent_at": told.pop("sent_at", None),
        "delivered_at": told.pop("delivered_at", None),
        "occurred_at": HAPPENED_UTC,
    }
    return {
        "mail_id": MAIL_ID if mail else None,
        "key": "order-4711" if mail else None,
        "env_id": ENV_ID if mail else None,
        "recipient": RECIPIENT,
        "reason": None,
        "bounce": None,
        "permanent": None,
        "classification": None,
        "smtp": {"code": None, "message": None},
        "tag": "order-shipped" if mail else None,
        "sender": SENDER if mail else None,
        "notify": NOTIFY if mail else {},
        "times": times,
        "url": None,
        "user_agent": None,
        "client_ip": None,
        **told,
    }


# --- Dialects ------------------------------------------------------------------------------------


def china(at: int, form: str) -> str:
    """A time as China's clocks show it."""
    return datetime.fromtimestamp(at, CHINA).strftime(form)


TIMES: Mapping[str, Callable[[int], Any]] = {
    "naive": lambda at: china(at, "%Y-%m-%dT%H:%M:%S"),
    "zoned": lambda at: china(at, "%Y-%m-%dT%H:%M:%S+08:00"),
    "utc": lambda at: datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
    "blank": lambda at: china(at, "%Y-%m-%d %H:%M:%S"),
    "PRC": lambda at: china(at, "%Y-%m-%dT%H:%M:%S.000PRC"),
    "Asia/Shanghai": lambda at: china(at, "%Y-%m-%dT%H:%M:%S.000Asia/Shanghai"),
    "epoch text": str,
    "epoch number": lambda at: at,
}
IDS: Mapping[str, Mapping[str, str]] = {
    "deliver": {},
    "feedback": {"env_id": "envid", "msg_id": "message_id"},
    "complaint": {
        "env_id": "envid",
        "msg_id": "message_id",
        "rcpt": "block_email",
        "from": "send_email",
    },
}
_PACKED = {f"X-User-Notify-{name}": value for name, value in NOTIFY.items()} | {
    "X-User-Notify-Postbus": f"v1.local.{MAIL_ID}.1",
    "X-Notify-Message-ID": "...@...",
}
HEADERS: Mapping[str, Any] = {
    "object": _PACKED,
    "lower": {name.lower(): value for name, value in _PACKED.items()},
    "upper": {name.upper(): value for name, value in _PACKED.items()},
    "text": json.dumps(_PACKED),
    "absent": None,
}
TYPE_NAMES = ("page", "blank", "older", "without prefix")


@dataclass(frozen=True)
class Dialect:
    """How an event is spelled."""

    source: str = "acs:dm"
    year: str = "2025"
    times: str = "naive"
    ids: str = "deliver"
    header: str = "object"
    numbers: str = "text"
    name: str = "page"

    @property
    def label(self) -> str:
        """For a test's id."""
        return " ".join(str(getattr(self, each.name)) for each in fields(self))


AXES: Mapping[str, tuple[str, ...]] = {
    "source": ("acs:dm", "acs.dm"),
    "year": ("2025", "2024"),
    "times": tuple(TIMES),
    "ids": tuple(IDS),
    "header": tuple(HEADERS),
    "numbers": ("text", "number"),
    "name": TYPE_NAMES,
}


def dialects() -> Iterator[Dialect]:
    """Every combination of all axes."""
    for values in itertools.product(*AXES.values()):
        yield Dialect(**dict(zip(AXES, values, strict=True)))


def spell(what: Occurrence, dialect: Dialect) -> Document:
    """An occurrence as EventBridge publishes it, in a dialect."""
    data: Document = {}
    for name, value in what.data.items():
        if name.endswith("_time"):
            data[name] = TIMES[dialect.times](value)
        elif name in _NEW and dialect.year == "2024":
            continue
        elif name in {"status", "err_code"} and dialect.numbers == "number" and value.isdecimal():
            data[name] = int(value)
        else:
            new = IDS[dialect.ids].get(name, name)
            data[new] = f"<{value}>" if new == "message_id" else value
    header = HEADERS[dialect.header]
    if header is not None and "rcpt" in what.data:
        data["header"] = header
    names = {
        "page": what.type,
        "blank": f"{what.type} ",
        "older": what.older or what.type,
        "without prefix": what.type.removeprefix("dm:"),
    }
    return {
        "data": data,
        "id": EVENT_ID,
        "source": dialect.source,
        "specversion": "1.0",
        "subject": "acs:dm:cn-hangzhou:1234567890123456:*",
        "time": china(HAPPENED, "%Y-%m-%dT%H:%M:%S+08:00"),
        "type": names[dialect.name],
        "aliyunaccountid": "1234567890123456",
        "aliyunpublishtime": "2024-04-29T11:07:13.179PRC",
        "aliyuneventbusname": "default",
        "aliyunregionid": "cn-hangzhou",
        "aliyunpublishaddr": "172.25.XX.XX",
    }


LEGACY_ORDERS = ("headers first", "headers last", "no headers")


def legacy(what: Occurrence, order: str = "headers first") -> str:
    """An occurrence as the older notification's text."""
    names = {"send_time": "recv_time"} | dict.fromkeys(
        ("deliver_time", "block_time", "operate_time"), "end_time"
    )
    pairs = {}
    for name, value in what.data.items():
        if name.endswith("_time"):
            pairs[names[name]] = TIMES["blank"](value)
        elif name == "event" or name in _NEW:
            continue
        else:
            pairs[name] = value
    pairs = {**{n: v for n, v in pairs.items() if n not in _LAST}, "event": what.legacy} | {
        name: pairs[name] for name in _LAST if name in pairs
    }
    if order == "headers first":
        pairs = {**_PACKED, **pairs}
    elif order == "headers last":
        pairs = {**pairs, **_PACKED}
    return "&".join(f"{name}={value}" for name, value in pairs.items())


# In the order of the page's sample; what is free text stands late in it.
_LAST = (
    "region",
    "subject",
    "client_ip",
    "user_agent",
    "url",
    "err_code",
    "err_msg",
    "failed_type",
)
