"""From a checked mail request to the one call that sends it, under this environment's rules."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from shared.schema.mail_request import Attachment, MailRequest, ReplyAddress, Sender, Template
from shared.schema.problems import InvalidMail, Problem
from shared.sending.identity import (
    HEADER,
    PART_MARK,
    MailToken,
    message_id_of,
    read_message_id,
)

NOTIFY_PREFIX = "X-User-Notify-"
MESSAGE_ID = "Message-ID"


@dataclass(frozen=True)
class Policy:
    """What this environment allows.

    Attributes:
        environment: its name; it goes into ids and headers.
        default_sender: for mails that name none.
        allowed_senders: addresses or `@domain`; empty allows all.
        allowed_recipients: addresses or `@domain`; `*` allows all. Empty allows all in
            production and nobody elsewhere.
        redirect_to: where every mail goes instead of to its recipients; for test environments.
    """

    environment: str
    default_sender: Sender | None = None
    allowed_senders: tuple[str, ...] = ()
    allowed_recipients: tuple[str, ...] = ()
    redirect_to: str | None = None

    @property
    def recipients_allowed(self) -> tuple[str, ...]:
        """The effective allow-list: outside production, silence allows nobody."""
        if self.allowed_recipients or self.redirect_to or self.environment != "production":
            return self.allowed_recipients
        return ("*",)


@dataclass(frozen=True)
class OutgoingMail:
    """One provider call, in the field's words; every value as it is to travel."""

    sender: Sender
    address_type: str
    domain_auth: bool
    ip_pool_id: str | None
    to: tuple[str, ...]
    bcc: tuple[str, ...]
    subject: str
    html: str | None
    text: str | None
    template: Template | None
    reply_to_console: bool
    reply_address: ReplyAddress | None
    tag: str | None
    track_clicks: bool
    unsubscribe_link: str | None
    unsubscribe_filter: str | None
    headers: tuple[tuple[str, str], ...]
    attachments: tuple[Attachment, ...]

    @property
    def sender_address(self) -> str:
        """The sender's address, or its bare domain: one of them is always there."""
        return self.sender.address or self.sender.domain or ""


def compose(mail: MailRequest, policy: Policy, token: MailToken) -> OutgoingMail:
    """Make the call's content.

    Args:
        mail: a request that keeps the contract.
        policy: this environment's rules.
        token: which mail and which attempt; it travels in the packed header.

    Raises:
        InvalidMail: the environment does not allow this sender or a recipient.
    """
    sender = _sender(mail, policy)
    to, bcc = _recipients(mail, policy)
    reply = mail.reply_to if isinstance(mail.reply_to, ReplyAddress) else None
    return OutgoingMail(
        sender=sender,
        address_type=mail.address_type,
        domain_auth=mail.domain_auth,
        ip_pool_id=mail.ip_pool_id,
        to=to,
        bcc=bcc,
        subject=mail.subject,
        html=mail.html,
        text=mail.text,
        template=mail.template,
        reply_to_console=mail.reply_to == "console",
        reply_address=reply,
        tag=mail.tag,
        track_clicks=mail.track_clicks,
        unsubscribe_link=mail.unsubscribe_link,
        unsubscribe_filter=mail.unsubscribe_filter,
        headers=_headers(mail, token, sender),
        attachments=tuple(mail.attachments),
    )


def check(mail: MailRequest, policy: Policy) -> None:
    """Refuse now what `compose` would refuse later, and what this version cannot do yet.

    Raises:
        InvalidMail: with every problem that was found.
    """
    problems = list(mail.unsupported())
    for step in (_sender, _recipients, _identity):
        try:
            step(mail, policy)
        except InvalidMail as refusal:
            problems += refusal.problems
    if problems:
        raise InvalidMail(tuple(problems))


def _sender(mail: MailRequest, policy: Policy) -> Sender:
    sender = mail.sender or policy.default_sender
    if sender is None:
        raise _refusal(
            "/sender",
            "missing",
            "the mail names no sender and this environment has no default sender",
        )
    address = sender.address or f"@{sender.domain}"
    if policy.allowed_senders and not _listed(address, policy.allowed_senders):
        raise _refusal(
            "/sender",
            "sender-not-allowed",
            f"environment {policy.environment} does not allow this sender",
        )
    return sender


def _identity(mail: MailRequest, _policy: Policy) -> None:
    """The Message-ID and the key: what the mail is known by must be its own."""
    given = next((v for n, v in mail.headers.items() if n.lower() == MESSAGE_ID.lower()), None)
    if given is not None and mail.separate and len(mail.to) > 1:
        raise _refusal(
            f"/headers/{MESSAGE_ID}",
            "message-id-for-many",
            "each of the separate mails needs a Message-ID of its own: leave it out",
        )
    if given is not None and read_message_id(given):
        raise _refusal(
            f"/headers/{MESSAGE_ID}",
            "reserved-message-id",
            "this is the form of Postbus's own, by which it knows its mails again",
        )
    if mail.key is not None and PART_MARK in mail.key:
        raise _refusal("/key", "reserved-character", f"a key cannot have the character {PART_MARK}")


def _recipients(mail: MailRequest, policy: Policy) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if policy.redirect_to:
        return (policy.redirect_to,), ()
    allowed = policy.recipients_allowed
    if "*" not in allowed:
        problems = [
            Problem(
                pointer=f"/{field}/{index}",
                type="recipient-not-allowed",
                detail=f"environment {policy.environment} does not allow this recipient; "
                "POSTBUS_ALLOWED_RECIPIENTS lists whom it may write to",
            )
            for field, addresses in (("to", mail.to), ("bcc", mail.bcc))
            for index, address in enumerate(addresses)
            if not _listed(address, allowed)
        ]
        if problems:
            raise InvalidMail(tuple(problems))
    return tuple(mail.to), tuple(mail.bcc)


def _headers(mail: MailRequest, token: MailToken, sender: Sender) -> tuple[tuple[str, str], ...]:
    headers = dict(mail.headers)
    if not any(name.lower() == MESSAGE_ID.lower() for name in headers):
        domain = (sender.address or sender.domain or "").rpartition("@")[2]
        headers[MESSAGE_ID] = message_id_of(token.environment, token.mail_id, domain)
    headers.update({f"{NOTIFY_PREFIX}{name}": value for name, value in mail.notify.items()})
    headers[HEADER] = str(token)
    return tuple(headers.items())


def _listed(address: str, allowed: Iterable[str]) -> bool:
    domain = "@" + address.rpartition("@")[2].lower()
    wanted = address.lower()
    return any(entry.lower() in (wanted, domain) for entry in allowed)


def _refusal(pointer: str, kind: str, detail: str) -> InvalidMail:
    return InvalidMail((Problem(pointer=pointer, type=kind, detail=detail),))
