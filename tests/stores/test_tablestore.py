"""What is Tablestore's own beside the contract: traps, time-outs, lost answers."""

from __future__ import annotations

import itertools
import logging
import random
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from local.account import OWNER, AccessKey
from local.twins.tablestore.faults import Fault, Kind
from local.twins.tablestore.store import Store
from local.twins.tablestore.wire import Change
from shared.errors import LedgerUnavailable, SettingsError
from shared.stores.ledger import Channel, DeliveryRecord, MailRecord
from shared.stores.tablestore import rows
from shared.stores.tablestore.ledger import TablestoreLedger
from shared.stores.tablestore.sdk import AnswerLost, ots
from shared.triggers.context import Credentials, Invocation

ROOT = Path(__file__).parents[2]
INSTANCE = "postbus"
MAIL = MailRecord("m", "order 1", "sending", attempt=1, owner="o1", sender="shop@example.com")
DELIVERY = DeliveryRecord("m", "ada@example.net", 1, "delivered", 5)


def invocation(key: AccessKey = OWNER, *, seconds: float = 3600) -> Invocation:
    """An invocation with this access key that ends in so many seconds."""
    credentials = Credentials(key.id, key.secret, key.token or "")
    deadline = _now() + int(seconds * 1000)
    return Invocation("request", "function", deadline, credentials, _now)


def _now() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture
def prefix(twin: Any) -> str:
    """Tables of the test's own."""
    return str(twin.prefix())


@pytest.fixture
def store(twin: Any) -> Store:
    """The twin's engine."""
    store: Store = twin.store
    return store


@pytest.fixture
def ledger(twin: Any, prefix: str) -> Iterator[TablestoreLedger]:
    """An empty ledger."""
    ledger: TablestoreLedger = twin.ledger(prefix)
    yield ledger
    ledger.close()


class Requests:
    """Counts the twin's requests, and lets some of them go wrong."""

    def __init__(self, store: Store) -> None:
        self.seen: list[str] = []
        self._plans: dict[str, Iterator[Fault | None]] = {}
        store.fault = self._fault

    def go_wrong(self, operation: str, kind: Kind, times: int = 1, seconds: float = 0) -> None:
        """The next requests of this operation have a fault; the later ones have none."""
        self._plans[operation] = iter([Fault(kind, seconds)] * times)

    def _fault(self, operation: str) -> Fault | None:
        self.seen.append(operation)
        return next(self._plans.get(operation, iter(())), None)


@pytest.fixture
def requests(store: Store) -> Requests:
    """The twin's requests."""
    return Requests(store)


def stored(store: Store, table: str) -> list[dict[str, Any]]:
    """All rows of a table, keys and columns together."""
    keys = next(each.keys for each in rows.TABLES if table.endswith(each.name))
    low = [(name, ots.INF_MIN) for name in keys]
    high = [(name, ots.INF_MAX) for name in keys]
    return [
        {**dict(key), **{name: value for name, value, _ in cells}}
        for key, cells in store.rows(INSTANCE, table, low, high)
    ]


def prove(ledger: TablestoreLedger, mail_id: str = "m", **more: Any) -> MailRecord | None:
    """Evidence, by default DirectMail's answer."""
    given = {"envelope_id": "env-1", "request_id": "req-1", "evidence": "answer", "at": 9, **more}
    return ledger.prove(mail_id, **given)


# --- What it costs -------------------------------------------------------------------------------


def test_requests_of_a_mail(ledger: TablestoreLedger, requests: Requests) -> None:
    """A claim is one request, its proof three, and a proof that says nothing new is one."""
    ledger.create(MAIL)
    assert requests.seen == ["PutRow"]
    prove(ledger)
    assert requests.seen[1:] == ["GetRow", "PutRow", "UpdateRow"]
    prove(ledger)
    assert requests.seen[4:] == ["GetRow"]


def test_requests_of_a_permit(ledger: TablestoreLedger, requests: Requests) -> None:
    """A take is one request, the first of a slice included; a refusal looks why."""
    assert [ledger.take_permits("s", 2, 4, 99) for _ in range(3)] == [True, True, False]
    assert requests.seen == ["UpdateRow", "UpdateRow", "UpdateRow", "GetRow"]
    assert ledger.take_permits("s", 5, 4, 99) is False
    assert len(requests.seen) == 4


