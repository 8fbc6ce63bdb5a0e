"""Suppressions over HTTP: list, look up, suppress, lift, forget; and what `POST /v1/mails` says."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from shared.errors import LedgerUnavailable
from shared.stores.ledger import DeliveryRecord
from shared.stores.recipients import Erased
from shared.stores.sqlite.events import SqliteEventLog
from shared.stores.sqlite.suppressions import SqliteSuppressions
from shared.stores.suppressions import Cause
from shared.times import rfc3339
from shared.triggers.http import Response
from tests.api.conftest import MAIL, Service
from tests.sending.conftest import NOON

ADA = "/v1/suppressions/account/ada@example.net"
SENDERS = "/v1/suppressions/shop@example.com/ada@example.net"
TWO = ["ada@example.net", "bob@example.net"]
DAY = 86_400_000


@pytest.fixture
def service(service: Service) -> Service:
    """A service that looks recipients up before it sends."""
    world = service.world
    world.mailer = replace(world.mailer, suppressions=service.suppressions)
    world.announcer = replace(world.announcer, states=frozenset({"suppressed"}))
    mails = replace(service.api.mails, mailer=world.mailer, announcer=world.announcer)
    service.api = replace(service.api, mails=mails)
    return service


def put(service: Service, path: str = ADA, **body: Any) -> Response:
    """Suppress; without a body, by hand and for good."""
    return service.ask("PUT", path, body=json.dumps(body).encode() if body else b"")


def told(answer: Response) -> dict[str, Any]:
    """The answer's document."""
    assert answer.body is not None
    return dict(answer.body)


def kind(answer: Response) -> str:
    """The problem's type, after its prefix."""
    return str(told(answer)["type"]).rpartition(":")[2]


def listed(service: Service, **query: str) -> list[tuple[str | None, str]]:
    """Address and scope of everything on the first page."""
    page = told(service.ask("GET", "/v1/suppressions", query=query))
    return [(each["address"], each["scope"]) for each in page["suppressions"]]


# --- One -----------------------------------------------------------------------------------------


def test_suppress_look_up_lift(service: Service) -> None:
    """201 and it is there; 204 and it is gone."""
    assert service.ask("GET", ADA).status == 404
    answer = put(service)
    assert answer.status == 201
    found = told(service.ask("GET", ADA))
    assert found == told(answer)
    assert (found["address"], found["scope"], found["active"]) == (TWO[0], "account", True)
    assert found["causes"] == [
        {"reason": "manual", "at": rfc3339(NOON), "expires_at": None, "active": True,
         "detail": None, "source": "api"}
    ]  # fmt: skip
    assert service.ask("DELETE", ADA).status == 204
    assert service.ask("GET", ADA).status == 404
    assert service.ask("DELETE", ADA).status == 404


def test_put_is_idempotent(service: Service) -> None:
    """The same request again is a 200, and leaves the row with its first time."""
    first = put(service, reason="complaint", detail="by phone")
    service.world.clock.now += 1_000
    again = put(service, reason="complaint", detail="by phone")
    assert (first.status, again.status) == (201, 200)
    assert told(again) == told(first)


def test_reasons_are_kept_apart(service: Service) -> None:
    """A recipient has one cause for each reason, and each is lifted by itself."""
    put(service, reason="unsubscribe")
    assert put(service, reason="bounce").status == 200
    assert service.ask("DELETE", ADA, query={"reason": "complaint"}).status == 404
    assert service.ask("DELETE", ADA, query={"reason": "bounce"}).status == 204
    causes = told(service.ask("GET", ADA))["causes"]
    assert [each["reason"] for each in causes if each["active"]] == ["unsubscribe"]
    assert service.ask("DELETE", ADA).status == 204
    assert service.ask("GET", ADA).status == 404


