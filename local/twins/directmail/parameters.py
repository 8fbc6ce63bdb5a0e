"""SingleSendMail's parameters: checked as the service checks them, then named.

https://www.alibabacloud.com/help/en/direct-mail/api-dm-2015-11-23-singlesendmail
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from local.twins.directmail import addresses, headers
from local.twins.directmail.errors import ApiError
from local.twins.directmail.rules import DirectMailRules
from local.twins.directmail.wire import Parameters

MAX_SUBJECT_CHARACTERS = 256
MAX_ALIAS_CHARACTERS = 15  # one page says "fewer than 15", another "cannot exceed 15"
MAX_BODY_BYTES = 8 * 1024 * 1024  # "approximately 8 MB"; here as it travels, encoding counted
MAX_ATTACHMENTS = 100

_TAG = re.compile(r"[A-Za-z0-9_-]{1,128}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x80-\x9f\u2028\u2029]")
_ATTACHMENT = re.compile(r"Attachments\.([1-9][0-9]{0,5})\.Attachment(?:Name|Url)")
_CHOICES = {
    "AddressType": ("0", "1"),
    "ClickTrace": ("0", "1"),
    "UnSubscribeLinkType": ("disabled", "default", "zh-cn", "en-us"),
    "UnSubscribeFilterLevel": ("disabled", "default", "mailfrom", "mailfrom_domain", "edm_id"),
}


@dataclass(frozen=True)
class TemplateUse:
    """A template of the console with the data for its variables."""

    id: str
    data: dict[str, str]


@dataclass(frozen=True)
class AttachmentLink:
    """An attachment: its name, and where it was uploaded."""

    name: str
    url: str


@dataclass(frozen=True)
class Mail:
    """One accepted call, in words."""

    account: str
    sender: str
    alias: str | None
    recipients: tuple[str, ...]
    bcc: tuple[str, ...]
    reply_address: str | None
    reply_alias: str | None
    subject: str
    html: str | None
    text: str | None
    template: TemplateUse | None
    tag: str | None
    ip_pool_id: str | None
    headers: tuple[headers.Header, ...]
    attachments: tuple[AttachmentLink, ...]


def read(parameters: Parameters, rules: DirectMailRules) -> Mail:
    """Check every parameter of one SingleSendMail call.

    Raises:
        ApiError: the first thing that the service would refuse.
    """
    for name in ("AccountName", "AddressType", "ReplyToAddress", "ToAddress", "Subject"):
        parameters.required(name)
    for name, choices in _CHOICES.items():
        if parameters.given(name) not in (None, *choices):
            raise ApiError("InvalidParameter", f"{name} must be one of {', '.join(choices)}.")
    _truth(parameters, "ReplyToAddress")
    template = _template(parameters.given("Template"), rules)
    if template is None:
        _check_bodies(parameters)
    return Mail(
        account=parameters.required("AccountName"),
        sender=addresses.sender(parameters, rules, domain_auth=_truth(parameters, "DomainAuth")),
        alias=_alias(parameters, "FromAlias"),
        recipients=addresses.recipients(parameters.required("ToAddress")),
        bcc=addresses.copies(parameters.given("BccAddress")),
        reply_address=addresses.reply_address(parameters.given("ReplyAddress")),
        reply_alias=_alias(parameters, "ReplyAddressAlias"),
        subject=_subject(parameters.required("Subject")),
        # With a template the bodies are ignored, as documented.
        html=parameters.given("HtmlBody") if template is None else None,
        text=parameters.given("TextBody") if template is None else None,
        template=template,
        tag=_tag(parameters, rules),
        ip_pool_id=parameters.given("IpPoolId"),
        headers=headers.read(parameters.given("Headers")),
        attachments=_attachments(parameters),
    )


def _truth(parameters: Parameters, name: str) -> bool:
    # "the strings true and false"; the official SDK for Python writes them as Python does.
    text = (parameters.given(name) or "false").lower()
    if text not in ("true", "false"):
        raise ApiError("InvalidParameter", f"{name} must be true or false.")
    return text == "true"


def _subject(text: str) -> str:
    if len(text) > MAX_SUBJECT_CHARACTERS:
        raise ApiError("InvalidSubject.Malformed", f"At most {MAX_SUBJECT_CHARACTERS} characters.")
    if _CONTROL.search(text):
        raise ApiError("InvalidSubject.Malformed", "It holds a control character.")
    return text


def _alias(parameters: Parameters, name: str) -> str | None:
    text = parameters.given(name)
    if text and (len(text) > MAX_ALIAS_CHARACTERS or _CONTROL.search(text)):
        raise ApiError(f"Invalid{name}.Malformed", f"At most {MAX_ALIAS_CHARACTERS} characters.")
    return text


def _check_bodies(parameters: Parameters) -> None:
    bodies = [name for name in ("HtmlBody", "TextBody") if parameters.given(name)]
    if not bodies:
        raise ApiError("InvalidBody", "One of HtmlBody, TextBody and Template is needed.")
    for name in bodies:
        if parameters.sizes[name] > MAX_BODY_BYTES:
            raise ApiError("InvalidBody", f"{name} takes more than {MAX_BODY_BYTES} bytes.")


def _template(text: str | None, rules: DirectMailRules) -> TemplateUse | None:
    if text is None:
        return None
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise ApiError("InvalidParameter", "Template must be a JSON object.")
    template_id, data = given.get("TemplateId"), given.get("TemplateData") or {}
    if not template_id:
        raise ApiError("MissingParameter", "Template.TemplateId is mandatory.")
    texts = [template_id, *data, *data.values()] if isinstance(data, dict) else [None]
    if not all(isinstance(value, str) and _encodable(value) for value in texts):
        raise ApiError("InvalidParameter", "Template.TemplateData must map texts to texts.")
    if rules.templates is not None and template_id not in rules.templates:
        raise ApiError("InvalidTemplate.NotFound")
    return TemplateUse(template_id, data)


def _encodable(text: str) -> bool:
    # JSON can spell half a surrogate pair, which no mail can hold.
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _tag(parameters: Parameters, rules: DirectMailRules) -> str | None:
    tag = parameters.given("TagName")
    if tag is None:
        if parameters.given("ClickTrace") == "1":
            raise ApiError("MissingParameter", "TagName is mandatory when ClickTrace is 1.")
        return None
    if not _TAG.fullmatch(tag):
        raise ApiError("InvalidTagName.Malformed")
    if rules.tags is not None and tag not in rules.tags:
        raise ApiError("InvalidTag.NotFound")
    return tag


def _attachments(parameters: Parameters) -> tuple[AttachmentLink, ...]:
    numbers = sorted({int(m[1]) for m in map(_ATTACHMENT.fullmatch, parameters.values) if m})
    if len(numbers) > MAX_ATTACHMENTS:
        raise ApiError("InvalidParameter", f"At most {MAX_ATTACHMENTS} attachments.")
    if numbers != list(range(1, len(numbers) + 1)):
        raise ApiError("InvalidParameter", "Attachments must be numbered 1, 2, 3 and so on.")
    links = []
    for number in numbers:
        name = parameters.required(f"Attachments.{number}.AttachmentName")
        if _CONTROL.search(name):
            raise ApiError("InvalidParameter", "An AttachmentName holds a control character.")
        url = parameters.required(f"Attachments.{number}.AttachmentUrl")
        links.append(AttachmentLink(name, url))
    return tuple(links)
