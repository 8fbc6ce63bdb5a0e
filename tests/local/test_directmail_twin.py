"""SingleSendMail as the official SDK meets it: what is accepted, kept and refused."""

from __future__ import annotations

import email
import email.policy
import json
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any

import pytest
from alibabacloud_dm20151123 import models
from alibabacloud_tea_openapi.exceptions import ClientException

from local.twins.directmail.outbox import Outbox, StoredMail
from local.twins.directmail.rules import DirectMailRules

AWKWARD = " 100 % + & = / ? # \t\r\n \"'<>\\ é 世界 \U0001f600 \u200d"


def only(outbox: Outbox) -> StoredMail:
    """The one mail that was accepted."""
    (stored,) = outbox.mails()
    return stored


def latest(outbox: Outbox) -> StoredMail:
    """The mail that was accepted last."""
    (stored,) = outbox.mails(after=outbox.count() - 1)
    return stored


def read_eml(stored: StoredMail) -> EmailMessage:
    """The mail's file, parsed by the standard library."""
    with stored.eml_path.open("rb") as file:
        message = email.message_from_binary_file(file, policy=email.policy.SMTP)
    assert isinstance(message, EmailMessage)
    return message


def addresses(count: int) -> str:
    """That many recipients."""
    return ",".join(f"u{number}@example.net" for number in range(count))


def test_a_mail_is_answered_with_its_ids_and_kept(directmail: Any) -> None:
    """An accepted mail's EnvId and RequestId are those of the outbox and of the activity."""
    answer = directmail.send()
    stored = only(directmail.outbox)
    assert (answer.env_id, answer.request_id) == (stored.env_id, stored.request_id)
    assert stored.recipients == ("ann@example.net",)
    assert stored.eml_path.name == f"{stored.env_id}.eml"
    (accepted,) = [h for h in directmail.activity.kept() if h.name == "directmail.accepted"]
    assert accepted.fields == {
        "env_id": stored.env_id,
        "request_id": stored.request_id,
        "recipients": 1,
        "eml": str(stored.eml_path),
    }


# SDK field, value given, name on the wire, text on the wire
PARAMETERS = [
    ("account_name", "noreply@example.com", "AccountName", "noreply@example.com"),
    ("address_type", 0, "AddressType", "0"),
    ("address_type", 1, "AddressType", "1"),
    ("bcc_address", "x@example.org,y+z@example.org", "BccAddress", None),
    ("click_trace", "0", "ClickTrace", "0"),
    ("domain_auth", False, "DomainAuth", "False"),
    ("from_alias", '小红 "R" \\ é', "FromAlias", None),
    ("headers", '{"X-User-Notify-UID": "a b+c%26"}', "Headers", None),
    ("html_body", f"<p>{AWKWARD}</p>", "HtmlBody", None),
    ("ip_pool_id", "10306c37-ffff-a82f", "IpPoolId", None),
    ("owner_id", 42, "OwnerId", "42"),
    ("reply_address", "help+me@example.org", "ReplyAddress", None),
    ("reply_address_alias", "Ünterstützung", "ReplyAddressAlias", None),
    ("reply_to_address", True, "ReplyToAddress", "True"),
    ("reply_to_address", False, "ReplyToAddress", "False"),
    ("resource_owner_account", "a b+c", "ResourceOwnerAccount", None),
    ("resource_owner_id", 43, "ResourceOwnerId", "43"),
    ("subject", "100 % + & = é 世界 \U0001f600", "Subject", None),
    ("tag_name", "welcome", "TagName", None),
    ("text_body", AWKWARD * 100, "TextBody", None),
    ("to_address", "a.b-c_d+e@sub.example.net,f@example.net", "ToAddress", None),
    ("un_subscribe_filter_level", "mailfrom_domain", "UnSubscribeFilterLevel", None),
    ("un_subscribe_link_type", "disabled", "UnSubscribeLinkType", None),
]


@pytest.mark.parametrize(("field", "value", "name", "text"), PARAMETERS)
def test_every_parameter_arrives_byte_for_byte(
    shared_directmail: Any, field: str, value: Any, name: str, text: str | None
) -> None:
    """What the SDK was given for a parameter is what the outbox has, to the byte."""
    shared_directmail.send(**{field: value})
    assert latest(shared_directmail.outbox).parameters[name] == (value if text is None else text)


def test_a_template_arrives_with_its_data(directmail: Any) -> None:
    """The template's id and data arrive as one JSON object."""
    data = {"name": AWKWARD, "n": "1"}
    template = models.SingleSendMailRequestTemplate(template_id="7", template_data=data)
    directmail.send(template=template, text_body=None)
    sent = json.loads(only(directmail.outbox).parameters["Template"])
    assert sent == {"TemplateData": data, "TemplateId": "7"}


