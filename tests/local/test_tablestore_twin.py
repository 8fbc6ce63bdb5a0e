"""Tablestore's twin as the official SDK meets it: signatures, conditions, limits."""

from __future__ import annotations

import itertools
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from urllib3.exceptions import ProtocolError, ReadTimeoutError

from local.account import OWNER, ROLE_SESSION_SECONDS, AccessKey, Account
from local.twins.tablestore.errors import TablestoreError
from local.twins.tablestore.faults import Fault
from local.twins.tablestore.limits import BODY_BYTES_MAX
from local.twins.tablestore.server import serving
from local.twins.tablestore.store import Store
from shared.stores.tablestore.sdk import ots

INSTANCE = "postbus"
KEY = [("id", "a")]
IGNORE = ots.RowExistenceExpectation.IGNORE
EXIST = ots.RowExistenceExpectation.EXPECT_EXIST
NOT_EXIST = ots.RowExistenceExpectation.EXPECT_NOT_EXIST
CAPACITY = ots.ReservedThroughput(ots.CapacityUnit(0, 0))
_numbers = itertools.count(1)


@dataclass
class Twin:
    """A twin, its clock, and a table in it whose key is `id`."""

    store: Store
    endpoint: str
    account: Account
    table: str
    offset: list[float]

    def client(self, key: AccessKey = OWNER, **more: Any) -> Any:
        """The official SDK's client with this key."""
        given = {"sts_token": key.token, "retry_policy": ots.retry.NoRetryPolicy(), **more}
        return ots.OTSClient(self.endpoint, key.id, key.secret, INSTANCE, **given)

    def put(self, columns: dict[str, Any], existence: str = IGNORE, where: Any = None) -> None:
        """PutRow."""
        row = ots.Row(KEY, list(columns.items()))
        self.client().put_row(self.table, row, ots.Condition(existence, where))

    def update(self, changes: dict[str, Any], existence: str = IGNORE, where: Any = None) -> None:
        """UpdateRow."""
        row = ots.Row(KEY, changes)
        self.client().update_row(self.table, row, ots.Condition(existence, where))

    def get(self, key: Any = None, **more: Any) -> dict[str, Any] | None:
        """GetRow: the columns, without their versions."""
        _, row, _ = self.client().get_row(self.table, key or KEY, max_version=1, **more)
        return None if row is None else {name: value for name, value, _ in row.attribute_columns}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twin]:
    """A twin for this file."""
    offset = [0.0]
    store = Store(
        tmp_path_factory.mktemp("tablestore") / "t.db", clock=lambda: time.time() + offset[0]
    )
    account = Account(clock=lambda: time.time() + offset[0])
    with serving(store, account) as endpoint:
        yield Twin(store, endpoint, account, "", offset)
    store.close()


@pytest.fixture
def twin(running: Twin) -> Iterator[Twin]:
    """The twin with an empty table."""
    running.table = f"table_{next(_numbers)}"
    running.store.ensure_table(INSTANCE, running.table, ["id"])
    yield running
    running.offset[0] = 0.0
    running.store.missing_row_fails = False
    running.store.fault = lambda _operation: None


@contextmanager
def refused(code: str, status: int) -> Iterator[None]:
    """Expect the SDK's exception for a refusal."""
    with pytest.raises(ots.OTSServiceError) as caught:
        yield
    assert (caught.value.code, caught.value.http_status) == (code, status)


CONFLICT = ("OTSConditionCheckFail", 403)
INVALID = ("OTSParameterInvalid", 400)


def single(comparator: str, value: Any, column: str = "n", **more: Any) -> Any:
    """A comparison."""
    return ots.SingleColumnCondition(column, value, getattr(ots.ComparatorType, comparator), **more)


def composite(operator: str, *conditions: Any) -> Any:
    """Comparisons together."""
    whole = ots.CompositeColumnCondition(getattr(ots.LogicalOperator, operator))
    for each in conditions:
        whole.add_sub_condition(each)
    return whole


# --- Values --------------------------------------------------------------------------------------


def test_every_type_comes_back(twin: Twin) -> None:
    """Texts, numbers, truths and bytes are kept with their types."""
    values = {
        "text": "Grüße \N{GRINNING FACE}\0",
        "empty": "",
        "whole": -(2**63),
        "broken": 0.25,
        "yes": True,
        "raw": bytearray(b"\0\xff"),
    }
    twin.put(values)
    assert twin.get() == values