# --- Lost answers --------------------------------------------------------------------------------

BROKEN: list[Kind] = ["lost-answer", "down", "busy"]


@pytest.mark.parametrize("kind", BROKEN)
def test_create_is_resolved(ledger: TablestoreLedger, requests: Requests, kind: Kind) -> None:
    """Whether or not the row was written before the answer was lost, it is there once, and ours."""
    requests.go_wrong("PutRow", kind)
    assert ledger.create(MAIL) is True
    assert ledger.get("m") == MAIL
    assert ledger.create(replace(MAIL, owner="o2")) is False


@pytest.mark.parametrize("kind", BROKEN)
def test_another_ones_row_is_not_ours(
    ledger: TablestoreLedger, requests: Requests, kind: Kind
) -> None:
    """A lost answer does not make a row ours that somebody else had made."""
    ledger.create(MAIL)
    requests.go_wrong("PutRow", kind)
    assert ledger.create(replace(MAIL, owner="o2")) is False
    assert ledger.get("m") == MAIL


@pytest.mark.parametrize("kind", BROKEN)
def test_change_is_resolved(ledger: TablestoreLedger, requests: Requests, kind: Kind) -> None:
    """A change whose answer is lost has happened, once."""
    ledger.create(MAIL)
    new = replace(MAIL, state="waiting", owner="o2")
    requests.go_wrong("UpdateRow", kind)
    assert ledger.change(MAIL, new) is True
    assert ledger.get("m") == new
    requests.go_wrong("UpdateRow", kind)
    assert ledger.change(MAIL, new) is False


@pytest.mark.parametrize("kind", ["lost-answer", "down"])
def test_evidence_that_comes_while_a_change_is_resolved(
    ledger: TablestoreLedger, requests: Requests, twin: Any, prefix: str, kind: Kind
) -> None:
    """Who asks whether a change was done, and meets evidence, is told no, and has to read."""
    ledger.create(MAIL)
    other: TablestoreLedger = twin.ledger(prefix)
    get = ledger._tables.get

    def get_late(table: rows.Table, *key: str) -> Any:
        ledger._tables.get = get  # type: ignore[method-assign]  # as it was
        prove(other)
        return get(table, *key)

    ledger._tables.get = get_late  # type: ignore[method-assign]  # something happens in between
    requests.go_wrong("UpdateRow", kind)
    assert ledger.change(MAIL, replace(MAIL, attempt=2, owner="o2")) is False
    row = ledger.get("m")
    assert row is not None
    assert (row.state, row.envelope_id, row.evidence) == ("sent", "env-1", "answer")
    other.close()


@pytest.mark.parametrize("operation", ["GetRow", "PutRow", "UpdateRow"])
@pytest.mark.parametrize("kind", BROKEN)
def test_prove_is_resolved(
    ledger: TablestoreLedger, requests: Requests, kind: Kind, operation: str
) -> None:
    """Evidence is recorded whichever of its requests goes wrong once."""
    ledger.create(MAIL)
    requests.go_wrong(operation, kind)
    proven = prove(ledger)
    assert proven == ledger.get("m") == ledger.find_by_envelope_id("env-1")
    assert proven is not None
    assert (proven.state, proven.evidence, proven.updated_at) == ("sent", "answer", 9)


@pytest.mark.parametrize("operation", ["PutRow", "UpdateRow"])
@pytest.mark.parametrize("kind", BROKEN)
def test_prove_of_a_claim_is_resolved(
    ledger: TablestoreLedger, requests: Requests, kind: Kind, operation: str
) -> None:
    """Likewise where the row was known; its evidence is written once and not put over."""
    ledger.create(MAIL)
    requests.go_wrong(operation, kind)
    proven = prove(ledger, claim=MAIL)
    assert proven == ledger.get("m") == ledger.find_by_envelope_id("env-1")
    assert proven is not None
    assert (proven.state, proven.evidence, proven.updated_at) == ("sent", "answer", 9)


def test_what_is_known_is_not_read(ledger: TablestoreLedger, requests: Requests) -> None:
    """A claim's proof takes two requests, and a hundred mails are looked up in one."""
    ledger.create(MAIL)
    requests.seen.clear()
    prove(ledger, claim=MAIL)
    ledger.get_many([f"m{number}" for number in range(100)])
    assert requests.seen == ["PutRow", "UpdateRow", "BatchGetRow"]


