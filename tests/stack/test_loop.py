"""The whole loop: mail requests on the queue, delivery events on the topic."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.stack


def key_of(parameters: dict[str, str]) -> str:
    """The key that a mail of these tests carries in its subject."""
    return parameters["Subject"]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("style", "ledger"),
    [(style, "sqlite") for style in ("given", "lower", "json", "absent")]
    + [("given", "tablestore")],
)
def test_every_mail_gives_a_delivered_event_with_its_notify_values(
    style: str, ledger: str, make_stack: Callable[..., Any], mail: dict[str, Any], proving: bool
) -> None:
    """N mails on the queue: N keys in the outbox, a delivered event for each, notify intact."""
    count = 1_000 if proving else 150
    stack = make_stack("--header-style", style, "--ledger", ledger)
    keys = [f"mail-{number}" for number in range(count)]
    begun = time.monotonic()
    stack.put([json.dumps({**mail, "key": key, "subject": key}) for key in keys])
    events = stack.take_events(lambda found: len({e["id"] for e in found}) >= count, 300)
    seconds = time.monotonic() - begun

    sent = Counter(key_of(m.parameters) for m in stack.outbox().mails(limit=10 * count))
    assert set(sent) == set(keys)
    by_key = {event["data"]["key"]: event for event in events}
    assert set(by_key) == set(keys)
    assert {event["type"] for event in events} == {"postbus.mail.delivered"}
    assert all(event["data"]["notify"] == mail["notify"] for event in events)
    repeats = sum(sent.values()) - count
    print(
        f"\nloop: headers {style}, ledger {ledger}: {count} mails, {len(sent)} keys in the outbox, "
        f"{repeats} repeated sends, {len(by_key)} delivered events, "
        f"{len(events) - len(by_key)} repeated events, {count / seconds:.0f} mails/s"
    )
    assert repeats == 0


def test_a_bounce_comes_back_as_bounced(
    make_stack: Callable[..., Any], mail: dict[str, Any]
) -> None:
    """A mail to `bounce@` ends as a permanent bounce, one to `softbounce@` as a temporary one."""
    stack = make_stack()
    stack.put([json.dumps({**mail, "to": ["bounce@example.net", "softbounce@example.net"]})])
    events = stack.take_events(lambda found: len(found) >= 2, 60)
    told = {e["data"]["recipient"]: (e["type"], e["data"]["permanent"]) for e in events}
    assert told == {
        "bounce@example.net": ("postbus.mail.bounced", True),
        "softbounce@example.net": ("postbus.mail.bounced", False),
    }


def test_a_complaint_comes_home(make_stack: Callable[..., Any], mail: dict[str, Any]) -> None:
    """It carries the Message-ID alone, and still is told as this mail's, with its notify values."""
    stack = make_stack()
    stack.put([json.dumps({**mail, "to": ["complaint@example.net"], "key": "c"})])
    events = stack.take_events(lambda found: len(found) >= 2, 60)
    by_type = {event["type"]: event["data"] for event in events}
    assert set(by_type) == {"postbus.mail.delivered", "postbus.mail.complained"}
    told = by_type["postbus.mail.complained"]
    assert (told["key"], told["recipient"]) == ("c", "complaint@example.net")
    assert told["notify"] == mail["notify"]


def test_a_mail_for_each_recipient(make_stack: Callable[..., Any], mail: dict[str, Any]) -> None:
    """`separate: true` sends one mail per recipient, none of whom sees another."""
    stack = make_stack()
    to = [f"reader{number}@example.net" for number in range(5)]
    stack.put([json.dumps({**mail, "to": to, "separate": True, "key": "letter"})])
    events = stack.take_events(lambda found: len(found) >= 5, 60)
    assert sorted(event["data"]["recipient"] for event in events) == to
    assert len({event["data"]["mail_id"] for event in events}) == 5
    accepted = [stored.recipients for stored in stack.outbox().mails()]
    assert sorted(accepted) == [(address,) for address in to]
