"""The README's examples, as they are written there."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.stack

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
# These run until somebody ends them, start a stack of their own, need what is not there yet, or
# need an account of the cloud's: `tests/deploy/` has doubles for those.
NOT_RUN = {"up", "events", "resolve", "doctor", "deploy", "destroy"}


def blocks(language: str) -> list[str]:
    """The README's code blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands() -> list[str]:
    """Every `postbus` command that the README shows, without its comment."""
    lines = [
        line[2:] for block in blocks("console") for line in block.splitlines() if line[:2] == "$ "
    ]
    shown = [line.partition("#")[0].strip() for line in lines]
    return [line for line in shown if line.startswith(".venv/bin/postbus")]


def test_the_python_producer_puts_a_mail_on_the_queue(stack: Any) -> None:
    """The example with the official SDK, on this stack's port."""
    (program,) = blocks("python")
    done = subprocess.run(  # noqa: S603  # our own example
        [
            sys.executable,
            "-W",
            "ignore",
            "-c",
            program.replace("127.0.0.1:8025", f"127.0.0.1:{stack.port}"),
        ],
        capture_output=True,
        timeout=60,
        check=True,
        text=True,
    )
    assert done.stdout.strip()
    (event,) = stack.take_events(lambda found: len(found) >= 1, 60)
    assert event["data"]["key"] == "hello-1"


@pytest.fixture(scope="module")
def sent(stack: Any) -> None:
    """A mail that has its event: what the commands before have made, for one that runs alone."""
    stack.put(json.loads((ROOT / "events" / "mail-request.json").read_text()))
    assert stack.take_events(lambda found: len(found) >= 1, 60)


@pytest.mark.usefixtures("sent")
@pytest.mark.parametrize("line", [c for c in commands() if shlex.split(c)[1] not in NOT_RUN])
def test_a_command_of_the_readme_works(line: str, stack: Any) -> None:
    """Exit code 0, and something to read."""
    done = stack.command(*shlex.split(line)[1:], stdin=b"no mail")
    stack.command("faults", "clear")
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_the_http_example_sends(stack: Any) -> None:
    """The curl command, on this stack's port."""
    (example,) = re.findall(r"\$ (curl -s http://[^$]*?)\n\{", README, re.DOTALL)
    done = subprocess.run(  # noqa: S603  # our own example
        [
            *shlex.split(
                example.replace("\\\n", " ").replace("127.0.0.1:8025", f"127.0.0.1:{stack.port}")
            )
        ],
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert json.loads(done.stdout)["state"] == "sent"


def test_the_event_has_what_events_have(stack: Any) -> None:
    """Every member, and what does not depend on the mail is as in the sample."""
    assert stack.port
    shown = next(json.loads(block) for block in blocks("json") if '"specversion"' in block)
    sample = json.loads((ROOT / "events" / "mail-event-delivered.json").read_text())
    assert list(shown) == list(sample)
    assert list(shown["data"]) == list(sample["data"])
    for name in ("state", "reason", "classification", "bounce", "permanent", "smtp", "notify"):
        assert shown["data"][name] == sample["data"][name]


def test_the_request_is_the_sample(stack: Any) -> None:
    """The request in the README is the file that `make run` sends, its html shortened."""
    assert stack.port
    shown = next(json.loads(block) for block in blocks("json") if '"version": 1' in block)
    sample = json.loads((ROOT / "events" / "mail-request.json").read_text())
    assert {**shown, "html": ""} == {**sample, "html": ""}
