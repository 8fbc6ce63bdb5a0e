"""`POST /v1/mails` and the look-ups: each outcome's status, type, headers and traces."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from shared.api.answers import SOON
from shared.schema.limits import DOCUMENT_MAX
from shared.sending.answers import Answer, Broken, Rejected
from shared.sending.compose import Policy
from shared.sending.identity import PART_MARK, payload_hash
from shared.sending.letters import MAIL_ON_QUEUE_MAX, compact
from shared.stores.ledger import DeliveryRecord
from shared.triggers.http import Response
from tests.api.conftest import JSON, MAIL, Service
from tests.sending.conftest import GRACE, NOON, TIMEOUT, Say, World

NewService = Callable[..., Service]
KEY = {"idempotency-key": "k"}
ASYNC = {"prefer": "respond-async"}
UNKNOWN = Say(Broken("read-timeout"), accepted=True)


def kind(response: Response) -> str:
    """A problem's type, without its prefix."""
    assert response.body is not None
    assert response.content_type == "application/problem+json"
    assert response.body["status"] == response.status
    return str(response.body["type"]).removeprefix("urn:postbus:problem:")


def errors(response: Response) -> list[tuple[str, str]]:
    """A problem's errors as pairs of pointer and type."""
    assert response.body is not None
    return [(error["pointer"], error["type"]) for error in response.body["errors"]]


def told(response: Response) -> dict[str, Any]:
    """An answer that is no problem."""
    assert response.content_type == "application/json"
    assert response.body is not None
    return dict(response.body)


# --- Sent now ------------------------------------------------------------------------------------


def test_sent(service: Service) -> None:
    """A mail that DirectMail took is a 201 with its ids and the address to look it up at."""
    answer = service.post(headers=KEY)
    mail_id = service.world.mailer.mail_id("k")
    assert answer.status == 201
    assert told(answer) == {
        "mail_id": mail_id,
        "key": "k",
        "state": "sent",
        "env_id": "env-1",
        "request_id": "req-1",
    }
    assert answer.headers["Location"] == f"/v1/mails/{mail_id}"
    assert service.world.queues.mails == []


def test_a_repeat(service: Service) -> None:
    """A repeat with the same key reads the first result and makes no call."""
    first, second = service.post(headers=KEY), service.post(headers=KEY)
    assert (second.status, told(second)) == (201, told(first))
    assert len(service.world.provider.calls) == 1


def test_without_a_key(service: Service) -> None:
    """Each request without a key is a mail of its own, under a key that it is told."""
    keys = [told(service.post())["key"] for _ in range(2)]
    assert keys == ["made-1", "made-2"]
    assert len(service.world.provider.calls) == 2


def test_another_payload(service: Service) -> None:
    """A key that was used for another mail is a 422 of its own type; the first one stands."""
    service.post(headers=KEY)
    before = service.world.row()
    answer = service.post({**MAIL, "subject": "Other"}, headers=KEY)
    assert (answer.status, kind(answer)) == (422, "other-payload")
    assert errors(answer) == [("/key", "other-payload")]
    assert service.world.row() == before


def test_in_progress(service: Service) -> None:
    """A mail that is being sent elsewhere is a 409 that says when to come back."""
    payload = payload_hash(MAIL)
    service.world.write(state="sending", lease_until=NOON + 12_001, payload=payload)
    answer = service.post(headers=KEY)
    assert (answer.status, kind(answer)) == (409, "in-progress")
    assert answer.headers["Retry-After"] == "13"
    assert service.world.provider.calls == []


# The provider's answer -> status, type, seconds until a repeat, and the row's state afterwards.
REFUSALS: dict[str, tuple[Answer, int, str, str | None, str]] = {
    "refused": (
        Rejected("InvalidToAddress", 400, "no such address"),
        422,
        "refused-by-provider",
        None,
        "refused",
    ),
    "throttled": (Rejected("Throttling.User", 400), 429, "throttled", "2", "waiting"),
    "throttled, with a wish": (
        Rejected("Throttling.User", 400, retry_after_ms=7_500),
        429,
        "throttled",
        "8",
        "waiting",
    ),
    "quota": (Rejected("InvalidSendMail.Spam", 400), 429, "quota", "14700", "waiting"),
    "unreachable": (Broken("connect"), 503, "unavailable", "2", "waiting"),
    "misconfigured": (Rejected("Forbidden.RAM", 403), 502, "misconfigured", None, "waiting"),
    "no credentials": (Broken("credentials"), 502, "misconfigured", None, "waiting"),
}


