"""Line 8: a deploy between two versions of the schema in mid-flight."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.account import OWNER
from local.twins.directmail.outbox import Outbox
from shared.sending.identity import mail_id_of, payload_hash
from shared.stores.sqlite.ledger import SqliteLedger

pytestmark = pytest.mark.stack

ROOT = Path(__file__).parents[2]
SEED = 8
BATCH = 16
ROUNDS_MAX = 40
# So many calls a second are taken: the rest goes back on the queue, and is the other version's.
CALLS = 60

# (file, text, text) of what differs. One version lacks a field and the other has one more, of the
# mail request and of the ledger's row; both have defaults.
LACKS = (
    (
        "schema/mail_request.py",
        (
            "    lane: Identifier | None = Field(\n"
            '        default=None, description="The lane this mail queues in. Not yet supported."\n'
            "    )\n"
        ),
        "",
    ),
    ("schema/mail_request.py", '("send_at", "lane")', '("send_at",)'),
)
HAS_MORE = (
    (
        "schema/mail_request.py",
        "    lane: Identifier | None = Field(\n",
        (
            '    priority: int = Field(default=8, description="New.")\n'
            "    lane: Identifier | None = Field(\n"
        ),
    ),
    (
        "stores/ledger.py",
        "    expires_at: int = 0\n",
        "    expires_at: int = 0\n    shard: int = 3\n",
    ),
)
# The columns of the first version's ledger.
FIRST_COLUMNS = (
    "mail_id TEXT PRIMARY KEY, key, state, attempt, custody, owner, lease_until, payload, "
    "unknown_since, envelope_id, request_id, evidence, reason, sender, tag, notify, created_at, "
    "updated_at"
)


@dataclass
class Deployment:
    """One version of the code with what it works on.

    Attributes:
        code: the folder that `shared` is imported from.
        environment: its settings.
    """

    code: Path
    environment: dict[str, str]

    def settle(self, messages: list[tuple[str, str]]) -> tuple[list[str], Counter[str]]:
        """Let one instance settle messages; what went back on the queue, and other ends."""
        batches = [messages[i : i + BATCH] for i in range(0, len(messages), BATCH)]
        done = subprocess.run(  # noqa: S603  # our own program
            [sys.executable, str(Path(__file__).with_name("sender.py"))],
            input="".join(json.dumps(batch) + "\n" for batch in batches),
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
            env={**os.environ, "PYTHONPATH": str(self.code), **self.environment},
        )
        ready, *answers = done.stdout.splitlines()
        assert ready == "ready"
        back, ends = [], Counter[str]()
        for answer in map(json.loads, answers):
            back += [body for _, body in answer["back"]]
            ends.update(answer["ends"])
        return back, ends


def version(folder: Path, changes: tuple[tuple[str, str, str], ...]) -> Path:
    """A copy of `shared` with changes; each must have something to change."""
    shutil.copytree(ROOT / "shared", folder / "shared")
    for name, old, new in changes:
        file = folder / "shared" / name
        text = file.read_text()
        assert text.count(old) == 1, (name, old)
        file.write_text(text.replace(old, new))
    return folder


def shuffled(mail: dict[str, Any], chance: random.Random) -> str:
    """The same request as another JSON text: its fields in another order, spaces, escapes."""
    names = list(mail)
    chance.shuffle(names)
    indent, escaped = chance.choice([None, 1]), chance.random() < 0.5
    return json.dumps({n: mail[n] for n in names}, indent=indent, ensure_ascii=escaped)


def first_ledger(file: Path, finished: list[dict[str, Any]]) -> None:
    """A ledger file as the first version wrote it, with mails that were sent."""
    rows = [
        (mail_id_of("production", mail["key"]), mail["key"], "sent", 1, 0, "owner", 0,
         payload_hash(mail), 0, f"env-{mail['key']}", "request", "answer", None, None, None, "{}",
         1, 1)
        for mail in finished
    ]  # fmt: skip
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute(f"CREATE TABLE mails ({FIRST_COLUMNS}) WITHOUT ROWID")
        database.execute(
            "CREATE INDEX mails_by_envelope ON mails (envelope_id) WHERE envelope_id IS NOT NULL"
        )
        marks = ", ".join("?" * 18)
        database.executemany(f"INSERT INTO mails VALUES ({marks})", rows)  # noqa: S608  # marks


@pytest.fixture
def deployment(tmp_path: Path) -> Callable[..., Deployment]:
    """Makes deployments that share a ledger and an account."""

    def make(name: str, changes: tuple[tuple[str, str, str], ...], port: int) -> Deployment:
        given = {
            "ENVIRONMENT": "production",
            "SUPPRESSION_KEY": "0123456789abcdef0123456789abcdef",
            "SMQ_ENDPOINT": "http://127.0.0.1:9",
            "DIRECTMAIL_ENDPOINT": f"http://127.0.0.1:{port}",
            "LEDGER": f"sqlite:{tmp_path / 'ledger.db'}",
            "CALLS_PER_SECOND": "0",
            "LOG_LEVEL": "error",
        }
        environment = {
            "ALIBABA_CLOUD_ACCESS_KEY_ID": OWNER.id,
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET": OWNER.secret,
            **{f"POSTBUS_{key}": value for key, value in given.items()},
        }
        return Deployment(version(tmp_path / name, changes), environment)

    return make


@pytest.mark.timeout(300)
@pytest.mark.parametrize("first", ["lacks", "has-more"])
def test_no_duplicate_is_another_payload_across_versions(
    first: str, tmp_path: Path, proving: bool, deployment: Callable[..., Deployment]
) -> None:
    """Two versions take turns with each other's letters and rows: each mail is sent once."""
    count = 1_000 if proving else 150
    chance = random.Random(SEED)
    mails: list[dict[str, Any]] = [
        {
            "key": f"mail-{number}",
            "sender": {"address": "noreply@mail.example.com"},
            "to": ["ada@example.net"],
            "subject": f"Grüße {number}",
            "text": "Hello \u2028 Ada",
            "notify": {"Order": str(number)},
        }
        for number in range(count)
    ]
    finished = [{**mail, "key": f"early-{mail['key']}"} for mail in mails[:20]]
    first_ledger(tmp_path / "ledger.db", finished)
    twin = [sys.executable, str(ROOT / "bench" / "twin.py"), str(tmp_path / "outbox")]
    with subprocess.Popen(  # noqa: S603  # our own program
        twin, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    ) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            url = f"http://127.0.0.1:{port}/-/limits"
            httpx.post(url, json={"calls": CALLS, "recipients": 0}).raise_for_status()
            versions = [deployment("lacks", LACKS, port), deployment("has-more", HAS_MORE, port)]
            if first == "has-more":
                versions.reverse()
            letters: list[str] = []
            ends: Counter[str] = Counter()
            rounds = 0
            while letters or rounds < 2:
                # Every version gets every mail again, beside the letters of the other one.
                bodies = [shuffled(mail, chance) for mail in mails + finished] + letters
                chance.shuffle(bodies)
                messages = [(f"{rounds}-{number}", body) for number, body in enumerate(bodies)]
                letters, more = versions[rounds % 2].settle(messages)
                ends += more
                rounds += 1
                assert rounds < ROUNDS_MAX
            other = json.dumps({**mails[0], "subject": "Another"})
            _, control = versions[0].settle([("control", other)])
            with_new = json.dumps({**mails[0], "key": "new-field", "priority": 3})
            ends_of_new = [each.settle([("new", with_new)])[1] for each in versions]
        finally:
            process.kill()
    sent = Counter(
        stored.parameters["Subject"] for stored in Outbox(tmp_path / "outbox").mails(limit=10**6)
    )
    ledger = SqliteLedger(tmp_path / "ledger.db")
    rows = [ledger.get(mail_id_of("production", mail["key"])) for mail in mails + finished]
    ledger.close()
    print(
        f"\ndeploy: seed {SEED}: {first} first: {count} mails over {rounds} turns of two versions, "
        f"{ends['back:throttled']} letters handed over, {len(sent)} sent, "
        f"{ends['reject']} refused"
    )
    assert ends["reject"] == 0
    assert ends["back:throttled"] > 0
    # The mail with the new field has the subject of the first one.
    assert sent == Counter({mail["subject"]: 1 for mail in mails} | {mails[0]["subject"]: 2})
    assert {row.state for row in rows if row} == {"sent"}
    # They are two versions, and another payload is refused by both.
    assert control["reject"] == 1
    assert sorted(each["reject"] for each in ends_of_new) == [0, 1]
