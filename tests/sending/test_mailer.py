"""One attempt: claim, call, settle."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shared.schema.problems import InvalidMail
from shared.sending.answers import Accepted, Answer, Broken, Rejected
from shared.sending.claims import CALL_MARGIN, CALL_MINIMUM, LEASE_MARGIN
from shared.sending.compose import OutgoingMail, Policy
from shared.sending.identity import HEADER, payload_hash
from shared.sending.letters import REDRIVE_STEP
from shared.sending.mailer import Mailer
from shared.sending.results import Result
from shared.sending.verdicts import Verdict
from shared.stores.sqlite.ledger import SqliteLedger
from shared.triggers.context import Invocation
from tests.sending.conftest import GRACE, NOON, POLICY, TIMEOUT, Clock, Say, World

NewWorld = Callable[..., World]


def attempt(world: World, *, custody: int = 0, timeout: int = TIMEOUT, **fields: Any) -> Result:
    """One attempt at the mail with key `k`."""
    letter = world.letter(custody=custody, **fields)
    return world.mailer.attempt(letter, world.clock.invocation(timeout))


def payload(world: World) -> str:
    """The fingerprint of the world's usual mail."""
    return payload_hash(world.letter().given)


def test_a_new_mail_is_sent(world: World) -> None:
    """A mail that nobody knows is claimed, called for once, and proven by the answer."""
    result = attempt(world, tag="order", notify={"OrderId": "1"})
    row = world.row()
    assert (result.kind, result.settled, result.record) == ("sent", True, row)
    assert (row.state, row.attempt, row.evidence) == ("sent", 1, "answer")
    assert (row.envelope_id, row.request_id) == ("env-1", "req-1")
    assert (row.key, row.sender, row.tag) == ("k", "shop@example.com", "order")
    assert (dict(row.notify), row.created_at) == ({"OrderId": "1"}, NOON)
    assert len(world.provider.calls) == 1


def test_the_claim_stands_before_the_call(world: World) -> None:
    """While the provider works, the row says who sends, which attempt, and until when."""
    seen = []
    world.provider.script = [Say(Accepted("env-1"), meanwhile=lambda: seen.append(world.row()))]
    attempt(world)
    (claim,) = seen
    assert (claim.state, claim.attempt, claim.owner) == ("sending", 1, "owner-1")
    assert claim.lease_until == NOON + TIMEOUT + LEASE_MARGIN
    assert (claim.payload, claim.evidence) == (payload(world), None)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Rejected("InvalidToAddress", 400), "refused"),
        (Rejected("Forbidden.RAM", 403), "misconfigured"),
        (Rejected("Throttling.User", 400), "throttled"),
        (Rejected("InvalidSendMail.Spam", 400), "quota"),
        (Broken("connect"), "unavailable"),
        (Broken("read-timeout"), "unknown"),
        (Rejected("InternalError", 500), "unknown"),
    ],
)
def test_an_answer_that_is_no_send(world: World, answer: Rejected | Broken, kind: Verdict) -> None:
    """Until the mail is safe elsewhere the claim is kept, and the answer goes to the caller."""
    world.provider.script = [Say(answer)]
    result = attempt(world)
    assert (result.kind, result.answer) == (kind, answer)
    assert result.record == world.row()
    assert (world.row().state, world.row().evidence) == ("sending", None)
    assert result.code == (answer.code if isinstance(answer, Rejected) else answer.kind)


# State of the row and its other fields -> what a copy finds, how long it is to wait, the state
# afterwards, and how many calls are made.
FOUND: dict[str, tuple[dict[str, Any], str, int, str, int]] = {
    "accepted": ({"state": "accepted"}, "sent", 0, "sent", 1),
    "waiting": ({"state": "waiting", "attempt": 3}, "sent", 0, "sent", 1),
    "replaced": ({"state": "waiting", "custody": 1}, "replaced", 0, "waiting", 0),
    "in progress": (
        {"state": "sending", "lease_until": NOON + 700},
        "in-progress",
        700,
        "sending",
        0,
    ),
    "abandoned": (
        {"state": "sending", "lease_until": NOON},
        "unknown-early",
        GRACE,
        "unknown",
        0,
    ),
    "unknown, early": (
        {"state": "unknown", "unknown_since": NOON - 100},
        "unknown-early",
        GRACE - 100,
        "unknown",
        0,
    ),
    "unknown, late": (
        {"state": "unknown", "unknown_since": NOON - GRACE},
        "unknown-late",
        0,
        "unknown",
        0,
    ),
    "sent": ({"state": "sent", "evidence": "event"}, "finished", 0, "sent", 0),
    "refused": ({"state": "refused"}, "finished", 0, "refused", 0),
    "cancelled": ({"state": "cancelled"}, "finished", 0, "cancelled", 0),
    "held": ({"state": "held"}, "held", 0, "held", 0),
    "parked": ({"state": "parked"}, "stopped", 0, "parked", 0),
    "failed": ({"state": "failed"}, "stopped", 0, "failed", 0),
}


