"""What a person does about dead letters and unknown mails."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.stack


def wait_for(look: Callable[[], Any], seconds: float = 60) -> Any:
    """Look until there is something to see."""
    deadline = time.monotonic() + seconds
    while not (found := look()) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert found, "it did not come in time"
    return found


def lines(done: Any) -> list[dict[str, Any]]:
    """What a command printed with --json."""
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_parked_mail_goes_again_when_it_is_redriven(
    make_stack: Callable[..., Any], mail: dict[str, Any]
) -> None:
    """The operator's fault parks a mail; once mended, `redrive` sends it, once."""
    stack = make_stack()
    stack.faults.set("directmail", "SingleSendMail", "expired-token", count=1)
    stack.put([json.dumps({**mail, "key": "parked-1"})])
    (letter,) = wait_for(lambda: lines(stack.command("dead", "list", "--json")))
    assert json.loads(letter["body"])["history"][-1][1:] == [
        "parked",
        "InvalidSecurityToken.Expired",
    ]
    assert stack.outbox().count() == 0

    (left,) = lines(stack.command("redrive", "--only", "held", "--json"))
    assert left["decided"] == "left: not asked for"
    wait_for(lambda: stack.command("status", "--json").stdout.count(b'"in_flight": 1') == 0, 60)
    (told,) = lines(stack.command("redrive", "--json"))
    assert (told["key"], told["state"], told["decided"]) == ("parked-1", "parked", "put back")
    events = stack.take_events(lambda found: len(found) >= 1, 60)
    assert [event["data"]["key"] for event in events] == ["parked-1"]
    assert stack.outbox().count() == 1
    assert b"no letters" in stack.command("redrive").stdout


def test_a_held_mail_is_listed_and_resolved(
    make_stack: Callable[..., Any], mail: dict[str, Any]
) -> None:
    """A mail whose outcome stays unknown is held, announced, listed, and sent when told to."""
    stack = make_stack("--set", "POSTBUS_UNKNOWN_GRACE_SECONDS=1")
    stack.faults.set("directmail", "SingleSendMail", "reset-before", count=1)
    stack.put([json.dumps({**mail, "key": "held-1", "on_unknown": "hold"})])
    state = ("--state", str(stack.state))
    (row,) = wait_for(
        lambda: [
            row
            for row in lines(stack.command("unknown", "list", "--json", *state))
            if row["state"] == "held"
        ]
    )
    assert row["key"] == "held-1"
    assert b"held-1" in stack.command("unknown", "list", *state).stdout
    announced = stack.take_events(lambda found: len(found) >= 2, 30)
    assert [event["type"] for event in announced] == ["postbus.mail.unknown", "postbus.mail.held"]

    shown = lines(stack.command("resolve", "held-1", "--json", *state))
    assert shown[0]["statistics"] == [], "DirectMail knows of no such mail"
    assert stack.command("resolve", "held-1", "--sent", "--cancel", *state).returncode == 2
    assert stack.command("resolve", "nobody", *state).returncode == 1
    stack.command("resolve", "held-1", "--resend", *state)
    events = stack.take_events(lambda found: len(found) >= 1, 60)
    assert [event["type"] for event in events] == ["postbus.mail.delivered"]
    (evidence,) = lines(stack.command("resolve", "held-1", "--json", *state))
    assert (evidence["state"], evidence["attempt"]) == ("sent", 2)
    assert [row["Subject"] for row in evidence["statistics"]] == ["Hello"]
    assert stack.outbox().count() == 1


def test_a_held_mail_can_be_let_be(make_stack: Callable[..., Any], mail: dict[str, Any]) -> None:
    """`resolve --cancel` ends it; `--sent` records a person's evidence."""
    stack = make_stack("--set", "POSTBUS_UNKNOWN_GRACE_SECONDS=1")
    stack.faults.set("directmail", "SingleSendMail", "reset-before", count=2)
    state = ("--state", str(stack.state))
    for key in ("let-be", "was-sent"):
        stack.put([json.dumps({**mail, "key": key, "on_unknown": "hold"})])

    def held() -> bool:
        rows = lines(stack.command("unknown", "list", "--json", *state))
        return [row["state"] for row in rows] == ["held", "held"]

    wait_for(held)
    assert lines(stack.command("resolve", "let-be", "--cancel", "--json", *state))[0]["state"] == (
        "cancelled"
    )
    (told,) = lines(stack.command("resolve", "was-sent", "--sent", "--json", *state))
    assert (told["state"], told["evidence"]) == ("sent", "person")
    stack.command("redrive")
    wait_for(lambda: stack.command("status", "--json").stdout.count(b'"visible": 0') >= 5)
    assert stack.outbox().count() == 0
