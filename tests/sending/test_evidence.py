"""Unknown mails under every wind: resent once, held on a hint, expired, redriven, told about."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog

from shared.sending.answers import Accepted, Rejected
from shared.sending.claims import KEEP
from shared.sending.compose import Policy
from shared.sending.identity import payload_hash
from shared.sending.mailer import Mailer
from shared.sending.protocol import check_transition
from shared.sending.unknowns import PATIENCE
from shared.stores.ledger import Channel, MailRecord
from shared.stores.sqlite.ledger import SqliteLedger
from shared.times import rfc3339
from tests.api.conftest import MAIL, Service
from tests.sending.conftest import GRACE, NOON, POLICY, Clock, Say, World
from tests.sending.test_consumer import MISCONFIGURED, UNKNOWN, bare
from tests.sending.test_mailer import CountingProvider

NewWorld = Callable[..., World]
SHOP = "shop@example.com"
LOST = Say(UNKNOWN, accepted=False)


# --- Sent again ----------------------------------------------------------------------------------


def test_sent_again(new_world: NewWorld) -> None:
    """After a silent grace while the channel is alive the mail is sent again, once."""
    world = new_world(alive=True)
    world.provider.script = [LOST]
    world.queues.put(bare())
    world.run()
    row = world.row()
    assert (row.state, row.attempt, row.resent) == ("sent", 2, 1)
    assert world.clock.now == NOON + GRACE


def test_sent_again_once(new_world: NewWorld) -> None:
    """If nobody knows what became of the resend either, a person decides."""
    world = new_world(alive=True)
    world.provider.script = [LOST] * 9
    world.queues.put(bare())
    world.run()
    assert (world.row().state, len(world.provider.calls)) == ("held", 2)


def test_a_resend_that_is_throttled(new_world: NewWorld) -> None:
    """A resend that was proven not to be one more send is tried until it is one."""
    world = new_world(alive=True)
    world.provider.script = [LOST, *[Say(Rejected("Throttling.User", 400))] * 3]
    world.queues.put(bare())
    world.run()
    assert (world.row().state, world.row().resent, len(world.provider.accepts)) == ("sent", 1, 1)


@pytest.mark.parametrize("accepted", [True, False])
def test_a_resend_that_is_refused(new_world: NewWorld, *, accepted: bool) -> None:
    """Its first call may have been accepted: it is held, since "refused" may not be true."""
    world = new_world(alive=True, announced=frozenset({"refused", "held"}))
    world.provider.script = [Say(UNKNOWN, accepted=accepted), Say(Rejected("InvalidBody", 400))]
    world.queues.put(bare())
    world.run()
    assert (world.row().state, len(world.provider.calls)) == ("held", 2)
    assert [state for state, _ in world.queues.published] == ["held"]


def test_a_resent_mail_does_not_expire(new_world: NewWorld) -> None:
    """Of a mail that was perhaps sent nobody says that its time was over before it was."""
    world = new_world(alive=True, announced=frozenset({"expired", "held"}))
    world.provider.script = [Say(UNKNOWN, accepted=True), *[Say(Rejected("Throttling", 400))] * 9]
    expiry = rfc3339(NOON + GRACE + 5_000)
    world.deliver(world.letter(expires_at=expiry))
    world.run()
    assert world.row().state == "held"
    assert [state for state, _ in world.queues.published] == ["held"]


def test_an_ended_lease_is_announced(new_world: NewWorld) -> None:
    """Whoever finds the lease ended announces that the mail's outcome is unknown, once."""
    world = new_world(announced=frozenset({"unknown"}))
    letter = world.letter()
    world.write(
        state="sending", attempt=1, lease_until=NOON - 1, payload=payload_hash(letter.given)
    )
    for _ in range(3):
        world.deliver(letter)
    assert [state for state, _ in world.queues.published] == ["unknown"]