@pytest.mark.parametrize("found", FOUND.values(), ids=FOUND)
def test_what_a_copy_finds(world: World, found: tuple[dict[str, Any], str, int, str, int]) -> None:
    """A known mail is sent only where it waits for this copy; else its row is read."""
    fields, kind, wait, state, calls = found
    before = world.write(payload=payload(world), **fields)
    result = attempt(world)
    assert (result.kind, result.wait) == (kind, wait)
    assert (world.row().state, len(world.provider.calls)) == (state, calls)
    assert world.row().attempt == before.attempt + calls
    assert result.record == world.row()


def test_another_payload_is_refused(world: World) -> None:
    """The first mail of a key stands untouched, whatever comes under its key."""
    attempt(world)
    before = world.row()
    result = attempt(world, subject="Other")
    assert (result.kind, world.row(), len(world.provider.calls)) == ("other-payload", before, 1)


def test_a_duplicate_reads_the_first_result(world: World) -> None:
    """A repeat makes no call and sees what the first one got."""
    first = attempt(world)
    second = attempt(world)
    assert (second.kind, second.record) == ("finished", first.record)
    assert len(world.provider.calls) == 1


def test_the_attempt_travels(world: World) -> None:
    """Each call carries its own attempt in the packed header and the mail's one Message-ID."""
    world.provider.script = [Say(Broken("connect"))]
    result = attempt(world)
    assert result.record is not None
    world.mailer.settling.release(result.record, "waiting", custody=1, reason="", now=NOON)
    attempt(world, custody=1)
    first, second = (dict(mail.headers) for mail, _ in world.provider.calls)
    mail_id = world.mailer.mail_id("k")
    assert first[HEADER] == f"v1.test.{mail_id}.1"
    assert second[HEADER] == f"v1.test.{mail_id}.2"
    assert first["Message-ID"] == second["Message-ID"]


def test_an_accepted_mail_learns_its_sender(world: World) -> None:
    """A row that was made at the door gets the sender when the mail is sent; events need it."""
    world.write(state="accepted", payload=payload(world))
    attempt(world)
    assert world.row().sender == "shop@example.com"


def test_a_redriven_letter_is_sent(world: World) -> None:
    """A letter that was put back by hand may try again, and its number is the row's from then."""
    world.write(state="parked", custody=4, payload=payload(world))
    assert attempt(world, custody=4 + REDRIVE_STEP).kind == "sent"
    assert world.row().custody == 4 + REDRIVE_STEP


@pytest.mark.parametrize("custody", [4, 4 + REDRIVE_STEP - 1])
@pytest.mark.parametrize("state", ["parked", "failed", "held"])
def test_a_stray_copy_of_a_stopped_mail_is_not_sent(world: World, state: str, custody: int) -> None:
    """A copy that a crash has left behind is no redrive."""
    world.write(state=state, custody=4, payload=payload(world))
    attempt(world, custody=custody)
    assert (world.row().state, world.provider.calls) == (state, [])


# --- Races and evidence --------------------------------------------------------------------------


def test_a_race_for_a_new_mail(world: World) -> None:
    """Who loses the race for the first claim makes no call."""
    world.ledger.meanwhile["create"] = lambda: world.write(state="sending", lease_until=NOON + 9)
    assert attempt(world).kind == "race"
    assert world.provider.calls == []


def test_a_race_for_a_waiting_mail(world: World) -> None:
    """Who loses the race for a waiting mail makes no call, and the winner's claim stands."""
    world.write(state="waiting", payload=payload(world))
    world.ledger.meanwhile["change"] = lambda: world.ledger.inner.change(
        world.row(), world.mailer.claims._claimed(world.row(), world.clock.invocation())
    )
    assert attempt(world).kind == "race"
    assert (world.row().state, world.provider.calls) == ("sending", [])


