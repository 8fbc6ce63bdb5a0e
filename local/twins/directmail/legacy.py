"""The legacy asynchronous notification: pairs `key=value`, joined by `&` and not URL-encoded.

Existing users still have it: DirectMail publishes the text on an SMQ topic. The notify headers are
pairs of their own, times are China's, `recv_time` and `end_time` are the sending and the delivery;
the remote server's text in `err_msg` may itself hold `&` and `=`.
https://help.aliyun.com/document_detail/52965.html
"""

from __future__ import annotations

from local.twins.directmail import catalogue
from local.twins.directmail.bodies import Occurrence, data
from local.twins.directmail.dialects import Dialect, china
from local.twins.directmail.headers import NOTIFY_PREFIX

_SPACED = "%Y-%m-%d %H:%M:%S"
_MORE = ("client_ip", "user_agent", "url")


class NoLegacyForm(ValueError):
    """A type that the legacy notification does not have."""


def notification(event: Occurrence, *, region: str, dialect: Dialect) -> str:
    """An event's text.

    Args:
        event: what happened.
        region: of the account.
        dialect: only how the headers come back is read; `json` has no meaning here.

    Raises:
        NoLegacyForm: there is none for this type.
    """
    word = catalogue.TYPES[event.type].legacy
    if word is None:
        raise NoLegacyForm(f"the legacy notification has no {event.type}")
    mail, report = event.mail, event.report
    delivery = event.type in catalogue.DELIVERIES
    pairs = {
        **_headers(event, dialect),
        "env_id": event.env_id,
        "msg_id": mail["msg_id"],
        "account": mail["account"],
        "from": mail["from"],
        "rcpt": event.recipient,
        "recv_time": china(mail["at"], _SPACED),
        "end_time": china(event.at, _SPACED),
        **({"status": report.status} if delivery else {}),
        "event": word,
        "region": region,
    }
    if delivery:
        pairs["err_code"] = report.code
        pairs["err_msg"] = report.message.replace("{rcpt}", event.recipient)
        pairs["failed_type"] = report.failed_type
    else:
        told = data(event, region, Dialect())
        pairs.update({name: told[name] for name in _MORE if name in told})
    return "&".join(f"{name}={value}" for name, value in pairs.items())


def _headers(event: Occurrence, dialect: Dialect) -> dict[str, str]:
    if dialect.header == "absent":
        return {}
    lower = dialect.header == "lower"
    return {
        name.lower() if lower else name: value
        for name, value in event.mail["headers"]
        if name.lower().startswith(NOTIFY_PREFIX)
    }
