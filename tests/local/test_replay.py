"""`postbus replay`: which recorded events it would send, and command lines that it refuses."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from local.cli.exits import FAILED, USAGE, CommandError
from local.cli.replay import replay
from shared.stores.events import RecordedEvent
from shared.stores.sqlite.database import Database
from shared.stores.sqlite.events import SqliteEventLog

NOW = time.time_ns() // 1_000_000
HOUR = 3_600_000
DATA: dict[str, dict[str, Any]] = {
    "a": {"state": "delivered", "tag": "order", "permanent": None, "notify": {"Service": "shop"}},
    "b": {"state": "bounced", "tag": "order", "permanent": True, "notify": {}},
    "c": {"state": "bounced", "tag": None, "permanent": False, "recipient": "ada@example.net"},
}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A folder whose log has three events: of now, of an hour and of two hours ago."""
    database = Database(tmp_path / "ledger.db")
    log = SqliteEventLog(database, 10**12)
    for age, (identity, data) in enumerate(DATA.items()):
        event = {"id": identity, "type": f"postbus.mail.{data['state']}", "data": data}
        at = NOW - age * HOUR - 1
        log.record(RecordedEvent(identity, at, str(data["state"]), "", json.dumps(event)))
    database.close()
    return tmp_path


def ids(capsys: pytest.CaptureFixture[str], state: Path, **options: Any) -> list[str]:
    """What a dry run would send."""
    given = {"since": "1d", "where": [], "until": "", "to": "", "ledger": "", **options}
    replay(**given, dry_run=True, state=state, url="http://127.0.0.1:9", as_json=True)
    return sorted(json.loads(line)["id"] for line in capsys.readouterr().out.splitlines())


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ([], "abc"),
        (["state=bounced"], "bc"),
        (["state=bounced", "state=delivered"], "abc"),
        (["state=bounced", "tag=order"], "b"),
        (["permanent=false"], "c"),
        (["notify.Service=shop"], "a"),
        (["type=postbus.mail.delivered"], "a"),
        (["recipient=ada@example.net"], "c"),
        (["tag="], "c"),
        (["id=b"], "b"),
    ],
)
def test_where_chooses_events(
    capsys: pytest.CaptureFixture[str], state: Path, where: list[str], found: str
) -> None:
    """Of one name any of its values does, of several names all must hold."""
    assert ids(capsys, state, where=where) == list(found)


@pytest.mark.parametrize(
    ("since", "until", "found"),
    [
        ("30m", "", "a"),
        ("90m", "", "ab"),
        ("3h", "30m", "bc"),
        ("1d", "90m", "c"),
        ("2020-01-01T00:00:00Z", "", "abc"),
        ("2020-01-01", "2099-01-01T00:00:00+08:00", "abc"),
    ],
)
def test_since_and_until_choose_a_span(
    capsys: pytest.CaptureFixture[str], state: Path, since: str, until: str, found: str
) -> None:
    """As times or as ages."""
    assert ids(capsys, state, since=since, until=until) == list(found)


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        ({"where": ["state=complained"]}, FAILED, "no recorded event matches"),
        ({"since": "30m", "until": "20m"}, FAILED, "no recorded event matches"),
        ({"since": "soon"}, USAGE, "an age like 90m"),
        ({"until": "5 h"}, USAGE, "an age like 90m"),
        ({"where": ["stat=x"]}, USAGE, "--where takes name=value"),
        ({"where": ["state"]}, USAGE, "--where takes name=value"),
        ({"to": "http://x"}, USAGE, "--to takes topic:NAME"),
        ({"ledger": "sqlite:/nowhere/x.db"}, USAGE, "there is no ledger at"),
        ({"ledger": "other:x"}, USAGE, "there is no ledger at"),
        ({"ledger": "tablestore:x"}, USAGE, "POSTBUS_LEDGER is"),
    ],
)
def test_a_replay_that_cannot_be_says_why(
    capsys: pytest.CaptureFixture[str], state: Path, options: dict[str, Any], code: int, says: str
) -> None:
    """1 where nothing matches, 2 where the command line is wrong."""
    with pytest.raises(CommandError, match=says) as wrong:
        ids(capsys, state, **options)
    assert wrong.value.code == code
