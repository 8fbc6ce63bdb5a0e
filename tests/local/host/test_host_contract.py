"""What the host hands over is what the functions read: both ends of each trigger's event."""

from __future__ import annotations

import base64
from datetime import datetime, timezone

import pytest

from local.account import ACCOUNT_ID, REGION
from local.host.model import QueueTrigger, TimerTrigger
from local.host.triggers.envelopes import Origin, envelope
from local.host.triggers.http_event import HttpRequest, Site, http_event
from local.host.triggers.timers import timer_event
from local.twins.smq.model import Message
from shared.triggers.http import read_http_event
from shared.triggers.queue import read_queue_event
from shared.triggers.timer import read_timer_event

MOMENT = datetime(2026, 11, 21, 7, 30, tzinfo=timezone.utc)


def _message(number: int, body: str) -> Message:
    return Message(
        id=f"id-{number}",
        body=body,
        receipt_handle="handle",
        dequeue_count=1,
        enqueued_at_ms=1_700_000_000_123,
        first_dequeued_at_ms=0,
        next_visible_at_ms=0,
        priority=8,
    )


@pytest.mark.parametrize("schema", ["CloudEvents", "RawData"])
@pytest.mark.parametrize("decode", [True, False])
@pytest.mark.parametrize("streaming", [True, False])
def test_queue_events_are_read(schema: str, *, decode: bool, streaming: bool) -> None:
    """In each of the trigger's forms, with id and body."""
    text = '{"subject": "grüße"}'
    trigger = QueueTrigger(
        "mails",
        "send-mail",
        "mails",
        base64_decode=decode,
        schema="RawData" if schema == "RawData" else "CloudEvents",
        streaming=streaming,
    )
    encoded = base64.b64encode(text.encode()).decode()
    batch = [_message(1, encoded), _message(2, encoded)][: 2 if streaming else 1]
    event = envelope(trigger, batch, Origin(ACCOUNT_ID, REGION), MOMENT.timestamp())
    read = read_queue_event(event)
    assert [message.id for message in read] == [message.id for message in batch]
    assert {message.body for message in read} == {text.encode()}


@pytest.mark.parametrize(
    ("content_type", "body"),
    [("application/json", '{"a": "ü"}'.encode()), ("application/octet-stream", b"\x00\xff")],
)
def test_http_events_are_read(content_type: str, body: bytes) -> None:
    """Method, path, headers, query and body, text or not."""
    headers = (("content-type", content_type), ("idempotency-key", "k"))
    request = HttpRequest("POST", "/v1/mails?key=a%20b", headers, body)
    site = Site(ACCOUNT_ID, REGION, "http", "mail-api")
    read = read_http_event(http_event(request, site, "1-2-3", MOMENT))
    assert (read.method, read.path, read.body) == ("POST", "/v1/mails", body)
    assert read.headers["idempotency-key"] == "k"
    assert read.query["key"] == "a b"


def test_timer_events_are_read() -> None:
    """The payload as text, and a key that each tick has for itself."""
    trigger = TimerTrigger("example", "clock", "@every 1m", enabled=True, payload='{"to": []}')
    read = read_timer_event(timer_event(trigger, MOMENT))
    assert read.payload == b'{"to": []}'
    assert "2026-11-21T07:30:00Z" in read.key