@pytest.mark.parametrize("kind", BROKEN)
def test_a_delivery_is_new_once(ledger: TablestoreLedger, requests: Requests, kind: Kind) -> None:
    """A recipient's state whose answer was lost is new, and its repeat is not."""
    requests.go_wrong("PutRow", kind)
    assert ledger.record_delivery(DELIVERY) is True
    requests.go_wrong("PutRow", kind)
    assert ledger.record_delivery(DELIVERY) is False


def test_permits_whose_answer_is_lost_are_taken(
    ledger: TablestoreLedger, requests: Requests
) -> None:
    """Nobody knows whether they were given out, so it is an error, and they are gone."""
    requests.go_wrong("UpdateRow", "lost-answer")
    with pytest.raises(LedgerUnavailable):
        ledger.take_permits("s", 3, 4, 99)
    assert requests.seen == ["UpdateRow"]
    assert ledger.take_permits("s", 2, 4, 99) is False
    assert ledger.take_permits("s", 1, 4, 99) is True


@pytest.mark.parametrize("kind", BROKEN)
def test_times_rise_all_the_same(ledger: TablestoreLedger, requests: Requests, kind: Kind) -> None:
    """What may be done twice is simply done again."""
    requests.go_wrong("UpdateRow", kind)
    ledger.note_channel("a@x.org", Channel(5, 0))
    requests.go_wrong("UpdateRow", kind)
    ledger.sight("a@x.org", "b@x.org", 7)
    assert ledger.channel("a@x.org") == Channel(5, 0)
    assert ledger.sighted_at("a@x.org", "b@x.org") == 7


CALLS: dict[str, Callable[[TablestoreLedger], object]] = {
    "by_state": lambda ledger: ledger.by_state(["sending"], 9),
    "change": lambda ledger: ledger.change(MAIL, replace(MAIL, state="waiting")),
    "channel": lambda ledger: ledger.channel("a"),
    "create": lambda ledger: ledger.create(replace(MAIL, mail_id="new")),
    "deliveries": lambda ledger: ledger.deliveries("m"),
    "find_by_envelope_id": lambda ledger: ledger.find_by_envelope_id("e"),
    "get": lambda ledger: ledger.get("m"),
    "get_many": lambda ledger: ledger.get_many(["m", "n"]),
    "note_channel": lambda ledger: ledger.note_channel("a", Channel(1, 1)),
    "prove": prove,
    "prove a claim": lambda ledger: prove(ledger, claim=MAIL),
    "purge": lambda ledger: ledger.purge(1),
    "record_delivery": lambda ledger: ledger.record_delivery(DELIVERY),
    "sight": lambda ledger: ledger.sight("a", "b", 1),
    "sighted_at": lambda ledger: ledger.sighted_at("a", "b"),
    "take_permits": lambda ledger: ledger.take_permits("s", 1, 9, 9),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("kind", BROKEN)
def test_a_store_that_stays_broken(
    ledger: TablestoreLedger, requests: Requests, name: str, kind: Kind
) -> None:
    """Every method gives up after a few requests, with the house's own error."""
    ledger.create(MAIL)
    requests.seen.clear()
    for operation in ("GetRow", "BatchGetRow", "GetRange", "PutRow", "UpdateRow"):
        requests.go_wrong(operation, kind, times=99)
    with pytest.raises(LedgerUnavailable):
        CALLS[name](ledger)
    assert 1 <= len(requests.seen) <= 4


@pytest.mark.parametrize("name", CALLS)
def test_a_store_that_is_not_there(name: str) -> None:
    """A refused connection is the house's own error, at once."""
    with socket.socket() as taken:  # bound and not listening: nobody can
        taken.bind(("127.0.0.1", 0))
        ledger = TablestoreLedger(f"http://127.0.0.1:{taken.getsockname()[1]}", INSTANCE)
        ledger.use(invocation())
        with pytest.raises(LedgerUnavailable, match="cannot be reached"):
            CALLS[name](ledger)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n<html></html>",
        b"HTTP/1.1 503 Busy\r\nContent-Length: 13\r\n\r\n<html></html>",
        b"HTTP/1.1 500 Error\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nAuthorization: OTS\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"",
    ],
)
@pytest.mark.parametrize("name", ["create", "get", "prove", "take_permits"])
def test_answers_that_are_none(answer: bytes, name: str) -> None:
    """Whatever comes instead of Tablestore's answer is the house's own error."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for _ in itertools.repeat(None):
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(65536):
                        pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        ledger = TablestoreLedger(f"http://127.0.0.1:{server.getsockname()[1]}", INSTANCE)
        ledger.use(invocation())
        with pytest.raises(LedgerUnavailable):
            CALLS[name](ledger)
        ledger.close()
        server.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def in_between(ledger: TablestoreLedger, act: Callable[[], object]) -> None:
    """Let something happen after the ledger's next look at a row, before it goes on."""
    get = ledger._tables.get

    def get_early(table: rows.Table, *key: str) -> Any:
        ledger._tables.get = get  # type: ignore[method-assign]  # as it was
        found = get(table, *key)
        act()
        return found

    ledger._tables.get = get_early  # type: ignore[method-assign]  # something happens in between