def test_a_row_without_columns_is_a_row(twin: Twin) -> None:
    """A key alone is a row; no key is none."""
    twin.put({})
    assert twin.get() == {}
    assert twin.get([("id", "b")]) is None


def test_put_replaces_and_update_changes(twin: Twin) -> None:
    """PutRow leaves nothing of the old row; UpdateRow leaves all that it does not name."""
    twin.put({"a": 1, "b": 2})
    twin.update({"PUT": [("b", 3), ("c", 4)]})
    assert twin.get() == {"a": 1, "b": 3, "c": 4}
    twin.put({"d": 5})
    assert twin.get() == {"d": 5}


def test_columns_are_deleted(twin: Twin) -> None:
    """DELETE_ALL takes a column, DELETE the version that it names."""
    twin.put({"a": 1, "b": 2, "c": 3})
    _, row, _ = twin.client().get_row(twin.table, KEY, max_version=1)
    version = {name: at for name, _, at in row.attribute_columns}
    twin.update({"DELETE_ALL": ["a"], "DELETE": [("b", None, version["b"])]})
    assert twin.get() == {"c": 3}
    twin.update({"DELETE": [("c", None, 1)]})
    assert twin.get() == {"c": 3}


def test_increment(twin: Twin) -> None:
    """A counter begins at 0, answers nothing, and counts whole numbers only."""
    for count in (3, 4):
        row = ots.Row(KEY, {"INCREMENT": [("n", count)]})
        _, told = twin.client().update_row(twin.table, row, ots.Condition(IGNORE))
        assert told is None
    assert twin.get() == {"n": 7}
    twin.put({"n": "text"})
    with refused(*INVALID):
        twin.update({"INCREMENT": [("n", 1)]})


def test_columns_to_get(twin: Twin) -> None:
    """Only the columns asked for come; a row with none of them does not."""
    twin.put({"a": 1, "b": 2})
    assert twin.get(columns_to_get=["a", "zzz"]) == {"a": 1}
    assert twin.get(columns_to_get=["zzz"]) is None


def test_a_filter_comes_after_the_choice_of_columns(twin: Twin) -> None:
    """A filter sees only the columns that were asked for."""
    twin.put({"n": 1, "b": 2})
    where = single("EQUAL", 1, pass_if_missing=False)
    assert twin.get(column_filter=where) == {"n": 1, "b": 2}
    assert twin.get(column_filter=where, columns_to_get=["b"]) is None


# --- Conditions ----------------------------------------------------------------------------------


def test_row_existence(twin: Twin) -> None:
    """A row that should be there, or not be there, decides before anything is written."""
    with refused(*CONFLICT):
        twin.update({"PUT": [("a", 1)]}, EXIST)
    with refused(*CONFLICT):
        twin.put({"a": 1}, EXIST)
    twin.put({"a": 1}, NOT_EXIST)
    with refused(*CONFLICT):
        twin.put({"a": 2}, NOT_EXIST)
    twin.update({"PUT": [("a", 3)]}, EXIST)
    assert twin.get() == {"a": 3}


def test_an_update_without_a_row_condition_makes_a_ghost(twin: Twin) -> None:
    """UpdateRow of a row that is not there makes it."""
    twin.update({"PUT": [("a", 1)]})
    assert twin.get() == {"a": 1}


@pytest.mark.parametrize(
    ("comparator", "passing"),
    [
        ("EQUAL", [5]),
        ("NOT_EQUAL", [4, 6]),
        ("GREATER_THAN", [4]),
        ("GREATER_EQUAL", [4, 5]),
        ("LESS_THAN", [6]),
        ("LESS_EQUAL", [5, 6]),
    ],
)
def test_comparisons(twin: Twin, comparator: str, passing: list[int]) -> None:
    """A column, here 5, is compared with the value that a request has."""
    for value in (4, 5, 6):
        twin.put({"n": 5})
        if value in passing:
            twin.put({"done": True}, where=single(comparator, value))
        else:
            with refused(*CONFLICT):
                twin.put({"done": True}, where=single(comparator, value))


def test_a_value_of_another_type_is_another_value(twin: Twin) -> None:
    """The text 5 is not the number 5, and neither is true 1."""
    twin.put({"n": 5})
    for value in ("5", 5.0, True, bytearray(b"5")):
        with refused(*CONFLICT):
            twin.put({"done": True}, where=single("EQUAL", value))


