"""What the console shows, as the API has it: senders, domains, tags, the account itself.

Statuses are those of the documentation: 0 is well, 1 is not.
https://www.alibabacloud.com/help/en/direct-mail/api-dm-2015-11-23-overview
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from local.twins.directmail import wire
from local.twins.directmail.errors import ApiError
from local.twins.directmail.rules import DirectMailRules

PAGE_MAX = 100
DEFAULT_PAGE = 10
MONTH_DAYS = 30

Rows = list[dict[str, Any]]


def answer(action: str, given: wire.Parameters, rules: DirectMailRules) -> dict[str, Any]:
    """Answer one of `ACTIONS`.

    Raises:
        ApiError: a parameter is missing or out of range, or a domain does not exist.
    """
    return ACTIONS[action](given, rules)


def _user(_given: wire.Parameters, rules: DirectMailRules) -> dict[str, Any]:
    return {"Data": {"EnableEventbridge": rules.sends_events}}


def _mail_addresses(given: wire.Parameters, rules: DirectMailRules) -> dict[str, Any]:
    rows: Rows = [
        {
            "MailAddressId": str(number),
            "AccountName": address,
            "AccountStatus": str(int(address in rules.frozen)),
            "DomainStatus": str(int(address.rpartition("@")[2] in rules.unverified)),
            "Sendtype": "trigger",
            "DailyCount": "0",
            "MonthCount": "0",
        }
        for number, address in enumerate(sorted(rules.senders), start=1)
    ]
    return _page(given, rows, "mailAddress", "AccountName")


def _domains(given: wire.Parameters, rules: DirectMailRules) -> dict[str, Any]:
    rows: Rows = [
        {
            "DomainId": str(number),
            "DomainName": domain,
            "DomainStatus": str(int(domain in rules.unverified)),
            "SpfAuthStatus": str(int(domain in rules.unverified)),
            "MxAuthStatus": "0",
            "CnameAuthStatus": "0",
        }
        for number, domain in enumerate(_known(rules), start=1)
    ]
    return _page(given, rows, "domain", "DomainName")


def _domain(given: wire.Parameters, rules: DirectMailRules) -> dict[str, Any]:
    number = given.required("DomainId")
    known = _known(rules)
    if not number.isdecimal() or not 1 <= int(number) <= len(known):
        raise ApiError("InvalidMailAddressDomain.Malformed")
    name = known[int(number) - 1]
    bad = str(int(name in rules.unverified))
    return {
        "DomainId": number,
        "DomainName": name,
        "DomainStatus": bad,
        "SpfAuthStatus": bad,
        "MxAuthStatus": "0",
        "CnameAuthStatus": "0",
        "DkimAuthStatus": bad,
        "DmarcAuthStatus": bad,
    }


def _tags(given: wire.Parameters, rules: DirectMailRules) -> dict[str, Any]:
    rows: Rows = [
        {"TagId": str(number), "TagName": tag, "TagDescription": ""}
        for number, tag in enumerate(sorted(rules.tags or ()), start=1)
    ]
    return _page(given, rows, "tag", "TagName")


def _summary(_given: wire.Parameters, rules: DirectMailRules) -> dict[str, Any]:
    return {
        "UserStatus": rules.user_status,
        "DailyQuota": rules.daily_quota,
        "MonthQuota": rules.daily_quota * MONTH_DAYS,
        "QuotaLevel": 2,
        "MaxQuotaLevel": 10,
        "DailyRemainFreeQuota": 200,
        "RemainFreeQuota": 2000,
        "IpChannelType": "normal",
        "Domains": len(_known(rules)),
        "MailAddresses": len(rules.senders),
        "Tags": len(rules.tags or ()),
    }


def _known(rules: DirectMailRules) -> list[str]:
    return sorted(rules.domains | rules.unverified)


def _page(given: wire.Parameters, rows: Rows, kind: str, name: str) -> dict[str, Any]:
    word = (given.given("KeyWord") or "").lower()
    found = [row for row in rows if word in row[name].lower()]
    number = _count(given, "PageNo", 1, None)
    size = _count(given, "PageSize", DEFAULT_PAGE, PAGE_MAX)
    return {
        "data": {kind: found[(number - 1) * size : number * size]},
        "PageNumber": number,
        "PageSize": size,
        "TotalCount": len(found),
    }


def _count(given: wire.Parameters, name: str, default: int, most: int | None) -> int:
    text = given.given(name)
    if text is None:
        return default
    if not text.isdecimal() or len(text) > 9 or not 1 <= int(text) <= (most or int(text)):  # noqa: PLR2004  # digits of any page
        raise ApiError("InvalidParameter", f"{name} is out of range.")
    return int(text)


ACTIONS: dict[str, Callable[[wire.Parameters, DirectMailRules], dict[str, Any]]] = {
    "DescAccountSummary": _summary,
    "DescDomain": _domain,
    "GetUser": _user,
    "QueryDomainByParam": _domains,
    "QueryMailAddressByParam": _mail_addresses,
    "QueryTagByParam": _tags,
}