@pytest.mark.parametrize("case", REFUSALS.values(), ids=REFUSALS)
def test_not_sent(service: Service, case: tuple[Answer, int, str, str | None, str]) -> None:
    """A mail that is proven not sent is a problem that says whose fault it is and what helps."""
    answer, status, problem, retry_after, state = case
    service.world.provider.script = [Say(answer)]
    response = service.post(headers=KEY)
    assert (response.status, kind(response)) == (status, problem)
    assert response.headers.get("Retry-After") == retry_after
    assert response.body is not None
    assert response.body["mail_id"] == service.world.mailer.mail_id("k")
    assert response.body["code"] == (
        answer.code if isinstance(answer, Rejected) else answer.kind  # type: ignore[union-attr]  # no acceptance here
    )
    assert (service.world.row().state, service.world.queues.mails) == (state, [])


@pytest.mark.parametrize("name", [name for name, case in REFUSALS.items() if case[4] == "waiting"])
def test_a_repeat_of_what_was_not_sent(service: Service, name: str) -> None:
    """The caller keeps a mail that was not sent, and a repeat with its key sends it."""
    service.world.provider.script = [Say(REFUSALS[name][0])]
    service.post(headers=KEY)
    assert service.post(headers=KEY).status == 201
    assert len(service.world.provider.accepts) == 1


def test_a_repeat_of_what_was_refused(service: Service) -> None:
    """A mail that DirectMail refused stays refused, and makes no second call."""
    service.world.provider.script = [Say(REFUSALS["refused"][0])]
    first, second = service.post(headers=KEY), service.post(headers=KEY)
    assert errors(first) == [("", "refused-by-provider")]
    assert (second.status, kind(second)) == (422, "refused-by-provider")
    assert second.body is not None
    assert second.body["code"] == "InvalidToAddress"
    assert len(service.world.provider.calls) == 1


