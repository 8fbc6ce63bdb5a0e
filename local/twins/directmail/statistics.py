"""SenderStatisticsDetailByParam: what was sent lately, as the console's list of details has it.

One of sender, tag and recipient, or none; times in China's zone, to the minute; addresses masked.
https://www.alibabacloud.com/help/en/direct-mail/api-dm-2015-11-23-senderstatisticsdetailbyparam
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

from local.twins.directmail import fates, wire
from local.twins.directmail.errors import ApiError
from local.twins.directmail.outbox import Outbox, StoredMail

CHINA = timezone(timedelta(hours=8))
LONGEST = timedelta(days=30)
LENGTH_MAX = 100
PAGE = 500


def details(given: wire.Parameters, outbox: Outbox) -> dict[str, Any]:
    """Answer one query.

    Raises:
        ApiError: two filters, a malformed time or too long a span.
    """
    filters = {n: given.given(n) for n in ("AccountName", "TagName", "ToAddress") if given.given(n)}
    if len(filters) > 1:
        raise ApiError("InvalidParameter", "AccountName, TagName and ToAddress exclude each other.")
    start, end = _time(given, "StartTime"), _time(given, "EndTime")
    if end - start > LONGEST:
        raise ApiError("InvalidParameter", "The span is longer than 30 days.")
    length = _count(given, "Length", 20, LENGTH_MAX)
    skip = _count(given, "NextStart", 0, None)
    found = [
        row
        for mail in _all(outbox)
        if start.timestamp() <= mail.at < end.timestamp() + 60
        for row in _rows(mail, filters)
    ]
    page = found[skip : skip + length]
    more = str(skip + length) if len(found) > skip + length else ""
    return {"data": {"mailDetail": page}, "NextStart": more}


def _all(outbox: Outbox) -> Iterator[StoredMail]:
    after = 0
    while page := outbox.mails(after=after, limit=PAGE):
        yield from page
        after = page[-1].sequence


def _rows(mail: StoredMail, filters: dict[str, str | None]) -> Iterator[dict[str, Any]]:
    sent = mail.parameters
    if any(sent.get(n) != v for n, v in filters.items() if n != "ToAddress"):
        return
    at = datetime.fromtimestamp(mail.at, CHINA)
    for recipient in (*mail.recipients, *mail.bcc):
        if filters.get("ToAddress") not in (None, recipient):
            continue
        report = fates.REPORTS[fates.kinds(recipient, blind=False)[0]]
        yield {
            "AccountName": sent.get("AccountName"),
            "ToAddress": recipient[:1] + "***" + recipient[recipient.index("@") :],
            "Subject": sent.get("Subject"),
            "Status": int(report.status),
            "ErrorClassification": report.failed_type,
            "Message": report.message.replace("{rcpt}", ""),
            "LastUpdateTime": at.strftime("%Y-%m-%dT%H:%M+08:00"),
            "UtcLastUpdateTime": str(int(mail.at)),
        }


def _time(given: wire.Parameters, name: str) -> datetime:
    try:
        moment = datetime.strptime(given.required(name), "%Y-%m-%d %H:%M")  # noqa: DTZ007  # China's, just below
    except ValueError:
        raise ApiError("InvalidParameter", f"{name} is yyyy-MM-dd HH:mm.") from None
    return moment.replace(tzinfo=CHINA)


def _count(given: wire.Parameters, name: str, default: int, most: int | None) -> int:
    text = given.given(name)
    if text is None:
        return default
    if not text.isdecimal() or len(text) > 9 or (most is not None and int(text) > most):  # noqa: PLR2004  # digits of any page
        raise ApiError("InvalidParameter", f"{name} is out of range.")
    return int(text)