def test_two_proofs_at_once(ledger: TablestoreLedger, twin: Any, prefix: str) -> None:
    """The evidence that is there first stays, though the other one saw a row without any."""
    ledger.create(MAIL)
    other: TablestoreLedger = twin.ledger(prefix)
    first: list[MailRecord | None] = []
    in_between(ledger, lambda: first.append(prove(other, evidence="event", envelope_id="env-0")))
    assert prove(ledger, at=10) == ledger.get("m") == first[0]
    assert first[0] is not None
    assert (first[0].envelope_id, first[0].evidence) == ("env-0", "event")
    other.close()


def test_a_proof_amid_a_claim(ledger: TablestoreLedger, twin: Any, prefix: str) -> None:
    """What somebody changes while evidence is recorded is not put back."""
    ledger.create(MAIL)
    other: TablestoreLedger = twin.ledger(prefix)
    claimed = replace(MAIL, attempt=2, owner="o2")
    in_between(ledger, lambda: other.change(MAIL, claimed))
    proven = prove(ledger)
    assert proven == ledger.get("m")
    assert proven is not None
    assert (proven.attempt, proven.owner, proven.state) == (2, "o2", "sent")
    other.close()


def refusal(code: str, status: int) -> Exception:
    """What the SDK raises for a refusal."""
    error: Exception = ots.OTSServiceError(status, code, "quotes hush@example.com", "id-1")
    return error


@pytest.mark.parametrize(
    ("code", "status", "lost", "calls"),
    [
        ("OTSServerBusy", 503, False, 2),
        ("OTSRowOperationConflict", 409, False, 2),
        ("OTSPartitionUnavailable", 503, False, 2),
        ("OTSTimeout", 503, True, 1),
        ("OTSInternalServerError", 500, True, 1),
        ("OTSServerUnavailable", 503, True, 1),
        ("OTSParameterInvalid", 400, False, 1),
        ("OTSAuthFailed", 403, False, 1),
        ("OTSQuotaExhausted", 403, False, 1),
    ],
)
def test_what_a_refused_write_means(
    ledger: TablestoreLedger, *, code: str, status: int, lost: bool, calls: int
) -> None:
    """Some refusals say that nothing was done; a server's own trouble says nothing of the kind."""
    made: list[int] = []

    def write(_: Any) -> None:
        made.append(1)
        raise refusal(code, status)

    with pytest.raises(LedgerUnavailable, match=rf"{code} \({status}\), request id-1") as caught:
        ledger._tables.client.write(write)
    assert isinstance(caught.value, AnswerLost) is lost
    assert len(made) == calls
    assert "hush" not in "".join(traceback.format_exception(caught.value))


def test_a_repeat_that_fails_on_its_condition(ledger: TablestoreLedger) -> None:
    """It may fail because the first try was done in spite of its refusal, so it is looked up."""
    errors = iter([refusal("OTSServerBusy", 503), refusal("OTSConditionCheckFail", 403)])

    def write(_: Any) -> None:
        raise next(errors)

    with pytest.raises(AnswerLost):
        ledger._tables.client.write(write)


# --- Time ----------------------------------------------------------------------------------------


def test_a_slow_store_is_not_waited_for(ledger: TablestoreLedger, requests: Requests) -> None:
    """A call ends with its invocation's time, not with the store's answer."""
    ledger.use(invocation(seconds=0.3))
    for operation in ("GetRow", "PutRow"):
        requests.go_wrong(operation, "slow", times=9, seconds=1.5)
    begin = time.monotonic()
    with pytest.raises(LedgerUnavailable):
        ledger.create(MAIL)
    assert time.monotonic() - begin < 1.2


