"""The local event bus: patterns, targets and the size of an event."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.twins.eventbridge import (
    MAX_EVENT_BYTES,
    EventBus,
    EventTooLargeError,
    InvalidPatternError,
    Rule,
    Target,
)

QUEUE = Target("acs.mns.queue", "delivery-events")
EVENT = {
    "source": "acs:dm",
    "type": "dm:Deliver:Fail",
    "empty": "",
    "nothing": None,
    "yes": True,
    "one": 1,
    "data": {
        "rcpt": "ann@example.net",
        "count": 5,
        "price": 2.5,
        "ip": "10.0.0.17",
        "is_dedicated_ip": True,
        "tags": ["a", "b"],
        "none": [],
    },
}


def hits(pattern: dict[str, Any], event: dict[str, Any] | None = None) -> bool:
    """Whether a rule with this pattern delivers the event."""
    delivered: list[str] = []
    bus = EventBus(
        [Rule("rule", pattern, (QUEUE,))], deliver=lambda _, text: delivered.append(text)
    )
    count = bus.put(EVENT if event is None else event)
    assert count == len(delivered)
    return bool(count)


PATTERNS: list[tuple[dict[str, Any], bool]] = [
    # exact
    ({"source": ["acs:dm"]}, True),
    ({"source": ["acs:DM"]}, False),
    ({"source": ["acs"]}, False),
    ({"one": [1]}, True),
    ({"one": [1.0]}, True),
    ({"one": [True]}, False),
    ({"yes": [1]}, False),
    ({"yes": [True]}, True),
    ({"yes": [False]}, False),
    ({"one": ["1"]}, False),
    ({"missing": ["x"]}, False),
    # null and empty
    ({"nothing": [None]}, True),
    ({"nothing": [""]}, False),
    ({"empty": [""]}, True),
    ({"empty": [None]}, False),
    ({"missing": [None]}, False),
    # arrays are OR, keys are AND
    ({"source": ["acs.dm", "acs:dm"]}, True),
    ({"source": ["acs.dm", {"prefix": "acs:"}]}, True),
    ({"source": ["acs:dm"], "type": ["dm:Deliver:Fail"]}, True),
    ({"source": ["acs:dm"], "type": ["dm:Deliver:Succeed"]}, False),
    # nested
    ({"data": {"rcpt": ["ann@example.net"]}}, True),
    ({"data": {"rcpt": ["ann@example.net"], "count": [6]}}, False),
    ({"source": {"rcpt": ["x"]}}, False),
    ({"data": ["x"]}, False),
    ({"missing": {"deeper": ["x"]}}, False),
    # an array in the event
    ({"data": {"tags": ["b"]}}, True),
    ({"data": {"tags": ["c"]}}, False),
    ({"data": {"tags": [{"prefix": "b"}]}}, True),
    # prefix, suffix, contains
    ({"type": [{"prefix": "dm:Deliver:"}]}, True),
    ({"type": [{"prefix": "Deliver"}]}, False),
    ({"type": [{"suffix": ":Fail"}]}, True),
    ({"type": [{"suffix": "fail"}]}, False),
    ({"type": [{"contains": "Deliver"}]}, True),
    ({"type": [{"contains": "deliver"}]}, False),
    ({"one": [{"prefix": "1"}]}, False),
    ({"missing": [{"prefix": ""}]}, False),
    # anything-but
    ({"type": [{"anything-but": "dm:Deliver:Succeed"}]}, True),
    ({"type": [{"anything-but": "dm:Deliver:Fail"}]}, False),
    ({"type": [{"anything-but": ["x", "dm:Deliver:Fail"]}]}, False),
    ({"type": [{"anything-but": ["x", "y"]}]}, True),
    ({"one": [{"anything-but": 1}]}, False),
    ({"one": [{"anything-but": 2}]}, True),
    ({"type": [{"anything-but": {"prefix": "dm:Trace:"}}]}, True),
    ({"type": [{"anything-but": {"prefix": "dm:Deliver:"}}]}, False),
    ({"missing": [{"anything-but": "x"}]}, False),
    ({"missing": [{"anything-but": {"prefix": "x"}}]}, False),
    # numeric
    ({"data": {"count": [{"numeric": [">", 0, "<=", 5]}]}}, True),
    ({"data": {"count": [{"numeric": [">", 5]}]}}, False),
    ({"data": {"count": [{"numeric": [">=", 5, "<", 6]}]}}, True),
    ({"data": {"price": [{"numeric": ["=", 2.5]}]}}, True),
    ({"yes": [{"numeric": [">", 0]}]}, False),
    ({"type": [{"numeric": [">", 0]}]}, False),
    # cidr
    ({"data": {"ip": [{"cidr": "10.0.0.0/24"}]}}, True),
    ({"data": {"ip": [{"cidr": "10.0.1.0/24"}]}}, False),
    ({"data": {"ip": [{"cidr": "10.0.0.17"}]}}, True),
    ({"type": [{"cidr": "0.0.0.0/0"}]}, False),
    ({"one": [{"cidr": "0.0.0.0/0"}]}, False),
    # exists
    ({"source": [{"exists": True}]}, True),
    ({"source": [{"exists": False}]}, False),
    ({"missing": [{"exists": False}]}, True),
    ({"missing": [{"exists": True}]}, False),
    ({"nothing": [{"exists": True}]}, True),
    ({"data": {"none": [{"exists": True}]}}, True),
    ({"data": {"missing": [{"exists": False}]}}, True),
    ({"missing": {"deeper": [{"exists": False}]}}, True),
]


@pytest.mark.parametrize(("pattern", "expected"), PATTERNS)
def test_a_pattern_matches_as_documented(pattern: dict[str, Any], *, expected: bool) -> None:
    """Each documented operator hits and misses as its page says."""
    assert hits(pattern) is expected


@pytest.mark.parametrize(
    "pattern",
    [
        {},
        {"source": "acs:dm"},
        {"source": []},
        {"source": ["1", "2", "3", "4", "5", "6"]},
        {"source": [["acs:dm"]]},
        {"source": [{}]},
        {"source": [{"prefix": "a", "suffix": "b"}]},
        {"source": [{"no-such": "a"}]},
        {"source": [{"prefix": 1}]},
        {"source": [{"anything-but": None}]},
        {"source": [{"anything-but": {"suffix": "a"}}]},
        {"source": [{"anything-but": {"prefix": 1}}]},
        {"source": [{"numeric": []}]},
        {"source": [{"numeric": [">"]}]},
        {"source": [{"numeric": ["!=", 1]}]},
        {"source": [{"numeric": [">", "1"]}]},
        {"source": [{"numeric": [1, ">"]}]},
        {"source": [{"numeric": [[], 1]}]},
        {"source": [{"cidr": "10.0.0.0/33"}]},
        {"source": [{"cidr": "::/0"}]},
        {"source": [{"cidr": 1}]},
        {"source": [{"exists": "true"}]},
        {"data": {}},
        {"data": {"a": 1}},
    ],
)
def test_a_malformed_pattern_is_refused_before_any_event(pattern: dict[str, Any]) -> None:
    """A pattern that EventBridge would not take is refused, with the rule's name and the place."""
    with pytest.raises(InvalidPatternError, match=r"^my-rule"):
        EventBus([Rule("my-rule", pattern, (QUEUE,))], deliver=lambda *_: None)