@pytest.mark.parametrize("method", ["get", "create"])
def test_ledger_down(service: Service, method: str) -> None:
    """Without the ledger nothing is sent, and the caller is asked to come back."""
    service.world.ledger.down = {method}
    answer = service.post(headers=KEY)
    assert (answer.status, kind(answer)) == (503, "ledger-unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert service.world.provider.calls == []


def test_ledger_down_after_acceptance(service: Service) -> None:
    """A mail that DirectMail took is a 201 with its EnvId, even where that cannot be stored."""
    service.world.ledger.down = {"prove"}
    answer = service.post(headers=KEY)
    assert (answer.status, told(answer)["env_id"], told(answer)["state"]) == (201, "env-1", "sent")


def test_no_time(service: Service) -> None:
    """A request that leaves no time for a call is a 503, and nothing is claimed."""
    call = service.world.clock.invocation(3_000)
    answer = service.api.mails._send(service.world.letter(), call)
    assert answer.status == 503
    assert not service.world.has_row()


# --- Unknown outcomes ----------------------------------------------------------------------------


def test_unknown(service: Service) -> None:
    """A mail of which nobody knows is a 202 and on the queue before the answer."""
    service.world.provider.script = [UNKNOWN]
    answer = service.post(headers=KEY)
    assert (answer.status, told(answer)["state"]) == (202, "unknown")
    assert service.world.queues.delays == [GRACE]
    assert (service.world.row().state, service.world.row().custody) == ("unknown", 1)
    assert [letter["custody"] for letter in service.world.queues.letters()] == [1]


def test_a_repeat_of_what_is_unknown(service: Service) -> None:
    """Repeats while a mail is unknown are told so, and put nothing more on the queue."""
    service.world.provider.script = [UNKNOWN]
    service.post(headers=KEY)
    service.world.clock.now += GRACE + 1
    for headers in (KEY, {**KEY, **ASYNC}):
        answer = service.post(headers=headers)
        assert (answer.status, told(answer)["state"]) == (202, "unknown")
    assert (len(service.world.queues.mails), len(service.world.provider.calls)) == (1, 1)


def test_evidence_of_what_is_unknown(service: Service) -> None:
    """Once a delivery event has proven the send, a repeat is a 201."""
    service.world.provider.script = [UNKNOWN]
    service.post(headers=KEY)
    service.world.prove()
    answer = service.post(headers=KEY)
    assert (answer.status, told(answer)["env_id"]) == (201, "env-event")
    service.world.run()
    assert service.world.row().state == "sent"


@pytest.mark.parametrize("why", ["queue down", "too big"])
def test_unknown_and_not_on_the_queue(service: Service, why: str) -> None:
    """An unknown mail that no queue takes is held for a person, and the answer says so."""
    mail = {**MAIL, "text": "x" * MAIL_ON_QUEUE_MAX} if why == "too big" else MAIL
    service.world.provider.script = [UNKNOWN]
    service.world.queues.down = {"put_back"} if why == "queue down" else set()
    for _ in range(2):
        answer = service.post(mail, headers=KEY)
        assert (answer.status, told(answer)["state"]) == (202, "held")
        assert (service.world.row().state, service.world.queues.mails) == ("held", [])
        assert service.world.row().custody == 0
    assert len(service.world.provider.calls) == 1


@pytest.mark.parametrize("past", [0, GRACE])
def test_a_claim_whose_owner_died(service: Service, past: int) -> None:
    """Who repeats the key of a mail whose sender died brings it onto the queue, once."""
    payload = payload_hash(MAIL)
    service.world.write(state="sending", attempt=1, lease_until=NOON, payload=payload)
    answers = []
    for _ in range(3):
        answers.append(service.post(headers=KEY))
        service.world.clock.now += past
    assert [(answer.status, told(answer)["state"]) for answer in answers] == [(202, "unknown")] * 3
    assert len(service.world.queues.mails) == 1
    service.world.run()
    assert (service.world.row().state, len(service.world.queues.dead)) == ("held", 1)
    assert service.world.provider.calls == []


def test_an_unknown_mail_that_nobody_carries(service: Service) -> None:
    """An unknown mail whose grace is over is brought onto the queue at once, for its decision."""
    service.world.write(state="unknown", unknown_since=NOON - GRACE, payload=payload_hash(MAIL))
    assert service.post(headers=KEY).status == 202
    assert service.world.queues.delays == [0]


# --- Calls that hang -----------------------------------------------------------------------------


class Hanging:
    """An `at_most` whose call does not end in time.

    Args:
        before: what has happened when the time is up.
    """

    def __init__(self, before: Callable[[], object]) -> None:
        self.before = before
        self.timeouts: list[int] = []

    def __call__(self, _work: Callable[[], Any], timeout: int) -> None:
        """See `AtMost`."""
        self.timeouts.append(timeout)
        self.before()


# The row when the time is up -> status, state or type in the answer, and what is on the queue.
OVERDUE: dict[str, tuple[dict[str, Any] | None, int, str, int]] = {
    "not claimed": (None, 503, "ledger-unavailable", 0),
    "accepted": ({"state": "accepted"}, 503, "ledger-unavailable", 0),
    "waiting": ({"state": "waiting"}, 503, "ledger-unavailable", 0),
    "sending": ({"state": "sending"}, 202, "unknown", 1),
    "unknown": ({"state": "unknown", "unknown_since": NOON}, 202, "unknown", 1),
    "sent": ({"state": "sent", "envelope_id": "env-1"}, 201, "sent", 0),
    "refused": ({"state": "refused"}, 422, "refused-by-provider", 0),
}


@pytest.mark.parametrize("case", OVERDUE.values(), ids=OVERDUE)
def test_a_call_that_hangs(case: tuple[dict[str, Any] | None, int, str, int]) -> None:
    """When a call does not end in time the ledger says what is known, and nothing is lost."""
    fields, status, word, on_queue = case
    world = World()
    at_most = Hanging(lambda: world.write(**fields) if fields else None)
    service = Service(world, at_most)
    answer = service.post(headers=KEY)
    assert at_most.timeouts == [TIMEOUT - SOON]
    assert (answer.status, len(world.queues.mails)) == (status, on_queue)
    assert word == (kind(answer) if status >= 400 else told(answer)["state"])
    world.ledger.close()


def test_a_call_that_hangs_with_the_ledger_down() -> None:
    """A call that hangs while the ledger is down may have been sent: a 202, and on the queue."""
    world = World()
    world.ledger.down = {"get"}
    answer = Service(world, Hanging(lambda: None)).post(headers=KEY)
    assert (answer.status, told(answer)["state"]) == (202, "unknown")
    assert len(world.queues.mails) == 1
    world.ledger.close()


def test_a_hanging_call_ends_after_all() -> None:
    """A call that ends after its answer is settled by its proof; its copy then finds it sent."""
    world = World()
    claim = {"state": "sending", "attempt": 1, "owner": "late", "payload": payload_hash(MAIL)}
    service = Service(world, Hanging(lambda: world.write(**claim)))
    assert service.post(headers=KEY).status == 202
    world.prove()
    world.run()
    assert (world.row().state, world.provider.calls) == ("sent", [])
    world.ledger.close()


# --- Later ---------------------------------------------------------------------------------------


def test_later(service: Service) -> None:
    """With `Prefer: respond-async` a mail is accepted, put on the queue and sent from there."""
    answer = service.post(headers={**KEY, **ASYNC})
    mail_id = service.world.mailer.mail_id("k")
    assert answer.status == 202
    assert told(answer) == {"mail_id": mail_id, "key": "k", "state": "accepted"}
    assert answer.headers == {
        "Location": f"/v1/mails/{mail_id}",
        "Preference-Applied": "respond-async",
    }
    assert (service.world.row().state, service.world.provider.calls) == ("accepted", [])
    service.world.run()
    assert (service.world.row().state, len(service.world.provider.accepts)) == ("sent", 1)


@pytest.mark.parametrize(
    ("prefer", "later"),
    [
        ("respond-async", True),
        ("Respond-Async", True),
        ("respond-async; wait=10", True),
        ("wait=10, respond-async", True),
        (" respond-async ,return=minimal", True),
        ("return=minimal", False),
        ("respond-async-maybe", False),
        ("x=respond-async", False),
        ("", False),
    ],
)
def test_preferences(service: Service, prefer: str, *, later: bool) -> None:
    """The preference is read as RFC 7240 writes it, and others are ignored."""
    assert service.post(headers={"prefer": prefer}).status == (202 if later else 201)


def test_a_repeat_of_what_is_accepted(service: Service) -> None:
    """A repeat is accepted again and puts nothing more on the queue."""
    first = service.post(headers={**KEY, **ASYNC})
    second = service.post(headers={**KEY, **ASYNC})
    assert (second.status, told(second)) == (202, told(first))
    assert len(service.world.queues.mails) == 1


def test_later_for_what_is_sent(service: Service) -> None:
    """A mail that is sent already is not put on the queue, and the answer says it is sent."""
    service.post(headers=KEY)
    answer = service.post(headers={**KEY, **ASYNC})
    assert (answer.status, told(answer)["state"]) == (202, "sent")
    assert service.world.queues.mails == []


@pytest.mark.parametrize("problem", [Rejected("Throttling.User", 400), Broken("connect")])
def test_now_did_not_work_so_later(service: Service, problem: Answer) -> None:
    """A caller who was throttled and then asks for later gets the mail onto the queue."""
    service.world.provider.script = [Say(problem)]
    service.post(headers=KEY)
    assert service.post(headers={**KEY, **ASYNC}).status == 202
    assert len(service.world.queues.mails) == 1
    service.world.run()
    assert (service.world.row().state, len(service.world.provider.accepts)) == ("sent", 1)


def test_later_with_another_payload(service: Service) -> None:
    """A key that was used for another mail is refused at the door."""
    service.post(headers={**KEY, **ASYNC})
    answer = service.post({**MAIL, "subject": "Other"}, headers={**KEY, **ASYNC})
    assert (answer.status, kind(answer)) == (422, "other-payload")
    assert len(service.world.queues.mails) == 1


def test_later_with_the_queue_down(service: Service) -> None:
    """What the queue does not take is not accepted, and no row promises it."""
    service.world.queues.down = {"put_back"}
    answer = service.post(headers={**KEY, **ASYNC})
    assert (answer.status, kind(answer)) == (503, "queue-unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert not service.world.has_row()


def test_later_with_the_ledger_down(service: Service) -> None:
    """Without the ledger nothing is put on the queue: the caller has to come back."""
    service.world.ledger.down = {"get"}
    answer = service.post(headers={**KEY, **ASYNC})
    assert (answer.status, kind(answer)) == (503, "ledger-unavailable")
    assert service.world.queues.mails == []


def test_later_with_the_ledger_down_afterwards(service: Service) -> None:
    """What the queue has taken is accepted: an error would make the caller send a second mail."""
    service.world.ledger.down = {"create"}
    assert service.post(headers=ASYNC).status == 202
    service.world.ledger.down = set()
    service.world.run()
    assert len(service.world.provider.accepts) == 1


def of_size(size: int) -> dict[str, Any]:
    """A mail of exactly that many bytes."""
    room = size - len(compact({**MAIL, "text": ""}).encode())
    return {**MAIL, "text": "x" * room}


@pytest.mark.parametrize("separate", [False, True])
def test_too_big_for_later(service: Service, *, separate: bool) -> None:
    """A mail that its envelope would not bring through is a 413 with limit and size."""
    more = {"separate": True, "to": ["a@x.org", "b@x.org"]} if separate else {}
    fits = of_size(MAIL_ON_QUEUE_MAX - 100)
    assert service.post({**fits, **more}, headers=ASYNC).status == 202
    taken = len(service.world.queues.mails)
    answer = service.post({**of_size(MAIL_ON_QUEUE_MAX + 50), **more}, headers=ASYNC)
    assert (answer.status, kind(answer)) == (413, "too-big")
    assert answer.body is not None
    (error,) = answer.body["errors"]
    assert error["limit"] == MAIL_ON_QUEUE_MAX < error["given"]
    assert len(service.world.queues.mails) == taken


def test_the_largest_mail_for_later(service: Service) -> None:
    """The limit itself is accepted, one byte more is not."""
    assert service.post(of_size(MAIL_ON_QUEUE_MAX), headers=ASYNC).status == 202
    assert service.post(of_size(MAIL_ON_QUEUE_MAX + 1), headers=ASYNC).status == 413


def test_too_big_for_later_is_sent_now(service: Service) -> None:
    """The queue's limit is no limit for a mail that is sent at once."""
    assert service.post(of_size(MAIL_ON_QUEUE_MAX + 1)).status == 201


# --- Separate mails ------------------------------------------------------------------------------

SEPARATE = {**MAIL, "to": ["a@x.org", "b@x.org", "c@x.org"], "separate": True}


@pytest.mark.parametrize("headers", [KEY, {**KEY, **ASYNC}])
def test_separate(service: Service, headers: dict[str, str]) -> None:
    """A separate mail is a 202 that lists its parts; each is sent, and a repeat sends none."""
    answers = [service.post(SEPARATE, headers=headers) for _ in range(2)]
    mails = [
        {"mail_id": service.world.mailer.mail_id(key), "key": key, "state": "accepted"}
        for key in (f"k{PART_MARK}{n}" for n in range(3))
    ]
    for answer in answers:
        assert answer.status == 202
        assert told(answer) == {"state": "accepted", "mails": mails}
    service.world.run()
    sent = [mail.to for mail, _ in service.world.provider.calls]
    assert sent == [("a@x.org",), ("b@x.org",), ("c@x.org",)]


def test_a_separate_mails_key_is_taken(service: Service) -> None:
    """Another mail under the key of a separate one is a 422, by whichever way it comes."""
    service.post(SEPARATE, headers=KEY)
    taken = len(service.world.queues.mails)
    others = [(MAIL, {}), (MAIL, ASYNC), ({**SEPARATE, "subject": "Other"}, {})]
    for mail, headers in others:
        answer = service.post(mail, headers={**KEY, **headers})
        assert (answer.status, kind(answer)) == (422, "other-payload")
    assert (len(service.world.queues.mails), service.world.provider.calls) == (taken, [])


def test_a_separate_mail_that_is_too_big_takes_no_key(service: Service) -> None:
    """Whoever mends a mail that was refused for its size may use its key again."""
    big = {**SEPARATE, "text": "x" * MAIL_ON_QUEUE_MAX}
    assert service.post(big, headers=KEY).status == 413
    assert service.post(SEPARATE, headers=KEY).status == 202


def test_separate_for_one(service: Service) -> None:
    """A separate mail to one recipient is sent at once like any other."""
    assert service.post({**MAIL, "separate": True}).status == 201


# --- Keys ----------------------------------------------------------------------------------------

# The header and the mail's own key -> the key that counts, or the problem.
KEYS: dict[str, tuple[str | None, str | None, str | tuple[int, str]]] = {
    "neither": (None, None, "made-1"),
    "header, bare": ("order-1", None, "order-1"),
    "header, quoted": ('"order-1"', None, "order-1"),
    "header, in spaces": ("  order-1 ", None, "order-1"),
    "header, half a quote": ('"', None, '"'),
    "header, quoted inside": ('a"b"', None, 'a"b"'),
    "body": (None, "order-1", "order-1"),
    "both, the same": ("order-1", "order-1", "order-1"),
    "both, the same and quoted": ('"order-1"', "order-1", "order-1"),
    "both, different": ("order-1", "order-2", (400, "key-given-twice")),
    "both, different case": ("order-1", "Order-1", (400, "key-given-twice")),
    "header, the longest": ("k" * 256, None, "k" * 256),
    "header, too long": ("k" * 257, None, (422, "invalid-mail")),
    "header, empty": ("", None, (422, "invalid-mail")),
    "header, empty quotes": ('""', None, (422, "invalid-mail")),
    "header, only spaces": ("   ", None, (422, "invalid-mail")),
    "header, a control character": ("a\x01b", None, (422, "invalid-mail")),
}


@pytest.mark.parametrize(("header", "own", "expected"), KEYS.values(), ids=KEYS)
def test_keys(
    service: Service, header: str | None, own: str | None, expected: str | tuple[int, str]
) -> None:
    """The key is the header's, bare or quoted, or the mail's own; two different are refused."""
    mail = {**MAIL, "key": own} if own is not None else MAIL
    answer = service.post(mail, headers={} if header is None else {"idempotency-key": header})
    if isinstance(expected, str):
        assert (answer.status, told(answer)["key"]) == (201, expected)
    else:
        assert (answer.status, kind(answer)) == expected
        assert service.world.provider.calls == []
    if expected == (422, "invalid-mail"):
        assert {pointer for pointer, _ in errors(answer)} == {"/key"}


def test_header_and_body_name_the_same_mail(service: Service) -> None:
    """The same key in the header and in the mail are one mail, sent once."""
    first = service.post(headers=KEY)
    second = service.post({**MAIL, "key": "k"})
    assert (second.status, told(second)) == (201, told(first))


# --- Bad requests --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 201),
        ("application/json; charset=utf-8", 201),
        ("Application/JSON", 201),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/problem+json", 415),
        ("", 415),
        (None, 415),
    ],
)
def test_content_types(service: Service, content_type: str | None, status: int) -> None:
    """The body is JSON and says so."""
    headers = {} if content_type is None else {"content-type": content_type}
    answer = service.ask("POST", "/v1/mails", body=json.dumps(MAIL).encode(), headers=headers)
    assert answer.status == status
    if status == 415:
        assert kind(answer) == "wrong-content-type"