def test_a_write_that_comes_late(ledger: TablestoreLedger, requests: Requests) -> None:
    """A write that is done long after its time-out changes nothing of what came after it."""
    ledger.create(MAIL)
    ledger.use(invocation(seconds=0.2))
    requests.go_wrong("UpdateRow", "slow", seconds=0.6)
    second = replace(MAIL, state="waiting", owner="o2", attempt=2)
    assert ledger.change(MAIL, second) is True
    third = replace(second, state="sending", owner="o3", attempt=3)
    assert ledger.change(second, third) is True
    time.sleep(0.6)
    assert ledger.get("m") == third


# --- Traps ---------------------------------------------------------------------------------------


def test_nothing_makes_a_ghost(ledger: TablestoreLedger, store: Store, prefix: str) -> None:
    """What concerns a mail that is not known leaves no row in any table."""
    ledger.change(MAIL, replace(MAIL, state="waiting"))
    prove(ledger)
    ledger.find_by_envelope_id("env-1")
    ledger.note_channel("a@x.org", Channel(0, 0))
    assert {table.name: stored(store, prefix + table.name) for table in rows.TABLES} == {
        table.name: [] for table in rows.TABLES
    }


def test_no_column_is_left_out(ledger: TablestoreLedger, store: Store, prefix: str) -> None:
    """A column that a condition may look at is in the row even where it says nothing."""
    ledger.create(MailRecord("m", "k", "accepted"))
    (row,) = stored(store, f"{prefix}mails")
    assert row["evidence"] == row["envelope_id"] == row["owner"] == ""
    assert set(row) == {"stamp", *MailRecord.__dataclass_fields__}


def test_a_column_that_is_missing_is_not_as_expected(
    ledger: TablestoreLedger, store: Store, prefix: str
) -> None:
    """A row without one of the columns that a change depends on is not changed."""
    ledger.create(MAIL)
    condition = ots.protobuf.table_store_pb2.Condition(row_existence=0)
    key = [("mail_id", "m")]
    for name in ("state", "attempt", "owner", "custody", "evidence"):
        store.update(INSTANCE, f"{prefix}mails", key, [Change(name, "delete")], condition)
        assert ledger.change(MAIL, replace(MAIL, tag="new")) is False
        value = rows.mail_columns(MAIL, "")[name]
        store.update(INSTANCE, f"{prefix}mails", key, [Change(name, "put", value)], condition)
    assert ledger.change(MAIL, replace(MAIL, tag="new")) is True


@pytest.mark.parametrize("text", [None, "", "\0", "\0\0x", "x", "env\0"])
def test_nothing_and_an_empty_text_are_two(text: str | None) -> None:
    """What is packed comes back, and only nothing is stored as the empty text."""
    assert rows.unpack(rows.pack(text)) == text
    assert (rows.pack(text) == "") is (text is None)


def test_a_change_writes_every_column_anew(
    ledger: TablestoreLedger, store: Store, prefix: str
) -> None:
    """All cells of a mail's row have one age, so that a time to live takes it as a whole."""
    ledger.create(MAIL)
    for write in (lambda: prove(ledger), lambda: ledger.change(_read(ledger), _read(ledger))):
        time.sleep(0.002)
        before = _now()
        write()
        cells = store.row(INSTANCE, f"{prefix}mails", [("mail_id", "m")])
        assert cells is not None
        assert len({at for _, _, at in cells}) == 1
        assert cells[0][2] >= before


def _read(ledger: TablestoreLedger) -> MailRecord:
    row = ledger.get("m")
    assert row is not None
    return row


def test_a_pointer_is_no_proof(ledger: TablestoreLedger, requests: Requests) -> None:
    """A crash between the pointer and the row leads to no mail, and the next proof mends it."""
    ledger.create(MAIL)
    requests.go_wrong("UpdateRow", "busy", times=99)
    with pytest.raises(LedgerUnavailable):
        prove(ledger)
    requests.go_wrong("UpdateRow", "busy", times=0)
    assert ledger.find_by_envelope_id("env-1") is None
    assert ledger.get("m") == MAIL
    proven = prove(ledger)
    assert ledger.find_by_envelope_id("env-1") == proven


