"""A push's answer: good once its events are safe, and else one that brings it back."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from local.twins.push.key import PushKey
from shared.concurrency import AtMost
from shared.errors import (
    CertificateUnavailable,
    CertificateUntrusted,
    LedgerUnavailable,
    QueueUnavailable,
)
from shared.hooks.eventbridge_push import EventBridgePush
from shared.hooks.pushes import Pushes, Refused, Times, messages
from shared.hooks.smq_push import SmqPush
from shared.sending.letters import QUEUE_PAYLOAD_MAX
from shared.triggers.context import Invocation
from shared.triggers.http import Request
from tests.hooks.conftest import (
    EVENT,
    NOW,
    EventQueue,
    Forwards,
    at_once,
    call,
    eventbridge_push,
    smq_push,
)

PUSH = Request("POST", "/push/smq", {}, {}, EVENT.encode())


def reads(answer: Exception | None = None) -> Callable[[Request, int], bytes]:
    """A verification that says this."""

    def read(request: Request, now: int) -> bytes:
        assert now == NOW
        if answer is not None:
            raise answer
        return request.body

    return read


def test_what_a_push_brings_is_forwarded(key: PushKey, smq: SmqPush) -> None:
    """The events themselves, out of SMQ's notification."""
    forwards, queue = Forwards(), EventQueue()
    answer = Pushes("smq", smq.read, forwards, queue, at_once).answer(smq_push(key), call())
    assert (answer.status, answer.body) == (204, None)
    (event,) = forwards.got
    assert event.document == json.loads(EVENT)
    assert queue.got == []


@pytest.mark.parametrize("content_format", ["XML", "JSON", "SIMPLIFIED"])
def test_every_format_brings_the_same_event(
    key: PushKey, smq: SmqPush, content_format: str
) -> None:
    """Whatever is around it, and its message's id is known."""
    forwards = Forwards()
    pushes = Pushes("smq", smq.read, forwards, EventQueue(), at_once)
    assert pushes.answer(smq_push(key, content_format=content_format), call()).status == 204
    (event,) = forwards.got
    assert event.document == json.loads(EVENT)


def test_eventbridge_brings_its_event_as_it_is(key: PushKey, eventbridge: EventBridgePush) -> None:
    """One or an array."""
    forwards = Forwards()
    pushes = Pushes("eventbridge", eventbridge.read, forwards, EventQueue(), at_once)
    assert pushes.answer(eventbridge_push(key), call()).status == 204
    assert [event.document for event in forwards.got] == [json.loads(EVENT)]


@pytest.mark.parametrize("refusal", [Refused("signature"), CertificateUntrusted("nowhere")])
def test_what_proves_nothing_is_a_401(refusal: Exception) -> None:
    """Nothing is forwarded or kept, and the answer does not say what was wrong."""
    forwards, queue = Forwards(), EventQueue()
    answer = Pushes("smq", reads(refusal), forwards, queue, at_once).answer(PUSH, call())
    assert answer.status == 401
    assert answer.body is not None
    assert str(refusal) not in str(answer.body["detail"]).split()
    assert (forwards.got, queue.got) == ([], [])


def test_without_a_certificate_the_sender_comes_again() -> None:
    """A 503: nobody can say yet whether it was signed."""
    read = reads(CertificateUnavailable("its host answered 500"))
    answer = Pushes("smq", read, Forwards(), EventQueue(), at_once).answer(PUSH, call())
    assert answer.status == 503
    assert answer.body is not None
    assert answer.body["type"].endswith("certificate-unavailable")


FAILURES = [QueueUnavailable("topic down"), LedgerUnavailable("down"), RuntimeError("a mistake")]


@pytest.mark.parametrize("failure", FAILURES)
def test_what_cannot_be_forwarded_goes_on_the_queue(failure: Exception) -> None:
    """Whatever the reason: the queue has its own repeats and dead letters."""
    queue = EventQueue()
    pushes = Pushes("smq", reads(), Forwards(failure), queue, at_once)
    assert pushes.answer(PUSH, call()).status == 202
    assert queue.got == [EVENT]


