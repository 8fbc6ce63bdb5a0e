"""The event log's contract: one set of tests for every store."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from local.twins.tablestore.faults import Fault
from shared.errors import LedgerUnavailable
from shared.stores.events import EventLog, RecordedEvent
from shared.stores.sqlite.database import Database
from shared.stores.sqlite.events import SqliteEventLog
from shared.stores.tablestore import rows
from shared.stores.tablestore.events import TablestoreEventLog
from tests.stores.conftest import Twin

NOON = 1_795_348_800_000
HOUR = 3_600_000
KEEP = 45 * 24 * HOUR


def event(number: int = 1, at: int = NOON, **more: Any) -> RecordedEvent:
    """The event of that number."""
    values = {
        "id": f"{number:032x}",
        "at": at,
        "tag": "delivered",
        "recipient": "ada@example.net",
        "body": f'{{"id": "{number}", "text": "Grüße \N{GRINNING FACE}"}}',
    }
    return RecordedEvent(**{**values, **more})


@pytest.fixture
def opener(place: str) -> Iterator[Callable[[], EventLog]]:
    """Opens the same log as often as it is called."""
    opened: list[Database] = []

    def open_log() -> EventLog:
        kind, _, where = place.partition(":")
        if kind == "tablestore":
            from tests.stores.conftest import _open  # noqa: PLC0415  # a ledger knows its tables

            ledger: Any = _open(place)
            return TablestoreEventLog(ledger.tables, KEEP)
        opened.append(Database(Path(where)))
        return SqliteEventLog(opened[-1], KEEP)

    yield open_log
    for each in opened:
        each.close()


@pytest.fixture
def log(opener: Callable[[], EventLog]) -> EventLog:
    """An empty log."""
    return opener()


def all_of(log: EventLog, start: int = 0, end: int = 2 * NOON) -> list[RecordedEvent]:
    """What is recorded, in the order of ids."""
    return sorted(log.between(start, end), key=lambda each: each.id)


def test_nothing_is_known_at_first(log: EventLog) -> None:
    """An empty log knows no event and has none."""
    assert not log.knows(event().id)
    assert all_of(log) == []


def test_an_event_is_found_again_whole(opener: Callable[[], EventLog]) -> None:
    """By whoever opens the same store."""
    opener().record(event())
    assert opener().knows(event().id)
    assert all_of(opener()) == [event()]


def test_what_is_recorded_stays_as_it_is(log: EventLog) -> None:
    """The same id again, by then with other words, is no second event in the same hour."""
    log.record(event())
    log.record(event(tag="bounced", body="{}"))
    assert all_of(log) == [event()]


def test_an_address_is_kept_in_one_spelling(log: EventLog) -> None:
    """So that everything about it can be found."""
    log.record(event(recipient="Ada@Example.NET"))
    assert [each.recipient for each in all_of(log)] == ["ada@example.net"]


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [
        (NOON, NOON + HOUR, {2, 3}),
        (NOON + 1, NOON + HOUR + 1, {3, 4}),
        (NOON - 1, NOON, {1}),
        (0, NOON - 1, set()),
        (NOON + 2 * HOUR, 2**61, set()),
    ],
)
def test_a_span_has_its_first_moment_and_not_its_last(
    log: EventLog, start: int, end: int, found: set[int]
) -> None:
    """To the millisecond, across hours and days."""
    times = [NOON - 1, NOON, NOON + HOUR - 1, NOON + HOUR]
    for number, at in enumerate(times, 1):
        log.record(event(number, at))
    assert {int(each.id, 16) for each in log.between(start, end)} == found


def test_a_long_log_is_read_to_its_end(tmp_path: Path) -> None:
    """More events than a page has, many of them of one moment, and each of them once."""
    log = SqliteEventLog(Database(tmp_path / "ledger.db"), KEEP)
    for number in range(1, 1_203):
        log.record(event(number, NOON + number // 700))
    assert [int(each.id, 16) for each in all_of(log)] == list(range(1, 1_203))


def test_a_recipients_events_are_forgotten_and_stay_known(log: EventLog) -> None:
    """However the address is spelled; others' events stay, and a repeat would be no news."""
    log.record(event(1))
    log.record(event(2, recipient="bob@example.net"))
    log.record(event(3, NOON + HOUR))
    log.record(event(4, recipient=""))
    assert forget(log, "ADA@example.net") == 2
    assert [int(each.id, 16) for each in all_of(log)] == [2, 4]
    assert all(log.knows(event(number).id) for number in (1, 2, 3, 4))
    assert forget(log, "") == 0


