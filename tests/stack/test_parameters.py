"""Every documented parameter of SingleSendMail arrives at DirectMail byte for byte.

The list: https://www.alibabacloud.com/help/en/direct-mail/api-dm-2015-11-23-singlesendmail
"""

from __future__ import annotations

import base64
import email
import email.policy
import json
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.stack

BASE: dict[str, Any] = {
    "sender": {"address": "noreply@mail.example.com"},
    "to": ["ada@example.net"],
    "subject": "Hello",
    "text": "Hello Ada",
}
BODY = "<html><body><a href='https://example.com/?a=1&b=2'>é 世界 + % \t</a>\r\n</body></html>"

# what the request says in addition -> the parameters as they must arrive (None: must be absent)
TABLE: dict[str, tuple[dict[str, Any], dict[str, str | None]]] = {
    "AccountName": (
        {"sender": {"address": "news.letter+2@mail.example.com"}},
        {"AccountName": "news.letter+2@mail.example.com"},
    ),
    "AccountName by default": ({"sender": None}, {"AccountName": "noreply@mail.example.com"}),
    "DomainAuth": (
        {"sender": {"domain": "mail.example.com"}, "domain_auth": True},
        {"AccountName": "mail.example.com", "DomainAuth": "true"},
    ),
    "DomainAuth off": ({}, {"DomainAuth": None}),
    "FromAlias": (
        {"sender": {"address": "noreply@mail.example.com", "alias": "小红的店 & Söhne"}},
        {"FromAlias": "小红的店 & Söhne"},
    ),
    "AddressType sender": ({"address_type": "sender"}, {"AddressType": "1"}),
    "AddressType random": ({"address_type": "random"}, {"AddressType": "0"}),
    "ToAddress": (
        {"to": ["ada@example.net", "bob+x@example.org", "c@bücher.example"]},
        {"ToAddress": "ada@example.net,bob+x@example.org,c@xn--bcher-kva.example"},
    ),
    "BccAddress": (
        {"bcc": ["one@example.net", "two@example.net"]},
        {"BccAddress": "one@example.net,two@example.net"},
    ),
    "Subject": ({"subject": "订单 & 100 % = ? # é ü"}, {"Subject": "订单 & 100 % = ? # é ü"}),
    "TextBody": (
        {"text": "a\r\nb\tc & d=e + f % é 世界"},
        {"TextBody": "a\r\nb\tc & d=e + f % é 世界"},
    ),
    "HtmlBody": ({"text": None, "html": BODY}, {"HtmlBody": BODY, "TextBody": None}),
    "HtmlBody and TextBody": ({"html": BODY}, {"HtmlBody": BODY, "TextBody": "Hello Ada"}),
    "Template": (
        {"text": None, "template": {"id": "welcome-1", "data": {"name": "Ada & 小红"}}},
        {
            "Template": '{"TemplateData":{"name":"Ada & 小红"},"TemplateId":"welcome-1"}',
            "TextBody": None,
        },
    ),
    "ReplyToAddress none": ({}, {"ReplyToAddress": "false", "ReplyAddress": None}),
    "ReplyToAddress console": ({"reply_to": "console"}, {"ReplyToAddress": "true"}),
    "ReplyAddress": (
        {"reply_to": {"address": "help@example.com", "alias": "Hilfe"}},
        {
            "ReplyToAddress": "false",
            "ReplyAddress": "help@example.com",
            "ReplyAddressAlias": "Hilfe",
        },
    ),
    "TagName": ({"tag": "order_shipped-1"}, {"TagName": "order_shipped-1"}),
    "ClickTrace": (
        {"tag": "news", "html": BODY, "track_clicks": True},
        {"ClickTrace": "1", "TagName": "news"},
    ),
    "ClickTrace off": ({}, {"ClickTrace": None}),
    "UnSubscribeLinkType default": (
        {"unsubscribe_link": "default"},
        {"UnSubscribeLinkType": "default"},
    ),
    "UnSubscribeLinkType disabled": (
        {"unsubscribe_link": "disabled"},
        {"UnSubscribeLinkType": "disabled"},
    ),
    **{
        f"UnSubscribeFilterLevel {level}": (
            {"unsubscribe_filter": level},
            {"UnSubscribeFilterLevel": level},
        )
        for level in ("default", "disabled", "mailfrom", "mailfrom_domain", "edm_id")
    },
    "IpPoolId": ({"ip_pool_id": "e4b5-pool"}, {"IpPoolId": "e4b5-pool"}),
}


