"""The `postbus` command, as a person and as a program use it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.stack

GOOD = {"to": ["ada@example.net"], "subject": "Hello", "text": "Hello Ada"}
ROOT = Path(__file__).parents[2]


@pytest.fixture
def file(tmp_path: Path) -> Callable[[Any], str]:
    """Writes a document into a file; gives its path."""

    def write(document: Any) -> str:
        path = tmp_path / "document.json"
        path.write_bytes(document if isinstance(document, bytes) else json.dumps(document).encode())
        return str(path)

    return write


def test_up_with_a_journey_ends_with_the_event(tmp_path: Path) -> None:
    """`postbus up --journey --once` exits 0; its last line is the event on the topic."""
    command = [sys.executable, "-m", "local.cli", "up", "--port", "0", "--journey", "--once"]
    done = subprocess.run(  # noqa: S603  # our own command
        [*command, "--state", str(tmp_path / "state")],
        capture_output=True,
        timeout=100,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = done.stdout.strip().splitlines()
    event = json.loads(lines[-1])
    assert event["type"] == "postbus.mail.delivered"
    assert event["data"]["notify"] == {"OrderId": "4711", "Service": "shipping"}
    told = "\n".join(lines)
    for each in (event["data"]["mail_id"], event["data"]["env_id"], event["id"]):
        assert each in told
    assert "\x1b[" not in told, "no colour where nobody looks"


def test_send_through_the_queue(stack: Any, file: Callable[[Any], str]) -> None:
    """`send FILE` puts the file's mail on the queue and tells the message id."""
    done = stack.command("send", file({**GOOD, "key": "by-command"}), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["queue"] == "postbus-local-mails"
    events = stack.take_events(lambda found: len(found) >= 1, 60)
    assert events[0]["data"]["key"] == "by-command"


def test_send_over_http(stack: Any, file: Callable[[Any], str]) -> None:
    """`send --http` tells the status, the mail id and the EnvId; standard input works too."""
    done = stack.command("send", "--http", file(GOOD), "--json")
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["status"], answer["state"]) == (0, 201, "sent")
    done = stack.command("send", "--http", "--async", "-", stdin=json.dumps(GOOD).encode())
    assert done.returncode == 0
    assert b"202 accepted" in done.stdout


def test_a_refused_mail_is_exit_1_with_its_problems(stack: Any, file: Callable[[Any], str]) -> None:
    """A mail that breaks the contract: exit 1, and what is wrong in the output."""
    done = stack.command("send", "--http", file({**GOOD, "to": ["nobody"]}))
    assert done.returncode == 1
    assert b"/to/0" in done.stdout


def test_events_follows_the_topic(stack: Any, file: Callable[[Any], str]) -> None:
    """`events --all -n 1 --json` prints one event as a line of JSON and ends."""
    stack.command("send", "--http", file(GOOD))
    done = stack.command("events", "--all", "-n", "1", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["type"] == "postbus.mail.delivered"
    assert b"delivered" in stack.command("events", "--all", "-n", "1").stdout


def test_outbox_and_status(stack: Any, file: Callable[[Any], str]) -> None:
    """`outbox` lists accepted mails with their files, `status` the queues and functions."""
    stack.command("send", "--http", file(GOOD))
    mails = [json.loads(line) for line in stack.command("outbox", "--json").stdout.splitlines()]
    assert mails
    assert all(Path(mail["eml"]).is_file() for mail in mails)
    assert b"Hello" in stack.command("outbox").stdout
    status = json.loads(stack.command("status", "--json").stdout)
    assert "postbus-local-mails" in status["queues"]
    assert b"postbus-local-send-mail" in stack.command("status").stdout


def test_dead_letters_are_listed_and_shown(stack: Any, file: Callable[[Any], str]) -> None:
    """A rejected message is in `dead list` with its reason and whole in `dead show`."""
    stack.take_letters("rejected")
    stack.command("send", file(b"this is no mail"))
    for _ in range(20):
        done = stack.command("dead", "list", "--json")
        assert done.returncode == 0, done.stderr
        if done.stdout:
            break
    listed = [json.loads(line) for line in done.stdout.splitlines()]
    assert b"not-json" in stack.command("dead", "list").stdout
    shown = stack.command("dead", "show", listed[0]["id"])
    assert json.loads(shown.stdout)["body"] == "this is no mail"
    missing = stack.command("dead", "show", "no-such-id")
    assert missing.returncode == 1
    assert b"no-such-id" in missing.stderr


def test_invoke_calls_one_function(stack: Any, file: Callable[[Any], str]) -> None:
    """`invoke` prints the function's answer; a function that is not there is exit 1."""
    tick = {"triggerName": "t", "triggerTime": "2026-11-22T08:00:00Z", "payload": json.dumps(GOOD)}
    done = stack.command("invoke", "clock", file(tick))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"mails": 1}
    assert stack.command("invoke", "no_such_function", file(tick)).returncode == 1


def test_a_timer_that_comes_twice_sends_once(stack: Any, file: Callable[[Any], str]) -> None:
    """The same tick again has the same key: one mail."""
    before = stack.outbox().count()
    tick = {"triggerName": "t", "triggerTime": "2026-11-22T09:00:00Z", "payload": json.dumps(GOOD)}
    for _ in range(3):
        assert stack.command("invoke", "clock", file(tick)).returncode == 0
    assert stack.outbox().count() == before + 1


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["send", "no-such-file.json"], 2, "cannot read no-such-file.json"),
        (["send"], 2, "Missing argument"),
        (["frobnicate"], 2, "No such command"),
        (["outbox", "--url", "http://127.0.0.1:9"], 3, "postbus up"),
        (["schema", "no-such-schema"], 2, "mail-request and mail-event"),
        (["up", "--set", "nonsense"], 2, "NAME=VALUE"),
    ],
)
def test_errors_say_what_to_do(arguments: list[str], code: int, said: str, stack: Any) -> None:
    """Each error has its exit code and one message on standard error."""
    done = stack.command(*arguments)
    assert done.returncode == code
    assert said in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


def test_a_port_that_is_taken_is_told(stack: Any, tmp_path: Path) -> None:
    """A second `up` on the same port ends with the way out."""
    done = stack.command("up", "--port", str(stack.port), "--state", str(tmp_path / "other"))
    assert done.returncode == 2
    assert "--port" in done.stderr.decode()


@pytest.mark.parametrize(
    "command", ["", "up", "send", "invoke", "events", "outbox", "status", "schema", "dead"]
)
def test_every_command_has_help(command: str, stack: Any) -> None:
    """`--help` works everywhere."""
    done = stack.command(*filter(None, [command]), "--help")
    assert done.returncode == 0
    assert b"Usage" in done.stdout


def test_schema_prints_what_is_committed(stack: Any) -> None:
    """`schema` prints the JSON Schema of docs/schema/."""
    printed = json.loads(stack.command("schema", "mail-event").stdout)
    assert printed == json.loads((ROOT / "docs" / "schema" / "mail-event.json").read_text())
