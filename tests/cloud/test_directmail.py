"""DirectMail's adapter against the twin: the official SDK, real HTTP, real signatures."""

from __future__ import annotations

import base64
import email
import email.policy
import json
from collections.abc import Callable
from typing import Any

import pytest

from local.account import OWNER, AccessKey, Account
from shared.cloud.directmail import DirectMail, Endpoint
from shared.schema.mail_request import Attachment, ReplyAddress, Sender, Template
from shared.sending.answers import Accepted, Broken, Rejected
from shared.sending.compose import OutgoingMail
from shared.triggers.context import Credentials, Invocation

Outgoing = Callable[..., OutgoingMail]
Call = Callable[..., Invocation]
SENDER = "noreply@mail.example.com"
AWKWARD = " 100 % + & = / ? # \t\r\n \"'<>\\ é 世界 \U0001f600 \u200d"


@pytest.fixture
def provider(directmail_twin: Any, certificate: Any) -> DirectMail:
    """The adapter, pointed at the twin."""
    return DirectMail(
        Endpoint(
            "cn-hangzhou",
            f"http://127.0.0.1:{directmail_twin.port}",
            f"127.0.0.1:{directmail_twin.port}",
            str(certificate.ca_file),
        )
    )


def test_an_accepted_mail_has_directmails_ids(
    provider: DirectMail, directmail_twin: Any, outgoing: Outgoing, call: Call
) -> None:
    """The answer's ids are those that the service keeps."""
    answer = provider.send(outgoing(), call(), 10_000)
    stored = directmail_twin.latest()
    assert answer == Accepted(stored.env_id, stored.request_id)


# what the mail says -> what must arrive; None: the parameter is not sent at all
PARAMETERS: list[tuple[dict[str, Any], dict[str, str | None]]] = [
    ({}, {"AccountName": SENDER, "AddressType": "1", "DomainAuth": None, "FromAlias": None}),
    ({"sender": Sender(address=SENDER, alias="Bücher & Co")}, {"FromAlias": "Bücher & Co"}),
    ({"address_type": "random"}, {"AddressType": "0"}),
    (
        {"sender": Sender(domain="auth.example"), "domain_auth": True},
        {"AccountName": "auth.example", "DomainAuth": "true"},
    ),
    ({"ip_pool_id": "10306c37-ffff-a82f"}, {"IpPoolId": "10306c37-ffff-a82f"}),
    ({"to": ("a+b@example.net", "c@example.net")}, {"ToAddress": "a+b@example.net,c@example.net"}),
    (
        {"to": tuple(f"u{n}@example.net" for n in range(100))},
        {"ToAddress": ",".join(f"u{n}@example.net" for n in range(100))},
    ),
    ({"bcc": ("x@example.net", "y@example.net")}, {"BccAddress": "x@example.net,y@example.net"}),
    ({"bcc": ()}, {"BccAddress": None}),
    (
        {"subject": "50 % off + más & 世界 \U0001f600"},
        {"Subject": "50 % off + más & 世界 \U0001f600"},
    ),
    ({"html": AWKWARD, "text": None}, {"HtmlBody": AWKWARD, "TextBody": None}),
    ({"text": AWKWARD}, {"TextBody": AWKWARD, "HtmlBody": None}),
    (
        {"text": None, "template": Template(id="7", data={"name": AWKWARD, "n": "1"})},
        {
            "Template": json.dumps(
                {"TemplateData": {"name": AWKWARD, "n": "1"}, "TemplateId": "7"},
                ensure_ascii=False,
                separators=(",", ":"),
            ),
            "TextBody": None,
        },
    ),
    ({"reply_to_console": True}, {"ReplyToAddress": "true", "ReplyAddress": None}),
    (
        {"reply_address": ReplyAddress(address="help@example.org", alias="Hilfe")},
        {
            "ReplyToAddress": "false",
            "ReplyAddress": "help@example.org",
            "ReplyAddressAlias": "Hilfe",
        },
    ),
    ({"tag": "order-shipped"}, {"TagName": "order-shipped", "ClickTrace": None}),
    ({"tag": "t", "track_clicks": True}, {"TagName": "t", "ClickTrace": "1"}),
    ({"unsubscribe_link": "disabled"}, {"UnSubscribeLinkType": "disabled"}),
    ({"unsubscribe_filter": "mailfrom_domain"}, {"UnSubscribeFilterLevel": "mailfrom_domain"}),
    (
        {"headers": (("Message-ID", "<m@x.example>"), ("X-User-Notify-N", 'a "b" \\ 1'))},
        {"Headers": '{"Message-ID": "<m@x.example>", "X-User-Notify-N": "a \\"b\\" \\\\ 1"}'},
    ),
]