def test_all_parameters_of_the_sdk_are_in_the_table() -> None:
    """A parameter that a new SDK adds makes this fail, so that the twin learns it."""
    fields = {name for name in vars(models.SingleSendMailRequest()) if not name.startswith("_")}
    assert fields == {field for field, *_ in PARAMETERS} | {"template", "attachments"}


def test_no_parameter_is_made_up(directmail: Any) -> None:
    """The outbox has the parameters that were sent and no others."""
    directmail.send()
    assert only(directmail.outbox).parameters == {
        "AccountName": "noreply@example.com",
        "AddressType": "1",
        "ReplyToAddress": "False",
        "Subject": "Hello",
        "TextBody": "Hello, Ann.",
        "ToAddress": "ann@example.net",
    }


def headers(count: int) -> str:
    """A Headers parameter of that many headers."""
    return json.dumps({f"X-User-{number}": str(number) for number in range(count)})


EIGHT_MB = 8 * 1024 * 1024
LIMITS = [
    ("at-recipients", {"to_address": addresses(100)}, None),
    ("past-recipients", {"to_address": addresses(101)}, "InvalidToAddress"),
    ("at-bcc", {"bcc_address": addresses(2)}, None),
    ("past-bcc", {"bcc_address": addresses(3)}, "InvalidParameter"),
    ("at-address", {"to_address": "a" * 180 + "@example.net"}, None),
    ("past-address", {"to_address": "a" * 181 + "@example.net"}, "EmailLengthError"),
    ("at-subject", {"subject": "世" * 256}, None),
    ("past-subject", {"subject": "世" * 257}, "InvalidSubject.Malformed"),
    ("at-alias", {"from_alias": "世" * 15}, None),
    ("past-alias", {"from_alias": "世" * 16}, "InvalidFromAlias.Malformed"),
    ("at-reply-alias", {"reply_address": "a@b.c", "reply_address_alias": "r" * 15}, None),
    ("past-reply-alias", {"reply_address_alias": "r" * 16}, "InvalidReplyAddressAlias.Malformed"),
    ("at-tag", {"tag_name": "t" * 128}, None),
    ("past-tag", {"tag_name": "t" * 129}, "InvalidTagName.Malformed"),
    ("at-headers", {"headers": headers(10)}, None),
    ("at-text", {"text_body": "x" * EIGHT_MB}, None),
    ("past-text", {"text_body": "x" * (EIGHT_MB + 1)}, "InvalidBody"),
    ("at-html", {"html_body": "<>" + "x" * (EIGHT_MB - 6)}, None),
    ("past-html", {"html_body": "<>" + "x" * (EIGHT_MB - 5)}, "InvalidBody"),
]


@pytest.mark.parametrize(
    ("changes", "code"), [case[1:] for case in LIMITS], ids=[case[0] for case in LIMITS]
)
def test_each_limit_holds_at_it_and_one_past_it(
    shared_directmail: Any, changes: dict[str, Any], code: str | None
) -> None:
    """A value at its limit is accepted, one past it is refused with the documented code."""
    before = shared_directmail.outbox.count()
    if code is None:
        shared_directmail.send(**changes)
        assert shared_directmail.outbox.count() == before + 1
        return
    with pytest.raises(ClientException) as refusal:
        shared_directmail.send(**changes)
    assert refusal.value.code == code
    assert shared_directmail.outbox.count() == before


def template(template_id: str | None, data: Any = None) -> Any:
    """The SDK's template object."""
    return models.SingleSendMailRequestTemplate(template_id=template_id, template_data=data)