@pytest.mark.parametrize("comes_alive", [0, 3, PATIENCE - 1, PATIENCE + 1])
def test_a_dead_channel_is_waited_for(world: World, comes_alive: int) -> None:
    """Silence means nothing while the channel is dead; after so many graces a person decides."""
    world.provider.script = [LOST]
    world.queues.put(bare())
    for _ in range(99):
        if world.clock.now >= NOON + comes_alive * GRACE:
            world.show_life()
        world.run(at_most=1)
    ends = ("sent", 1) if comes_alive < PATIENCE else ("held", 0)
    assert (world.row().state, len(world.provider.accepts)) == ends
    assert world.clock.now <= NOON + (PATIENCE + 1) * GRACE


def test_a_queue_of_events_that_is_behind(new_world: NewWorld) -> None:
    """The event may be among those that wait: nothing is sent again."""
    world = new_world(alive=True)
    world.mailer = replace(world.mailer, lag=lambda: GRACE)
    world.consumer = replace(world.consumer, mailer=world.mailer)
    world.provider.script = [Say(UNKNOWN, accepted=True)]
    world.queues.put(bare())
    world.run()
    assert (world.row().state, len(world.provider.accepts)) == ("held", 1)


@pytest.mark.parametrize("copies", [2, 5])
def test_copies_that_all_want_to_send_again(new_world: NewWorld, copies: int) -> None:
    """Of any number of copies of an unknown mail, one sends it again."""
    world = new_world(alive=True)
    world.provider.script = [LOST]
    for _ in range(copies):
        world.queues.put(bare())
    world.run()
    assert len(world.provider.accepts) == 1


@pytest.mark.parametrize("method", ["channel", "sighted_at", "change"])
def test_evidence_in_the_middle_of_a_resend(new_world: NewWorld, method: str) -> None:
    """An event at the very last moment still wins over the resend."""
    world = new_world(alive=True)
    world.provider.script = [Say(UNKNOWN, accepted=True)]
    world.deliver(bare())
    world.show_life()
    world.ledger.meanwhile[method] = world.prove
    world.run()
    assert (world.row().state, len(world.provider.calls)) == ("sent", 1)


def test_thirty_copies_at_once_send_again_once(world: World, tmp_path: Path) -> None:
    """On thirty threads, with a real store: one resend."""
    ledger, provider, clock = SqliteLedger(tmp_path / "l.db"), CountingProvider(), Clock()
    mailer = Mailer(ledger, provider, POLICY, lambda: threading.current_thread().name, GRACE,
                    lag=lambda: 0)  # fmt: skip
    letter = world.letter()
    row = MailRecord(
        mail_id=mailer.mail_id("k"),
        key="k",
        state="unknown",
        attempt=1,
        payload=payload_hash(letter.given),
        unknown_since=NOON - GRACE,
        sender=SHOP,
        attempted_at=NOON - GRACE,
    )
    ledger.create(row)
    ledger.note_channel(SHOP, Channel(NOON, NOON))
    start = threading.Barrier(30)

    def send() -> None:
        start.wait()
        mailer.attempt(letter, clock.invocation())
        ledger.close()

    threads = [threading.Thread(target=send) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    after = ledger.get(row.mail_id)
    ledger.close()
    assert provider.calls == 1
    assert after is not None
    assert (after.state, after.attempt, after.resent) == ("sent", 2, 1)


# --- Weak evidence -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sender", "recipient", "after", "state"),
    [
        (SHOP, "ada@example.net", 1, "held"),
        (SHOP, "ada@example.net", 0, "held"),
        (SHOP, "ada@example.net", -1, "sent"),
        (SHOP, "bcc@example.net", 1, "held"),
        (SHOP, "eve@example.net", 1, "sent"),
        ("other@example.com", "ada@example.net", 1, "sent"),
    ],
    ids=["after", "at once", "before", "blind copy", "another recipient", "another sender"],
)
def test_a_sighting(
    new_world: NewWorld, sender: str, recipient: str, after: int, state: str
) -> None:
    """An unmatched event for sender and recipient since the attempt turns a resend into `held`."""
    world = new_world(alive=True)
    world.provider.script = [LOST]
    world.queues.put(bare(to=["Ada@Example.net"], bcc=["bcc@example.net"]))
    world.run(at_most=1)
    world.ledger.inner.sight(sender, recipient, NOON + after)
    world.run()
    assert world.row().state == state
    assert len(world.provider.calls) == (1 if state == "held" else 2)


