"""`postbus faults`, the console's address behind it, and the plugin: against a whole stack."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.faults import KINDS, RuleError
from local.pytest_plugin import Postbus

pytestmark = pytest.mark.stack


def faults_of(stack: Postbus) -> list[dict[str, Any]]:
    """What `postbus faults list --json` tells."""
    done = stack.command("faults", "list", "--json")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_set_list_and_clear(stack: Postbus) -> None:
    """A rule is set, listed with its counters, replaced by its like, and cleared."""
    rule = ("faults", "set", "directmail", "SingleSendMail", "timeout-after")
    assert stack.command(*rule, "--probability", "0.1", "--seed", "7").returncode == 0
    done = stack.command("faults", "set", "smq", "*", "duplicate", "--match", "mails", "--json")
    assert len(done.stdout.splitlines()) == 2
    stack.command(*rule, "--probability", "0.2", "--seconds", "3")
    duplicate, timeout = faults_of(stack)
    assert duplicate["match"] == "mails"
    assert (timeout["probability"], timeout["seconds"], timeout["hits"]) == (0.2, 3, 0)
    assert b"timeout-after" in stack.command("faults", "list").stdout
    stack.command(*rule, "--only")
    assert len(faults_of(stack)) == 1
    assert stack.command("faults", "clear").returncode == 0
    assert faults_of(stack) == []


def test_help_has_every_kind(stack: Postbus) -> None:
    """`faults set --help` lists each kind of each target with its sentence."""
    told = " ".join(stack.command("faults", "set", "--help").stdout.decode().split())
    for target, kinds in KINDS.items():
        assert f"{target}: actions" in told
        for kind in kinds:
            assert f"• {kind}" in told


def test_a_wrong_rule_is_exit_2(stack: Postbus) -> None:
    """An unknown kind ends the command with the kinds there are; nothing is set."""
    done = stack.command("faults", "set", "smq", "*", "explode")
    assert done.returncode == 2
    assert b"unknown kind of smq: 'explode'; known: publish-fails" in done.stderr
    assert faults_of(stack) == []


def test_the_address(stack: Postbus) -> None:
    """PUT replaces the rules, GET lists them, DELETE clears; what is no rule is 400 with why."""
    url = f"{stack.url}/_local/faults"
    rule = {"target": "events", "action": "*", "kind": "lost", "match": "nobody"}
    with httpx.Client(trust_env=False) as client:
        put = client.put(url, json={"rules": [rule]})
        assert put.json() == client.get(url).json()
        assert put.json()["rules"][0].items() >= {**rule, "asked": 0, "hits": 0}.items()
        for wrong in (b"{", b"[" * 100_000, json.dumps({"rules": [{}]}).encode()):
            refused = client.put(url, content=wrong)
            assert (refused.status_code, list(refused.json())) == (400, ["error"])
        assert len(client.get(url).json()["rules"]) == 1
        assert client.delete(url).json() == {"rules": []}


def test_a_fault_reaches_the_whole_stack(stack: Postbus, mail: dict[str, Any]) -> None:
    """A send that DirectMail throttles once is sent all the same, once; the hit is counted."""
    before = stack.outbox().count()
    stack.faults.set("directmail", "SingleSendMail", "throttled", count=1, match="throttled-once")
    stack.put({**mail, "key": "throttled-once", "subject": "throttled-once"})
    (event,) = stack.events(1, seconds=60)
    assert event["data"]["key"] == "throttled-once"
    assert stack.faults.list()[0]["hits"] == 1
    assert stack.outbox().count() == before + 1
    stack.faults.clear()


def test_every_message_twice_is_every_mail_once(stack: Postbus, mail: dict[str, Any]) -> None:
    """Put twice, delivered again while in work, its event twice: one accepted mail each."""
    stack.faults.set("smq", "SendMessage", "duplicate")
    stack.faults.set("smq", "ReceiveMessage", "redeliver", probability=0.5, count=20, seed=1)
    stack.faults.set("events", "*", "duplicated", times=2)
    keys = [f"twice-{number}" for number in range(20)]
    stack.put([{**mail, "key": key, "subject": key} for key in keys])
    events = stack.take_events(lambda found: len({e["data"]["key"] for e in found}) >= 20, 60)
    assert {event["data"]["key"] for event in events} == set(keys)
    sent = Counter(m.parameters["Subject"] for m in stack.outbox().mails(limit=1_000))
    assert {key: sent[key] for key in keys} == dict.fromkeys(keys, 1)
    assert all(rule["hits"] for rule in stack.faults.list())
    stack.faults.clear()


def test_the_fixture(postbus: Postbus, mail: dict[str, Any]) -> None:
    """`postbus` starts a stack; its faults and its state outlive a kill, its errors are ours."""
    with pytest.raises(RuleError, match="unknown kind"):
        postbus.faults.set("smq", "*", "explode")
    postbus.faults.set("events", "*", "header-stripped")
    postbus.put({**mail, "key": "before"})
    assert len(postbus.events(1, seconds=60)) == 1
    postbus.restart()
    assert [rule["kind"] for rule in postbus.faults.list()] == ["header-stripped"]
    assert postbus.outbox().count() == 1


def test_a_file_of_faults_that_is_none(stack: Postbus, tmp_path: Path) -> None:
    """`up --faults` with a file that holds no rules is exit 2, with the reason."""
    file = tmp_path / "faults.json"
    run: Callable[[], Any] = lambda: stack.command("up", "--port", "0", "--faults", str(file))  # noqa: E731  # called twice
    missing = run()
    assert (missing.returncode, b"cannot read" in missing.stderr) == (2, True)
    file.write_text('{"rules": [{"target": "post"}]}')
    wrong = run()
    assert (wrong.returncode, b"rule 1: a rule needs action" in wrong.stderr) == (2, True)