BODIES: dict[str, tuple[bytes, int, str, str]] = {
    "empty": (b"", 400, "bad-request", "not-json"),
    "half": (b'{"to":', 400, "bad-request", "not-json"),
    "no UTF-8": (b'{"to": "\xff"}', 400, "bad-request", "not-json"),
    "too deep": (b"[" * 100_000, 400, "bad-request", "not-json"),
    "array": (b"[]", 400, "bad-request", "not-an-object"),
    "null": (b"null", 400, "bad-request", "not-an-object"),
    "10 MB of letters": (b"x" * 10_000_000, 400, "bad-request", "not-json"),
    "32 MB and one byte": (b" " * (DOCUMENT_MAX + 1), 413, "too-big", "too-large"),
}


@pytest.mark.parametrize(("body", "status", "problem", "error"), BODIES.values(), ids=BODIES)
def test_bodies_that_are_no_mail(
    service: Service, body: bytes, status: int, problem: str, error: str
) -> None:
    """What cannot be read is a 400, what is too large a 413; the document itself is pointed at."""
    answer = service.ask("POST", "/v1/mails", body=body, headers=JSON)
    assert (answer.status, kind(answer), errors(answer)) == (status, problem, [("", error)])


INVALID: dict[str, tuple[dict[str, Any], list[tuple[str, str]]]] = {
    "nothing": ({}, [("/to", "missing"), ("/subject", "missing")]),
    "a bad address": ({**MAIL, "to": ["ada"]}, [("/to/0", "address")]),
    "a wrong type": ({**MAIL, "subject": 7}, [("/subject", "wrong-type")]),
    "an unknown field": ({**MAIL, "cc": []}, [("/cc", "unknown-field")]),
    "bad base64": (
        {**MAIL, "attachments": [{"name": "a", "content": "?"}]},
        [("/attachments/0/content", "base64")],
    ),
    "not yet supported": ({**MAIL, "lane": "bulk"}, [("/lane", "not-yet-supported")]),
    "an envelope": (
        {"postbus": 1},
        [("/to", "missing"), ("/subject", "missing"), ("/postbus", "unknown-field")],
    ),
}