def test_a_sighting_where_mails_are_redirected(new_world: NewWorld) -> None:
    """What counts is where the mail really went."""
    policy = Policy("test", POLICY.default_sender, redirect_to="trap@example.org")
    world = new_world(alive=True, policy=policy)
    world.provider.script = [LOST]
    world.queues.put(bare())
    world.run(at_most=1)
    world.ledger.inner.sight(SHOP, "trap@example.org", NOON + 1)
    world.run()
    assert (world.row().state, len(world.provider.calls)) == ("held", 1)


def test_a_sighting_proves_nothing(new_world: NewWorld) -> None:
    """A held mail with a hint is not sent: a person may send it again."""
    world = new_world(alive=True)
    world.provider.script = [LOST]
    world.queues.put(bare())
    world.run(at_most=1)
    world.ledger.inner.sight(SHOP, "ada@example.net", NOON + 1)
    world.run()
    world.queues.put(world.queues.dead[0])
    world.run()
    assert (world.row().state, len(world.provider.accepts)) == ("sent", 1)


# --- Time that is up -----------------------------------------------------------------------------


def until(ms: int, **more: Any) -> bytes:
    """A mail that is good for so long from noon on."""
    return bare(expires_at=rfc3339(NOON + ms), **more)


@pytest.mark.parametrize(("late", "state"), [(59_999, "sent"), (60_000, "expired")])
def test_expires_at(new_world: NewWorld, late: int, state: str) -> None:
    """A mail whose time is over is not sent, and that is final; every repeat tells the same."""
    world = new_world(announced=frozenset({"expired"}))
    world.queues.put(until(60_000), late)
    world.run()
    world.deliver(until(60_000))
    assert (world.row().state, len(world.provider.calls)) == (state, int(state == "sent"))
    told = {event["id"]: tag for tag, event in world.queues.published}
    assert list(told.values()) == ["expired"] * (state == "expired"), "repeats have the same id"
    assert (world.queues.dead, world.queues.mails) == ([], [])


def test_it_expires_while_it_waits(world: World) -> None:
    """A throttled mail whose time runs out on the queue is not tried again."""
    world.provider.script = [Say(Rejected("Throttling.User", 400, retry_after_ms=90_000))]
    world.queues.put(until(60_000))
    world.run()
    assert (world.row().state, len(world.provider.calls)) == ("expired", 1)


def test_an_unknown_mail_does_not_expire(new_world: NewWorld) -> None:
    """It is not sent again after its time; but nobody can say that it was not sent: held."""
    world = new_world(alive=True)
    world.provider.script = [Say(UNKNOWN, accepted=True)]
    world.queues.put(until(60_000))
    world.run()
    assert (world.row().state, len(world.provider.calls)) == ("held", 1)
    world.queues.put(world.queues.dead[0])
    world.run()
    assert (world.row().state, len(world.provider.calls)) == ("held", 1)
    world.prove()
    assert world.row().state == "sent"


def test_a_parked_mail_expires(world: World) -> None:
    """Redriven after its time, it is not sent."""
    world.provider.script = [Say(MISCONFIGURED)]
    world.queues.put(until(60_000))
    world.run()
    world.queues.put(world.queues.dead[0], 60_000)
    world.run()
    assert (world.row().state, len(world.provider.calls)) == ("expired", 1)


def test_expired_over_http(world: World) -> None:
    """A mail whose time was over before it came is a problem of its own, also when repeated."""
    service, mail = Service(world), {**MAIL, "expires_at": rfc3339(NOON - 1)}
    for _ in range(2):
        answer = service.post(mail, headers={"idempotency-key": "k"})
        assert answer.body is not None
        assert answer.body["type"] == "urn:postbus:problem:expired"
        assert "Retry-After" not in answer.headers
    assert (world.row().state, world.provider.calls) == ("expired", [])


