"""The ledger's contract: one set of tests for every store."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.stores.ledger import Channel, DeliveryRecord, Ledger, MailRecord, changed

ROOT = Path(__file__).parents[2]
FULL = MailRecord(
    mail_id="m",
    key="order 4711 / Grüße \N{GRINNING FACE}",
    state="sending",
    attempt=2,
    custody=3,
    owner="owner-1",
    lease_until=1_795_348_860_000,
    payload="1:abc",
    unknown_since=5,
    envelope_id=None,
    request_id="req-0",
    evidence=None,
    reason="Throttling.User",
    sender="shop@example.com",
    tag="order",
    notify={"OrderId": "4711", "Shop": 'a"b\\c'},
    created_at=1_795_348_800_000,
    updated_at=1_795_348_800_001,
    expires_at=1_799_236_800_000,
)
Opener = Callable[[], Ledger]


def prove(ledger: Ledger, mail_id: str = "m", **more: Any) -> MailRecord | None:
    """Evidence, by default an event's."""
    given_ = {"envelope_id": "env-1", "request_id": None, "evidence": "event", "at": 99, **more}
    return ledger.prove(mail_id, **given_)


def test_a_changed_row_is_what_replace_makes_of_it() -> None:
    """It is equal, of the same kind, as unchangeable, and the first one stays as it was."""
    new = changed(FULL, state="waiting", attempt=3, reason=None)
    assert new == replace(FULL, state="waiting", attempt=3, reason=None)
    assert (type(new), vars(FULL)["state"]) == (MailRecord, "sending")
    with pytest.raises(FrozenInstanceError):
        new.state = "sent"  # type: ignore[misc]  # that is the test


# --- create and get ------------------------------------------------------------------------------


def test_nothing_is_known_at_first(ledger: Ledger) -> None:
    """An empty ledger knows no mail, no envelope id and no delivery."""
    assert ledger.get("m") is None
    assert ledger.find_by_envelope_id("env-1") is None
    assert ledger.deliveries("m") == []


@pytest.mark.parametrize("record", [FULL, MailRecord("m", "k", "accepted")], ids=["full", "bare"])
def test_a_row_comes_back_as_it_was(opener: Opener, record: MailRecord) -> None:
    """Every field is kept, for whoever opens the ledger later."""
    first = opener()
    assert first.create(record) is True
    assert first.get("m") == record
    first.close()
    assert opener().get("m") == record


def test_create_replaces_nothing(ledger: Ledger) -> None:
    """A row that is there stays as it is."""
    ledger.create(FULL)
    assert ledger.create(replace(FULL, state="waiting", owner="owner-2")) is False
    assert ledger.get("m") == FULL


def test_rows_are_apart(ledger: Ledger) -> None:
    """A mail's row is found by its whole id, case included."""
    for mail_id in ("m", "M", "m ", "m'; --", "mm"):
        assert ledger.create(replace(FULL, mail_id=mail_id)) is True
    assert ledger.change(FULL, replace(FULL, state="waiting")) is True
    assert {i: ledger.get(i).state for i in ("m", "M", "m ", "m'; --", "mm")} == {  # type: ignore[union-attr]  # they are there
        "m": "waiting",
        "M": "sending",
        "m ": "sending",
        "m'; --": "sending",
        "mm": "sending",
    }


def test_many_rows_at_once(ledger: Ledger) -> None:
    """Of the mails asked for, in any number, the rows that are there come back, as one has them."""
    records = [replace(FULL, mail_id=mail_id) for mail_id in ("a", "A", "z")]
    for record in records:
        ledger.create(record)
    others = [f"other-{number}" for number in range(1_000)]
    found = ledger.get_many(["z", *others, "a", "A", "a"])
    assert found == {record.mail_id: record for record in records}
    assert found["a"] == ledger.get("a")
    assert (ledger.get_many(["b"]), ledger.get_many([])) == ({}, {})


# --- change --------------------------------------------------------------------------------------


