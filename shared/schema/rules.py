"""The rules between the fields of a mail request.

Each problem points at the field that cannot stand as the mail is, so that its pointer always leads
somewhere; only a mail without any content has none to point at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from shared.schema.headers import header_count, too_many_headers
from shared.schema.limits import ATTACHMENTS_BYTES_MAX, HEADERS_MAX
from shared.schema.problems import Problem

if TYPE_CHECKING:
    from shared.schema.mail_request import MailRequest


def broken_rules(mail: MailRequest) -> list[Problem]:
    """Every rule between fields that the mail breaks; none, for a good mail."""
    return [problem for rule in _RULES for problem in rule(mail)]


def _content(mail: MailRequest) -> Iterator[Problem]:
    has_body = mail.html is not None or mail.text is not None
    if mail.template and has_body:
        yield Problem(
            "/template",
            "template-and-body",
            "stands instead of html and text: DirectMail would ignore them",
        )
    if not mail.template and not has_body:
        yield Problem("", "content-missing", "needs html, text (or both), or a template")


def _sender(mail: MailRequest) -> Iterator[Problem]:
    if mail.sender and mail.sender.domain and not mail.domain_auth:
        yield Problem(
            "/sender/domain",
            "domain-needs-domain-auth",
            'needs "domain_auth": true; without it the sender is an address',
        )


def _recipients(mail: MailRequest) -> Iterator[Problem]:
    # Events are told apart by mail and recipient, so each recipient can be on a mail only once.
    seen: set[str] = set()
    for field, addresses in (("to", mail.to), ("bcc", mail.bcc)):
        for index, address in enumerate(addresses):
            if address in seen:
                yield Problem(
                    f"/{field}/{index}",
                    "duplicate-recipient",
                    "is on this mail already; the case of its domain makes no difference",
                )
            seen.add(address)
    if mail.separate and mail.bcc:
        yield Problem(
            "/bcc",
            "separate-with-bcc",
            "would get a copy of every recipient's mail: leave out bcc, or separate",
        )


def _tracking(mail: MailRequest) -> Iterator[Problem]:
    if mail.track_clicks and mail.tag is None:
        yield Problem("/track_clicks", "tracking-needs-tag", "needs a tag")
    if mail.track_clicks and mail.html is None and mail.template is None:
        yield Problem("/track_clicks", "tracking-needs-html", "needs html: a text has no links")


def _headers(mail: MailRequest) -> Iterator[Problem]:
    count = header_count(mail.headers, mail.notify, unsubscribe=mail.unsubscribe)
    if count > HEADERS_MAX:
        yield too_many_headers("/notify" if mail.notify else "/headers", count)


def _unsubscribe(mail: MailRequest) -> Iterator[Problem]:
    if not mail.unsubscribe:
        return
    if mail.bcc or (len(mail.to) > 1 and not mail.separate):
        yield Problem(
            "/unsubscribe",
            "unsubscribe-for-many",
            "puts the recipient's own link on the mail: one recipient and no bcc, or separate",
        )
    # One-click cannot be given without it.
    if "List-Unsubscribe" in mail.headers:
        yield Problem(
            "/headers/List-Unsubscribe",
            "unsubscribe-given-twice",
            'is what "unsubscribe": true puts on the mail: leave out one of the two',
        )


def _attachments(mail: MailRequest) -> Iterator[Problem]:
    size = sum(attachment.size for attachment in mail.attachments)
    if size > ATTACHMENTS_BYTES_MAX:
        yield Problem(
            "/attachments",
            "attachments-too-large",
            f"have together at most {ATTACHMENTS_BYTES_MAX} bytes, before base64",
            limit=ATTACHMENTS_BYTES_MAX,
            given=size,
        )


_RULES: tuple[Callable[[MailRequest], Iterator[Problem]], ...] = (
    _content,
    _sender,
    _recipients,
    _tracking,
    _headers,
    _unsubscribe,
    _attachments,
)
