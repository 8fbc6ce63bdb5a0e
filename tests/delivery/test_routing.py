"""Rules: which event goes where, and documents that are none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.delivery.outgoing import Outgoing
from shared.delivery.routing import Routing, compile_routing
from shared.schema.routes import InvalidRoutes, parse_routes

EVENTS = "topic:postbus-test-mail-events"
TO = "topic:found"


def event(**data: Any) -> Outgoing:
    """An event with this data."""
    whole = {
        "state": "bounced",
        "reason": "mailbox-full",
        "permanent": False,
        "mail_id": "m",
        "tag": "order",
        "sender": "Shop@mail.Example.com",
        "notify": {"Service": "shipping", "OrderId": "4711"},
        **data,
    }
    kind = f"postbus.mail.{whole['state']}" if whole["state"] else "postbus.event.unrecognised"
    return Outgoing.of_document({"id": "1", "type": kind, "data": whole})


def routing(**document: Any) -> Routing:
    """The rules of a document."""
    return compile_routing(
        parse_routes(json.dumps(document)),
        environment="test",
        events="postbus-test-mail-events",
    )


def found(when: dict[str, Any], **data: Any) -> bool:
    """Whether a rule holds for an event."""
    sinks = routing(rules=[{"when": when, "to": TO}]).sinks_of(event(**data))
    assert sinks in {(TO,), (EVENTS,)}
    return sinks == (TO,)


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ({}, True),
        ({"state": "bounced"}, True),
        ({"state": ["delivered", "bounced"]}, True),
        ({"state": "delivered"}, False),
        ({"reason": ["mailbox-full"]}, True),
        ({"reason": "policy"}, False),
        ({"permanent": False}, True),
        ({"permanent": True}, False),
        ({"matched": True}, True),
        ({"matched": False}, False),
        ({"tag": "order"}, True),
        ({"tag": "Order"}, False),
        ({"sender": "shop@mail.example.com"}, True),
        ({"sender": "@MAIL.example.com"}, True),
        ({"sender": ["@example.com", "mail.example.com"]}, False),
        ({"notify": {"service": "shipping"}}, True),
        ({"notify": {"Service": ["billing", "shipping"], "orderid": "*"}}, True),
        ({"notify": {"Service": "shipping", "OrderId": "4712"}}, False),
        ({"notify": {"Unheard": "*"}}, False),
        ({"state": "bounced", "tag": "order", "permanent": False}, True),
        ({"state": "bounced", "tag": "other"}, False),
    ],
)
def test_what_a_rule_matches(when: dict[str, Any], holds: bool) -> None:
    """Every field that is given must hold, by one of its values; names as the table says."""
    assert found(when) is holds


def test_what_is_not_known_matches_nothing() -> None:
    """An event without tag, sender, reason or mail is no event of any of them."""
    nothing: dict[str, Any] = {
        "tag": None,
        "sender": None,
        "reason": None,
        "permanent": None,
        "notify": {},
    }
    for when in ({"tag": "order"}, {"sender": "@example.com"}, {"permanent": False},
                 {"notify": {"Service": "*"}}, {"reason": "other"}):  # fmt: skip
        assert not found(when, **nothing)
    assert found({"matched": False}, mail_id=None)


def test_what_has_no_state_is_known_by_its_tag() -> None:
    """Events that could not be read, and address checks."""
    assert found({"state": "unrecognised"}, state=None)
    assert not found({"state": "validated"}, state=None)


def test_an_event_goes_to_every_rules_sinks_once() -> None:
    """In the rules' order; to the default only where none holds."""
    rules = [
        {"when": {"tag": "order"}, "to": ["topic:orders", "events"]},
        {"when": {"state": "bounced"}, "to": ["queue:bounces-{environment}", "topic:orders"]},
        {"when": {"state": "opened"}, "to": "topic:opens"},
    ]
    routes = routing(rules=rules, default="queue:rest")
    assert routes.sinks_of(event()) == ("topic:orders", EVENTS, "queue:bounces-test")
    assert routes.sinks_of(event(tag="x", state="delivered")) == ("queue:rest",)


def test_without_a_document_there_is_the_topic() -> None:
    """As ever."""
    assert routing().sinks_of(event()) == (EVENTS,)
    assert routing(default=[]).sinks_of(event()) == ()


