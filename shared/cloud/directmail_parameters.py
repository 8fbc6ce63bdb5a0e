"""What one call of SingleSendMail says: a mail in DirectMail's own words.

https://www.alibabacloud.com/help/en/direct-mail/api-dm-2015-11-23-singlesendmail
"""

from __future__ import annotations

import json
from typing import Any

from shared.cloud.attachment_stream import AttachmentStream
from shared.cloud.directmail_sdk import DaraCore, models
from shared.sending.compose import OutgoingMail

_ADDRESS_TYPES = {"random": 0, "sender": 1}


def advance_request(mail: OutgoingMail) -> models.SingleSendMailAdvanceRequest:
    """Every attachment as a stream: the SDK mis-assigns a mix of streams and addresses."""
    request = models.SingleSendMailAdvanceRequest().from_map(parameters(mail))
    request.attachments = [
        models.SingleSendMailAdvanceRequestAttachments(
            attachment_name=attachment.name, attachment_url_object=AttachmentStream(attachment.data)
        )
        for attachment in mail.attachments
    ]
    return request


def form_fields(mail: OutgoingMail) -> dict[str, str | int]:
    """The parameters as a form has them: a template is one field of JSON."""
    fields = {name: value for name, value in parameters(mail).items() if value is not None}
    if "Template" in fields:
        fields["Template"] = DaraCore.to_json_string(fields["Template"])
    return fields


def parameters(mail: OutgoingMail) -> dict[str, Any]:
    """The call's parameters. Flags go as `true` and `false`, as the page above spells them."""
    reply, template = mail.reply_address, mail.template
    return {
        "AccountName": mail.sender_address,
        "FromAlias": mail.sender.alias,
        "AddressType": _ADDRESS_TYPES[mail.address_type],
        "DomainAuth": "true" if mail.domain_auth else None,
        "IpPoolId": mail.ip_pool_id,
        "ToAddress": ",".join(mail.to),
        "BccAddress": ",".join(mail.bcc) or None,
        "Subject": mail.subject,
        "HtmlBody": mail.html,
        "TextBody": mail.text,
        "Template": template and {"TemplateData": dict(template.data), "TemplateId": template.id},
        "ReplyToAddress": "true" if mail.reply_to_console else "false",
        "ReplyAddress": reply and reply.address,
        "ReplyAddressAlias": reply and reply.alias,
        "TagName": mail.tag,
        "ClickTrace": "1" if mail.track_clicks else None,
        "UnSubscribeLinkType": mail.unsubscribe_link,
        "UnSubscribeFilterLevel": mail.unsubscribe_filter,
        "Headers": json.dumps(dict(mail.headers), ensure_ascii=False),
    }
