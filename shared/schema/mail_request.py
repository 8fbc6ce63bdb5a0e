"""The mail request, version 1: what a service asks Postbus to send.

It covers every parameter of DirectMail's SingleSendMail. Unknown fields are refused, nothing is
converted (the string "true" is not true), and every limit is checked here, before any call.

The descriptions of the fields are the users' reference: they are exported with the JSON Schema.
See https://www.alibabacloud.com/help/en/direct-mail/api-dm-2015-11-23-singlesendmail
"""

# No `from __future__ import annotations`: pydantic reads annotations faster as they are.

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import ConfigDict, Field, ValidationError, model_validator
from pydantic_core import from_json

from shared.schema.fields import (
    Address,
    Body,
    Headers,
    Identifier,
    Key,
    Notify,
    Subject,
    Tag,
    Time,
    Version,
)
from shared.schema.limits import ATTACHMENTS_MAX, BCC_MAX, DOCUMENT_MAX, RECIPIENTS_MAX
from shared.schema.parts import Attachment, Part, ReplyAddress, ReplyTo, Sender, Template, Trace
from shared.schema.problems import InvalidMail, Problem, Refused, problems_of
from shared.schema.rules import broken_rules

__all__ = ["Attachment", "MailRequest", "ReplyAddress", "Sender", "Template", "parse_mail"]