@pytest.mark.parametrize("failure", FAILURES)
def test_when_the_queue_is_down_too_the_sender_keeps_it(failure: Exception) -> None:
    """A 503, and the sender comes again."""
    pushes = Pushes("smq", reads(), Forwards(failure), EventQueue(down=True), at_once)
    answer = pushes.answer(PUSH, call())
    assert answer.status == 503
    assert "Retry-After" in answer.headers


class Slow:
    """What takes its time, on a clock that goes: a read, a forwarder or a queue."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.got: list[Any] = []

    def read(self, request: Request, _now: int) -> bytes:
        """Verify slowly."""
        time.sleep(self.seconds)
        return request.body

    def forward_all(self, events: Any, _call: Invocation) -> dict[str, int]:
        """Forward slowly."""
        time.sleep(self.seconds)
        self.got += events
        return {"delivered": len(events)}

    def defer(self, event: str, _delay: int) -> str:
        """Queue slowly."""
        time.sleep(self.seconds)
        self.got.append(event)
        return "M-1"


def real_call() -> Invocation:
    """An invocation on the real clock."""

    def now() -> int:
        return time.time_ns() // 1_000_000

    return Invocation("r-1", "webhooks", now() + 10_000, None, now)


# A tenth of the real times.
SCALED = Times(200, 330, 450)


def test_the_real_times_leave_the_sender_its_own() -> None:
    """Each step has its end, and the last of them lies before SMQ's 5 s."""
    times = Times()
    assert 0 < times.verified < times.forwarded < times.queued < 5_000
    assert (SCALED.verified, SCALED.forwarded, SCALED.queued) == (
        *(times.verified // 10, times.forwarded // 10),
        times.queued // 10,
    )


def test_a_push_is_answered_in_time_when_forwarding_hangs() -> None:
    """The events lie on the queue then; what is still forwarded has the same ids."""
    queue, slow = EventQueue(), Slow(0.6)
    pushes = Pushes("smq", reads_any, slow, queue, AtMost(4), SCALED)
    began = time.monotonic()
    assert pushes.answer(PUSH, real_call()).status == 202
    assert 0.3 < time.monotonic() - began < 0.45
    assert queue.got == [EVENT]


def test_what_takes_too_long_everywhere_is_a_503_in_time() -> None:
    """The sender keeps what it has: verifying, or the queue behind a forwarder that fails."""
    hanging = Slow(0.6)
    by_read = Pushes("smq", hanging.read, Forwards(), EventQueue(), AtMost(4), SCALED)
    failing = Forwards(QueueUnavailable("x"))
    by_queue = Pushes("smq", reads_any, failing, hanging, AtMost(4), SCALED)
    for pushes in (by_read, by_queue):
        began = time.monotonic()
        assert pushes.answer(PUSH, real_call()).status == 503
        assert time.monotonic() - began < 0.5


def reads_any(request: Request, _now: int) -> bytes:
    """A verification that takes everything."""
    return request.body


def test_a_push_is_one_message_unless_it_is_too_big() -> None:
    """An array that base64 would make too big for a message goes in pieces."""
    event = {"id": "e", "data": "x" * 20_000}
    small, big = json.dumps([event]).encode(), json.dumps([event] * 4).encode()
    assert list(messages(small)) == [small.decode()]
    assert len(big) > QUEUE_PAYLOAD_MAX
    assert [json.loads(message) for message in messages(big)] == [event] * 4
    # What cannot be divided goes as it is: the queue refuses it and the sender keeps it.
    whole = b"{" + b" " * QUEUE_PAYLOAD_MAX
    assert list(messages(whole)) == [whole.decode()]


def test_the_log_tells_no_content() -> None:
    """Neither of what was forwarded nor of what was refused, nor what an error says."""
    secret = Request("POST", "/push/smq", {"authorization": "canary"}, {}, b'{"id": "canary"}')
    with capture_logs() as logs:
        for read in (reads(), reads(Refused("signature"))):
            for failure in (None, RuntimeError("canary")):
                pushes = Pushes("smq", read, Forwards(failure), EventQueue(), at_once)
                pushes.answer(secret, call())
    assert len(logs) >= 4
    assert "canary" not in str(logs)