def test_change_replaces_the_whole_row(ledger: Ledger) -> None:
    """Where the condition holds, every field becomes the new one."""
    new = replace(
        FULL,
        state="waiting",
        attempt=3,
        custody=4,
        owner="owner-2",
        lease_until=0,
        reason=None,
        notify={},
        unknown_since=0,
        updated_at=7,
    )
    ledger.create(FULL)
    assert ledger.change(FULL, new) is True
    assert ledger.get("m") == new


CONDITION = ("state", "attempt", "owner", "custody", "evidence")
OTHER: dict[str, Any] = {
    "key": "other",
    "state": "unknown",
    "attempt": 9,
    "custody": 9,
    "owner": "other",
    "lease_until": 9,
    "payload": "other",
    "unknown_since": 9,
    "envelope_id": "other",
    "request_id": "other",
    "evidence": "event",
    "reason": "other",
    "sender": "other",
    "tag": "other",
    "notify": {"other": "1"},
    "created_at": 9,
    "updated_at": 9,
    "attempted_at": 9,
    "carrier": "caller",
    "resent": 9,
    "expires_at": 9,
    "unsubscribe_filter": "edm_id",
    "suppressed": 9,
    "traceparent": "other",
    "tracestate": "other",
}


@pytest.mark.parametrize("name", OTHER)
def test_what_a_change_depends_on(ledger: Ledger, name: str) -> None:
    """A change fails if state, attempt, owner, custody or evidence is another now; else not."""
    now = replace(FULL, **{name: OTHER[name]})
    ledger.create(now)
    done = ledger.change(FULL, replace(FULL, state="waiting"))
    assert done is (name not in CONDITION)
    assert ledger.get("m") == (replace(FULL, state="waiting") if done else now)


def test_every_field_is_in_this_test() -> None:
    """A field that is added to the row is added to the test above, too."""
    assert set(OTHER) == {field.name for field in fields(MailRecord)} - {"mail_id"}


def test_change_creates_nothing(ledger: Ledger) -> None:
    """A row that is not there does not come into being by a change."""
    assert ledger.change(FULL, replace(FULL, state="waiting")) is False
    assert ledger.get("m") is None


def test_a_change_happens_once(ledger: Ledger) -> None:
    """The same change, asked for twice, is done once."""
    ledger.create(FULL)
    new = replace(FULL, state="waiting")
    assert [ledger.change(FULL, new) for _ in range(2)] == [True, False]


# --- prove ---------------------------------------------------------------------------------------


def test_prove_creates_nothing(ledger: Ledger) -> None:
    """A foreign event makes no row."""
    assert prove(ledger) is None
    assert ledger.get("m") is None
    assert ledger.find_by_envelope_id("env-1") is None


@pytest.mark.parametrize(
    "state",
    ["accepted", "waiting", "sending", "unknown", "held", "parked", "failed", "refused", "expired"],
)
def test_prove_makes_sent_of_every_state(ledger: Ledger, state: str) -> None:
    """Evidence counts from whomever and however late, and the rest of the row stays."""
    ledger.create(replace(FULL, state=state))
    row = prove(ledger)
    assert row == replace(
        FULL,
        state="sent",
        reason=None,
        unknown_since=0,
        updated_at=99,
        envelope_id="env-1",
        evidence="event",
    )
    assert ledger.get("m") == row


def test_prove_of_a_row_that_is_known(ledger: Ledger) -> None:
    """Who says what the row was is told the same as who does not, and the same is written."""
    ledger.create(FULL)
    ledger.create(replace(FULL, mail_id="other"))
    told = prove(ledger, claim=FULL)
    assert told == ledger.get("m") == ledger.find_by_envelope_id("env-1")
    unknown = prove(ledger, "other")
    assert unknown is not None
    assert told == replace(unknown, mail_id="m")


