"""DirectMail's events as EventBridge publishes them: the envelope, and what is in it.

The page of November 2025 shows `Deliver:Fail` whole and names the other types; `bodies` has what
each says, `dialects` how it may be spelled.
https://www.alibabacloud.com/help/en/eventbridge/user-guide/events-of-the-direct-mail-type
"""

from __future__ import annotations

import hashlib
import uuid
from typing import Any

from local.account import Account
from local.twins.directmail import fates
from local.twins.directmail.bodies import Occurrence, data
from local.twins.directmail.catalogue import TYPES
from local.twins.directmail.dialects import Dialect, china, prc
from local.twins.directmail.outbox import DueEvent
from local.twins.directmail.reports import KNOWN

# The subject's last part in 2024; nothing is known of its meaning.
_SUBJECTS = {"2024": "215672", "2025": "*"}


def event_id(event: DueEvent) -> str:
    """The event's id: the same however often it is emitted, so that a receiver can drop repeats."""
    seed = f"{event.env_id}/{event.sequence}".encode()
    return str(uuid.UUID(bytes=hashlib.sha256(seed).digest()[:16]))


def event_type(event: DueEvent) -> str:
    """The event's type, such as `dm:Deliver:Succeed`."""
    report = fates.REPORTS.get(event.kind)
    return report.type if report else event.kind


def occurrence(event: DueEvent) -> Occurrence:
    """What a planned event reports; its `due_at` is when it happened."""
    return Occurrence(
        id=event_id(event),
        type=event_type(event),
        at=event.due_at,
        env_id=event.env_id,
        recipient=event.recipient,
        mail=event.facts,
        report=fates.REPORTS.get(event.kind, KNOWN["SendOk"]),
    )


def render(event: Occurrence, *, account: Account, dialect: Dialect, now: float) -> dict[str, Any]:
    """The event as EventBridge publishes it: CloudEvents 1.0 with Alibaba Cloud's extensions.

    Args:
        event: what happened.
        account: whose default bus it comes on.
        dialect: how it is spelled.
        now: the time of publishing, in seconds since 1970.
    """
    return {
        "data": data(event, account.region, dialect),
        "id": event.id,
        "source": dialect.source,
        "specversion": "1.0",
        "subject": f"acs:dm:{account.region}:{account.id}:{_SUBJECTS[dialect.year]}",
        "time": f"{china(event.at)}+08:00",
        "type": type_name(event.type, dialect),
        "aliyunaccountid": account.id,
        "aliyunpublishtime": prc(now),
        "aliyuneventbusname": "default",
        "aliyunregionid": account.region,
        "aliyunpublishaddr": "127.0.0.1",
    }


def type_name(kind: str, dialect: Dialect) -> str:
    """A type's name in a dialect."""
    name = (dialect.older_type and TYPES[kind].older) or kind
    return f"{name} " if dialect.trailing_blank else name
