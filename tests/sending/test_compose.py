"""From a mail request to the call's content, under an environment's rules."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from shared.schema.limits import HEADERS_MAX
from shared.schema.mail_request import Sender, parse_mail
from shared.schema.problems import InvalidMail
from shared.sending.compose import OutgoingMail, Policy, check, compose
from shared.sending.identity import MailToken, mail_id_of

TOKEN = MailToken("test", mail_id_of("test", "k"), 3)
OPEN = Policy("test", Sender(address="shop@example.com", alias="Shop"), (), ("*",))
MESSAGE_ID = f"<{TOKEN.mail_id}.test@example.com>"
OURS = {"Message-ID": MESSAGE_ID, "X-User-Notify-Postbus": f"v1.test.{TOKEN.mail_id}.3"}


def given(**more: Any) -> dict[str, Any]:
    """A good mail; None takes a field away."""
    mail = {"to": ["ada@example.net"], "subject": "Hello", "text": "Hi.", **more}
    return {name: value for name, value in mail.items() if value is not None}


def out(policy: Policy = OPEN, **more: Any) -> OutgoingMail:
    """What a mail becomes."""
    return compose(parse_mail(given(**more)), policy, TOKEN)


def told(policy: Policy, **more: Any) -> list[tuple[str, str]]:
    """What is wrong with a mail in an environment, as pairs of pointer and type."""
    mail = parse_mail(given(**more))
    try:
        check(mail, policy)
    except InvalidMail as invalid:
        return [(problem.pointer, problem.type) for problem in invalid.problems]
    return []


# What is given -> the attributes of the call that it sets; each other one is as in `BARE`.
BARE: dict[str, Any] = {
    "sender": Sender(address="shop@example.com", alias="Shop"),
    "address_type": "sender",
    "domain_auth": False,
    "ip_pool_id": None,
    "to": ("ada@example.net",),
    "bcc": (),
    "subject": "Hello",
    "html": None,
    "text": "Hi.",
    "template": None,
    "reply_to_console": False,
    "reply_address": None,
    "tag": None,
    "track_clicks": False,
    "unsubscribe_link": None,
    "unsubscribe_filter": None,
    "headers": tuple(OURS.items()),
    "attachments": (),
}
FIELDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nothing": ({}, {}),
    "sender": (
        {"sender": {"address": "news@example.com", "alias": "News"}},
        {"sender": Sender(address="news@example.com", alias="News")},
    ),
    "address_type": ({"address_type": "random"}, {"address_type": "random"}),
    "domain_auth": (
        {"sender": {"domain": "example.com"}, "domain_auth": True},
        {"sender": Sender(domain="example.com"), "domain_auth": True},
    ),
    "ip_pool_id": ({"ip_pool_id": "pool-1"}, {"ip_pool_id": "pool-1"}),
    "to": ({"to": ["a@x.org", "b@x.org"]}, {"to": ("a@x.org", "b@x.org")}),
    "bcc": ({"bcc": ["c@x.org"]}, {"bcc": ("c@x.org",)}),
    "subject": ({"subject": "Grüße 世界"}, {"subject": "Grüße 世界"}),
    "html": ({"html": "<p>Hi</p>"}, {"html": "<p>Hi</p>"}),
    "text": ({"text": "A\nB"}, {"text": "A\nB"}),
    "reply_to console": ({"reply_to": "console"}, {"reply_to_console": True}),
    "reply_to none": ({"reply_to": "none"}, {}),
    "tag": ({"tag": "order"}, {"tag": "order"}),
    "track_clicks": (
        {"track_clicks": True, "tag": "order", "html": "<a>"},
        {"track_clicks": True, "tag": "order", "html": "<a>"},
    ),
    "unsubscribe_link": ({"unsubscribe_link": "disabled"}, {"unsubscribe_link": "disabled"}),
    "unsubscribe_filter": ({"unsubscribe_filter": "edm_id"}, {"unsubscribe_filter": "edm_id"}),
    "headers": (
        {"headers": {"X-User-A": "1"}},
        {"headers": (("X-User-A", "1"), *OURS.items())},
    ),
    "notify": (
        {"notify": {"OrderId": "4711"}},
        {
            "headers": (
                ("Message-ID", MESSAGE_ID),
                ("X-User-Notify-OrderId", "4711"),
                ("X-User-Notify-Postbus", str(TOKEN)),
            )
        },
    ),
    "a Message-ID of the sender's own": (
        {"headers": {"message-id": "<1@example.com>"}},
        {
            "headers": (
                ("Message-ID", "<1@example.com>"),
                ("X-User-Notify-Postbus", str(TOKEN)),
            )
        },
    ),
}


@pytest.mark.parametrize(("more", "changes"), FIELDS.values(), ids=FIELDS)
def test_each_field_arrives(more: dict[str, Any], changes: dict[str, Any]) -> None:
    """Every field sets its part of the call and nothing else."""
    call = out(**more)
    assert {each.name: getattr(call, each.name) for each in fields(call)} == {**BARE, **changes}


def test_a_template() -> None:
    """A template goes out with its values, in place of the bodies."""
    call = out(text=None, template={"id": "7", "data": {"name": "Ada"}})
    assert call.template is not None
    assert (call.template.id, call.template.data) == ("7", {"name": "Ada"})
    assert (call.html, call.text) == (None, None)


def test_a_reply_address() -> None:
    """A reply address goes out with its alias, and not as the console's one."""
    call = out(reply_to={"address": "help@example.com", "alias": "Help"})
    assert call.reply_address is not None
    assert (call.reply_address.address, call.reply_address.alias) == ("help@example.com", "Help")
    assert call.reply_to_console is False