def test_a_mail_names_its_route_from_an_allow_list() -> None:
    """The named route and no other; a name that is not on the list names nothing."""
    routes = routing(
        named={"shop": ["topic:shop-events"]}, rules=[{"when": {"tag": "order"}, "to": "topic:o"}]
    )
    assert routes.sinks_of(event(notify={"Topic": "shop"})) == ("topic:shop-events",)
    assert routes.sinks_of(event(notify={"topic": "shop"})) == ("topic:shop-events",)
    for other in ("Shop", "topic:shop-events", "shop-events", ""):
        assert routes.sinks_of(event(notify={"Topic": other})) == ("topic:o",)


def test_the_sinks_that_letters_may_name() -> None:
    """Those that an event could go to, and no others."""
    routes = routing(
        rules=[{"to": "queue:a"}], named={"n": "queue:b"}, dead_letters={"queue:c": "dead"}
    )
    assert all(routes.knows(sink) for sink in ("queue:a", "queue:b", EVENTS))
    assert not any(routes.knows(sink) for sink in ("queue:c", "topic:a", "dead", ""))
    assert routes.dead_letters == {"queue:c": "dead"}


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ("", "/ is not JSON"),
        ("{", "/ is not JSON"),
        ("[]", "/ must be an object"),
        ('{"rule": []}', "/rule 'rule' is no field here"),
        ('{"rules": {}}', "/rules must be an array"),
        ('{"rules": [7]}', "/rules/0 must be an object"),
        ('{"rules": [{}]}', "/rules/0/to is required"),
        ('{"rules": [{"to": []}]}', "/rules/0/to has at least 1"),
        ('{"rules": [{"to": ["topic:"]}]}', "/rules/0/to/0 must be `events`"),
        ('{"rules": [{"to": "http://x"}]}', "/rules/0/to/0 must be `events`"),
        ('{"rules": [{"to": "topic:a b"}]}', "/rules/0/to/0 must be `events`"),
        ('{"rules": [{"to": "topic:{env}"}]}', "/rules/0/to/0 must be `events`"),
        ('{"rules": [{"to": "events", "when": {"state": "gone"}}]}', "/rules/0/when/state/0 must"),
        ('{"rules": [{"to": "events", "when": {"state": []}}]}', "/rules/0/when/state has at"),
        ('{"rules": [{"to": "events", "when": {"stat": "x"}}]}', "/rules/0/when/stat 'stat' is no"),
        ('{"rules": [{"to": "events", "when": {"permanent": 1}}]}', "/rules/0/when/permanent must"),
        ('{"rules": [{"to": "events", "when": {"notify": {"a": 1}}}]}',
         "/rules/0/when/notify/a must be an array"),
        ('{"rules": [{"to": "events"}, {"to": "x"}]}', "/rules/1/to/0 must be"),
        ('{"named": {"a": "b"}}', "/named/a/0 must be"),
        ('{"default": ["a"]}', "/default/0 must be"),
        ('{"dead_letters": {"topic:a": 7}}', "/dead_letters/topic:a must be a string"),
    ],
)  # fmt: skip
def test_a_document_that_is_none_says_where_it_is_wrong(document: str, told: str) -> None:
    """Every mistake with its place, so that it can be mended without a guess."""
    with pytest.raises(InvalidRoutes) as wrong:
        parse_routes(document)
    assert str(wrong.value).startswith(told)


def test_every_mistake_is_told_at_once() -> None:
    """Not one for each deployment."""
    with pytest.raises(InvalidRoutes) as wrong:
        parse_routes('{"x": 1, "rules": [{"to": "a"}], "default": "b"}')
    assert len(wrong.value.problems) == 3


@given(st.text() | st.recursive(st.none() | st.text() | st.integers(), lambda each: st.lists(each)
       | st.dictionaries(st.sampled_from(["rules", "when", "to", "named", "notify", "state"]),
                         each)).map(json.dumps))  # fmt: skip
def test_a_document_is_read_or_refused(text: str) -> None:
    """Whatever it is, nothing else happens."""
    try:
        read = parse_routes(text)
    except InvalidRoutes:
        return
    assert isinstance(compile_routing(read, environment="e", events="t"), Routing)