class MailRequest(Part):
    """One mail to send, to one or more recipients, through DirectMail."""

    model_config = ConfigDict(defer_build=False)

    version: Version = Field(
        default=1, description="The version of this contract. There is one so far."
    )
    sender: Sender | None = Field(
        default=None,
        description="Who the mail comes from. Without it, the default sender of the settings.",
    )
    address_type: Literal["sender", "random"] = Field(
        default="sender",
        description=(
            "Whether the envelope's sender is the sender address itself, or a random one of "
            "DirectMail's."
        ),
    )
    domain_auth: bool = Field(
        default=False,
        description=(
            "Authenticate by the sender's domain instead of by its address. The domain must be "
            "set up for that in DirectMail's console."
        ),
    )
    ip_pool_id: Identifier | None = Field(
        default=None, description="The pool of dedicated IP addresses to send from."
    )
    to: list[Address] = Field(
        min_length=1,
        max_length=RECIPIENTS_MAX,
        json_schema_extra={"uniqueItems": True},
        description=(
            "The recipients, 1 to 100 bare addresses, each once. Letters, digits and _ - + . stand "
            "before the @; an internationalised domain is accepted and sent as punycode. Whether "
            "the recipients of one mail see each other is not documented: see `separate`."
        ),
    )
    bcc: list[Address] = Field(
        default=[],
        max_length=BCC_MAX,
        json_schema_extra={"uniqueItems": True},
        description=(
            "At most 2 recipients whom nobody sees. They are billed like others, and neither "
            "opens nor clicks of theirs are reported."
        ),
    )
    separate: bool = Field(
        default=False,
        description=(
            "Send one mail to each recipient in `to`, so that none sees another. Not together "
            "with `bcc`."
        ),
    )
    subject: Subject = Field(
        description=(
            "The subject, at most 256 characters, no line breaks or control characters. It is "
            "written as it is, in any language: the encoding for the mail is not your task."
        )
    )
    html: Body | None = Field(
        default=None,
        description=(
            "The body in HTML, at most 8 MiB as it travels (a Chinese character counts 9 bytes, "
            "most ASCII one). A mail has html, text or both; or else a template."
        ),
    )
    text: Body | None = Field(
        default=None, description="The body in plain text; limits as for `html`."
    )
    template: Template | None = Field(
        default=None,
        description="A template of DirectMail instead of `html` and `text`.",
    )
    reply_to: ReplyTo = Field(
        default="none",
        description=(
            "Where answers go: `none` (to the sender), `console` (the reply-to address verified "
            "in DirectMail's console), or an address."
        ),
    )
    tag: Tag | None = Field(
        default=None,
        description=(
            "A tag that exists in DirectMail's console, by which its statistics are grouped: 1 to "
            "128 letters, digits, _ and -."
        ),
    )
    track_clicks: bool = Field(
        default=False,
        description=(
            "Report opens and clicks. Needs a `tag`, and `html` (or a template) with http or "
            "https links."
        ),
    )
    unsubscribe_link: Literal["default", "disabled"] | None = Field(
        default=None,
        description=(
            "Whether DirectMail adds its unsubscribe link: `default` adds it for batch senders "
            "and certain mailbox providers. Without this field the account's setting holds."
        ),
    )
    unsubscribe_filter: (
        Literal["default", "disabled", "mailfrom", "mailfrom_domain", "edm_id"] | None
    ) = Field(
        default=None,
        description=(
            "For which mails an unsubscription counts: those of the sender address (mailfrom), of "
            "its domain (mailfrom_domain), or of the account (edm_id). With `disabled` the mail "
            "also goes to those who have unsubscribed; to bounced addresses and complainers none "
            "goes."
        ),
    )
    unsubscribe: bool = Field(
        default=False,
        description=(
            "Let the recipient unsubscribe with one click (RFC 8058): Postbus puts "
            "List-Unsubscribe and List-Unsubscribe-Post on the mail, with the recipient's own link "
            "to itself. Needs one recipient and no `bcc`, or `separate`; takes two of the 10 "
            "headers."
        ),
    )
    headers: Headers = Field(
        default={},
        description=(
            "Further headers: Message-ID, List-Unsubscribe, List-Unsubscribe-Post, and names that "
            "begin with X-User-. Names are compared without case; a value is printable ASCII, at "
            "most 998 characters. `headers`, `notify` and the two that Postbus adds (Message-ID "
            "and one of its own) are at most 10 together."
        ),
    )
    notify: Notify = Field(
        default={},
        description=(
            "Whatever should come back with every event of this mail, such as an order's number. "
            "Sent as X-User-Notify-<name>. Names are tokens, compared without case; values are "
            "printable ASCII, not empty, without a space first or last, at most 998 characters. "
            "The name Postbus is taken."
        ),
    )
    attachments: list[Attachment] = Field(
        default=[],
        max_length=ATTACHMENTS_MAX,
        description="At most 100 files, 8,000,000 bytes together before base64.",
    )
    key: Key | None = Field(
        default=None,
        description=(
            "The idempotency key, 1 to 256 printable characters: mails with the same key are one "
            "mail, which is sent once. Without it, the message, the HTTP call or the timer that "
            "brought the mail gives one."
        ),
    )
    expires_at: Time | None = Field(
        default=None,
        description="Do not send after this time (RFC 3339, with an offset).",
    )
    send_at: Time | None = Field(
        default=None,
        description="Do not send before this time (RFC 3339, with an offset). Not yet supported.",
    )
    on_unknown: Literal["resend", "hold"] | None = Field(
        default=None,
        description=(
            "What to do when nobody knows whether a mail was sent, after a lost answer: `resend` "
            "it if no evidence of it turns up, or `hold` it for a person."
        ),
    )
    trace: Trace | None = Field(
        default=None,
        description=(
            "The trace that this request belongs to; every event of the mail carries it. Over "
            "HTTP, the headers traceparent and tracestate say the same. It is no part of what the "
            "key stands for: a repeat may have another one."
        ),
    )
    lane: Identifier | None = Field(
        default=None, description="The lane this mail queues in. Not yet supported."
    )

    @model_validator(mode="after")
    def _rules(self) -> "MailRequest":
        if problems := broken_rules(self):
            raise Refused(*problems)
        return self

    def unsupported(self) -> list[Problem]:
        """The given fields whose behaviour this version of Postbus does not have.

        They are part of the contract; a mail that asks for them is refused by whoever would have
        to keep the promise, rather than treated as if it had not asked.
        """
        return [
            Problem(f"/{name}", "not-yet-supported", "is not supported by this version of Postbus")
            for name in ("send_at", "lane")
            if getattr(self, name) is not None
        ]

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Only what may stand in a log: no address, subject or body."""
        yield "key", self.key
        yield "to", len(self.to)
        yield "tag", self.tag


def parse_mail(data: bytes | bytearray | str | dict[str, Any]) -> MailRequest:
    """Read a mail request from JSON, or from what a JSON reader made of it.

    Of a name that is given twice in one object the last value counts, as in most readers.

    Args:
        data: a JSON document in UTF-8 without byte order mark, as bytes or text, or its object.

    Raises:
        InvalidMail: with every problem found; whatever the data, nothing else is raised.
    """
    document = _read(data) if isinstance(data, bytes | bytearray | str) else data
    if not isinstance(document, dict):
        raise _not_read("not-an-object", "must be a JSON object")
    try:
        return MailRequest.model_validate(document)
    except ValidationError as error:
        problems = problems_of(error)
    # Outside of the except block, so that the pydantic error, which holds the whole mail, is not
    # this one's context, and no log of a traceback shows it.
    raise InvalidMail(problems)


def _read(data: bytes | bytearray | str) -> Any:
    if len(data) > DOCUMENT_MAX:
        raise _not_read(
            "too-large", f"has at most {DOCUMENT_MAX} bytes", limit=DOCUMENT_MAX, given=len(data)
        )
    try:
        raw = data.encode("utf-8") if isinstance(data, str) else data
        return from_json(raw, allow_inf_nan=False)
    except UnicodeEncodeError:
        refusal = _not_read("not-json", "is not JSON: it holds half a surrogate pair")
    except ValueError as error:
        # The reader's message tells the place and repeats nothing of the document.
        refusal = _not_read("not-json", f"is not JSON: {error}")
    raise refusal


def _not_read(type_: str, detail: str, **figures: int) -> InvalidMail:
    return InvalidMail([Problem("", type_, detail, **figures)])