def test_keys_that_grow_are_spread(ledger: TablestoreLedger, store: Store, prefix: str) -> None:
    """Slices and envelope ids, which follow each other, do not lie side by side."""
    for number in range(4):
        ledger.create(replace(MAIL, mail_id=str(number)))
        prove(ledger, str(number), envelope_id=f"6000{number}")
        ledger.take_permits(f"1795348860{number}", 1, 9, 99)
    slices = [row["slice"] for row in stored(store, f"{prefix}permits")]
    envelopes = [row["envelope_id"] for row in stored(store, f"{prefix}envelopes")]
    for keys in (slices, envelopes):
        assert len({key[:2] for key in keys}) > 1
        assert all(key.partition(":")[2] for key in keys)


@pytest.mark.parametrize("fails", [False, True])
def test_conditions_on_a_row_that_is_not_there(
    ledger: TablestoreLedger, store: Store, *, fails: bool
) -> None:
    """Counters and times work whichever of the two Tablestore does, as it does not say."""
    store.missing_row_fails = fails
    assert [ledger.take_permits("s", 3, 4, 99) for _ in range(2)] == [True, False]
    assert ledger.take_permits("s", 1, 4, 99) is True
    for at in (5, 3, 9):
        ledger.sight("a", "b", at)
        ledger.note_channel("a", Channel(at, at))
    assert ledger.sighted_at("a", "b") == 9
    assert ledger.channel("a") == Channel(9, 9)


def test_permits_of_eight_threads_with_faults(twin: Any, prefix: str, store: Store) -> None:
    """Whatever goes wrong, more than the limit is never given out, nor taken."""
    chance, lock = random.Random(7), threading.Lock()
    kinds: list[Kind] = ["lost-answer", "down", "busy"]
    given: Counter[str] = Counter()

    def fault(operation: str) -> Fault | None:
        if operation == "UpdateRow" and chance.random() < 0.2:
            return Fault(chance.choice(kinds))
        return None

    store.fault = fault

    def take() -> None:
        own: TablestoreLedger = twin.ledger(prefix)
        for turn in range(30):
            name = f"slice-{turn % 2}"
            try:
                if own.take_permits(name, 2, 75, 99):
                    with lock:
                        given[name] += 2
            except LedgerUnavailable:
                continue
        own.close()

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    used = {
        row["slice"].partition(":")[2]: row["used"] for row in stored(store, f"{prefix}permits")
    }
    assert set(used.values()) == {74}
    assert all(0 < given[name] <= used[name] for name in used)


def test_many_deliveries_and_many_states(ledger: TablestoreLedger) -> None:
    """A list longer than one answer, and more states than one condition takes, are complete."""
    states = [f"s{number:02}" for number in range(13)]
    for number, state in enumerate(states):
        ledger.create(replace(MAIL, mail_id=state, state=state, created_at=20 - number))
        ledger.record_delivery(replace(DELIVERY, recipient=f"{number}@example.net", at=number))
    assert [row.state for row in ledger.by_state(states, 99)] == states[::-1]
    assert [row.at for row in ledger.deliveries("m")] == list(range(13))


def test_purge_leaves_no_pointer(ledger: TablestoreLedger, store: Store, prefix: str) -> None:
    """With an expired mail goes what its envelope id leads to; the pointers are not counted."""
    ledger.create(replace(MAIL, expires_at=100))
    prove(ledger)
    assert ledger.purge(100) == 1
    assert stored(store, f"{prefix}envelopes") == []


def test_purge_spares_a_row_that_was_renewed(
    ledger: TablestoreLedger, requests: Requests, twin: Any, prefix: str
) -> None:
    """A row that gets another expiry after it was read is not deleted."""
    old = replace(MAIL, expires_at=100)
    ledger.create(old)
    other: TablestoreLedger = twin.ledger(prefix)
    scan = ledger._tables.scan

    def scan_slowly(*given: Any, **more: Any) -> Any:
        for found in scan(*given, **more):
            other.change(old, replace(old, expires_at=999))
            yield found

    ledger._tables.scan = scan_slowly  # type: ignore[method-assign]  # something happens in between
    assert ledger.purge(100) == 0
    assert ledger.get("m") == replace(old, expires_at=999)
    assert "DeleteRow" in requests.seen
    other.close()