REFUSALS = [
    ({"account_name": "nobody@example.com"}, 404, "InvalidMailAddress.NotFound"),
    ({"account_name": "verified.example"}, 404, "InvalidMailAddress.NotFound"),
    ({"account_name": "a b@verified.example"}, 404, "InvalidMailAddress.NotFound"),
    (
        {"account_name": "example.com", "domain_auth": True},
        400,
        "InvalidMailAddressDomain.Malformed",
    ),
    (
        {"account_name": "@verified.example", "domain_auth": True},
        404,
        "InvalidMailAddress.NotFound",
    ),
    ({"account_name": None}, 400, "MissingParameter"),
    ({"address_type": None}, 400, "MissingParameter"),
    ({"reply_to_address": None}, 400, "MissingParameter"),
    ({"to_address": None}, 400, "MissingParameter"),
    ({"subject": None}, 400, "MissingParameter"),
    ({"subject": ""}, 400, "MissingParameter"),
    ({"address_type": 2}, 400, "InvalidParameter"),
    ({"reply_to_address": "yes"}, 400, "InvalidParameter"),
    ({"domain_auth": "1"}, 400, "InvalidParameter"),
    ({"to_address": "ann"}, 400, "InvalidToAddress"),
    ({"to_address": "ann@"}, 400, "InvalidToAddress"),
    ({"to_address": "a@example.net,"}, 400, "InvalidToAddress"),
    ({"to_address": "a@example.net, b@example.net"}, 400, "InvalidToAddress"),
    ({"to_address": "Ann <ann@example.net>"}, 400, "InvalidToAddress"),
    ({"to_address": "ünn@example.net"}, 400, "InvalidToAddress"),
    ({"to_address": "ann@example..net"}, 400, "InvalidToAddress"),
    ({"to_address": "ann@example.net\n"}, 400, "InvalidToAddress"),
    ({"bcc_address": "ann"}, 400, "InvalidToAddress"),
    ({"reply_address": "ann"}, 400, "InvalidReplyAddress.Malformed"),
    ({"subject": "two\r\nBcc: x@example.net"}, 400, "InvalidSubject.Malformed"),
    ({"from_alias": "two\nlines"}, 400, "InvalidFromAlias.Malformed"),
    ({"text_body": None}, 400, "InvalidBody"),
    ({"text_body": "", "html_body": ""}, 400, "InvalidBody"),
    ({"tag_name": "no such tag"}, 400, "InvalidTagName.Malformed"),
    ({"tag_name": "unheard-of"}, 404, "InvalidTag.NotFound"),
    ({"click_trace": "1"}, 400, "MissingParameter"),
    ({"click_trace": "yes"}, 400, "InvalidParameter"),
    ({"un_subscribe_link_type": "maybe"}, 400, "InvalidParameter"),
    ({"un_subscribe_filter_level": "maybe"}, 400, "InvalidParameter"),
    ({"template": template("8")}, 404, "InvalidTemplate.NotFound"),
    ({"template": template(None, {"a": "b"})}, 400, "MissingParameter"),
    ({"template": template("7", {"a": 1})}, 400, "InvalidParameter"),
    ({"headers": "no JSON"}, 400, "InvalidParameter"),
    ({"headers": "[]"}, 400, "InvalidParameter"),
    ({"headers": '{"X-User-A": 1}'}, 400, "InvalidParameter"),
    ({"headers": '{"X-Other": "a"}'}, 400, "InvalidParameter"),
    ({"headers": '{"From": "a@b.c"}'}, 400, "InvalidParameter"),
    ({"headers": '{"X-User-A B": "a"}'}, 400, "InvalidParameter"),
    ({"headers": '{"X-User-A": "a\\r\\nBcc: x@example.net"}'}, 400, "InvalidParameter"),
    ({"headers": '{"X-User-A": "é"}'}, 400, "InvalidParameter"),
    ({"headers": "[" * 100_000}, 400, "InvalidParameter"),
]


@pytest.mark.parametrize(("changes", "status", "code"), REFUSALS)
def test_what_the_service_would_refuse_is_refused_in_its_words(
    shared_directmail: Any, changes: dict[str, Any], status: int, code: str
) -> None:
    """A refusal has the documented code, status and JSON keys, and nothing is kept."""
    before = shared_directmail.outbox.count()
    with pytest.raises(ClientException) as refusal:
        shared_directmail.send(**changes)
    error = refusal.value
    assert (error.code, error.status_code) == (code, status)
    assert set(error.data) == {
        "Code",
        "HostId",
        "Message",
        "Recommend",
        "RequestId",
        "statusCode",
    }
    assert error.data["HostId"] == f"127.0.0.1:{shared_directmail.port}"
    refused = [h for h in shared_directmail.activity.kept() if h.name == "directmail.refused"][-1]
    assert refused.fields == {"code": code, "request_id": error.request_id}
    assert shared_directmail.outbox.count() == before


def test_a_hundred_recipients_share_one_env_id(directmail: Any) -> None:
    """One call is one mail with one EnvId, and each recipient has an event of their own."""
    answer = directmail.send(to_address=addresses(100))
    events = directmail.events(100)
    assert {event["data"]["env_id"] for event in events} == {answer.env_id}
    assert [event["data"]["rcpt"] for event in events] == addresses(100).split(",")
    assert len({event["id"] for event in events}) == 100


def test_headers_beyond_the_tenth_are_dropped_without_a_word(directmail: Any) -> None:
    """Ten headers travel; the eleventh is ignored, as documented."""
    directmail.send(headers=headers(11))
    message = read_eml(only(directmail.outbox))
    assert [message[f"X-User-{number}"] for number in (0, 9, 10)] == ["0", "9", None]