def test_a_missing_column_passes_unless_told_otherwise(twin: Twin) -> None:
    """The SDK's default lets a condition pass on a column that is not there."""
    twin.put({"a": 1})
    twin.update({"PUT": [("b", 1)]}, EXIST, single("EQUAL", 5))
    with refused(*CONFLICT):
        twin.update({"PUT": [("b", 2)]}, EXIST, single("EQUAL", 5, pass_if_missing=False))
    assert twin.get() == {"a": 1, "b": 1}


@pytest.mark.parametrize("fails", [False, True])
def test_a_missing_row(twin: Twin, *, fails: bool) -> None:
    """A column condition without a row: as without columns, or a failure, as the test says."""
    twin.store.missing_row_fails = fails
    if fails:
        with refused(*CONFLICT):
            twin.update({"INCREMENT": [("n", 1)]}, where=single("LESS_EQUAL", 5))
    else:
        twin.update({"INCREMENT": [("n", 1)]}, where=single("LESS_EQUAL", 5))
        assert twin.get() == {"n": 1}


def test_composite_conditions(twin: Twin) -> None:
    """AND, OR and NOT, one inside the other, and the key's columns too."""
    two = composite("AND", single("EQUAL", 5), single("EQUAL", "a", "id"))
    none = composite("OR", single("EQUAL", 1), single("EQUAL", 2))
    for where, passes in (
        (two, True),
        (none, False),
        (composite("NOT", none), True),
        (composite("OR", none, two), True),
        (composite("AND", none, two), False),
    ):
        twin.put({"n": 5})
        if passes:
            twin.update({"PUT": [("done", True)]}, EXIST, where)
            assert twin.get() == {"n": 5, "done": True}
        else:
            with refused(*CONFLICT):
                twin.update({"PUT": [("done", True)]}, EXIST, where)


def test_ten_comparisons_at_most(twin: Twin) -> None:
    """A condition has ten comparisons; the eleventh is refused."""
    twin.put({"n": 5})
    several = [single("NOT_EQUAL", number + 10) for number in range(11)]
    twin.update({"PUT": [("a", 1)]}, EXIST, composite("AND", *several[:10]))
    with refused(*INVALID):
        twin.update({"PUT": [("a", 2)]}, EXIST, composite("AND", *several))


def test_delete(twin: Twin) -> None:
    """DeleteRow keeps its conditions, and deletes what is not there without a word."""
    client, row = twin.client(), ots.Row(KEY)
    client.delete_row(twin.table, row, ots.Condition(IGNORE))
    with refused(*CONFLICT):
        client.delete_row(twin.table, row, ots.Condition(EXIST))
    twin.put({"n": 5})
    with refused(*CONFLICT):
        client.delete_row(twin.table, row, ots.Condition(EXIST, single("EQUAL", 4)))
    client.delete_row(twin.table, row, ots.Condition(EXIST, single("EQUAL", 5)))
    assert twin.get() is None


# --- Ranges --------------------------------------------------------------------------------------


def keys(twin: Twin, low: Any, high: Any, **more: Any) -> tuple[list[str], Any]:
    """The keys of a range, and where the next one begins."""
    direction = more.pop("direction", ots.Direction.FORWARD)
    _, following, found, _ = twin.client().get_range(
        twin.table, direction, [("id", low)], [("id", high)], max_version=1, **more
    )
    return [row.primary_key[0][1] for row in found], following


def test_ranges(twin: Twin) -> None:
    """Rows come in the order of their bytes, the first end included, the other one not."""
    names = ["", "\0", "a", "a\0", "a\0b", "aa", "b", "ä", "\N{GRINNING FACE}"]
    for name in reversed(names):
        twin.client().put_row(
            twin.table, ots.Row([("id", name)], [("n", 1)]), ots.Condition(IGNORE)
        )
    assert keys(twin, ots.INF_MIN, ots.INF_MAX) == (names, None)
    assert keys(twin, "a", "b") == (["a", "a\0", "a\0b", "aa"], None)
    backward = ots.Direction.BACKWARD
    assert keys(twin, ots.INF_MAX, ots.INF_MIN, direction=backward) == (names[::-1], None)
    assert keys(twin, "aa", "a", direction=backward) == (["aa", "a\0b", "a\0"], None)
    assert keys(twin, ots.INF_MIN, ots.INF_MAX, limit=2) == (["", "\0"], [("id", "a")])
    with refused(*INVALID):
        keys(twin, "b", "a")