@pytest.mark.parametrize(("changes", "wire"), PARAMETERS, ids="+".join)
def test_every_parameter_arrives_byte_for_byte(
    *,
    provider: DirectMail,
    directmail_twin: Any,
    outgoing: Outgoing,
    call: Call,
    changes: dict[str, Any],
    wire: dict[str, str | None],
) -> None:
    """What the mail says is on the wire, and what it does not say is not."""
    answer = provider.send(outgoing(**changes), call(), 10_000)
    assert isinstance(answer, Accepted)
    arrived = directmail_twin.latest().parameters
    assert {name: arrived.get(name) for name in wire} == wire
    assert set(arrived) <= {name for _, row in PARAMETERS for name in row} | {"TextBody"}


def test_attachments_arrive_byte_for_byte(
    provider: DirectMail, directmail_twin: Any, outgoing: Outgoing, call: Call
) -> None:
    """Each file is uploaded through the SDK's own call and ends in the mail, in its order."""
    files = {"a.bin": bytes(range(256)) * 40, "Bücher.txt": "世界".encode(), "empty.txt": b"\n"}
    attachments = tuple(
        Attachment(name=name, content=base64.b64encode(data).decode())
        for name, data in files.items()
    )
    answer = provider.send(outgoing(attachments=attachments, html="<p>hi</p>"), call(), 10_000)
    assert isinstance(answer, Accepted)
    message = email.message_from_bytes(
        directmail_twin.latest().eml_path.read_bytes(), policy=email.policy.default
    )
    assert {
        part.get_filename(): part.get_payload(decode=True) for part in message.iter_attachments()
    } == files


def test_attachments_go_with_every_other_parameter(
    provider: DirectMail, directmail_twin: Any, outgoing: Outgoing, call: Call
) -> None:
    """The SDK's advance call has a request of its own, which must not lose anything."""
    file = Attachment(name="a.txt", content="YQ==")
    mail = outgoing(
        attachments=(file,), text=None, template=Template(id="7", data={"n": "1"}), tag="t"
    )
    assert isinstance(provider.send(mail, call(), 10_000), Accepted)
    arrived = directmail_twin.latest().parameters
    assert json.loads(arrived["Template"]) == {"TemplateId": "7", "TemplateData": {"n": "1"}}
    assert arrived["Headers"] == '{"X-User-Notify-OrderId": "4711"}'
    assert (arrived["TagName"], arrived["ReplyToAddress"]) == ("t", "false")
    assert arrived["Attachments.1.AttachmentName"] == "a.txt"


def test_temporary_credentials_are_signed_with_their_token(
    provider: DirectMail, outgoing: Outgoing, call: Call, account: Account
) -> None:
    """A function's role has them, and each invocation may have others."""
    for _ in range(2):
        assert isinstance(provider.send(outgoing(), call(account.assume("r")), 10_000), Accepted)


WRONG: dict[str, tuple[AccessKey, str, int]] = {
    "secret": (AccessKey(OWNER.id, "wrong"), "SignatureDoesNotMatch", 400),
    "id": (AccessKey("nobody", OWNER.secret), "InvalidAccessKeyId.NotFound", 404),
    "token": (
        AccessKey(OWNER.id, OWNER.secret, "token"),
        "InvalidSecurityToken.Malformed",
        400,
    ),
}


