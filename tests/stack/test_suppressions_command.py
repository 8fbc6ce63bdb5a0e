"""`postbus suppressions` and `postbus forget`, against a whole stack."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from local.cli.commands import app
from local.cli.exits import CommandError
from local.pytest_plugin import Postbus

pytestmark = pytest.mark.stack

LIST = """\
address,scope,reason,at,expires_at,detail
ada@example.net,,bounce,2026-01-01T00:00:00Z,,from the old system
bob@example.net,@mail.example.com,unsubscribe,,,
not an address,,,,,
eve@example.net,nowhere,,,,
eve@example.net,,because,,,
"""


def command(stack: Postbus, *arguments: str, code: int = 0) -> str:
    """Run the command, in this process; what it printed, and its error's message."""
    done = CliRunner().invoke(app, [*arguments, "--url", stack.url])
    error = done.exception
    assert (error.code if isinstance(error, CommandError) else done.exit_code) == code, done.output
    return done.output + (str(error) if isinstance(error, CommandError) else "")


def run(stack: Postbus, *arguments: str, code: int = 0) -> str:
    """Run `postbus suppressions …`."""
    return command(stack, "suppressions", *arguments, code=code)


def listed(stack: Postbus, *arguments: str) -> list[dict[str, Any]]:
    """`postbus suppressions list --json`."""
    return [json.loads(line) for line in run(stack, "list", "--json", *arguments).splitlines()]


def test_add_list_remove(stack: Postbus) -> None:
    """A person suppresses a recipient, sees it, and lifts it again."""
    assert "suppressed" in run(stack, "add", "zoe@example.net", "--expires", "2099-01-01T00:00:00Z")
    assert "zoe@example.net" in run(stack, "list")
    (row,) = listed(stack, "--address", "zoe@example.net")
    assert row["causes"][0]["expires_at"] == "2099-01-01T00:00:00.000Z"
    run(stack, "remove", f"hash:{row['recipient']}")
    assert listed(stack, "--address", "zoe@example.net") == []
    assert "not suppressed" in run(stack, "remove", "zoe@example.net", code=1)


def test_import_export_forget(stack: Postbus, tmp_path: Path) -> None:
    """A list goes in, what is wrong with it is said, and out comes a file that goes in again."""
    file, out = tmp_path / "list.csv", tmp_path / "out.csv"
    file.write_text(LIST)
    told = run(stack, "import", str(file), code=1)
    assert "3 refused, 2 suppressed" in told
    assert [f"line {number}" in told for number in (2, 3, 4, 5, 6)] == [False] * 2 + [True] * 3

    run(stack, "export", str(out))
    rows = {row["address"]: row for row in csv.DictReader(out.read_text().splitlines())}
    assert rows["ada@example.net"]["detail"] == "from the old system"
    assert rows["ada@example.net"]["at"] == "2026-01-01T00:00:00.000Z"
    assert (rows["bob@example.net"]["scope"], rows["bob@example.net"]["reason"]) == (
        *("@mail.example.com", "unsubscribe"),
    )
    assert "2 known already" in run(stack, "import", str(out))

    told = command(stack, "forget", "ada@example.net", "--json")
    assert json.loads(told)["erased"]["addresses"] == 1
    (row,) = listed(stack, "--address", "ada@example.net")
    assert (row["address"], row["active"]) == (None, True)
    told = command(stack, "forget", "ada@example.net", "--lift", "--json")
    assert json.loads(told)["suppressed"] == []
