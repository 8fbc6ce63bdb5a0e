"""DirectMail's events out of EventBridge's own trigger, and out of a queue's."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.triggers.events import ArrivedEvent, read_events
from shared.triggers.queue import fingerprint

Sample = Callable[[str], bytes]
# A busy machine proves nothing.
ANY_TIME = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize(
    "name",
    [
        "directmail-deliver-fail.json",
        "directmail-deliver-succeed.json",
        "directmail-feedback-fbl-report.json",
        "eventbridge-time.json",
    ],
)
def test_eventbridges_own_trigger_hands_over_one_object(sample: Sample, name: str) -> None:
    """The object is the event, and its id is the event's."""
    event = sample(name)
    document = json.loads(event)
    assert read_events(event) == [ArrivedEvent(document, event, document["id"])]


def test_an_event_through_a_queue_is_the_same_event(sample: Sample) -> None:
    """Out of the text of a queue's message comes what EventBridge had put there."""
    (arrived,) = read_events(sample("eventbridge-via-queue.json"))
    assert arrived.document == json.loads(sample("directmail-deliver-succeed.json"))
    assert arrived.id == "D8A1C0B54F1E4C0E9A7B000000000001"
    assert arrived.broken is None


INNER = {"id": "i", "source": "acs.dm", "type": "dm:Deliver:Fail", "data": {"rcpt": "a@b.example"}}
TEXT = json.dumps(INNER)


def message(body: Any, **changes: Any) -> dict[str, Any]:
    """A queue trigger's element around a body."""
    outer = {"id": "m", "source": "s", "type": "mns:Queue:SendMessage"}
    return {**outer, "data": {"messageId": "m", "messageBody": body}, **changes}


@pytest.mark.parametrize(
    "event",
    [
        INNER,
        [INNER],
        message(TEXT),
        [message(TEXT)],
        [json.dumps(message(TEXT))],
        [message(TEXT)["data"]],
        message(TEXT)["data"],
        [message(base64.b64encode(TEXT.encode()).decode())],
        [message(INNER)],
        [message([INNER])],
        [message(f"[{TEXT}]")],
        [message(TEXT, data=json.dumps({"messageId": "m", "messageBody": TEXT}))],
    ],
    ids=[
        "direct",
        "direct in an array",
        "event-driven",
        "event-streaming",
        "array of texts",
        "raw data",
        "one raw data",
        "base64",
        "body parsed by somebody",
        "body parsed, an array",
        "array in a body",
        "data as text",
    ],
)
def test_every_form_gives_the_event(event: Any) -> None:
    """However many layers the platform put around it, the event comes out."""
    assert [each.document for each in read_events(json.dumps(event).encode())] == [INNER]


def test_all_events_of_a_batch_come_out_in_order() -> None:
    """Several messages, and several events in one message, are read one by one."""
    events = [{**INNER, "id": str(number)} for number in range(4)]
    batch = [message(json.dumps(events[0])), message(json.dumps(events[1:3])), message(events[3])]
    arrived = read_events(json.dumps(batch).encode())
    assert [each.document for each in arrived] == events


@pytest.mark.parametrize(
    ("event", "raw", "identity", "reason"),
    [
        (b"\xff", b"\xff", fingerprint(b"\xff"), "not JSON"),
        (b"", b"", fingerprint(b""), "not JSON"),
        (b"7", b"7", fingerprint(b"7"), "not an object"),
        (b"{}", b"{}", fingerprint(b"{}"), "no messageBody"),
        (b'{"type":1}', b'{"type":1}', fingerprint(b'{"type":1}'), "no messageBody"),
        (json.dumps(message("TEST")).encode(), b"TEST", "m", "not JSON"),
        (json.dumps(message("7")).encode(), b"7", "m", "not an object"),
        (json.dumps(message(None)).encode(), b"null", "m", "not an object"),
        (json.dumps([message("[7]")]).encode(), b"[7]", "m", "not an object"),
    ],
)
def test_what_cannot_be_read_comes_back_as_broken(
    event: bytes, raw: bytes, identity: str, reason: str
) -> None:
    """It keeps its bytes, has an id, and says why."""
    (arrived,) = read_events(event)
    assert (arrived.document, arrived.raw, arrived.id) == (None, raw, identity)
    assert reason in (arrived.broken or "")


def test_one_bad_message_leaves_the_others_alone() -> None:
    """A batch with rubbish in the middle gives the events around it."""
    batch = [message(TEXT), message("rubbish"), 7, message(TEXT)]
    arrived = read_events(json.dumps(batch).encode())
    assert [each.document for each in arrived] == [INNER, None, None, INNER]


def test_an_empty_batch_has_no_events() -> None:
    """Nothing came."""
    assert read_events(b"[]") == []
    assert read_events(json.dumps([message("[]")]).encode()) == []


@ANY_TIME
@given(st.binary(max_size=300))
def test_any_bytes_are_events(event: bytes) -> None:
    """Whatever bytes come, there is a list, and nothing is raised."""
    assert all(isinstance(each, ArrivedEvent) for each in read_events(event))


@ANY_TIME
@given(data=st.data())
def test_any_json_is_events(data: st.DataObject, any_json: Callable[..., Any]) -> None:
    """Whatever JSON comes, each event is readable or says why it is not."""
    document = data.draw(any_json("data", "id", "messageBody", "messageId", "source", "type"))
    for each in read_events(json.dumps(document).encode()):
        assert (each.document is None) == (each.broken is not None)
        assert isinstance(each.raw, bytes)