def test_evidence_wins_over_an_ended_lease(world: World) -> None:
    """An event that comes while a lease is found ended is not overwritten with `unknown`."""
    world.write(state="sending", lease_until=NOON, payload=payload(world))
    world.ledger.meanwhile["change"] = world.prove
    assert attempt(world).kind == "race"
    assert (world.row().state, attempt(world).kind) == ("sent", "finished")


def test_an_event_before_the_answer(world: World) -> None:
    """An event that overtakes the answer is evidence; the answer adds what it knows."""
    world.provider.script = [Say(Accepted("env-1", "req-1"), meanwhile=world.prove)]
    result = attempt(world)
    assert result.kind == "sent"
    assert (world.row().state, world.row().evidence) == ("sent", "event")
    assert (world.row().envelope_id, world.row().request_id) == ("env-event", "req-1")


@pytest.mark.parametrize("state", ["waiting", "refused", "unknown", "parked", "failed", "held"])
def test_no_release_over_evidence(world: World, state: str) -> None:
    """Once an event has proven the send, its owner cannot say otherwise."""
    world.provider.script = [Say(Broken("read-timeout"), meanwhile=world.prove)]
    result = attempt(world)
    assert result.record is not None
    told = world.mailer.settling.release(result.record, state, custody=1, reason="x", now=NOON)
    assert (told, world.row().state) == (False, "sent")


def test_no_release_of_anothers_claim(world: World) -> None:
    """Only the owner may say "not sent": a claim that was taken over is not given up."""
    world.provider.script = [Say(Broken("read-timeout"))]
    old = attempt(world).record
    assert old is not None
    world.clock.now = old.lease_until
    assert attempt(world).kind == "unknown-early"
    assert world.mailer.settling.release(old, "waiting", custody=1, reason="", now=NOON) is False
    assert world.row().state == "unknown"


@pytest.mark.parametrize(
    ("state", "to"),
    [("sent", "waiting"), ("waiting", "refused"), ("refused", "sending"), ("sending", "expired")],
)
def test_no_release_beside_the_protocol(world: World, state: str, to: str) -> None:
    """A state that may not follow is a mistake of the program, and stops it."""
    row = world.write(state=state)
    with pytest.raises(ValueError, match=f"{state} -> {to}"):
        world.mailer.settling.release(row, to, custody=0, reason="", now=NOON)
    assert world.row() == row


def test_release_keeps_the_highest_number(world: World) -> None:
    """A late release with a lower number does not bring replaced copies back to life."""
    row = world.write(state="sending", custody=7)
    world.mailer.settling.release(row, "waiting", custody=3, reason="", now=NOON + 1)
    assert (world.row().custody, world.row().updated_at) == (7, NOON + 1)


def test_the_grace_runs_from_the_first_unknown(world: World) -> None:
    """Handing an unknown mail on does not start its grace anew."""
    row = world.write(state="unknown", unknown_since=NOON - 500)
    world.mailer.settling.release(row, "unknown", custody=1, reason="", now=NOON)
    assert (world.row().unknown_since, world.row().custody) == (NOON - 500, 1)


# --- Time ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("timeout", "kind"),
    [
        (CALL_MINIMUM + CALL_MARGIN, "sent"),
        (CALL_MINIMUM + CALL_MARGIN - 1, "no-time"),
        (0, "no-time"),
    ],
)
def test_no_call_without_time(world: World, timeout: int, kind: str) -> None:
    """No call is begun that cannot end within the invocation; the mail is not even claimed."""
    assert attempt(world, timeout=timeout).kind == kind
    assert (len(world.provider.calls), world.has_row()) == (
        (1, True) if kind == "sent" else (0, False)
    )


def test_the_calls_time(world: World) -> None:
    """A call gets what is left of the invocation, but for the margin to write the answer down."""
    attempt(world, timeout=30_000)
    assert [timeout for _, timeout in world.provider.calls] == [30_000 - CALL_MARGIN]


@pytest.mark.parametrize("method", ["create", "change"])
@pytest.mark.parametrize("late", [TIMEOUT - CALL_MARGIN - CALL_MINIMUM + 1, 10 * TIMEOUT])
def test_an_instance_frozen_after_its_claim(world: World, method: str, late: int) -> None:
    """A claim that comes so late that its lease may have ended makes no call, and is given back."""
    if method == "change":
        world.write(state="waiting", attempt=2, payload=payload(world))

    def freeze() -> None:
        world.clock.now += late

    world.ledger.meanwhile[method] = freeze
    assert attempt(world).kind == "no-time"
    assert world.provider.calls == []
    assert (world.row().state, world.row().lease_until) == ("waiting", 0)
    assert world.row().attempt == (2 if method == "change" else 0)
    assert attempt(world).kind == "sent"