@pytest.mark.parametrize(("mail", "expected"), INVALID.values(), ids=INVALID)
@pytest.mark.parametrize("headers", [{}, ASYNC], ids=["now", "later"])
def test_mails_that_break_the_contract(
    service: Service,
    mail: dict[str, Any],
    expected: list[tuple[str, str]],
    headers: dict[str, str],
) -> None:
    """A mail that breaks the contract is a 422 that points at each field, now or later."""
    answer = service.post(mail, headers=headers)
    assert (answer.status, kind(answer)) == (422, "invalid-mail")
    assert errors(answer) == expected
    assert (service.world.provider.calls, service.world.queues.mails) == ([], [])


def test_the_environment_refuses(new_service: NewService) -> None:
    """A recipient who is not listed is told to the caller, now or later."""
    service = new_service(world=World(policy=Policy("test")))
    for headers in ({}, ASYNC):
        answer = service.post(headers=headers)
        assert (answer.status, kind(answer)) == (422, "invalid-mail")
        assert errors(answer) == [("/sender", "missing"), ("/to/0", "recipient-not-allowed")]


# --- Looking mails up ----------------------------------------------------------------------------


def test_looking_a_mail_up(service: Service) -> None:
    """A mail is found by its id and by its key, with what became of each recipient."""
    service.post({**MAIL, "tag": "order"}, headers=KEY)
    mail_id = service.world.mailer.mail_id("k")
    service.world.ledger.record_delivery(
        DeliveryRecord(mail_id, "ada@example.net", 1, "delivered", NOON + 1_500)
    )
    by_id = service.ask("GET", f"/v1/mails/{mail_id}")
    by_key = service.ask("GET", "/v1/mails", query={"key": "k"})
    assert (by_id.status, told(by_id)) == (by_key.status, told(by_key))
    assert told(by_id) == {
        "mail_id": mail_id,
        "key": "k",
        "state": "sent",
        "env_id": "env-1",
        "request_id": "req-1",
        "attempt": 1,
        "reason": None,
        "tag": "order",
        "created_at": "2026-11-22T12:00:00.000Z",
        "updated_at": "2026-11-22T12:00:00.000Z",
        "recipients": [
            {
                "recipient": "ada@example.net",
                "state": "delivered",
                "marks": [],
                "attempt": 1,
                "at": "2026-11-22T12:00:01.500Z",
            }
        ],
    }