@pytest.mark.parametrize("meanwhile", ["released", "claimed", "proven", "put back"])
def test_prove_of_a_row_that_was_known(ledger: Ledger, meanwhile: str) -> None:
    """Evidence counts all the same where the row has changed, and what changed it stays."""
    ledger.create(FULL)
    if meanwhile == "proven":
        now = prove(ledger, envelope_id="env-0", request_id="req-9")
    else:
        changes: dict[str, dict[str, Any]] = {
            "released": {"state": "unknown", "unknown_since": 7},
            "claimed": {"attempt": 3, "owner": "owner-2"},
            "put back": {"custody": 4, "reason": "other"},
        }
        now = replace(FULL, tag="changed", **changes[meanwhile])
        assert ledger.change(FULL, now)
    assert now is not None
    proven = prove(ledger, evidence="answer", at=100, claim=FULL)
    assert proven == ledger.get("m")
    assert proven == replace(
        now,
        state="sent",
        reason=None,
        unknown_since=0,
        envelope_id="env-0" if meanwhile == "proven" else "env-1",
        evidence="event" if meanwhile == "proven" else "answer",
        updated_at=proven.updated_at if proven and meanwhile == "proven" else 100,
    )


def test_prove_of_a_row_that_is_gone(ledger: Ledger) -> None:
    """What was known of a row makes none."""
    assert prove(ledger, claim=FULL) is None
    assert ledger.get("m") is None


def test_the_first_evidence_stays(ledger: Ledger) -> None:
    """Later evidence adds what is missing and replaces nothing."""
    ledger.create(replace(FULL, request_id=None))
    prove(ledger, envelope_id=None)
    prove(ledger, envelope_id="env-2", request_id="req-2", evidence="answer", at=100)
    row = prove(ledger, envelope_id="env-3", request_id="req-3", evidence="answer", at=101)
    assert row is not None
    assert (row.envelope_id, row.request_id, row.evidence) == ("env-2", "req-2", "event")


def test_evidence_survives_a_change(ledger: Ledger) -> None:
    """A change by someone who has read the evidence keeps it."""
    ledger.create(FULL)
    proven = prove(ledger)
    assert proven is not None
    assert ledger.change(proven, replace(proven, tag="other")) is True
    row = ledger.get("m")
    assert row is not None
    assert (row.state, row.envelope_id, row.evidence) == ("sent", "env-1", "event")


@pytest.mark.parametrize("state", ["waiting", "unknown", "refused", "parked", "sending"])
def test_a_late_change_fails(ledger: Ledger, state: str) -> None:
    """Whoever read the row before the evidence came cannot write over it."""
    ledger.create(FULL)
    proven = prove(ledger)
    assert ledger.change(FULL, replace(FULL, state=state)) is False
    assert ledger.get("m") == proven


def test_a_late_change_of_a_sent_mail_fails(ledger: Ledger) -> None:
    """Not even the state `sent` helps someone who does not know the evidence."""
    sent = replace(FULL, state="sent")
    ledger.create(sent)
    proven = prove(ledger)
    assert ledger.change(sent, replace(sent, tag="other")) is False
    assert ledger.get("m") == proven


def test_a_mail_is_found_by_its_envelope(ledger: Ledger) -> None:
    """DirectMail's id leads to its mail, once it is known, and to no other."""
    ledger.create(FULL)
    ledger.create(replace(FULL, mail_id="other"))
    assert ledger.find_by_envelope_id("env-1") is None
    proven = prove(ledger)
    assert ledger.find_by_envelope_id("env-1") == proven
    assert ledger.find_by_envelope_id("ENV-1") is None


# --- deliveries ----------------------------------------------------------------------------------


def test_deliveries(opener: Opener) -> None:
    """States of recipients are kept in the order of their times; a repeat is recognised."""
    ledger = opener()
    later = DeliveryRecord("m", "ada@example.net", 1, "delivered", 20)
    earlier = DeliveryRecord("m", "bob@example.net", 1, "bounced", 10)
    foreign = DeliveryRecord("other", "ada@example.net", 1, "delivered", 5)
    again = DeliveryRecord("m", "ada@example.net", 2, "delivered", 30)
    for record in (later, earlier, foreign, again):
        assert ledger.record_delivery(record) is True
        assert ledger.record_delivery(replace(record, at=99)) is False
    assert opener().deliveries("m") == [earlier, later, again]