def test_attachments() -> None:
    """Files go out in their order, decoded."""
    files = [{"name": "a.txt", "content": "YQ=="}, {"name": "b.txt", "content": ""}]
    assert [(f.name, f.data) for f in out(attachments=files).attachments] == [
        ("a.txt", b"a"),
        ("b.txt", b""),
    ]


@pytest.mark.parametrize(
    ("sender", "address"),
    [
        (None, "shop@example.com"),
        ({"address": "news@example.com"}, "news@example.com"),
        ({"domain": "example.com"}, "example.com"),
    ],
)
def test_the_senders_address(sender: dict[str, str] | None, address: str) -> None:
    """The call's account is the sender's address, or the bare domain."""
    assert out(sender=sender, domain_auth=True).sender_address == address


def test_the_most_headers() -> None:
    """A mail with as many headers as the contract allows goes out with exactly DirectMail's ten."""
    most = {str(number): "v" for number in range(HEADERS_MAX - 2)}
    assert len(out(notify=most).headers) == HEADERS_MAX
    own = {"Message-ID": "<1@example.com>", "X-User-A": "1"}
    most.popitem()
    assert len(out(headers=own, notify=most).headers) == HEADERS_MAX


def test_message_ids_are_equal_across_attempts() -> None:
    """Attempts differ in the packed header alone, so that one event proves whichever it was."""
    mail = parse_mail(given(notify={"a": "1"}))
    first = dict(compose(mail, OPEN, MailToken("test", TOKEN.mail_id, 1)).headers)
    second = dict(compose(mail, OPEN, MailToken("test", TOKEN.mail_id, 2)).headers)
    assert {name for name in first if first[name] != second[name]} == {"X-User-Notify-Postbus"}


# --- The safety of environments -----------------------------------------------------------------

SHOP = Sender(address="shop@example.com")
SENDERS: dict[str, tuple[Policy, dict[str, Any], bool]] = {
    "no list": (Policy("test", SHOP, (), ("*",)), {}, True),
    "the default sender, listed": (Policy("test", SHOP, ("shop@example.com",), ("*",)), {}, True),
    "the default sender, not listed": (Policy("test", SHOP, ("x@example.com",), ("*",)), {}, False),
    "by domain": (Policy("test", SHOP, ("@example.com",), ("*",)), {}, True),
    "another domain": (Policy("test", SHOP, ("@example.org",), ("*",)), {}, False),
    "a domain is no suffix": (Policy("test", SHOP, ("@ample.com",), ("*",)), {}, False),
    "a subdomain is another": (
        Policy("test", None, ("@example.com",), ("*",)),
        {"sender": {"address": "a@mail.example.com"}},
        False,
    ),
    "without case": (Policy("test", SHOP, ("SHOP@Example.com",), ("*",)), {}, True),
    "a bare domain, listed": (
        Policy("test", None, ("@example.com",), ("*",)),
        {"sender": {"domain": "example.com"}, "domain_auth": True},
        True,
    ),
    "a bare domain for a listed address": (
        Policy("test", None, ("shop@example.com",), ("*",)),
        {"sender": {"domain": "example.com"}, "domain_auth": True},
        False,
    ),
}


