"""One sink is down for ten minutes, in scaled time: the others notice nothing, it loses nothing.

Mails go out at a steady rate, before, while and after one of three sinks does not answer at all: a
call to it hangs until its time-out, which is worse than an error. What is measured is how long
after its mail an event reaches a sink that is well.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import pytest
from mns.account import Account
from mns.mns_exception import MNSServerException
from mns.queue import QueueMeta
from mns.subscription import SubscriptionMeta
from mns.topic import TopicMeta

from local.account import ACCOUNT_ID, OWNER
from local.pytest_plugin import BATCH, MakePostbus, Postbus

pytestmark = pytest.mark.stack

REAL_SECONDS = 600
RATE = 5
DOWN = "postbus-local-down"
WELL = "postbus-local-well"
ROUTES = {"default": [f"topic:{DOWN}", f"queue:{WELL}", "events"]}
# What an event may be later for it, beside what a busy machine does: the time-out of one call that
# was under way, in seconds.
PATIENCE = 3.0


def test_a_sink_that_is_down_delays_nobody_and_loses_nothing(
    make_postbus: MakePostbus, proving: bool
) -> None:
    """The delay of the sinks that are well stays what it was; the other one gets every event."""
    outage = 60.0 if proving else 3.0
    stack = make_postbus(
        *("--set", f"POSTBUS_ROUTES={json.dumps(ROUTES)}"), *("--event-delay", "0.05")
    )
    _make_sinks(stack)
    put: dict[str, float] = {}
    spans: dict[str, tuple[float, float]] = {}
    for phase, seconds in (("before", 3.0), ("down", outage), ("after", 1.0)):
        if phase == "down":
            stack.faults.set(
                "smq", "PublishMessage", "publish-hangs", match=f"/topics/{DOWN}/", seconds=60
            )
        elif phase == "after":
            stack.faults.clear()
        spans[phase] = _send_for(stack, seconds, phase, put)
    well = _taken(stack, "well", len(put), base64=True)
    inbox = _taken(stack, "mail-events-inbox", len(put), base64=False)
    late = _taken(stack, "down", len(put), base64=False)
    delays = {
        phase: [at - put[key] for key, (at, _) in well.items() if key.startswith(phase)]
        for phase in spans
    }
    told = {phase: _figures(each) for phase, each in delays.items()}
    caught_up = max(at for at, _ in late.values()) - spans["after"][0]
    print(
        f"\nsinks: {len(put)} mails at {RATE}/s, one of three sinks hangs for {outage:.0f} s ("
        f"factor {REAL_SECONDS / outage:.0f}); delay of a sink that is well, median and 95 %: "
        f"{told}; the other one had everything {caught_up:.1f} s after it was back: "
        f"{len(late)} of {len(put)} events"
    )
    assert well.keys() == inbox.keys() == late.keys() == put.keys()
    assert {key: event for key, (_, event) in late.items()} == {
        key: event for key, (_, event) in well.items()
    }
    assert told["down"][1] <= told["before"][1] + PATIENCE


def _make_sinks(stack: Postbus) -> None:
    """A queue, and a topic with a queue that is subscribed to it."""
    account = Account(stack.url, OWNER.id, OWNER.secret, "")
    for name in (DOWN, WELL):
        account.get_queue(name).create(QueueMeta())
    account.get_topic(DOWN).create(TopicMeta())
    endpoint = f"acs:mns:cn-hangzhou:{ACCOUNT_ID}:queues/{DOWN}"
    meta = SubscriptionMeta(endpoint, "", "SIMPLIFIED")
    account.get_subscription(DOWN, "queue").subscribe(meta)
    account.mns_client.close_connection()


def _send_for(
    stack: Postbus, seconds: float, phase: str, put: dict[str, float]
) -> tuple[float, float]:
    """Put mails at the rate for so long; their keys and times are added to `put`."""
    begun = time.time()
    for number in range(int(seconds * RATE)):
        time.sleep(max(0.0, begun + number / RATE - time.time()))
        key = f"{phase}-{number}"
        put[key] = time.time()
        stack.put({"to": ["ada@example.net"], "subject": key, "text": "x", "key": key})
    return begun, time.time()


def _taken(
    stack: Postbus, name: str, count: int, *, base64: bool, seconds: float = 240
) -> dict[str, tuple[float, Any]]:
    """What a queue has got: the mail's key -> when the event was put there, and its id."""
    queue = stack.queue(name, base64=base64)
    found: dict[str, tuple[float, Any]] = {}
    end = time.monotonic() + seconds
    while len(found) < count and time.monotonic() < end:
        with suppress(MNSServerException):  # nothing there yet
            messages = queue.batch_receive_message(BATCH, 1)
            queue.batch_delete_message([message.receipt_handle for message in messages])
            for message in messages:
                event = json.loads(message.message_body)
                at = message.enqueue_time / 1000
                found.setdefault(event["data"]["key"], (at, event["id"]))
    return found


def _figures(delays: Iterable[float]) -> tuple[float, float]:
    """Median and 95th percentile, in seconds."""
    cuts = statistics.quantiles(delays, n=20)
    return round(cuts[9], 2), round(cuts[18], 2)