def test_every_target_of_every_matching_rule_gets_the_event() -> None:
    """Rules are independent; the text is the event's JSON, in base64 where the target says so."""
    function = Target("acs.fc.function", "delivery-events")
    encoded = Target("acs.mns.queue", "encoded", base64=True)
    delivered: list[tuple[Target, str]] = []
    bus = EventBus(
        [
            Rule("first", {"source": ["acs:dm"]}, (QUEUE, encoded)),
            Rule("second", {"type": [{"prefix": "dm:"}]}, (function,)),
            Rule("third", {"source": ["acs.oss"]}, (QUEUE,)),
        ],
        deliver=lambda target, text: delivered.append((target, text)),
    )
    event = {**EVENT, "subject": "世界"}
    assert bus.put(event) == 3
    assert [target for target, _ in delivered] == [QUEUE, encoded, function]
    assert json.loads(delivered[0][1]) == event
    assert base64.b64decode(delivered[1][1]).decode() == delivered[0][1] == delivered[2][1]


def test_an_event_that_no_rule_wants_is_dropped() -> None:
    """No match is no error."""
    assert EventBus([], deliver=lambda *_: None).put(EVENT) == 0
    assert not hits({"source": ["acs.oss"]})


def test_an_event_is_taken_up_to_its_limit_in_bytes() -> None:
    """64 KB of UTF-8 are taken, one byte more is refused and delivered nowhere."""
    frame = len(json.dumps({"a": ""}, separators=(",", ":")))
    at_limit = {"a": "é" * ((MAX_EVENT_BYTES - frame) // 2)}
    assert len(json.dumps(at_limit, ensure_ascii=False, separators=(",", ":")).encode()) == (
        MAX_EVENT_BYTES
    )
    assert hits({"a": [{"exists": True}]}, at_limit)
    with pytest.raises(EventTooLargeError):
        hits({"a": [{"exists": True}]}, {"a": at_limit["a"] + "x"})


def test_what_a_target_raises_is_raised() -> None:
    """The caller learns that a delivery failed, and can put the event again."""

    def fail(target: Target, text: str) -> None:
        raise ConnectionError(target.name, len(text))

    bus = EventBus([Rule("rule", {"source": ["acs:dm"]}, (QUEUE,))], deliver=fail)
    with pytest.raises(ConnectionError):
        bus.put(EVENT)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()


@given(
    st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    )
)
def test_any_value_can_be_matched_against_any_operator(value: Any) -> None:
    """Whatever a field holds, matching it gives an answer, and `exists` the right one."""
    event = {"field": value}
    for operator in (
        {"prefix": "a"},
        {"contains": "a"},
        {"anything-but": ["a", 1]},
        {"anything-but": {"prefix": "a"}},
        {"numeric": [">", 0]},
        {"cidr": "10.0.0.0/8"},
    ):
        hits({"field": [operator]}, event)
    assert hits({"field": [{"exists": True}]}, event)
    assert not hits({"field": [{"exists": False}]}, event)