# --- Credentials and settings --------------------------------------------------------------------


def test_temporary_credentials(ledger: TablestoreLedger, twin: Any) -> None:
    """Each invocation's own key and token are used for the calls that follow."""
    for role in ("send-mail", "clock"):
        ledger.use(invocation(twin.account.assume(role)))
        ledger.create(replace(MAIL, mail_id=role))
        assert ledger.get(role) is not None


@pytest.mark.parametrize(
    "key", [AccessKey(OWNER.id, "wrong"), AccessKey("nobody", OWNER.secret)], ids=["secret", "id"]
)
def test_wrong_credentials(ledger: TablestoreLedger, key: AccessKey) -> None:
    """A refusal names Tablestore's code and request, for the operator."""
    ledger.use(invocation(key))
    with pytest.raises(LedgerUnavailable, match=r"OTSAuthFailed \(403\), request [0-9a-f]+"):
        ledger.create(MAIL)


def test_no_credentials(ledger: TablestoreLedger) -> None:
    """An invocation without a role says so."""
    ledger.use(replace(invocation(), credentials=None))
    with pytest.raises(LedgerUnavailable, match="no credentials"):
        ledger.get("m")


def test_tables_that_are_missing(twin: Any) -> None:
    """A stack without its tables is an error that names the reason."""
    ledger: TablestoreLedger = twin.ledger("nowhere_")
    with pytest.raises(LedgerUnavailable, match="OTSObjectNotExist"):
        ledger.get("m")
    ledger.close()


@pytest.mark.parametrize(
    "place",
    [
        "",
        "postbus",
        "ftp://postbus.cn-hangzhou.ots.aliyuncs.com/postbus",
        "https://postbus.cn-hangzhou.ots.aliyuncs.com",
        "https:///postbus",
        "https://postbus.cn-hangzhou.ots.aliyuncs.com/a/b",
        "https://postbus.cn-hangzhou.ots.aliyuncs.com/postbus?prefix=a-b",
        "https://postbus.cn-hangzhou.ots.aliyuncs.com/postbus?prefix=a&prefix=b",
        "https://postbus.cn-hangzhou.ots.aliyuncs.com/postbus?prefixx=a",
        "https://postbus.cn-hangzhou.ots.aliyuncs.com/postbus?prefix",
    ],
)
def test_places_that_are_none(place: str) -> None:
    """A setting that cannot be one is refused, with the form that it should have."""
    with pytest.raises(SettingsError, match=r"POSTBUS_LEDGER is `tablestore:https://<instance>"):
        TablestoreLedger.at(place)


# --- Silence -------------------------------------------------------------------------------------

PROGRAM = """
import logging, sys, time
logging.basicConfig(level=logging.DEBUG)
from dataclasses import replace
from local.account import OWNER
from shared.errors import LedgerUnavailable
from shared.stores.ledger import MailRecord
from shared.stores.tablestore.ledger import TablestoreLedger
from shared.triggers.context import Credentials, Invocation

def use(secret):
    ledger.use(Invocation("r", "f", 2**60, Credentials(OWNER.id, secret), lambda: 0))

ledger = TablestoreLedger.at(sys.argv[1])
use(OWNER.secret)
mail = MailRecord("m", "k", "sending", sender="hush@example.com")
assert ledger.create(mail) and not ledger.create(mail)
assert not ledger.change(replace(mail, owner="x"), mail)
assert ledger.get("m") == mail
use("wrong")
try:
    ledger.get("m")
except LedgerUnavailable as error:
    assert "hush" not in str(error)
"""


def test_the_sdk_is_silent(twin: Any, prefix: str) -> None:
    """Neither the SDK's import nor a request writes to standard output, or a row into the log."""
    done = subprocess.run(  # noqa: S603  # our own program, above
        [sys.executable, "-W", "error", "-c", PROGRAM, twin.place(prefix)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "hush" not in done.stderr
    assert OWNER.secret not in done.stderr
    assert "Native" not in done.stderr


def test_loggers_are_silent() -> None:
    """Not even errors of the SDK get into the function's log."""
    for name in ("tablestore", "tablestore.decoder", "tablestore.encoder", "tablestore.postbus"):
        assert not logging.getLogger(name).isEnabledFor(logging.CRITICAL)