def test_deliveries_need_no_mail(ledger: Ledger) -> None:
    """An event that overtakes its mail's row is kept, and makes no row."""
    assert ledger.record_delivery(DeliveryRecord("m", "ada@example.net", 1, "delivered", 1)) is True
    assert ledger.get("m") is None


# --- Lists ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("states", "limit", "expected"),
    [
        (("held",), 9, ["b", "d"]),
        (("held", "unknown"), 9, ["b", "c", "d"]),
        (("held", "unknown"), 2, ["b", "c"]),
        (("parked",), 9, []),
        (("held",), 0, []),
        ((), 9, []),
    ],
)
def test_mails_by_state(
    ledger: Ledger, states: tuple[str, ...], limit: int, expected: list[str]
) -> None:
    """Mails in the asked states are listed, the oldest first, as many as are asked for."""
    rows = [("a", "sent", 1), ("d", "held", 4), ("c", "unknown", 3), ("b", "held", 2)]
    for mail_id, state, created_at in rows:
        ledger.create(replace(FULL, mail_id=mail_id, state=state, created_at=created_at))
    listed = ledger.by_state(states, limit)
    assert [row.mail_id for row in listed] == expected
    assert listed == [ledger.get(mail_id) for mail_id in expected]


# --- Permits -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "takes", "expected"),
    [
        (10, [10], [True]),
        (10, [11], [False]),
        (10, [11, 10], [False, True]),
        (10, [4, 4, 4, 2, 1], [True, True, False, True, False]),
        (10, [9, 2, 1, 1], [True, False, True, False]),
        (0, [1], [False]),
    ],
)
def test_permits(ledger: Ledger, limit: int, takes: list[int], expected: list[bool]) -> None:
    """A slice gives out its limit and no more; a take that fails takes nothing."""
    assert [ledger.take_permits("s", count, limit, 99) for count in takes] == expected


def test_slices_are_apart(ledger: Ledger) -> None:
    """What one slice has given out is not missing in another."""
    assert [ledger.take_permits(slice_id, 5, 5, 99) for slice_id in "aba"] == [True, True, False]


@pytest.mark.parametrize(("raised", "expected"), [(7, True), (6, False), (4, False)])
def test_a_limit_that_changes(ledger: Ledger, raised: int, *, expected: bool) -> None:
    """A new limit holds for what was taken before it, too."""
    ledger.take_permits("s", 5, 5, 99)
    assert ledger.take_permits("s", 2, raised, 99) is expected


def test_an_expired_slice_is_deleted(ledger: Ledger) -> None:
    """Slices whose time is over do not pile up, and those that run stay."""
    for slice_id, expires_at in (("old", 100), ("new", 101)):
        ledger.take_permits(slice_id, 5, 5, expires_at)
    assert ledger.purge(100) == 1
    assert ledger.take_permits("new", 1, 5, 101) is False
    assert ledger.take_permits("old", 1, 5, 101) is True


def test_threads_racing_for_permits(ledger: Ledger) -> None:
    """However many threads take at once, together they get exactly the limit."""
    got: list[int] = []

    def run(_: int) -> None:
        while ledger.take_permits("s", 3, 100, 99):
            got.append(3)
        while ledger.take_permits("s", 1, 100, 99):
            got.append(1)
        ledger.close()

    race(8, run)
    assert sum(got) == 100


# --- Channels and sightings ----------------------------------------------------------------------


def test_a_channel(opener: Opener) -> None:
    """A sender's times only ever rise, each by itself, for everybody."""
    ledger = opener()
    assert ledger.channel("a@x.org") == Channel(0, 0)
    for noted, expected in (
        (Channel(5, 0), Channel(5, 0)),
        (Channel(3, 4), Channel(5, 4)),
        (Channel(9, 2), Channel(9, 4)),
        (Channel(0, 0), Channel(9, 4)),
    ):
        ledger.note_channel("a@x.org", noted)
        assert opener().channel("a@x.org") == expected
    assert ledger.channel("b@x.org") == Channel(0, 0)