def test_what_is_shown_of_a_recipient_adds_up(service: Service) -> None:
    """A late bounce wins over the delivery, marks stand beside it, each attempt by itself."""
    service.post(MAIL, headers=KEY)
    mail_id = service.world.mailer.mail_id("k")
    for attempt, state in ((1, "opened"), (1, "bounced"), (1, "delivered"), (2, "clicked")):
        service.world.ledger.record_delivery(
            DeliveryRecord(mail_id, "ada@example.net", attempt, state, NOON + attempt)
        )
    shown = told(service.ask("GET", f"/v1/mails/{mail_id}"))["recipients"]
    assert [(each["attempt"], each["state"], each["marks"]) for each in shown] == [
        (1, "bounced", ["opened"]),
        (2, None, ["clicked"]),
    ]


PARENT = f"00-{'4b' * 16}-{'0f' * 8}-01"


@pytest.mark.parametrize(
    ("headers", "own", "kept"),
    [
        ({"traceparent": PARENT, "tracestate": "a=1"}, None, (PARENT, "a=1")),
        ({"traceparent": f" {PARENT} "}, None, (PARENT, None)),
        ({"traceparent": PARENT, "tracestate": "\u00fc"}, None, (PARENT, None)),
        ({"traceparent": "00-0-0-0"}, None, (None, None)),
        ({"tracestate": "a=1"}, None, (None, None)),
        ({}, {"traceparent": PARENT}, (PARENT, None)),
        ({"traceparent": PARENT.replace("4", "5")}, {"traceparent": PARENT}, (PARENT, None)),
    ],
)
@pytest.mark.parametrize("prefer", [{}, {"prefer": "respond-async"}])
def test_the_trace_of_a_request_is_kept(
    service: Service,
    headers: dict[str, str],
    own: dict[str, str] | None,
    kept: tuple[str | None, str | None],
    prefer: dict[str, str],
) -> None:
    """From its headers or from the mail itself, sent now or later; a broken one is none."""
    mail = {**MAIL, **({"trace": own} if own else {})}
    assert service.post(mail, headers={**KEY, **headers, **prefer}).status in (201, 202)
    row = service.world.ledger.get(service.world.mailer.mail_id("k"))
    assert row is not None
    assert (row.traceparent, row.tracestate) == kept