def test_it_ends(service: Service) -> None:
    """With an end it holds until then; a new end replaces the old one."""
    put(service, expires_at=rfc3339(NOON + DAY))
    assert put(service, expires_at=rfc3339(NOON + 2 * DAY)).status == 200
    service.world.clock.now += DAY
    assert service.ask("GET", ADA).status == 200
    service.world.clock.now += DAY
    assert service.ask("GET", ADA).status == 404
    assert put(service).status == 201


def test_lifted_and_suppressed_again(service: Service) -> None:
    """What a person says counts now, even in the same millisecond."""
    for _ in range(3):
        assert put(service).status == 201
        assert service.ask("DELETE", ADA).status == 204


def test_what_was_before(service: Service) -> None:
    """A list brought along says since when; it does not undo a later lifting."""
    assert put(service, reason="bounce", at=rfc3339(NOON - DAY)).status == 201
    assert service.ask("DELETE", ADA).status == 204
    answer = put(service, reason="bounce", at=rfc3339(NOON - DAY))
    assert (answer.status, told(answer)["active"]) == (200, False)


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("/v1/suppressions/%40Mail.Example.COM/ada%40example.net", "@mail.example.com"),
        ("/v1/suppressions/@mail.example.com/ada@example.net/", "@mail.example.com"),
        ("/v1/suppressions/Shop@Example.com/ADA@example.net", "shop@example.com"),
        ("/v1/suppressions/account/ada@example.net", "account"),
    ],
)
def test_addresses_in_a_path(service: Service, path: str, scope: str) -> None:
    """Escaped or not, in any case: it is the same recipient, in one spelling of the scope."""
    assert put(service, path).status == 201
    assert listed(service) == [("ada@example.net", scope)]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/suppressions/everything/ada@example.net",
        "/v1/suppressions/@/ada@example.net",
        "/v1/suppressions/account/ada",
        "/v1/suppressions/account/hash:abc",
        "/v1/suppressions/account/%0aada@example.net",
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_what_names_nobody(service: Service, method: str, path: str) -> None:
    """A scope or a recipient that cannot be one is a 400 which says what it takes."""
    answer = service.ask(method, path)
    assert (answer.status, kind(answer)) == (400, "bad-request")


@pytest.mark.parametrize(
    ("body", "pointer", "type_"),
    [
        (b"[]", "", "not-an-object"),
        (b"{", "", "not-json"),
        (b'{"reason": "because"}', "/reason", "not-allowed"),
        (b'{"reasons": "bounce"}', "/reasons", "unknown-field"),
        (b'{"expires_at": "tomorrow"}', "/expires_at", "time"),
        (b'{"expires_at": "2026-11-22T12:00:00Z"}', "/expires_at", "in-the-past"),
        (b'{"at": "2026-11-22T12:00:01Z"}', "/at", "in-the-future"),
        (b'{"at": 17}', "/at", "wrong-type"),
        (json.dumps({"detail": "x" * 201}).encode(), "/detail", "too-long"),
    ],
)
def test_bodies_that_break_the_contract(
    service: Service, body: bytes, pointer: str, type_: str
) -> None:
    """A 422 that points at the field, and nothing is written."""
    answer = service.ask("PUT", ADA, body=body)
    assert (answer.status, kind(answer)) == (422, "invalid-suppression")
    assert [(p["pointer"], p["type"]) for p in told(answer)["errors"]] == [(pointer, type_)]
    assert listed(service, all="true") == []


def test_methods(service: Service) -> None:
    """A method that an address does not take is a 405 which names the others."""
    answers = [service.ask("POST", path) for path in (ADA, "/v1/suppressions", "/v1/recipients/a")]
    assert [answer.headers["Allow"] for answer in answers] == ["DELETE, GET, PUT", "GET", "DELETE"]


# --- Many ----------------------------------------------------------------------------------------