# --- A ledger that is down -----------------------------------------------------------------------


@pytest.mark.parametrize("method", ["get", "create", "change"])
def test_ledger_down_before_the_call(world: World, method: str) -> None:
    """Without a claim there is no call."""
    if method == "change":
        world.write(state="waiting", payload=payload(world))
    world.ledger.down = {method}
    assert attempt(world).kind == "ledger-down"
    assert world.provider.calls == []


def test_ledger_down_after_the_call(world: World) -> None:
    """A send that could not be written down is a send, not settled, and keeps what proves it."""
    world.ledger.down = {"prove"}
    result = attempt(world)
    assert (result.kind, result.settled) == ("sent", False)
    assert result.record is not None
    assert (result.record.envelope_id, result.record.request_id) == ("env-1", "req-1")
    assert world.row().state == "sending"


def test_the_ledgers_answer_is_lost(world: World) -> None:
    """A proof whose confirmation was lost is stored all the same."""
    world.ledger.deaf = {"prove"}
    assert attempt(world).settled is False
    assert (world.row().state, world.row().envelope_id) == ("sent", "env-1")


def test_ledger_down_at_the_release(world: World) -> None:
    """A release that fails is told as such and raises nothing: the lease ends by itself."""
    row = world.write(state="sending")
    world.ledger.down = {"change"}
    assert world.mailer.settling.release(row, "waiting", custody=1, reason="", now=NOON) is False


def test_a_given_back_claim_with_the_ledger_down(world: World) -> None:
    """A claim that cannot be given back becomes unknown with its lease, and makes no call."""

    def fail_from_now_on() -> None:
        world.clock.now += TIMEOUT
        world.ledger.down = {"change"}

    world.ledger.meanwhile["create"] = fail_from_now_on
    assert attempt(world).kind == "no-time"
    assert (world.row().state, world.provider.calls) == ("sending", [])


def test_a_vanished_row(world: World) -> None:
    """A row that somebody removed during the call does not make the send fail."""

    class Forgetful(SqliteLedger):
        def prove(self, *_args: Any, **_evidence: Any) -> None:
            """Know nothing of the mail."""

    ledger = Forgetful(Path(":memory:"))
    mailer = Mailer(ledger, world.provider, POLICY, lambda: "owner", GRACE)
    result = mailer.attempt(world.letter(), world.clock.invocation())
    assert (result.kind, result.settled) == ("sent", True)
    assert result.record is not None
    ledger.close()


def test_the_environments_rules(world: World) -> None:
    """A mail that the environment does not allow is not even looked up."""
    strict = Mailer(world.ledger, world.provider, Policy("test"), lambda: "owner", GRACE)
    with pytest.raises(InvalidMail):
        strict.attempt(world.letter(), world.clock.invocation())
    assert world.steps.names == []


# --- Real threads --------------------------------------------------------------------------------


class CountingProvider:
    """Accepts everything, from any thread, and counts."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.calls = 0

    def send(self, mail: OutgoingMail, call: Invocation, timeout: int) -> Answer:
        """See `Provider.send`."""
        del mail, call, timeout
        with self.lock:
            self.calls += 1
            return Accepted(f"env-{self.calls}")


def test_fifty_copies_at_once(world: World, tmp_path: Path) -> None:
    """Of fifty copies that start together on fifty threads, one sends; others see its result."""
    ledger, provider, clock = SqliteLedger(tmp_path / "ledger.db"), CountingProvider(), Clock()
    mailer = Mailer(ledger, provider, POLICY, lambda: threading.current_thread().name, GRACE)
    letter, start = world.letter(), threading.Barrier(50)
    kinds: list[str] = []

    def send() -> None:
        start.wait()
        kinds.append(mailer.attempt(letter, clock.invocation()).kind)
        ledger.close()

    threads = [threading.Thread(target=send) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert provider.calls == 1
    assert kinds.count("sent") == 1
    assert set(kinds) <= {"sent", "race", "in-progress", "finished"}
    row = ledger.get(mailer.mail_id("k"))
    assert row is not None
    assert (row.state, row.attempt, row.envelope_id) == ("sent", 1, "env-1")
    ledger.close()
