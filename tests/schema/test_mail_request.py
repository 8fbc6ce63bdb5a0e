"""The mail request: what it takes, what it says of the rest."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest
from pydantic import ValidationError

from shared.schema.mail_request import Attachment, MailRequest, parse_mail
from tests.schema.samples import FULL, GOOD_MAILS, Told


def test_every_field_is_taken_as_it_was_given() -> None:
    """Values stay as they are; only domains, standard names and times get their plain form."""
    mail = parse_mail(json.dumps(FULL).encode())
    assert set(FULL) | {"template"} == set(MailRequest.model_fields)
    changed = {
        "sender": {"address": "Orders@example.com", "domain": None, "alias": "Example 商店"},
        "to": ["ada@example.net", "Ada@example.net", "bob+x@xn--bcher-kva.de"],
        "template": None,
        "headers": {
            "Message-ID": FULL["headers"]["message-id"],
            "List-Unsubscribe": FULL["headers"]["LIST-UNSUBSCRIBE"],
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
            "x-user-Campaign": "autumn",
        },
        "expires_at": datetime(2026, 11, 22, 16, 0, tzinfo=timezone.utc),
        "send_at": datetime(2026, 11, 22, 12, 0, tzinfo=timezone.utc),
    }
    assert mail.model_dump() == FULL | changed


def test_what_is_left_out_has_its_default(good: dict[str, Any]) -> None:
    """The smallest mail says four things and means these."""
    assert parse_mail(good).model_dump(exclude={"to", "subject", "text"}) == {
        "version": 1,
        "sender": None,
        "address_type": "sender",
        "domain_auth": False,
        "ip_pool_id": None,
        "bcc": [],
        "separate": False,
        "html": None,
        "template": None,
        "reply_to": "none",
        "tag": None,
        "track_clicks": False,
        "unsubscribe_link": None,
        "unsubscribe_filter": None,
        "unsubscribe": False,
        "headers": {},
        "notify": {},
        "attachments": [],
        "key": None,
        "expires_at": None,
        "send_at": None,
        "on_unknown": None,
        "lane": None,
        "trace": None,
    }


@pytest.mark.parametrize("change", GOOD_MAILS.values(), ids=GOOD_MAILS.keys())
def test_a_good_mail_is_taken_and_comes_back_the_same(
    change: dict[str, Any], good: dict[str, Any]
) -> None:
    """What was taken can be written and read again, whole or only as far as it was given."""
    mail = parse_mail({**good, **change})
    assert parse_mail(mail.model_dump_json()) == mail
    assert parse_mail(mail.model_dump_json(exclude_unset=True).encode()) == mail
    assert parse_mail(mail.model_dump(mode="json", exclude_unset=True)) == mail


BAD: dict[str, tuple[dict[str, Any], list[tuple[str, str]]]] = {
    # Nothing is converted.
    "a number as a string": ({"subject": 4711}, [("wrong-type", "/subject")]),
    "null as a subject": ({"subject": None}, [("wrong-type", "/subject")]),
    "true as a string": ({"domain_auth": "true"}, [("wrong-type", "/domain_auth")]),
    "true as a number": ({"separate": 1}, [("wrong-type", "/separate")]),
    "version as a string": ({"version": "1"}, [("wrong-type", "/version")]),
    "version as true": ({"version": True}, [("wrong-type", "/version")]),
    "version with a fraction": ({"version": 1.0}, [("wrong-type", "/version")]),
    "another version": ({"version": 2}, [("not-allowed", "/version")]),
    "one recipient without a list": ({"to": "a@b.co"}, [("wrong-type", "/to")]),
    "null for a list": ({"bcc": None}, [("wrong-type", "/bcc")]),
    "a number among recipients": ({"to": ["a@b.co", 7]}, [("wrong-type", "/to/1")]),
    "a bare sender": ({"sender": "a@b.co"}, [("wrong-type", "/sender")]),
    "a template's number": (
        {"text": None, "template": {"id": "1", "data": {"n": 1}}},
        [("wrong-type", "/template/data/n")],
    ),
    "a list as headers": ({"headers": []}, [("wrong-type", "/headers")]),
    "a header's number": ({"headers": {"X-User-A": 1}}, [("wrong-type", "/headers/X-User-A")]),
    "a file that is text": ({"attachments": ["a"]}, [("wrong-type", "/attachments/0")]),
    "a time as a number": ({"send_at": 1_795_339_800}, [("wrong-type", "/send_at")]),
    # names
    "unknown fields": (
        {"cc": ["a@b.co"], "Subject": "x"},
        [("unknown-field", "/cc"), ("unknown-field", "/Subject")],
    ),
    "an unknown field inside": (
        {"sender": {"address": "a@b.co", "name": "x"}},
        [("unknown-field", "/sender/name")],
    ),
    "a name with a slash and a tilde": ({"a/b~c": 1}, [("unknown-field", "/a~1b~0c")]),
    "an empty name": ({"": 1}, [("unknown-field", "/")]),
    # values
    "an address type": ({"address_type": 1}, [("not-allowed", "/address_type")]),
    "a link type": ({"unsubscribe_link": "zh-cn"}, [("not-allowed", "/unsubscribe_link")]),
    "a filter level": ({"unsubscribe_filter": ""}, [("not-allowed", "/unsubscribe_filter")]),
    "an unknown's fate": ({"on_unknown": "retry"}, [("not-allowed", "/on_unknown")]),
    "an address": ({"to": ["a@b.co", "Ada <a@b.co>"]}, [("address", "/to/1")]),
    "a blind copy": ({"bcc": ["x"]}, [("address", "/bcc/0")]),
    "a tag": ({"tag": "a b"}, [("tag", "/tag")]),
    "a tag of full-width letters": ({"tag": "\uff54\uff41\uff47"}, [("tag", "/tag")]),
    "a tag with a line break": ({"tag": "tag\n"}, [("tag", "/tag")]),
    "a trace": ({"trace": {"traceparent": "00-1-2-01"}}, [("traceparent", "/trace/traceparent")]),
    "a trace of zeros": (
        {"trace": {"traceparent": f"00-{'0' * 32}-{'1' * 16}-01"}},
        [("traceparent", "/trace/traceparent")],
    ),
    "a trace's state": (
        {"trace": {"traceparent": f"00-{'1' * 32}-{'1' * 16}-01", "tracestate": "ü"}},
        [("tracestate", "/trace/tracestate")],
    ),
    "a lane": ({"lane": "a b"}, [("id", "/lane")]),
    "a pool": ({"ip_pool_id": "上"}, [("id", "/ip_pool_id")]),
    "a template's id": ({"text": None, "template": {"id": " "}}, [("id", "/template/id")]),
    "a time": ({"send_at": "tomorrow"}, [("time", "/send_at")]),
    "a naive time": (
        {"expires_at": "2026-11-22T00:00:00"},
        [("time-without-offset", "/expires_at")],
    ),
    "base64 with line breaks": (
        {"attachments": [{"name": "a", "content": "YQ==\n"}]},
        [("base64", "/attachments/0/content")],
    ),
    # headers from inside
    "a line break in a subject": (
        {"subject": "a\r\nBcc: x@y.zz"},
        [("unsafe-character", "/subject")],
    ),
    "a line separator in an alias": (
        {"sender": {"address": "a@b.co", "alias": "a\u2028b"}},
        [("unsafe-character", "/sender/alias")],
    ),
    "a next line in a reply alias": (
        {"reply_to": {"address": "a@b.co", "alias": "a\x85b"}},
        [("unsafe-character", "/reply_to/alias")],
    ),
    "a line break in a header": (
        {"headers": {"X-User-A": "a\nb"}},
        [("unsafe-character", "/headers/X-User-A")],
    ),
    "a line break in a notify value": (
        {"notify": {"a": "a\nb"}},
        [("unsafe-character", "/notify/a")],
    ),
    "a line break in a file's name": (
        {"attachments": [{"name": "a\nb", "content": ""}]},
        [("unsafe-character", "/attachments/0/name")],
    ),
    "a control character in a key": ({"key": "a\x00b"}, [("unsafe-character", "/key")]),
    "an override in a file's name": (
        {"attachments": [{"name": "a\u202egpj.exe", "content": ""}]},
        [("unsafe-character", "/attachments/0/name")],
    ),
    "an encoded word in a subject": ({"subject": "=?utf-8?q?a?="}, [("encoded-word", "/subject")]),
    "an encoded word in a notify value": (
        {"notify": {"a": "=?utf-8?b?DQo=?="}},
        [("encoded-word", "/notify/a")],
    ),
    "an encoded word as a Message-ID": (
        {"headers": {"Message-ID": "<=?utf-8?q?a?=@b>"}},
        [("encoded-word", "/headers/Message-ID")],
    ),
    # files' names
    "a path": (
        {"attachments": [{"name": "../etc/passwd", "content": ""}]},
        [("file-name", "/attachments/0/name")],
    ),
    "a path of Windows": (
        {"attachments": [{"name": "C:\\a", "content": ""}]},
        [("file-name", "/attachments/0/name")],
    ),
    "the folder above": (
        {"attachments": [{"name": "..", "content": ""}]},
        [("file-name", "/attachments/0/name")],
    ),
    # one mistake, one problem
    "an address as reply_to": ({"reply_to": "a@b.co"}, [("not-allowed", "/reply_to")]),
    "a number as reply_to": ({"reply_to": 1}, [("wrong-type", "/reply_to")]),
    "null as reply_to": ({"reply_to": None}, [("wrong-type", "/reply_to")]),
    "a list as reply_to": ({"reply_to": ["none"]}, [("wrong-type", "/reply_to")]),
    "a bad address in reply_to": (
        {"reply_to": {"address": "x"}},
        [("address", "/reply_to/address")],
    ),
    "no address in reply_to": ({"reply_to": {}}, [("missing", "/reply_to/address")]),
    "too much in reply_to": (
        {"reply_to": {"address": "a@b.co", "address2": 1}},
        [("unknown-field", "/reply_to/address2")],
    ),
    "two mistakes, two problems": (
        {"to": ["x"], "subject": ""},
        [("address", "/to/0"), ("empty", "/subject")],
    ),
}


@pytest.mark.parametrize(("change", "problems"), BAD.values(), ids=BAD.keys())
def test_a_bad_field_is_told_with_its_place(
    change: dict[str, Any], problems: list[tuple[str, str]], good: dict[str, Any], told: Told
) -> None:
    """Each mistake is one problem, with its type and a pointer to it."""
    mail = {**good, **change}
    assert told(mail) == problems
    assert told(json.dumps(mail)) == problems


@pytest.mark.parametrize("missing", ["to", "subject"])
def test_what_is_required_is_missed(missing: str, good: dict[str, Any], told: Told) -> None:
    """A mail has recipients and a subject."""
    del good[missing]
    assert told(good) == [("missing", f"/{missing}")]


@pytest.mark.parametrize("part", ["id", "name", "content"])
def test_the_parts_have_required_fields_too(part: str, good: dict[str, Any], told: Told) -> None:
    """A template has an id, an attachment a name and a content."""
    attachment = {"name": "a", "content": ""}
    changes: dict[str, tuple[dict[str, Any], str]] = {
        "id": ({"text": None, "template": {}}, "/template/id"),
        "name": ({"attachments": [{"content": ""}]}, "/attachments/0/name"),
        "content": ({"attachments": [attachment, {"name": "a"}]}, "/attachments/1/content"),
    }
    change, place = changes[part]
    assert told({**good, **change}) == [("missing", place)]


def test_an_attachment_gives_its_bytes() -> None:
    """The base64 is undone, and the size is known without doing so."""
    attachment = Attachment(name="a", content="AP+/")
    assert attachment.data == b"\x00\xff\xbf"
    assert attachment.size == 3


def test_what_is_not_supported_yet_is_told_only_when_it_is_asked_for(good: dict[str, Any]) -> None:
    """Each field whose behaviour is to come is a problem; null asks for nothing."""
    later = ("send_at", "lane")
    assert parse_mail(good).unsupported() == []
    assert parse_mail({**good, **dict.fromkeys(later)}).unsupported() == []
    full = parse_mail(FULL).unsupported()
    assert [(p.type, p.pointer) for p in full] == [("not-yet-supported", f"/{f}") for f in later]


def test_a_mail_shows_nothing_private_of_itself() -> None:
    """Neither repr nor str tells an address, a subject or a body; key and tag may be told."""
    mail = parse_mail(FULL)
    assert "4711/shipped" in repr(mail)
    for text in (repr(mail), str(mail), repr(mail.sender), repr(mail.attachments)):
        for private in ("ada", "example", "订单", "line one", "AHBk"):
            assert private not in text


def test_a_mail_cannot_be_changed(good: dict[str, Any]) -> None:
    """What was checked stays what was checked."""
    mail = parse_mail(good)
    with pytest.raises(ValidationError):
        mail.subject = "a\nb"  # type: ignore[misc]  # the case under test


def test_pydantic_s_own_message_repeats_nothing() -> None:
    """Who builds the model without `parse_mail` gets no body into his log either."""
    with pytest.raises(ValidationError) as caught:
        MailRequest(to=["secret recipient"], subject="secret subject\n", html="secret body")
    assert "secret" not in str(caught.value)