def test_a_filtered_range(twin: Twin) -> None:
    """Rows that do not pass are left out."""
    for number in range(6):
        row = ots.Row([("id", str(number))], [("n", number % 2)])
        twin.client().put_row(twin.table, row, ots.Condition(IGNORE))
    where = single("EQUAL", 1, pass_if_missing=False)
    assert keys(twin, ots.INF_MIN, ots.INF_MAX, column_filter=where)[0] == ["1", "3", "5"]


def test_several_key_columns(twin: Twin) -> None:
    """A range over the rest of a key stays within its first column."""
    twin.store.ensure_table(INSTANCE, f"{twin.table}_two", ["first", "second"])
    client = twin.client()
    for first, second in (("a", "z"), ("ab", "a"), ("b", "a")):
        row = ots.Row([("first", first), ("second", second)], [("n", 1)])
        client.put_row(f"{twin.table}_two", row, ots.Condition(IGNORE))
    _, _, found, _ = client.get_range(
        f"{twin.table}_two",
        ots.Direction.FORWARD,
        [("first", "a"), ("second", ots.INF_MIN)],
        [("first", "a"), ("second", ots.INF_MAX)],
        max_version=1,
    )
    assert [row.primary_key for row in found] == [[("first", "a"), ("second", "z")]]


# --- Tables and limits ---------------------------------------------------------------------------


def test_tables(twin: Twin) -> None:
    """Tables are made, listed, described and deleted, with what is in them."""
    client, name = twin.client(), f"{twin.table}_new"
    schema = [("a", "STRING"), ("b", "INTEGER"), ("c", "BINARY")]
    options = ots.TableOptions(time_to_live=86_400)
    client.create_table(ots.TableMeta(name, schema), options, CAPACITY)
    assert name in client.list_table()
    told = client.describe_table(name)
    assert told.table_meta.schema_of_primary_key == schema
    assert told.table_options.time_to_live == 86_400
    with refused("OTSObjectAlreadyExist", 409):
        client.create_table(ots.TableMeta(name, schema), options, CAPACITY)
    key = [("a", "x"), ("b", -5), ("c", bytearray(b"\xff"))]
    client.put_row(name, ots.Row(key, [("n", 1)]), ots.Condition(IGNORE))
    client.delete_table(name)
    with refused("OTSObjectNotExist", 404):
        client.get_row(name, key, max_version=1)
    client.create_table(ots.TableMeta(name, schema), options, CAPACITY)
    assert client.get_row(name, key, max_version=1)[1] is None


@pytest.mark.parametrize(
    ("schema", "ttl"),
    [
        ([], -1),
        ([(name, "STRING") for name in "abcde"], -1),
        ([("a", "STRING"), ("a", "STRING")], -1),
        ([("a-b", "STRING")], -1),
        ([("a", "STRING")], 86_399),
        ([("a", "STRING")], 0),
        ([("a", "STRING")], -2),
    ],
)
def test_tables_that_are_refused(twin: Twin, schema: list[tuple[str, str]], ttl: int) -> None:
    """A key has one to four columns, and a time to live is a day at least."""
    with refused(*INVALID):
        twin.client().create_table(
            ots.TableMeta(f"{twin.table}_bad", schema), ots.TableOptions(time_to_live=ttl), CAPACITY
        )


def test_a_table_name_that_is_none(twin: Twin) -> None:
    """A name has letters, digits and underscores."""
    with refused(*INVALID):
        twin.client().create_table(
            ots.TableMeta("a-b", [("id", "STRING")]), ots.TableOptions(), CAPACITY
        )


@pytest.mark.parametrize(
    ("key", "columns", "error"),
    [
        ([("id", "a" * 1024)], {"n": 1}, None),
        ([("id", "a" * 1025)], {"n": 1}, INVALID),
        ([("id", "ä" * 513)], {"n": 1}, INVALID),
        ([("id", 5)], {"n": 1}, ("OTSInvalidPK", 400)),
        ([("other", "a")], {"n": 1}, ("OTSInvalidPK", 400)),
        ([("id", "a"), ("more", "b")], {"n": 1}, ("OTSInvalidPK", 400)),
        (KEY, {f"c{n}": n for n in range(1024)}, None),
        (KEY, {f"c{n}": n for n in range(1025)}, ("OTSOutOfColumnCountLimit", 400)),
        (KEY, {"n": "a" * 2 * 1024 * 1024}, None),
        (KEY, {"n": "a" * (2 * 1024 * 1024 + 1)}, INVALID),
        (KEY, {"a-b": 1}, INVALID),
        (KEY, {"c" * 256: 1}, INVALID),
        (KEY, {"id": 1}, INVALID),
    ],
)
def test_limits_of_a_row(
    twin: Twin, key: Any, columns: dict[str, Any], error: tuple[str, int] | None
) -> None:
    """Keys up to 1 KB, up to 1,024 columns, cells up to 2 MB; the next one is refused."""
    row, condition = ots.Row(key, list(columns.items())), ots.Condition(IGNORE)
    if error is None:
        twin.client().put_row(twin.table, row, condition)
        assert twin.get(key) == columns
    else:
        with refused(*error):
            twin.client().put_row(twin.table, row, condition)