def test_a_record_that_has_expired(world: World) -> None:
    """After its 45 days a key is new again, whatever it stood for."""
    world.deliver(bare())
    assert world.row().expires_at == NOON + KEEP
    world.clock.now += KEEP
    world.deliver(bare(subject="Other"))
    assert (world.row().state, world.row().attempt) == ("sent", 1)
    assert len(world.provider.calls) == 2


# --- By hand, and what is told -------------------------------------------------------------------


@pytest.mark.parametrize("wish", ["resend", "hold"])
def test_redrive_of_a_held_mail(world: World, wish: str) -> None:
    """A person's decision to send it again stands, once, whatever the mail's own wish."""
    world.provider.script = [LOST]
    world.queues.put(bare(on_unknown=wish))
    world.run()
    (letter,) = world.queues.dead
    for _ in range(3):
        world.queues.put(letter)
    world.run()
    assert (world.row().state, len(world.provider.accepts)) == ("sent", 1)


def test_one_alarm_an_hour(world: World) -> None:
    """A misconfiguration parks each mail and calls an operator once an hour for each fault."""
    other = Rejected("InDebt", 400)
    world.provider.script = [Say(MISCONFIGURED)] * 5 + [Say(other)] + [Say(MISCONFIGURED)] * 3
    with structlog.testing.capture_logs() as lines:
        world.deliver(*[bare(key=f"a{n}") for n in range(6)])
        world.clock.now += 3_600_000
        world.deliver(*[bare(key=f"b{n}") for n in range(3)])
    alarms = [line["code"] for line in lines if line["event"] == "alarm.misconfigured"]
    assert alarms == ["Forbidden.RAM", "InDebt", "Forbidden.RAM"]
    assert len(world.queues.dead) == 9


def test_an_alarm_with_the_ledger_down(world: World) -> None:
    """One alarm too many is better than none."""
    world.provider.script = [Say(MISCONFIGURED)] * 2
    world.ledger.down = {"take_permits"}
    with structlog.testing.capture_logs() as lines:
        world.deliver(bare(key="a"), bare(key="b"))
    assert [line["event"] for line in lines].count("alarm.misconfigured") == 2


def test_a_sent_mail_is_noted_for_its_channel(world: World) -> None:
    """The time of the latest accepted call is known, and not written for every mail of a burst."""
    world.deliver(*[bare(key=str(n)) for n in range(9)])
    assert world.steps.names.count("note_channel") == 1
    assert world.ledger.inner.channel(SHOP) == Channel(sent_at=NOON)
    world.clock.now += 5_000
    world.deliver(bare(key="later"))
    assert world.ledger.inner.channel(SHOP) == Channel(sent_at=NOON + 5_000)


def test_a_sender_has_one_channel_however_it_is_spelled(new_world: NewWorld) -> None:
    """DirectMail's events may have the address in another case than the mail had."""
    world = new_world(alive=True)
    world.provider.script = [LOST]
    world.queues.put(bare(sender={"address": "Shop@example.com"}))
    world.run()
    assert (world.row().state, world.row().resent) == ("sent", 1)
    assert world.ledger.inner.channel(SHOP).sent_at == world.row().attempted_at


def test_a_channel_that_cannot_be_noted(world: World) -> None:
    """A mail that is sent stays sent."""
    world.ledger.down = {"note_channel"}
    world.provider.script = [Say(Accepted("env-1"))]
    world.deliver(bare())
    assert (world.row().state, world.queues.mails) == ("sent", [])


def test_an_expired_row_may_follow_anything() -> None:
    """The protocol binds a row for as long as it counts."""
    old = MailRecord("m", "k", "sent", expires_at=NOON)
    check_transition(old, replace(old, state="sending", updated_at=NOON))
    with pytest.raises(ValueError, match="sent -> sending"):
        check_transition(old, replace(old, state="sending", updated_at=NOON - 1))
