"""Mails, good and bad, that more than one test reads."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from shared.schema.problems import Problem

# What the fixtures `refusals` and `told` are.
Refusals = Callable[[Any], tuple[Problem, ...]]
Told = Callable[[Any], list[tuple[str, str]]]

# The smallest mail there is; tests add to it and spoil it.
SMALLEST: dict[str, Any] = {
    "to": ["ada@example.com"],
    "subject": "Hello",
    "text": "Hello, Ada.",
}

# A mail that gives every field but `template`, which excludes the bodies.
FULL: dict[str, Any] = {
    "version": 1,
    "sender": {"address": "Orders@Example.COM", "alias": "Example 商店"},
    "address_type": "random",
    "domain_auth": True,
    "ip_pool_id": "pool-1",
    "to": ["ada@EXAMPLE.net", "Ada@example.net", "bob+x@bücher.de"],
    "bcc": ["archive@example.com", "second@example.com"],
    "separate": False,
    "subject": "您的订单 4711 \U0001f600",
    "html": "<html><body><a href='https://example.com'>订单</a>\r\n\t\x00</body></html>",
    "text": "line one\r\nline two\u2028",
    "reply_to": {"address": "help@example.com", "alias": "Help"},
    "tag": "orders_2026-11",
    "track_clicks": True,
    "unsubscribe_link": "disabled",
    "unsubscribe_filter": "mailfrom_domain",
    # With `true` there could be neither bcc nor a List-Unsubscribe of the sender's own.
    "unsubscribe": False,
    "headers": {
        "message-id": "<4711.abc@example.com>",
        "LIST-UNSUBSCRIBE": "<https://example.com/u?=1>, <mailto:u@example.com>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "x-user-Campaign": "autumn",
    },
    "notify": {"order": "4711", "Shop_Id": '{"a": "b"}', "#": "~ !"},
    "attachments": [{"name": "Rechnung 上.pdf", "content": base64.b64encode(b"\x00pdf").decode()}],
    "key": "order 4711/shipped \U0001f468\u200d\U0001f469",
    "expires_at": "2026-11-23T00:00:00+08:00",
    "send_at": "2026-11-22T12:00:00Z",
    "on_unknown": "hold",
    "lane": "bulk",
    "trace": {"traceparent": f"00-{'4b' * 16}-{'0f' * 8}-01", "tracestate": "a=1,b=2"},
}

# What is added to the smallest mail, and makes another good one.
GOOD_MAILS: dict[str, dict[str, Any]] = {
    "html alone": {"text": None, "html": "<p>"},
    "a template": {"text": None, "template": {"id": "tpl-1", "data": {"name": "上"}}},
    "a template without values": {"text": None, "template": {"id": "1"}},
    "null for what may be left out": {"sender": None, "html": None, "tag": None, "key": None},
    "a domain as the sender": {"sender": {"domain": "Example.com"}, "domain_auth": True},
    "an address of an authenticated domain": {
        "sender": {"address": "a@example.com"},
        "domain_auth": True,
    },
    "answers to the console's address": {"reply_to": "console"},
    "answers to nobody": {"reply_to": "none"},
    "answers to an address": {"reply_to": {"address": "a@example.com"}},
    "one-click unsubscribe": {"unsubscribe": True},
    "one-click unsubscribe for many": {
        "unsubscribe": True,
        "to": ["ada@example.net", "bob@example.net"],
        "separate": True,
    },
    "clicks in html": {"track_clicks": True, "tag": "t", "html": "<a>"},
    "clicks in a template": {
        "track_clicks": True,
        "tag": "t",
        "text": None,
        "template": {"id": "1"},
    },
    "one mail for each": {"separate": True, "to": ["a@example.com", "b@example.com"]},
    "local parts that differ in case": {"to": ["a@example.com", "A@example.com"]},
    "an empty file": {"attachments": [{"name": "empty", "content": ""}]},
    "two files of one name": {"attachments": [{"name": "a", "content": "YQ=="}] * 2},
    "a name with dots": {"attachments": [{"name": "..a.tar.gz", "content": ""}]},
}

# What is added to the smallest mail and breaks rules between fields; types and pointers.
BROKEN_RULES: dict[str, tuple[dict[str, Any], list[tuple[str, str]]]] = {
    "no content": ({"text": None}, [("content-missing", "")]),
    "a template and a text": ({"template": {"id": "1"}}, [("template-and-body", "/template")]),
    "a template and html": (
        {"text": None, "html": "<p>", "template": {"id": "1"}},
        [("template-and-body", "/template")],
    ),
    "neither address nor domain": ({"sender": {}}, [("address-or-domain", "/sender")]),
    "an alias alone": ({"sender": {"alias": "A"}}, [("address-or-domain", "/sender")]),
    "address and domain": (
        {"sender": {"address": "a@b.co", "domain": "b.co"}, "domain_auth": True},
        [("address-or-domain", "/sender")],
    ),
    "a domain without domain_auth": (
        {"sender": {"domain": "example.com"}},
        [("domain-needs-domain-auth", "/sender/domain")],
    ),
    "a recipient twice": (
        {"to": ["a@example.com", "b@example.com", "a@EXAMPLE.com"]},
        [("duplicate-recipient", "/to/2")],
    ),
    "a recipient twice, once in punycode": (
        {"to": ["a@bücher.de", "a@xn--bcher-kva.de"]},
        [("duplicate-recipient", "/to/1")],
    ),
    "a recipient three times": (
        {"to": ["a@b.co"] * 3},
        [("duplicate-recipient", "/to/1"), ("duplicate-recipient", "/to/2")],
    ),
    "a blind copy to a recipient": (
        {"to": ["a@b.co"], "bcc": ["b@b.co", "a@b.co"]},
        [("duplicate-recipient", "/bcc/1")],
    ),
    "a blind copy twice": (
        {"bcc": ["b@b.co", "b@b.co"]},
        [("duplicate-recipient", "/bcc/1")],
    ),
    "separate with blind copies": (
        {"separate": True, "bcc": ["b@b.co"]},
        [("separate-with-bcc", "/bcc")],
    ),
    "clicks without a tag": (
        {"track_clicks": True, "html": "<a>"},
        [("tracking-needs-tag", "/track_clicks")],
    ),
    "clicks in a text": (
        {"track_clicks": True, "tag": "t"},
        [("tracking-needs-html", "/track_clicks")],
    ),
    "clicks with neither": (
        {"track_clicks": True},
        [("tracking-needs-tag", "/track_clicks"), ("tracking-needs-html", "/track_clicks")],
    ),
    "several rules at once": (
        {"text": None, "sender": {"domain": "b.co"}, "to": ["a@b.co", "a@b.co"]},
        [
            ("content-missing", ""),
            ("domain-needs-domain-auth", "/sender/domain"),
            ("duplicate-recipient", "/to/1"),
        ],
    ),
}

GOOD_HEADERS: list[tuple[str, dict[str, str]]] = [
    ("headers", {"X-User-A": "any ASCII ~ text"}),
    ("headers", {"x-user-a": "b", "X-USER-B": "c"}),
    ("headers", {"X-User-!#$%&'*+-.^_`|~9": "token characters"}),
    ("headers", {"X-User-Notify": "without the dash it is a name like others"}),
    ("headers", {"X-User-A": " spaces around are no harm here "}),
    ("headers", {"Message-ID": "<a.b+c=d/e@sub.example.com>"}),
    ("headers", {"List-Unsubscribe": "<mailto:a@b.co>"}),
    (
        "headers",
        {
            "list-unsubscribe": "<https://b.co/u>",
            "LIST-UNSUBSCRIBE-POST": "List-Unsubscribe=One-Click",
        },
    ),
    ("notify", {"order": "4711", "A-b_c.d": "all of ASCII: " + "".join(map(chr, range(33, 127)))}),
    ("notify", {"Postbus2": "x", "X-Postbus": "y"}),
]

BAD_HEADERS: list[tuple[str, dict[str, str], list[tuple[str, str]]]] = [
    ("headers", {"Bcc": "a@b.co"}, [("header-name", "/headers/Bcc")]),
    ("headers", {"From": "a@b.co"}, [("header-name", "/headers/From")]),
    ("headers", {"X-Mailer": "a"}, [("header-name", "/headers/X-Mailer")]),
    ("headers", {"": "a"}, [("header-name", "/headers/")]),
    ("headers", {"X-User-": "a"}, [("header-name", "/headers/X-User-")]),
    ("headers", {"X-User-A B": "a"}, [("header-name", "/headers/X-User-A B")]),
    ("headers", {"X-User-A:": "a"}, [("header-name", "/headers/X-User-A:")]),
    ("headers", {"X-User-A\r\nBcc": "a"}, [("header-name", "/headers/X-User-A\r\nBcc")]),
    ("headers", {"X-User-上": "a"}, [("header-name", "/headers/X-User-上")]),
    ("headers", {"X-User-A": "上海"}, [("header-value", "/headers/X-User-A")]),
    ("headers", {"X-User-A/b": "a"}, [("header-name", "/headers/X-User-A~1b")]),
    ("headers", {"Message-ID ": "<a@b>"}, [("header-name", "/headers/Message-ID ")]),
    ("headers", {"X-User-Notify-A": "a"}, [("notify-header", "/headers/X-User-Notify-A")]),
    ("headers", {"x-user-NOTIFY-a": "a"}, [("notify-header", "/headers/x-user-NOTIFY-a")]),
    (
        "headers",
        {"X-User-Notify-postbus": "a"},
        [("reserved-header", "/headers/X-User-Notify-postbus")],
    ),
    (
        "headers",
        {"X-User-A": "a", "x-user-a": "b", "X-USER-A": "c"},
        [("duplicate-header", "/headers/x-user-a"), ("duplicate-header", "/headers/X-USER-A")],
    ),
    (
        "headers",
        {"Message-ID": "<a@b>", "MESSAGE-ID": "<c@d>"},
        [("duplicate-header", "/headers/MESSAGE-ID")],
    ),
    *(
        ("headers", {"Message-ID": value}, [("message-id", "/headers/Message-ID")])
        for value in (
            "a@b",
            "<a>",
            "<a@b",
            "<a@b@c>",
            "<@b>",
            "<a@>",
            "<a b@c>",
            "<a@b> x",
            "<ä@b>",
        )
    ),
    (
        "headers",
        {"List-Unsubscribe": "<https://b.co>", "List-Unsubscribe-Post": "yes"},
        [("one-click", "/headers/List-Unsubscribe-Post")],
    ),
    (
        "headers",
        {"List-Unsubscribe-Post": "List-Unsubscribe=One-Click"},
        [("one-click-without-list-unsubscribe", "/headers")],
    ),
    ("notify", {"postbus": "a"}, [("reserved-header", "/notify/postbus")]),
    ("notify", {"POSTBUS": "a"}, [("reserved-header", "/notify/POSTBUS")]),
    ("notify", {"X-User-Notify-a": "a"}, [("header-name", "/notify/X-User-Notify-a")]),
    ("notify", {"": "a"}, [("header-name", "/notify/")]),
    ("notify", {"a b": "a"}, [("header-name", "/notify/a b")]),
    ("notify", {"a:": "a"}, [("header-name", "/notify/a:")]),
    ("notify", {"order": "1", "Order": "2"}, [("duplicate-header", "/notify/Order")]),
    ("notify", {"a": "ä"}, [("notify-value", "/notify/a")]),
    ("notify", {"a": " b"}, [("notify-value", "/notify/a")]),
    ("notify", {"a": "b "}, [("notify-value", "/notify/a")]),
    ("notify", {"a": " "}, [("empty", "/notify/a")]),
    ("notify", {"a": "\u200d"}, [("notify-value", "/notify/a")]),
    (
        "notify",
        {"a": "ä", "b": "fine", "c d": "x"},
        [("notify-value", "/notify/a"), ("header-name", "/notify/c d")],
    ),
]