@pytest.mark.parametrize("attachments", [False, True], ids=["plain", "attachment"])
@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_key_is_refused(
    *,
    provider: DirectMail,
    directmail_twin: Any,
    outgoing: Outgoing,
    call: Call,
    wrong: str,
    attachments: bool,
) -> None:
    """The twin verifies signatures as the service does, and takes nothing that is not signed."""
    key, code, status = WRONG[wrong]
    files = (Attachment(name="a", content="YQ=="),) if attachments else ()
    before = len(directmail_twin.mails())
    answer = provider.send(outgoing(attachments=files), call(key), 10_000)
    assert isinstance(answer, Rejected)
    assert (answer.code, answer.status) == (code, status)
    assert answer.request_id
    assert len(directmail_twin.mails()) == before


@pytest.mark.parametrize(
    "credentials", [None, Credentials("id", ""), Credentials("", "secret")], ids=repr
)
@pytest.mark.parametrize("attachments", [False, True], ids=["plain", "attachment"])
def test_without_credentials_nothing_is_called(
    provider: DirectMail,
    outgoing: Outgoing,
    call: Call,
    credentials: Credentials | None,
    attachments: bool,
) -> None:
    """A function without a role says so at once, with or without attachments."""
    made = call(None)
    unsigned = Invocation(made.request_id, made.function, made.deadline, credentials, made.clock)
    files = (Attachment(name="a", content="YQ=="),) if attachments else ()
    answer = provider.send(outgoing(attachments=files), unsigned, 10_000)
    assert isinstance(answer, Broken)
    assert answer.kind == "credentials"


@pytest.mark.parametrize(
    ("changes", "code", "status"),
    [
        ({"sender": Sender(address="who@else.example")}, "InvalidMailAddress.NotFound", 404),
        ({"to": tuple(f"u{n}@example.net" for n in range(101))}, "InvalidToAddress", 400),
        ({"to": ("no address",)}, "InvalidToAddress", 400),
        ({"subject": "s" * 257}, "InvalidSubject.Malformed", 400),
        ({"text": None}, "InvalidBody", 400),
        ({"tag": "not a tag"}, "InvalidTagName.Malformed", 400),
        ({"to": ()}, "MissingParameter", 400),
    ],
)
def test_a_refusal_has_the_services_code(
    *,
    provider: DirectMail,
    outgoing: Outgoing,
    call: Call,
    changes: dict[str, Any],
    code: str,
    status: int,
) -> None:
    """What the schema should have caught and did not is refused in DirectMail's own words."""
    answer = provider.send(outgoing(**changes), call(), 10_000)
    assert isinstance(answer, Rejected)
    assert (answer.code, answer.status) == (code, status)
    assert str(status) in answer.message


@pytest.mark.parametrize("slash", ["", "/"])
def test_https_is_spoken_where_the_certificate_is_trusted(
    directmail_twin: Any, certificate: Any, outgoing: Outgoing, call: Call, slash: str
) -> None:
    """The twin's own authority is trusted by name of its file, as the local stack does it."""
    url = f"https://127.0.0.1:{directmail_twin.tls_port}{slash}"
    provider = DirectMail(Endpoint("cn-hangzhou", url, ca_file=str(certificate.ca_file)))
    assert isinstance(provider.send(outgoing(), call(), 10_000), Accepted)


def test_threads_share_one_provider(
    provider: DirectMail,
    directmail_twin: Any,
    outgoing: Outgoing,
    call: Call,
    together: Callable[..., list[Any]],
) -> None:
    """Eight threads that start at the same moment send their mails, each its own."""
    mails = [outgoing(subject=f"thread {n}") for n in range(8)]
    answers = together(8, lambda n: [provider.send(mails[n], call(), 10_000) for _ in range(3)])
    sent = {mail.env_id: mail.parameters["Subject"] for mail in directmail_twin.mails()}
    for number, several in enumerate(answers):
        assert {sent[each.envelope_id] for each in several} == {f"thread {number}"}
    assert len({each.envelope_id for several in answers for each in several}) == 24
