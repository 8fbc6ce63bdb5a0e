"""`postbus fire` against a whole stack: every type by every way comes out as its clean event."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from local.fire.ways import WAYS
from local.pytest_plugin import Postbus
from local.twins.directmail.catalogue import TYPES

pytestmark = pytest.mark.stack

STATES = {
    "Deliver:Succeed": "delivered",
    "Deliver:Fail": "bounced",
    "Feedback:FblReport": "complained",
    "Feedback:Subscribe": "resubscribed",
    "Feedback:UnSubscribe": "unsubscribed",
    "Trace:Open": "opened",
    "Trace:Click": "clicked",
    "Validator:GrayListResult": "validated",
}
MAIL = {
    "sender": {"address": "noreply@mail.example.com"},
    "to": ["ada@example.net"],
    "subject": "Hello",
    "text": "Hello Ada",
    "notify": {"OrderId": "4711"},
}


def fire(stack: Postbus, *arguments: str) -> dict[str, Any]:
    """Run `postbus fire --json`; what was fired."""
    done = stack.command("fire", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    fired: dict[str, Any] = json.loads(done.stdout)
    return fired


def sent(stack: Postbus, key: str, **changes: Any) -> None:
    """Send a mail and wait until it is delivered."""
    stack.put({**MAIL, "key": key, **changes})
    told = stack.take_events(lambda found: any(e["data"]["key"] == key for e in found), 60)
    assert told[-1]["data"]["state"] == "delivered", told


def test_every_type_by_every_way(stack: Postbus, *, proving: bool) -> None:
    """A mail for each way, events about each: one clean event of the right state apiece.

    In full, eight types by each way; else two, in turn.
    """
    ways = list(WAYS)
    assert [f"dm:{name}" for name in STATES] == list(TYPES)
    to = {way: f"{way}@example.net" for way in ways}
    stack.put([{**MAIL, "key": way, "to": [to[way]]} for way in ways])
    stack.take_events(lambda found: len({e["data"]["key"] for e in found}) >= len(ways), 60)
    wanted = set()
    types = list(STATES.items())
    for number, way in enumerate(ways):
        for event, state in types if proving else (types * 3)[2 * number % 8 :][:2]:
            order = {"event": event, "mail": way, "envelope": way, "recipient": to[way]}
            answer = httpx.post(f"{stack.url}/_local/fire", json=order, trust_env=False)
            if answer.status_code == 400:
                assert way.startswith("legacy")
                assert "the legacy notification has no" in answer.json()["error"]
                continue
            # A validation is of an address, and goes to nobody; a second delivery is a repeat.
            if state not in {"validated", "delivered"}:
                wanted.add((to[way], state))
    found = stack.take_events(lambda found: wanted <= told(found), 60)
    assert wanted - told(found) == set()
    print(f"\nfire: {len(ways)} ways, {len(STATES)} types, {len(wanted)} states, all came out")
    keys = {e["data"]["recipient"]: e["data"]["key"] for e in found}
    assert {to[way]: way for way in ways}.items() >= keys.items()


def told(events: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """Recipient and state of each event."""
    return {(e["data"]["recipient"], e["data"]["state"]) for e in events}


def test_a_failure_as_asked_for(stack: Postbus) -> None:
    """Classification, code and text come out; twice the same event goes downstream once."""
    sent(stack, "full")
    fire(
        *(stack, "deliver:fail", "--mail", "full", "--failed-type", "SmtpZPermErr"),
        *("--err-code", "552", "--err-msg", "552 5.2.2 over quota a=b&c", "--times", "2"),
        *("--dialect", "2024,dot", "--header", "lower"),
    )
    (event,) = stack.take_events(bool, 60)
    assert event["data"]["state"] == "bounced"
    assert event["data"]["smtp"] == {"code": 552, "message": "552 5.2.2 over quota a=b&c"}
    assert event["data"]["notify"] == {"OrderId": "4711"}


def test_the_fates_that_recipients_choose(stack: Postbus) -> None:
    """open@, click@ and resubscribe@ have their events by themselves."""
    stack.put({**MAIL, "to": [f"{word}@example.net" for word in ("open", "click", "resubscribe")]})
    wanted = {
        ("open@example.net", "opened"),
        ("click@example.net", "opened"),
        ("click@example.net", "clicked"),
        ("resubscribe@example.net", "unsubscribed"),
        ("resubscribe@example.net", "resubscribed"),
    }
    found = stack.take_events(lambda found: wanted <= told(found), 60)
    assert wanted <= told(found)


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        ((), 2, b"which event? Deliver:Succeed"),
        (("Deliver:Lost",), 2, b"unknown event: 'Deliver:Lost'"),
        (("Trace:Open", "--dialect", "2023"), 2, b"unknown dialect: '2023'; known: 2024"),
        (("Trace:Open", "--envelope", "pigeon"), 2, b"unknown envelope: 'pigeon'; known: queue"),
        (("Trace:Open", "--mail", "nobody"), 1, b"no mail with EnvId, id or key 'nobody'"),
        (("Trace:Open", "--url", "http://127.0.0.1:9"), 3, b"nothing answers at"),
    ],
)
def test_errors_end_with_their_codes(
    stack: Postbus, arguments: tuple[str, ...], code: int, why: bytes
) -> None:
    """2 for the command line, 1 for a mail that is not there, 3 where nothing runs."""
    done = stack.command("fire", *arguments)
    assert (done.returncode, why in done.stderr) == (code, True), done.stderr


def test_the_list_needs_no_stack(stack: Postbus) -> None:
    """`--list` shows types, ways, dialects and failures."""
    done = stack.command("fire", "--list", "--url", "http://127.0.0.1:9")
    assert done.returncode == 0
    for name in (*STATES, *WAYS, "older-type", "SmtpContSpam"):
        assert name in done.stdout.decode()