def send(url: str, request: dict[str, Any]) -> dict[str, Any]:
    """Post one mail request and expect it to be sent."""
    given = {name: value for name, value in request.items() if value is not None}
    answer = httpx.post(f"{url}/v1/mails", json=given, trust_env=False, timeout=30)
    assert answer.status_code == 201, answer.text
    result: dict[str, Any] = answer.json()
    return result


def stored(stack: Any, env_id: str) -> Any:
    """What the twin kept of a mail."""
    return next(m for m in stack.outbox().mails(limit=1_000) if m.env_id == env_id)


@pytest.mark.parametrize("name", TABLE)
def test_a_parameter_arrives(name: str, stack: Any) -> None:
    """A JSON mail request through HTTP, the function and the SDK: the parameter as documented."""
    given, expected = TABLE[name]
    result = send(stack.url, {**BASE, **given})
    parameters = stored(stack, result["env_id"]).parameters
    assert {key: parameters.get(key) for key in expected} == expected


def test_headers_arrive(stack: Any) -> None:
    """Headers and notify values arrive in `Headers`, with the two that Postbus adds."""
    request = {
        **BASE,
        "headers": {
            "List-Unsubscribe": "<https://example.com/u?x=1>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
            "X-User-Campaign": "spring & autumn",
        },
        "notify": {"OrderId": "47 11", "Trace-ID": "a=b&c"},
    }
    result = send(stack.url, request)
    headers = json.loads(stored(stack, result["env_id"]).parameters["Headers"])
    mail_id = result["mail_id"]
    assert headers == {
        **request["headers"],
        "X-User-Notify-OrderId": "47 11",
        "X-User-Notify-Trace-ID": "a=b&c",
        "X-User-Notify-Postbus": f"v1.local.{mail_id}.1",
        "Message-ID": f"<{mail_id}.local@mail.example.com>",
    }


def test_attachments_arrive(stack: Any) -> None:
    """Attachments go up through the SDK's advance call and are in the mail, byte for byte."""
    files = {"report.pdf": bytes(range(256)) * 400, "名片.txt": b"hello", "empty.bin": b"\0"}
    result = send(
        stack.url,
        {
            **BASE,
            "attachments": [
                {"name": name, "content": base64.b64encode(data).decode()}
                for name, data in files.items()
            ],
        },
    )
    eml = stored(stack, result["env_id"]).eml_path.read_bytes()
    mail = email.message_from_bytes(eml, policy=email.policy.default)
    assert {
        part.get_filename(): part.get_payload(decode=True) for part in mail.iter_attachments()
    } == files


@pytest.mark.parametrize("size", [0, 1, 16_383, 16_384, 16_385, 32_768, 8_000_000])
def test_an_attachment_of_any_length_arrives(size: int, stack: Any) -> None:
    """Also of the lengths around a block, of which the SDK's form alone loses one."""
    data = bytes(number % 251 for number in range(1_000)) * (size // 1_000 + 1)
    content = base64.b64encode(data[:size]).decode()
    result = send(stack.url, {**BASE, "attachments": [{"name": "a.bin", "content": content}]})
    eml = stored(stack, result["env_id"]).eml_path.read_bytes()
    (part,) = email.message_from_bytes(eml, policy=email.policy.default).iter_attachments()
    assert part.get_payload(decode=True) == data[:size]
