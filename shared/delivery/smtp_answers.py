"""What a remote host's answer says about a bounce: its codes and its words, in ours.

The enhanced status codes are RFC 3463's, and of the registry that continues it:
https://www.iana.org/assignments/smtp-enhanced-status-codes/smtp-enhanced-status-codes.xhtml
DirectMail's own reply codes: https://help.aliyun.com/document_detail/44499.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from shared.delivery.causes import PERMANENT, SENDER, TEMPORARY, Cause

BY = "answer"

# The enhanced status code without its class, RFC 3463 -> why.
ENHANCED: Mapping[str, Cause] = {
    "1.0": Cause("mailbox-not-found", None, BY),
    "1.1": Cause("mailbox-not-found", None, BY),
    "1.2": Cause("domain-not-found", None, BY),
    "1.3": Cause("mailbox-not-found", None, BY),
    "1.6": Cause("mailbox-not-found", None, BY),  # it has moved
    "1.7": Cause("blocked-sender", SENDER, BY),  # the sender's address
    "1.8": Cause("blocked-sender", SENDER, BY),  # the sender's domain
    "1.10": Cause("domain-not-found", None, BY),  # "null MX"
    "2.1": Cause("mailbox-not-found", None, BY),  # closed
    "2.2": Cause("mailbox-full", TEMPORARY, BY),
    "2.3": Cause("policy", SENDER, BY),  # too long
    "3.1": Cause("mailbox-full", TEMPORARY, BY),  # the host is full
    "3.4": Cause("policy", SENDER, BY),  # too big
    "4.1": Cause("connection", TEMPORARY, BY),
    "4.2": Cause("connection", TEMPORARY, BY),
    "4.4": Cause("domain-not-found", None, BY),  # no route
    "4.5": Cause("rate-limited", TEMPORARY, BY),  # congestion
    "4.7": Cause("connection", TEMPORARY, BY),  # it took too long
    "7.9": Cause("sender-authentication", SENDER, BY),
    "7.20": Cause("sender-authentication", SENDER, BY),  # 20 to 22: DKIM
    "7.21": Cause("sender-authentication", SENDER, BY),
    "7.22": Cause("sender-authentication", SENDER, BY),
    "7.23": Cause("sender-authentication", SENDER, BY),  # 23 and 24: SPF
    "7.24": Cause("sender-authentication", SENDER, BY),
    "7.25": Cause("sender-authentication", SENDER, BY),  # reverse DNS
    "7.26": Cause("sender-authentication", SENDER, BY),  # several of them
    "7.28": Cause("rate-limited", TEMPORARY, BY),
}

# Codes that say little more than no, with their class -> why, if no word tells more.
VAGUE: Mapping[str, Cause] = {
    "4.7.0": Cause("rate-limited", TEMPORARY, BY),
    "4.7.1": Cause("rate-limited", TEMPORARY, BY),
    "5.7.0": Cause("policy", SENDER, BY),
    "5.7.1": Cause("policy", SENDER, BY),
}

_ADDRESSEE = "(user|recipient|mailbox|account|address|rcpt)"
# Words in the host's answer -> why; the first row that fits counts, so the plainest stand first.
# The text is a stranger's: every pattern is bounded, and only the text's beginning is looked at.
WORDS: tuple[tuple[Cause, tuple[str, ...]], ...] = (
    (
        Cause("mailbox-full", TEMPORARY, BY),
        (
            r"over.?quota",
            r"quota (is )?exceeded",
            r"(mailbox|inbox|maildir).{0,20} full",
            r"full mailbox",
            r"exceeded .{0,12}storage",
            r"insufficient .{0,8}(storage|space)",
        ),
    ),
    (
        Cause("rate-limited", TEMPORARY, BY),
        (
            r"too (many|fast|frequent)",
            r"rate.?limit",
            r"frequency",
            r"throttl",
            r"gr[ea]y-?list",
            r"(try|retry) (again )?later",
        ),
    ),
    (
        Cause("sender-authentication", SENDER, BY),
        (r"\b(spf|dkim|dmarc)\b", r"(not|un|fail\w* to) ?authenticat", r"reverse dns", r"\bptr\b"),
    ),
    (
        Cause("blocked-sender", SENDER, BY),
        (
            r"(block|black|deny).?list",
            r"\b(rbl|dnsbl)\b",
            r"reputation",
            r"(sender|client|\bip\b).{0,30} (blocked|banned|denied|refused|rejected)",
        ),
    ),
    (
        Cause("content-spam", SENDER, BY),
        (
            r"\bspam",
            r"virus|malware|phish",
            r"unsolicited",
            r"content.{0,10} (reject|refus|block)",
        ),
    ),
    (
        Cause("domain-not-found", None, BY),
        (
            r"(host|domain).{0,40} (not (be )?(found|exist|resolve)|(does|did) ?n.t exist|unknown)",
            r"no (such )?(mx|domain)\b",
            r"unknown (host|domain)",
            r"\bnxdomain\b",
            r"dns (error|fail|lookup)",
        ),
    ),
    (
        Cause("mailbox-not-found", None, BY),
        (
            rf"\b{_ADDRESSEE}\b.{{0,60}}(not (be )?|n.t )(found|known|exist)",
            rf"\b{_ADDRESSEE}\b.{{0,60}}(unknown|invalid|disabled|unavailable|inactive|closed)",
            rf"(no such|unknown|invalid) (local )?{_ADDRESSEE}",
        ),
    ),
    (
        Cause("connection", TEMPORARY, BY),
        (r"tim(ed?|ing).?out", r"connection", r"connect (to|failed)", r"unreachable", r"network"),
    ),
    (
        Cause("policy", SENDER, BY),
        (
            r"polic",
            r"too (large|big|long)",
            r"(size|length).{0,20} (exceed|limit)",
            r"not (allowed|permitted)",
            r"attachment",
            r"relay",
        ),
    ),
)

# Reply codes that mean one thing, DirectMail's own among them -> why. (554 and 550 mean anything.)
CODES: Mapping[int, Cause] = {
    421: Cause("connection", TEMPORARY, BY),
    423: Cause("domain-not-found", None, BY),
    427: Cause("connection", TEMPORARY, BY),
    436: Cause("sender-authentication", SENDER, BY),
    452: Cause("mailbox-full", TEMPORARY, BY),
    504: Cause("policy", SENDER, BY),
    521: Cause("mailbox-not-found", None, BY),
    524: Cause("domain-not-found", None, BY),
    526: Cause("domain-not-found", None, BY),
    535: Cause("sender-authentication", SENDER, BY),
    551: Cause("mailbox-not-found", None, BY),
    552: Cause("mailbox-full", TEMPORARY, BY),
    556: Cause("policy", SENDER, BY),  # too many recipients
    557: Cause("policy", SENDER, BY),  # too big
    559: Cause("suppressed-by-provider", PERMANENT, BY),
    561: Cause("suppressed-by-provider", PERMANENT, BY),  # a honeypot
    563: Cause("suppressed-by-provider", PERMANENT, BY),
}

_ENHANCED = re.compile(r"(?<![\d.])[45]\.\d\.\d{1,2}(?![\d.]*\d)", re.ASCII)
_PATTERNS = tuple((re.compile("|".join(words), re.IGNORECASE), cause) for cause, words in WORDS)
_LOOKED_AT = 400


def cause_in_answer(code: int | None, message: str) -> Cause | None:
    """What the answer says; None where it says nothing that is known.

    Args:
        code: the reply code.
        message: the answer's text.
    """
    text = message[:_LOOKED_AT]
    found = _ENHANCED.search(text)
    enhanced = found[0] if found else ""
    return (
        ENHANCED.get(enhanced[2:])
        or next((cause for pattern, cause in _PATTERNS if pattern.search(text)), None)
        or VAGUE.get(enhanced)
        or CODES.get(code or 0)
    )