def test_pages(service: Service) -> None:
    """Each row is on one page; the last page has no next one."""
    names = [f"reader{number}@example.net" for number in range(7)]
    for name in names:
        put(service, f"/v1/suppressions/account/{name}")
    seen: list[str] = []
    query = {"limit": "3"}
    while True:
        page = told(service.ask("GET", "/v1/suppressions", query=query))
        seen += [each["address"] for each in page["suppressions"]]
        if page["next"] is None:
            break
        query["after"] = page["next"]
    assert sorted(seen) == names


def test_what_is_over_is_listed_on_request(service: Service) -> None:
    """Lifted ones are left out, unless `all` asks for them; their address is gone."""
    put(service)
    service.ask("DELETE", ADA)
    assert listed(service) == []
    assert listed(service, all="true") == [(None, "account")]


def test_one_recipients_rows(service: Service) -> None:
    """By address or by hash: every scope of one recipient."""
    for path in (ADA, SENDERS, "/v1/suppressions/account/bob@example.net"):
        put(service, path)
    expected = [(TWO[0], "account"), (TWO[0], "shop@example.com")]
    assert sorted(listed(service, address=TWO[0]), key=str) == expected
    key = told(service.ask("GET", ADA))["recipient"]
    assert sorted(listed(service, address=f"hash:{key}"), key=str) == expected
    assert service.ask("DELETE", f"/v1/suppressions/account/hash:{key}").status == 204


@pytest.mark.parametrize("limit", ["0", "1001", "many", "-1", "²", "9" * 5000])
def test_limits(service: Service, limit: str) -> None:
    """A page has from 1 to 1000 rows."""
    assert service.ask("GET", "/v1/suppressions", query={"limit": limit}).status == 400


