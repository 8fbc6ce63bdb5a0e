"""DirectMail: may these addresses send, are their events sent, how much is left.

https://www.alibabacloud.com/help/en/direct-mail/api-dm-2015-11-23-overview
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from alibabacloud_dm20151123 import models

from deploy.cloud.faults import calling
from deploy.doctor.findings import Finding, Patient, pages

PAGE = 50
# https://www.alibabacloud.com/help/en/direct-mail/api-dm-2015-11-23-descaccountsummary
USER_STATUS = {
    1: "frozen",
    2: "overdue",
    4: "not allowed to send",
    8: "deleted",
}
_CONSOLE = "DirectMail's console"


def senders(patient: Patient) -> Iterator[Finding]:
    """Whether each sender address is there, and may send."""
    wanted = sender_addresses(patient)
    if not wanted:
        yield Finding(
            "sender",
            "warning",
            "no sender address is named, so a mail without a sender is refused",
            "Set the parameter DefaultSender to an address that DirectMail has verified.",
        )
        return

    def page(number: int) -> Any:
        request = models.QueryMailAddressByParamRequest(page_no=number, page_size=PAGE)
        with calling("dm:QueryMailAddressByParam"):
            return patient.access.directmail.query_mail_address_by_param(request).body

    known = {
        str(row.account_name).lower(): row
        for row in pages(page, lambda body: body.data and body.data.mail_address, PAGE)
    }
    for address in wanted:
        yield _sender(address, known.get(address.lower()))


def _sender(address: str, row: Any) -> Finding:
    if row is None:
        return Finding(
            "sender", "error", f"{address} is no sender address",
            f"Add it in {_CONSOLE} (Sender Addresses), or correct DefaultSender or AllowedSenders.",
        )  # fmt: skip
    if str(row.account_status) == "1":
        return Finding(
            "sender", "error", f"{address} is frozen", f"Look at its reason in {_CONSOLE}."
        )
    if str(row.domain_status) == "1":
        return Finding(
            "sender", "error", f"{address}: its domain is not verified",
            f"Set the domain's DNS records as {_CONSOLE} shows them (Domains, Verify).",
        )  # fmt: skip
    return Finding("sender", "ok", f"{address} may send")


def domains(patient: Patient) -> Iterator[Finding]:
    """Whether each sender domain is verified, with its records."""
    wanted = sender_domains(patient)
    if not wanted:
        yield Finding(
            "domain", "warning", "no sender domain is named",
            "Set the parameter SenderDomain to the domain that DirectMail has verified.",
        )  # fmt: skip
        return

    def page(number: int) -> Any:
        request = models.QueryDomainByParamRequest(page_no=number, page_size=PAGE)
        with calling("dm:QueryDomainByParam"):
            return patient.access.directmail.query_domain_by_param(request).body

    known = {
        str(row.domain_name).lower(): row
        for row in pages(page, lambda body: body.data and body.data.domain, PAGE)
    }
    for domain in wanted:
        row = known.get(domain.lower())
        if row is None:
            yield Finding(
                "domain", "error", f"{domain} is unknown to DirectMail", f"Add it in {_CONSOLE}."
            )
        else:
            yield _domain(patient, domain, row)


def _domain(patient: Patient, domain: str, row: Any) -> Finding:
    request = models.DescDomainRequest(domain_id=int(row.domain_id))
    with calling("dm:DescDomain"):
        found = patient.access.directmail.desc_domain(request).body
    # 1 is not right. DKIM and DMARC are missing in answers of older domains.
    records = {
        "SPF": found.spf_auth_status,
        "MX": found.mx_auth_status,
        "DKIM": found.dkim_auth_status,
        "DMARC": found.dmarc_auth_status,
    }
    wrong = [name for name, status in records.items() if str(status) == "1"]
    if str(found.domain_status) != "0":
        lacking = f" ({', '.join(wrong)} not right)" if wrong else ""
        return Finding(
            "domain", "error", f"{domain} is not verified{lacking}",
            f"Set the DNS records as {_CONSOLE} shows them, then verify it there.",
        )  # fmt: skip
    if wrong:
        return Finding(
            "domain", "warning", f"{domain} is verified, but {', '.join(wrong)} not right",
            "Set those DNS records too: receivers look at them, and more mails arrive.",
        )  # fmt: skip
    return Finding("domain", "ok", f"{domain} is verified")


def tags(patient: Patient) -> Iterator[Finding]:
    """Whether the tags that services use exist; a mail with another one is refused."""
    wanted = sorted({*patient.tags, *_timer_tags(patient)})

    def page(number: int) -> Any:
        request = models.QueryTagByParamRequest(page_no=number, page_size=PAGE)
        with calling("dm:QueryTagByParam"):
            return patient.access.directmail.query_tag_by_param(request).body

    known = {
        str(row.tag_name) for row in pages(page, lambda body: body.data and body.data.tag, PAGE)
    }
    lacking = [tag for tag in wanted if tag not in known]
    if lacking:
        yield Finding(
            "tags", "error", f"there is no tag {', '.join(lacking)}: mails with it are refused",
            f"Create it in {_CONSOLE} (Tags).",
        )  # fmt: skip
    elif wanted:
        yield Finding("tags", "ok", f"{', '.join(wanted)} exist")
    else:
        yield Finding(
            "tags", "ok", f"none is named in the environment's file; the account has {len(known)}"
        )


def event_switch(patient: Patient) -> Iterator[Finding]:
    """Whether DirectMail sends its events to EventBridge at all."""
    with calling("dm:GetUser"):
        body = patient.access.directmail.get_user().body
    on = body.data.enable_eventbridge if body.data else None
    if on:
        yield Finding("events", "ok", "DirectMail sends its events to EventBridge")
    elif on is None:
        yield Finding(
            "events", "unknown", "DirectMail does not say whether it sends its events",
            f"Look in {_CONSOLE} (EventBridge).",
        )  # fmt: skip
    else:
        yield Finding(
            "events", "error", "DirectMail does not send its events: nobody learns what became of "
            "a mail, and unknown outcomes stay unknown",
            f"Switch EventBridge on in {_CONSOLE}.",
        )  # fmt: skip


def quota(patient: Patient) -> Iterator[Finding]:
    """What the account may send, and whether the deployment keeps to it."""
    with calling("dm:DescAccountSummary"):
        found = patient.access.directmail.desc_account_summary(
            models.DescAccountSummaryRequest()
        ).body
    status = int(found.user_status or 0)
    if status:
        yield Finding(
            "account", "error", f"DirectMail: the account is {USER_STATUS.get(status, status)}",
            f"Look in {_CONSOLE}.",
        )  # fmt: skip
    daily = int(found.daily_quota or 0)
    kept = int(float(patient.parameter("DailyRecipients") or 0))
    free = int(found.remain_free_quota or 0)
    told = f"{daily} recipients a day; {free} of the free ones are left"
    if daily and kept > daily:
        yield Finding(
            "quota", "error", f"DailyRecipients is {kept}, and DirectMail allows {told}",
            f"Set the parameter DailyRecipients to {daily} at most.",
        )  # fmt: skip
    elif daily and not kept:
        yield Finding(
            "quota", "warning", f"{told}; Postbus keeps no count (DailyRecipients is 0)",
            f"Set the parameter DailyRecipients: {daily}, and mails over it wait for the next day.",
        )  # fmt: skip
    else:
        yield Finding("quota", "ok", told)


def sender_addresses(patient: Patient) -> list[str]:
    """The addresses that may send by name."""
    named = [patient.parameter("DefaultSender"), *_allowed(patient)]
    return list(dict.fromkeys(each for each in named if "@" in each and not each.startswith("@")))


def sender_domains(patient: Patient) -> list[str]:
    """The domains of everything that may send."""
    named = [each.rpartition("@")[2] for each in (*sender_addresses(patient), *_allowed(patient))]
    return list(dict.fromkeys(each for each in (patient.parameter("SenderDomain"), *named) if each))


def _allowed(patient: Patient) -> list[str]:
    return [each.strip() for each in patient.parameter("AllowedSenders").split(",") if each.strip()]


def _timer_tags(patient: Patient) -> list[str]:
    """The example timer's tag, where it sends."""
    if patient.parameter("TimerEnabled").lower() != "true":
        return []
    try:
        tag = json.loads(patient.parameter("TimerMail")).get("tag")
    except (ValueError, AttributeError):
        return []
    return [tag] if isinstance(tag, str) else []