def test_cells_expire(twin: Twin) -> None:
    """A cell that is older than the time to live cannot be read; a row without any is gone."""
    twin.table += "_ttl"
    twin.store.ensure_table(INSTANCE, twin.table, ["id"], ttl_seconds=86_400)
    old = int((time.time() - 86_000) * 1000)
    twin.client().put_row(
        twin.table, ots.Row(KEY, [("old", 1, old), ("new", 2)]), ots.Condition(IGNORE)
    )
    assert twin.get() == {"old": 1, "new": 2}
    twin.offset[0] = 600.0
    assert twin.get() == {"new": 2}
    assert twin.store.row(INSTANCE, twin.table, KEY) is not None
    twin.offset[0] = 90_000.0
    assert twin.store.row(INSTANCE, twin.table, KEY) is None


def test_a_version_far_from_now(twin: Twin) -> None:
    """A cell's own version is at most a day away."""
    row = ots.Row(KEY, [("a", 1, int((time.time() - 90_000) * 1000))])
    with refused(*INVALID):
        twin.client().put_row(twin.table, row, ots.Condition(IGNORE))


def test_instances_are_apart(twin: Twin) -> None:
    """A table is in one instance."""
    client = ots.OTSClient(twin.endpoint, OWNER.id, OWNER.secret, "another")
    with refused("OTSObjectNotExist", 404):
        client.get_row(twin.table, KEY, max_version=1)


# --- Signatures ----------------------------------------------------------------------------------


@pytest.mark.parametrize("region", [None, "cn-hangzhou"])
def test_both_signatures(twin: Twin, region: str | None) -> None:
    """Version 2, and version 4 with a region; the SDK checks that of the answer."""
    twin.client(region=region).list_table()
    with refused("OTSAuthFailed", 403):
        twin.client(AccessKey(OWNER.id, "wrong"), region=region).list_table()


def test_keys_that_are_none(twin: Twin) -> None:
    """Nobody's key, a temporary one without its token, with another's, or one that has expired."""
    key = twin.account.assume("send-mail")
    twin.client(key).list_table()
    for wrong in (
        AccessKey("nobody", OWNER.secret),
        AccessKey(key.id, key.secret),
        AccessKey(key.id, key.secret, "other"),
        AccessKey(OWNER.id, OWNER.secret, "other"),
    ):
        with refused("OTSAuthFailed", 403):
            twin.client(wrong).list_table()
    twin.offset[0] = ROLE_SESSION_SECONDS + 1
    with refused("OTSAuthFailed", 403):
        twin.client(key).list_table()


def post(
    twin: Twin, operation: str, body: bytes = b"", changes: dict[str, str] | None = None
) -> httpx.Response:
    """Any body, signed as the SDK signs, with `changes` to the headers after signing."""
    client = twin.client()
    context = ots.auth.RequestContext(client.credentials_provider.get_credentials())
    signed: dict[str, str] = client.protocol._make_request_headers(
        body, f"/{operation}", client._signer, context
    )
    told = {**signed, **(changes or {})}
    return httpx.post(f"{twin.endpoint}/{operation}", headers=told, content=body)


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({}, 200, b""),
        ({"x-ots-date": "2020-01-01T00:00:00.000Z"}, 403, b"OTSAuthFailed"),
        ({"x-ots-date": "yesterday"}, 400, b"OTSParameterInvalid"),
        ({"x-ots-contentmd5": "x"}, 403, b"OTSAuthFailed"),
        ({"x-ots-apiversion": "2014-08-08"}, 400, b"OTSParameterInvalid"),
        ({"x-ots-instancename": "other"}, 403, b"OTSAuthFailed"),
        ({"x-ots-instancename": ""}, 400, b"OTSParameterInvalid"),
        ({"x-ots-more": "1"}, 403, b"OTSAuthFailed"),
        ({"x-ots-signature": ""}, 403, b"OTSAuthFailed"),
        ({"User-Agent": "other"}, 200, b""),
    ],
)
def test_headers(twin: Twin, changes: dict[str, str], status: int, code: bytes) -> None:
    """Every header of Tablestore's is signed, and the date, the digest and the version are read."""
    answer = post(twin, "ListTable", changes=changes)
    assert answer.status_code == status
    assert code in answer.content