def test_header_names_are_compared_without_case(directmail: Any) -> None:
    """Names that differ in case are one header, and the standard ones replace the mail's own."""
    given = {"MESSAGE-ID": "<a@b.c>", "x-user-a": "1", "X-USER-A": "2", "list-unsubscribe": "<x:>"}
    directmail.send(headers=json.dumps(given))
    message = read_eml(only(directmail.outbox))
    assert message.get_all("Message-ID") == ["<a@b.c>"]
    assert message.get_all("X-User-A") == ["2"]
    assert message.get_all("List-Unsubscribe") == ["<x:>"]


def test_the_eml_is_what_the_recipient_would_get(directmail: Any) -> None:
    """Sender, recipients, subject, headers and both bodies can be read back from the file."""
    directmail.send(
        from_alias="小红",
        subject="Grüße 世界",
        to_address="a@example.net,b@example.net",
        bcc_address="secret@example.org",
        reply_address="help@example.org",
        reply_address_alias='The "desk"',
        text_body=AWKWARD,
        html_body=f"<p>{AWKWARD}</p>",
        headers='{"X-User-Notify-UID": "  two  spaces "}',
    )
    stored = only(directmail.outbox)
    message = read_eml(stored)
    assert message["From"] == "小红 <noreply@example.com>"
    assert message["To"] == "a@example.net, b@example.net"
    assert message["Reply-To"].addresses[0].display_name == 'The "desk"'
    assert message["Subject"] == "Grüße 世界"
    assert message["X-EnvId"] == stored.env_id
    assert b"\r\nX-User-Notify-UID:   two  spaces \r\n" in stored.eml_path.read_bytes()
    assert b"secret@example.org" not in stored.eml_path.read_bytes()
    assert stored.bcc == ("secret@example.org",)
    text, html = message.iter_parts()
    assert text.get_payload(decode=True) == AWKWARD.encode()
    assert html.get_payload(decode=True) == f"<p>{AWKWARD}</p>".encode()


def test_bodies_are_ignored_beside_a_template(directmail: Any) -> None:
    """A template mail holds the template's id and data, and no body that was sent with it."""
    directmail.send(template=template("7", {"name": "Ann"}), text_body="unread", html_body="unread")
    message = read_eml(only(directmail.outbox))
    shown = {"TemplateId": "7", "TemplateData": {"name": "Ann"}}
    assert json.loads(message.get_content()) == shown


@pytest.mark.parametrize(
    ("account", "sender"),
    [
        ("verified.example", "domain-auth-created-by-system@verified.example"),
        ("anybody@verified.example", "anybody@verified.example"),
    ],
)
def test_domain_auth_takes_the_domain_or_an_address_of_it(
    directmail: Any, account: str, sender: str
) -> None:
    """Both readings of the documentation work: the bare domain and an address of the domain."""
    directmail.send(account_name=account, domain_auth=True)
    assert read_eml(only(directmail.outbox))["From"] == sender


def test_a_verified_domain_lets_each_of_its_addresses_send(directmail: Any) -> None:
    """Any address of a verified domain is a sender, whatever its case."""
    directmail.send(account_name="Any.Body@Verified.Example")
    assert directmail.outbox.count() == 1


def test_without_lists_every_tag_and_template_exists(
    start_directmail: Callable[..., Any],
) -> None:
    """Rules that list no tags and templates accept every well-formed one."""
    twin = start_directmail(DirectMailRules(senders=frozenset({"NoReply@Example.com"})))
    twin.send(tag_name="any-tag", click_trace="1", template=template("any"))
    assert twin.outbox.count() == 1


def test_another_process_reads_the_outbox_page_by_page(directmail: Any) -> None:
    """A second reader sees what was accepted, in order, in pages, while the twin runs."""
    sent = [directmail.send(subject=str(number)).env_id for number in range(5)]
    reader = Outbox(directmail.outbox.directory)
    first = reader.mails(limit=3)
    rest = reader.mails(after=first[-1].sequence)
    assert [stored.env_id for stored in first + rest] == sent
    assert [stored.sequence for stored in first + rest] == [1, 2, 3, 4, 5]
    assert reader.count() == 5
    reader.close()


def test_the_outbox_outlives_a_restart(start_directmail: Callable[..., Any]) -> None:
    """A restarted twin still has its mails and goes on counting."""
    first = start_directmail().send()
    again = start_directmail()
    again.send()
    stored = again.outbox.mails()
    assert [mail.sequence for mail in stored] == [1, 2]
    assert stored[0].env_id == first.env_id