def test_sightings(opener: Opener) -> None:
    """The latest event that belongs to no known mail is remembered, by sender and recipient."""
    ledger = opener()
    assert ledger.sighted_at("a@x.org", "b@x.org") == 0
    for at, expected in ((5, 5), (3, 5), (9, 9)):
        ledger.sight("a@x.org", "b@x.org", at)
        assert opener().sighted_at("a@x.org", "b@x.org") == expected
    assert ledger.sighted_at("b@x.org", "a@x.org") == 0
    assert ledger.sighted_at("a@x.org", "c@x.org") == 0


# --- Expiry --------------------------------------------------------------------------------------


def test_expired_mails_are_deleted(ledger: Ledger) -> None:
    """A mail goes with its deliveries when its time is over, and not before; 0 is never."""
    for mail_id, expires_at in (("old", 100), ("new", 101), ("ever", 0)):
        ledger.create(replace(FULL, mail_id=mail_id, expires_at=expires_at))
        ledger.record_delivery(DeliveryRecord(mail_id, "ada@example.net", 1, "delivered", 5))
    assert ledger.purge(100) == 2
    kept = {mail_id: ledger.get(mail_id) is not None for mail_id in ("old", "new", "ever")}
    assert kept == {"old": False, "new": True, "ever": True}
    assert [len(ledger.deliveries(mail_id)) for mail_id in kept] == [0, 1, 1]
    assert ledger.purge(100) == 0


def test_an_expired_key_can_be_used_again(ledger: Ledger) -> None:
    """After its row is deleted a mail is new, and nothing of the old one shines through."""
    ledger.create(replace(FULL, expires_at=100))
    prove(ledger)
    ledger.purge(100)
    assert ledger.find_by_envelope_id("env-1") is None
    assert ledger.create(FULL) is True
    assert ledger.get("m") == FULL


def test_sightings_outlive_the_events_window(ledger: Ledger) -> None:
    """A sighting is kept for longer than DirectMail's events come, 30 days, and not for ever."""
    day = 86_400_000
    ledger.sight("a@x.org", "b@x.org", 100 * day)
    ledger.purge(130 * day)
    assert ledger.sighted_at("a@x.org", "b@x.org") == 100 * day
    ledger.purge(200 * day)
    assert ledger.sighted_at("a@x.org", "b@x.org") == 0


# --- Anything that can be in a row ---------------------------------------------------------------

