"""A timer trigger's event."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.triggers.timer import BadTimerEvent, TimerEvent, read_timer_event

Sample = Callable[[str], bytes]
# A busy machine proves nothing.
ANY_TIME = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def test_the_documented_sample_is_read(sample: Sample) -> None:
    """Name, time and payload are as the platform wrote them."""
    tick = read_timer_event(sample("timer-trigger.json"))
    assert tick == TimerEvent("timer-trigger", "2023-12-26T07:49:00Z", b"awesome-fc")


def test_a_payload_may_hold_a_mail_request(sample: Sample) -> None:
    """The payload is text to the platform; it comes out byte for byte."""
    payload = read_timer_event(sample("timer-trigger-mail.json")).payload
    assert json.loads(payload) == json.loads(sample("mail-request.json"))


def test_the_key_tells_ticks_apart_and_repeats_not() -> None:
    """A repeat of one tick has the same key; another tick and another trigger have others."""
    times = [("a", "1"), ("a", "2"), ("b", "1")]
    keys = [TimerEvent(name, time, b"").key for name, time in times]
    assert keys == ["timer:a:1", "timer:a:2", "timer:b:1"]


GOOD = {"triggerName": "n", "triggerTime": "t", "payload": "p"}
NO_TEXTS: list[Any] = [None, 1, {}, ["x"], True]


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (b"", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[]", "not an object"),
        (b"null", "not an object"),
        (b"{}", "needs triggerName, triggerTime and payload as text"),
        *[
            (json.dumps({**GOOD, name: value}).encode(), "as text")
            for name in GOOD
            for value in NO_TEXTS
        ],
    ],
)
def test_a_bad_event_is_refused_with_what_is_missing(event: bytes, reason: str) -> None:
    """Everything that is not a timer's event ends in the one error of this trigger."""
    with pytest.raises(BadTimerEvent, match=reason):
        read_timer_event(event)


def test_empty_texts_are_texts() -> None:
    """A timer without a payload has the empty payload; judging it is for others."""
    assert read_timer_event(json.dumps({**GOOD, "payload": ""}).encode()).payload == b""


@ANY_TIME
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(event: bytes) -> None:
    """Whatever bytes come, nothing but `BadTimerEvent` is raised."""
    with contextlib.suppress(BadTimerEvent):
        read_timer_event(event)


@ANY_TIME
@given(data=st.data())
def test_any_json_is_read_or_refused(data: st.DataObject, any_json: Callable[..., Any]) -> None:
    """Whatever JSON comes, nothing but `BadTimerEvent` is raised."""
    document = data.draw(any_json(*GOOD))
    try:
        tick = read_timer_event(json.dumps(document).encode())
    except BadTimerEvent:
        return
    assert tick.key.startswith("timer:")