@pytest.mark.parametrize(
    "body", [b"", b"\xff\xff", b"\x0a\x01a", b"\x0a\x01a\x12\x01x\x1a\x02\x08\x00"]
)
@pytest.mark.parametrize(
    "operation",
    ["CreateTable", "DeleteRow", "DeleteTable", "GetRange", "GetRow", "PutRow", "UpdateRow"],
)
def test_garbage(twin: Twin, operation: str, body: bytes) -> None:
    """What is no request, or lacks something, is refused as the caller's fault."""
    answer = post(twin, operation, body)
    assert answer.status_code in {400, 404}
    assert b"OTSParameterInvalid" in answer.content or b"OTSObjectNotExist" in answer.content


def test_requests_that_are_none(twin: Twin) -> None:
    """Another method, no headers and too much are refused before anything is read."""
    assert httpx.get(f"{twin.endpoint}/ListTable").status_code == 405
    assert b"OTSParameterInvalid" in httpx.post(f"{twin.endpoint}/ListTable").content
    big = httpx.post(f"{twin.endpoint}/PutRow", content=b"x" * (BODY_BYTES_MAX + 1))
    assert (big.status_code, b"OTSRequestBodySizeExceed" in big.content) == (413, True)


@pytest.mark.parametrize("operation", ["BatchWriteRow", "Search", ""])
def test_operations_that_it_does_not_have(twin: Twin, operation: str) -> None:
    """What the twin cannot do is refused with its name."""
    answer = post(twin, operation)
    assert answer.status_code == 400
    assert f"no operation '{operation}'".encode() in answer.content


# --- Faults and files ----------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "written"), [("down", False), ("lost-answer", True)])
def test_broken_connections(twin: Twin, kind: Any, *, written: bool) -> None:
    """The connection is reset before the row is written, or after it."""
    twin.store.fault = lambda operation: Fault(kind) if operation == "PutRow" else None
    with pytest.raises(ProtocolError):
        twin.put({"a": 1})
    assert twin.get() == ({"a": 1} if written else None)


def test_busy(twin: Twin) -> None:
    """A busy service refuses and does nothing."""
    twin.store.fault = lambda operation: Fault("busy") if operation == "PutRow" else None
    with refused("OTSServerBusy", 503):
        twin.put({"a": 1})
    assert twin.get() is None


def test_slow(twin: Twin) -> None:
    """A slow service does what it was asked for, though nobody waits any more."""
    twin.store.fault = lambda operation: Fault("slow", 0.3) if operation == "PutRow" else None
    client = twin.client(socket_timeout=0.1)
    with pytest.raises(ReadTimeoutError):
        client.put_row(twin.table, ots.Row(KEY, [("a", 1)]), ots.Condition(IGNORE))
    assert twin.get() is None
    time.sleep(0.4)
    assert twin.get() == {"a": 1}


def test_rows_survive(tmp_path: Path) -> None:
    """What was written is there for the next process, and another version's file is left alone."""
    store = Store(tmp_path / "t.db")
    store.ensure_table(INSTANCE, "t", ["id"])
    with pytest.raises(TablestoreError, match="OTSObjectAlreadyExist"):
        store.create_table(INSTANCE, "t", [("id", 2)], -1)
    other = Store(tmp_path / "t.db")
    assert other.tables(INSTANCE) == ["t"]
    other._connection.execute("PRAGMA user_version=9")
    for each in (store, other):
        each.close()
    with pytest.raises(RuntimeError, match="another version"):
        Store(tmp_path / "t.db")


def test_a_port_that_nobody_has_any_more(tmp_path: Path) -> None:
    """The server ends with its block."""
    store = Store(tmp_path / "t.db")
    with serving(store, Account()) as endpoint:
        port = int(endpoint.rpartition(":")[2])
    store.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 1)