@pytest.mark.parametrize(("policy", "more", "allowed"), SENDERS.values(), ids=SENDERS)
def test_allowed_senders(policy: Policy, more: dict[str, Any], *, allowed: bool) -> None:
    """Only listed senders pass; an empty list allows all."""
    assert told(policy, **more) == ([] if allowed else [("/sender", "sender-not-allowed")])


def test_no_sender_at_all() -> None:
    """A mail without a sender needs a default one."""
    assert told(Policy("test", None, (), ("*",))) == [("/sender", "missing")]


RECIPIENTS: dict[str, tuple[str, tuple[str, ...], list[str]]] = {
    "production, silent": ("production", (), []),
    "test, silent": ("test", (), ["/to/0", "/to/1", "/bcc/0"]),
    "no name like production": ("production-2", (), ["/to/0", "/to/1", "/bcc/0"]),
    "all": ("test", ("*",), []),
    "one": ("test", ("ada@example.net",), ["/to/1", "/bcc/0"]),
    "a domain": ("test", ("@example.net",), ["/bcc/0"]),
    "both": ("test", ("@example.net", "cy@example.org"), []),
    "production, a list": ("production", ("ada@example.net",), ["/to/1", "/bcc/0"]),
    "case": ("test", ("ADA@EXAMPLE.NET", "@Example.Org", "bob@example.net"), []),
}


@pytest.mark.parametrize(("environment", "listed", "refused"), RECIPIENTS.values(), ids=RECIPIENTS)
def test_allowed_recipients(environment: str, listed: tuple[str, ...], refused: list[str]) -> None:
    """Outside production nobody gets mail who is not listed; each refusal names its recipient."""
    policy = Policy(environment, SHOP, (), listed)
    mail = {"to": ["ada@example.net", "bob@example.net"], "bcc": ["cy@example.org"]}
    assert told(policy, **mail) == [(pointer, "recipient-not-allowed") for pointer in refused]


@pytest.mark.parametrize("environment", ["test", "production"])
@pytest.mark.parametrize("listed", [(), ("bob@example.net",)])
def test_redirection(environment: str, listed: tuple[str, ...]) -> None:
    """With a redirect, nobody but its address gets the mail, copies included, list or no list."""
    policy = Policy(environment, SHOP, (), listed, redirect_to="me@example.com")
    call = out(policy, to=["ada@example.net", "eve@example.net"], bcc=["cy@example.org"])
    assert (call.to, call.bcc) == (("me@example.com",), ())


def test_all_refusals_are_told_at_once() -> None:
    """Whoever is refused learns every reason, what is not yet supported included."""
    policy = Policy("test", SHOP, ("x@example.com",), ())
    assert told(policy, lane="bulk", on_unknown="hold") == [
        ("/lane", "not-yet-supported"),
        ("/sender", "sender-not-allowed"),
        ("/to/0", "recipient-not-allowed"),
    ]


@pytest.mark.parametrize(
    ("policy", "more"),
    [
        (Policy("test", None, (), ("*",)), {}),
        (Policy("test", SHOP, ("x@example.com",), ("*",)), {}),
        (Policy("test", SHOP), {}),
    ],
    ids=["no sender", "sender", "recipient"],
)
def test_compose_refuses_too(policy: Policy, more: dict[str, Any]) -> None:
    """Nothing that `check` refuses can be composed by a caller who did not check."""
    with pytest.raises(InvalidMail):
        out(policy, **more)