TEXT = st.text(max_size=30)
NUMBERS = st.integers(0, 2**53)
RECORDS = st.builds(
    MailRecord,
    mail_id=TEXT,
    key=TEXT,
    state=TEXT,
    attempt=NUMBERS,
    custody=NUMBERS,
    owner=TEXT,
    lease_until=NUMBERS,
    payload=TEXT,
    unknown_since=NUMBERS,
    envelope_id=st.none() | TEXT,
    request_id=st.none() | TEXT,
    evidence=st.none() | TEXT,
    reason=st.none() | TEXT,
    sender=st.none() | TEXT,
    tag=st.none() | TEXT,
    notify=st.dictionaries(TEXT, TEXT, max_size=3),
    created_at=NUMBERS,
    updated_at=NUMBERS,
    expires_at=NUMBERS,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(RECORDS, RECORDS)
def test_any_row(ledger: Ledger, record: MailRecord, new: MailRecord) -> None:
    """Whatever text and numbers are in a row, they come back as text and as numbers."""
    new = replace(new, mail_id=record.mail_id)
    if ledger.create(record):
        assert ledger.get(record.mail_id) == record
    known = ledger.get(record.mail_id)
    assert known is not None
    assert ledger.change(known, new) is True
    assert ledger.get(record.mail_id) == new


# --- Races ---------------------------------------------------------------------------------------


def race(count: int, run: Callable[[int], None]) -> None:
    """Run that many threads, all from the same moment."""
    start = threading.Barrier(count)
    errors: list[BaseException] = []

    def begin(number: int) -> None:
        start.wait()
        try:
            run(number)
        except BaseException as error:  # noqa: BLE001  # it is raised again, in the test's thread
            errors.append(error)

    threads = [threading.Thread(target=begin, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_threads_racing_to_create(ledger: Ledger) -> None:
    """Of sixteen threads that create the same twenty rows, one wins each."""
    wins: list[str] = []

    def run(number: int) -> None:
        owner = f"t{number}"
        wins.extend(
            f"{row} {owner}"
            for row in range(20)
            if ledger.create(replace(FULL, mail_id=str(row), owner=owner))
        )
        ledger.close()

    race(16, run)
    rows = {row: ledger.get(str(row)) for row in range(20)}
    assert sorted(wins) == sorted(f"{row} {record.owner}" for row, record in rows.items() if record)
    assert len(wins) == 20


def test_threads_racing_to_change(ledger: Ledger) -> None:
    """Counting with conditional changes alone, no thread's step is lost and none counts twice."""
    ledger.create(replace(FULL, attempt=0))

    def run(number: int) -> None:
        for step in range(10):
            while True:
                row = ledger.get("m")
                assert row is not None
                new = replace(row, attempt=row.attempt + 1, owner=f"{number}.{step}")
                if ledger.change(row, new):
                    break
        ledger.close()

    race(8, run)
    row = ledger.get("m")
    assert row is not None
    assert row.attempt == 80


def test_evidence_racing_with_claims(ledger: Ledger) -> None:
    """Evidence that comes amid claims is never written over: in the end each mail is `sent`."""
    for number in range(10):
        ledger.create(replace(FULL, mail_id=str(number), attempt=0))

    def run(thread: int) -> None:
        for number in range(10):
            if thread == 0:
                prove(ledger, str(number))
                continue
            for step in range(5):
                row = ledger.get(str(number))
                assert row is not None
                if row.evidence is None:
                    ledger.change(
                        row, replace(row, attempt=row.attempt + 1, owner=f"{thread}{step}")
                    )
        ledger.close()

    race(6, run)
    rows = [ledger.get(str(number)) for number in range(10)]
    assert {(row.state, row.evidence, row.envelope_id) for row in rows if row} == {
        ("sent", "event", "env-1")
    }


# What each process does: open the ledger at the same moment as the others, create, count.
WORKER = """
import sys
import time
from dataclasses import replace
from pathlib import Path
from local.account import OWNER
from shared.stores.ledger import MailRecord
from shared.triggers.context import Credentials, Invocation

name, place = sys.argv[1:]
kind, _, where = place.partition(":")
if kind == "sqlite":
    from shared.stores.sqlite.ledger import SqliteLedger
else:
    from shared.stores.tablestore.ledger import TablestoreLedger
print("ready", flush=True)
sys.stdin.readline()
if kind == "sqlite":
    ledger = SqliteLedger(Path(where))
else:
    ledger = TablestoreLedger.at(where)
    credentials = Credentials(OWNER.id, OWNER.secret)
    ledger.use(Invocation("r", "f", 2**60, credentials, lambda: int(time.time() * 1000)))
for number in range(50):
    if ledger.create(MailRecord(str(number), "k", "sending", owner=name)):
        print(number)
for step in range(25):
    while True:
        row = ledger.get("0")
        if ledger.change(row, replace(row, attempt=row.attempt + 1, owner=name + str(step))):
            break
ledger.close()
"""


@pytest.mark.parametrize("fresh", [True, False], ids=["nobody was here", "somebody was"])
def test_processes_racing(opener: Opener, place: str, *, fresh: bool) -> None:
    """Four processes that open, create and count at once win each row once and lose no step."""
    if not fresh:
        opener().close()
    command = [sys.executable, "-W", "error", "-c", WORKER]
    processes = [
        subprocess.Popen(  # noqa: S603  # our own program, above
            [*command, f"p{number}", place],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    ended = [process.communicate(timeout=60) for process in processes]
    assert [
        (process.returncode, err) for process, (_, err) in zip(processes, ended, strict=True)
    ] == [(0, "")] * 4
    wins = Counter(number for out, _ in ended for number in out.split())
    assert wins == Counter({str(number): 1 for number in range(50)})
    row = opener().get("0")
    assert row is not None
    assert row.attempt == 100