def forget(log: EventLog, recipient: str, at_once: int = 10**9) -> int:
    """How many events are forgotten, in as many parts as it takes, each of so many steps."""
    gone, start = 0, ""
    for _ in range(100):
        steps = itertools.chain(itertools.repeat(True, at_once), itertools.repeat(False))  # noqa: FBT003  # itertools takes no keyword
        part = log.forget(recipient, start, partial(next, steps))
        gone, start = gone + part.rows, part.following
        if not start:
            return gone
    raise AssertionError("it does not end")


def test_what_has_expired_is_deleted(log: EventLog) -> None:
    """And what has not stays; an event that is gone is not known any more."""
    log.record(event(1, NOON - KEEP - HOUR))
    log.record(event(2, NOON - KEEP + HOUR))
    assert log.purge(NOON) == 1
    assert not log.knows(event(1).id)
    assert [int(each.id, 16) for each in all_of(log)] == [2]
    assert log.purge(NOON) == 0


# --- Tablestore's own ----------------------------------------------------------------------------


@pytest.fixture
def cloud(twin: Twin) -> TablestoreEventLog:
    """A log in the twin."""
    return TablestoreEventLog(twin.ledger(twin.prefix()).tables, KEEP)


def test_an_event_is_by_time_before_it_is_known(cloud: TablestoreEventLog, twin: Twin) -> None:
    """Whoever dies between the two writes leaves an event that comes again, never a lost one."""
    writes: list[str] = []

    def watch(operation: str) -> Any:
        writes.append(operation)
        return Fault("busy") if operation == "PutRow" and len(writes) > 1 else None

    cloud.record(event(1))
    assert cloud.knows(event(1).id)
    twin.store.fault = watch
    with pytest.raises(LedgerUnavailable):
        cloud.record(event(2))
    twin.store.fault = lambda _operation: None
    assert not cloud.knows(event(2).id)
    assert event(2) in all_of(cloud)


def test_a_purge_ends(cloud: TablestoreEventLog) -> None:
    """It deletes so much at a time; the next one goes on."""
    few = TablestoreEventLog(cloud._tables, KEEP, purged_max=5)
    for number in range(8):
        cloud.record(event(number, NOON - KEEP - HOUR))
    assert (few.purge(NOON), few.purge(NOON), few.purge(NOON)) == (5, 3, 0)


def test_a_person_is_forgotten_in_parts(cloud: TablestoreEventLog) -> None:
    """An invocation is short and the table may be long; the next one goes on where this stopped."""
    for number in range(60):
        who = "ada@example.net" if number % 3 else "bob@example.net"
        cloud.record(event(number, NOON + number * HOUR, recipient=who))
    assert cloud.forget("ada@example.net", "", lambda: False).rows == 0
    assert forget(cloud, "ada@example.net", at_once=7) == 40
    assert {each.recipient for each in all_of(cloud)} == {"bob@example.net"}


def test_an_hours_events_are_spread(cloud: TablestoreEventLog) -> None:
    """No partition gets every write."""
    for number in range(40):
        cloud.record(event(number))
    slots = {key["slot"] for key, _ in cloud._tables.scan(rows.EVENTS)}
    assert len(slots) > 10
    assert {slot.partition(":")[2] for slot in slots} == {"2026112212"}
