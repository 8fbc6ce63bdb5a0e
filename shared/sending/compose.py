"""From a checked mail request to the one call that sends it, under this environment's rules."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shared.schema.problems import InvalidMail, Problem
from shared.sending.identity import (
    HEADER,
    PART_MARK,
    MailToken,
    message_id_of,
    read_message_id,
)
from shared.sending.scopes import unsubscribe_scope
from shared.sending.unsubscribe import Unsubscribe, UnsubscribeLinks

if TYPE_CHECKING:  # functions that read no mails never build their models
    from shared.schema.mail_request import Attachment, MailRequest, ReplyAddress, Sender, Template

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
        links: makes unsubscribe links; None where no address for them is set.
    """

    environment: str
    default_sender: Sender | None = None
    allowed_senders: tuple[str, ...] = ()
    allowed_recipients: tuple[str, ...] = ()
    redirect_to: str | None = None
    links: UnsubscribeLinks | None = None

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

    def marked(self, token: MailToken) -> OutgoingMail:
        """The same call with another token in its packed header."""
        headers = dict(self.headers)
        headers[HEADER] = str(token)
        return replace(self, headers=tuple(headers.items()))


def compose(mail: MailRequest, policy: Policy, token: MailToken) -> OutgoingMail:
    """Make the call's content.

    Args:
        mail: a request that keeps the contract.
        policy: this environment's rules.
        token: which mail and which attempt; it travels in the packed header.

    Raises:
        InvalidMail: the environment does not allow this sender or a recipient.
    """
    from shared.schema.mail_request import ReplyAddress  # noqa: PLC0415  # see above

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
        headers=_headers(mail, token, sender, _unsubscribe(mail, policy, token, sender, to)),
        attachments=tuple(mail.attachments),
    )


def check(mail: MailRequest, policy: Policy) -> None:
    """Refuse now what `compose` would refuse later, and what this version cannot do yet.

    Raises:
        InvalidMail: with every problem that was found.
    """
    problems = list(mail.unsupported())
    for step in (_sender, _recipients, _identity, _links):
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


def _links(mail: MailRequest, policy: Policy) -> UnsubscribeLinks | None:
    """What makes the mail's unsubscribe link; None where it wants none."""
    if mail.unsubscribe and policy.links is None:
        raise _refusal(
            "/unsubscribe",
            "unsubscribe-not-set-up",
            f"environment {policy.environment} has no address for unsubscribe links: "
            "POSTBUS_PUBLIC_URL has to be the https address of the function webhooks",
        )
    return policy.links if mail.unsubscribe else None


def _unsubscribe(
    mail: MailRequest, policy: Policy, token: MailToken, sender: Sender, to: tuple[str, ...]
) -> dict[str, str]:
    """The headers for one-click unsubscribe, where the mail wants them."""
    links = _links(mail, policy)
    if links is None:
        return {}
    scope = unsubscribe_scope(sender.address or sender.domain or "", mail.unsubscribe_filter)
    # The schema has made sure that it is one recipient.
    return links.headers(Unsubscribe(token.mail_id, to[0], scope))


def _headers(
    mail: MailRequest, token: MailToken, sender: Sender, more: dict[str, str]
) -> tuple[tuple[str, str], ...]:
    headers = {**mail.headers, **more}
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