def test_a_repeat_in_another_trace_is_a_repeat(service: Service) -> None:
    """A producer that tries again is in a span of its own by then; the first one's is kept."""
    service.post(MAIL, headers={**KEY, "traceparent": PARENT})
    again = service.post(MAIL, headers={**KEY, "traceparent": PARENT.replace("4", "5")})
    assert (again.status, len(service.world.provider.calls)) == (201, 1)
    row = service.world.ledger.get(service.world.mailer.mail_id("k"))
    assert row is not None
    assert row.traceparent == PARENT


@pytest.mark.parametrize(
    ("path", "query", "status", "problem"),
    [
        ("/v1/mails/unknown", {}, 404, "not-found"),
        ("/v1/mails/%00", {}, 404, "not-found"),
        ("/v1/mails", {"key": "unknown"}, 404, "not-found"),
        ("/v1/mails", {}, 400, "bad-request"),
        ("/v1/mails", {"key": ""}, 400, "bad-request"),
        ("/v1/mails", {"id": "x"}, 400, "bad-request"),
    ],
)
def test_mails_that_are_not_found(
    service: Service, path: str, query: dict[str, str], status: int, problem: str
) -> None:
    """A mail that nobody knows is a 404; a search for nothing is a 400."""
    answer = service.ask("GET", path, query=query)
    assert (answer.status, kind(answer)) == (status, problem)


@pytest.mark.parametrize("method", ["get", "deliveries"])
def test_looking_up_with_the_ledger_down(service: Service, method: str) -> None:
    """Without the ledger nobody says that a mail is not known."""
    service.post(headers=KEY)
    service.world.ledger.down = {method}
    answer = service.ask("GET", "/v1/mails", query={"key": "k"})
    assert (answer.status, kind(answer)) == (503, "ledger-unavailable")