def test_a_store_that_is_down(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every address of the resource then says 503, and when to come back."""

    def down(*_arguments: Any) -> Any:
        raise LedgerUnavailable("the list is down")

    for method in ("find", "of", "page"):
        monkeypatch.setattr(SqliteSuppressions, method, down)
    answers = [
        service.ask("GET", "/v1/suppressions"),
        service.ask("GET", "/v1/suppressions", query={"address": TWO[0]}),
        *(service.ask(method, ADA) for method in ("GET", "PUT", "DELETE")),
        service.ask("DELETE", f"/v1/recipients/{TWO[0]}"),
    ]
    assert {(each.status, kind(each)) for each in answers} == {(503, "ledger-unavailable")}
    assert all(each.headers["Retry-After"] == "2" for each in answers)


# --- Forgetting ----------------------------------------------------------------------------------


def test_forget(service: Service) -> None:
    """States, events and the address go; the recipient stays suppressed by the hash."""
    put(service)
    service.post({**MAIL, "to": TWO}, headers={"idempotency-key": "k"})
    mail_id = service.world.row().mail_id
    service.world.ledger.inner.record_delivery(
        DeliveryRecord(mail_id, "bob@example.net", 1, "delivered", NOON)
    )
    answer = service.ask("DELETE", "/v1/recipients/Ada@example.net")
    assert answer.status == 200
    assert told(answer)["erased"] == {"deliveries": 1, "addresses": 1, "events": 0}
    assert (told(answer)["suppressed"], told(answer)["next"]) == (["account"], None)
    left = told(service.ask("GET", f"/v1/mails/{mail_id}"))["recipients"]
    assert [each["recipient"] for each in left] == ["bob@example.net"]
    assert told(service.ask("GET", ADA))["address"] is None


def test_forget_and_lift(service: Service) -> None:
    """With `lift=true` mails go there again."""
    put(service)
    put(service, SENDERS, reason="unsubscribe")
    answer = service.ask("DELETE", f"/v1/recipients/{TWO[0]}", query={"lift": "true"})
    assert told(answer)["suppressed"] == []
    assert service.post(MAIL).status == 201


def test_the_log_of_events_is_forgotten_in_parts(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call goes on where the one before stopped, and the states come after the events."""
    parts = [("", Erased(2, "7:2026112212")), ("7:2026112212", Erased(3))]
    asked: list[str] = []

    def forget(_log: object, _who: str, start: str, may_go_on: Callable[[], bool]) -> Erased:
        assert may_go_on()
        asked.append(start)
        return dict(parts)[start]

    monkeypatch.setattr(SqliteEventLog, "forget", forget)
    address, query, events = f"/v1/recipients/{TWO[0]}", dict[str, str](), 0
    for _ in parts:
        answer = told(service.ask("DELETE", address, query=query))
        events, query = events + answer["erased"]["events"], {"after": answer["next"]}
    assert (asked, events, answer["next"]) == (["", "7:2026112212"], 5, None)


def test_forgetting_needs_the_address(service: Service) -> None:
    """Deliveries are kept under the address, which a hash does not tell."""
    put(service)
    key = told(service.ask("GET", ADA))["recipient"]
    assert service.ask("DELETE", f"/v1/recipients/hash:{key}").status == 400


# --- Sending -------------------------------------------------------------------------------------


def test_a_mail_to_nobody(service: Service) -> None:
    """A mail whose recipient is suppressed is a 422 that says why, and says it again."""
    put(service, reason="bounce")
    for _ in range(2):
        answer = service.post(MAIL, headers={"idempotency-key": "k"})
        assert (answer.status, kind(answer)) == (422, "suppressed")
        assert "Retry-After" not in answer.headers
        (error,) = told(answer)["errors"]
        assert (error["pointer"], error["type"], error["given"]) == (
            "/to/0",
            "suppressed",
            "bounce",
        )
    assert service.world.provider.calls == []
    assert service.world.row().state == "suppressed"


def test_a_mail_to_the_rest(service: Service) -> None:
    """A mail that some of its recipients do not get is sent, and the answer says who they are."""
    put(service, reason="bounce")
    expected = [{"recipient": TWO[0], "reason": "bounce"}]
    for _ in range(2):
        answer = service.post({**MAIL, "to": TWO}, headers={"idempotency-key": "k"})
        assert (answer.status, told(answer)["suppressed"]) == (201, expected)
    assert len(service.world.provider.calls) == 1
    events = [(tag, event["data"]["recipient"]) for tag, event in service.world.queues.published]
    assert set(events) == {("suppressed", TWO[0])}


def test_no_topic_no_harm(service: Service) -> None:
    """The caller is told in any case, topic or no topic."""
    put(service)
    service.world.queues.down.add("publish")
    assert service.post({**MAIL, "to": TWO}).status == 201


def test_the_list_is_down(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """No send is made without the lookup: 503, and the same key may be repeated."""

    def down(*_arguments: Any) -> Any:
        raise LedgerUnavailable("the list is down")

    with monkeypatch.context() as patch:
        patch.setattr(SqliteSuppressions, "find", down)
        answer = service.post(MAIL, headers={"idempotency-key": "k"})
        assert (answer.status, kind(answer)) == (503, "ledger-unavailable")
        assert service.world.provider.calls == []
    assert service.post(MAIL, headers={"idempotency-key": "k"}).status == 201


def test_lifting_lets_the_next_mail_go(service: Service) -> None:
    """A new mail goes; the one that ended stays ended, as its key says."""
    put(service)
    assert service.post(MAIL, headers={"idempotency-key": "k"}).status == 422
    service.ask("DELETE", ADA)
    assert service.post(MAIL, headers={"idempotency-key": "k"}).status == 422
    assert service.post(MAIL, headers={"idempotency-key": "l"}).status == 201


def test_causes_are_whole(service: Service) -> None:
    """What DirectMail reported is shown with its detail and its source."""
    who = service.suppressions.who(TWO[0])
    cause = Cause("bounce", NOON, detail="mailbox-not-found", source="acs.dm/1")
    service.suppressions.suppress(who, "account", cause)
    (shown,) = told(service.ask("GET", ADA))["causes"]
    assert (shown["detail"], shown["source"]) == ("mailbox-not-found", "acs.dm/1")
