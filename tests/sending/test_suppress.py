"""Whom a mail does not go to: the lookup, its scopes, and what becomes of the mail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shared.errors import LedgerUnavailable
from shared.schema.mail_request import Sender
from shared.sending.answers import Broken, Rejected
from shared.sending.letters import Letter
from shared.sending.results import Result
from shared.sending.scopes import scopes_of, unsubscribe_scope
from shared.sending.suppress import SuppressionList
from shared.stores.sqlite.database import Database
from shared.stores.sqlite.suppressions import SqliteSuppressions
from shared.stores.suppressions import Cause, Suppression
from tests.sending.conftest import NOON, Say, World

SECRET = b"k" * 32
SENDER = "shop@example.com"
DAY = 86_400_000
BOUNCE = Cause("bounce", NOON - DAY)
TWO = ["ada@example.net", "bob@example.net"]


@pytest.fixture
def suppressions(tmp_path: Path) -> SuppressionList:
    """An empty list."""
    return SuppressionList(SqliteSuppressions(Database(tmp_path / "list.db")), SECRET)


def suppress(
    suppressions: SuppressionList, address: str, scope: str = "account", cause: Cause = BOUNCE
) -> Suppression:
    """Suppress an address."""
    return suppressions.suppress(suppressions.who(address), scope, cause)


def out(suppressions: SuppressionList, *recipients: str, sender: str = SENDER) -> dict[str, str]:
    """Who of these is taken out of a sender's mail at noon, and why."""
    found = suppressions.check(sender, recipients, NOON)
    return {address: each.reason for address, each in found.items()}


# --- The list ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sender", "scopes"),
    [
        ("Shop@example.com", ("account", "@example.com", "shop@example.com")),
        ("example.com", ("account", "@example.com")),
    ],
)
def test_scopes(sender: str, scopes: tuple[str, ...]) -> None:
    """A sender is in the account, in its domain, and is itself; a bare domain is not the last."""
    assert scopes_of(sender) == scopes


@pytest.mark.parametrize(
    ("level", "scope"),
    [
        (None, "shop@example.com"),
        ("default", "shop@example.com"),
        ("disabled", "shop@example.com"),
        ("mailfrom", "shop@example.com"),
        ("mailfrom_domain", "@example.com"),
        ("edm_id", "account"),
    ],
)
def test_scope_of_an_unsubscription(level: str | None, scope: str) -> None:
    """It is the sender's address, unless the mail's own filter level says more."""
    assert unsubscribe_scope("shop@example.com", level) == scope


@pytest.mark.parametrize(
    ("scope", "senders"),
    [
        ("account", {"shop@example.com", "news@example.com", "shop@example.org"}),
        ("@example.com", {"shop@example.com", "news@example.com"}),
        ("shop@example.com", {"shop@example.com"}),
    ],
)
def test_a_scope_holds_for_its_senders(
    suppressions: SuppressionList, scope: str, senders: set[str]
) -> None:
    """Each scope takes the recipient out of its senders' mails, and of nobody else's."""
    suppress(suppressions, "ada@example.net", scope)
    asked = {"shop@example.com", "news@example.com", "shop@example.org"}
    assert {s for s in asked if out(suppressions, "ada@example.net", sender=s)} == senders


def test_addresses_are_compared_without_case(suppressions: SuppressionList) -> None:
    """The mail's own spelling is what is reported."""
    suppress(suppressions, "Ada@Example.net")
    assert out(suppressions, "ADA@example.net", "bob@example.net") == {"ADA@example.net": "bounce"}


@pytest.mark.parametrize(
    ("cause", "counts"),
    [
        (BOUNCE, True),
        (replace(BOUNCE, expires_at=NOON + 1), True),
        (replace(BOUNCE, expires_at=NOON), False),
        (replace(BOUNCE, lifted=True), False),
    ],
)
def test_what_is_over_does_not_count(
    suppressions: SuppressionList, cause: Cause, counts: bool
) -> None:
    """A cause counts until it expires or is lifted."""
    suppress(suppressions, "ada@example.net", cause=cause)
    assert bool(out(suppressions, "ada@example.net")) is counts


def test_the_gravest_reason_is_told(suppressions: SuppressionList) -> None:
    """Of several reasons, in whichever scopes, one is reported: the complaint before all."""
    scopes = {"manual": "account", "unsubscribe": SENDER, "complaint": "@example.com"}
    for reason in ("manual", "unsubscribe", "complaint", "bounce"):
        scope = scopes.get(reason, "account")
        suppress(suppressions, "ada@example.net", scope, Cause(reason, NOON))
    assert out(suppressions, "ada@example.net") == {"ada@example.net": "complaint"}


def test_lifting_leaves_other_reasons(suppressions: SuppressionList) -> None:
    """Who comes back to a newsletter has still no mailbox that bounced."""
    who = suppressions.who("ada@example.net")
    suppress(suppressions, "ada@example.net")
    suppress(suppressions, "ada@example.net", cause=Cause("unsubscribe", NOON))
    assert suppressions.lift(who, "account", "unsubscribe", NOON + 1)
    assert out(suppressions, "ada@example.net") == {"ada@example.net": "bounce"}
    assert not suppressions.lift(who, "account", "unsubscribe", NOON + 2)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (0, 2, 1), (2, 0, 1)])
@pytest.mark.parametrize("last", ["unsubscribe", "resubscribe"])
def test_the_order_of_arrival_does_not_matter(
    suppressions: SuppressionList, order: tuple[int, ...], last: str
) -> None:
    """Of an unsubscription and its opposite the one that happened later holds, in any order."""
    first = last == "unsubscribe"
    happened = [
        Cause("unsubscribe", NOON - 30, lifted=not first),
        Cause("unsubscribe", NOON - 20, lifted=first),
        Cause("unsubscribe", NOON - 10, lifted=not first),
    ]
    for number in order:
        suppress(suppressions, "ada@example.net", cause=happened[number])
    assert bool(out(suppressions, "ada@example.net")) is first


def test_a_repeat_does_not_undo_a_lifting(suppressions: SuppressionList) -> None:
    """An event that comes again after a person lifted what it caused changes nothing."""
    who = suppressions.who("ada@example.net")
    suppress(suppressions, "ada@example.net")
    assert suppressions.lift(who, "account", "bounce", NOON)
    assert not suppress(suppressions, "ada@example.net").active(NOON)
    suppress(suppressions, "ada@example.net", cause=Cause("bounce", NOON + 1))
    assert out(suppressions, "ada@example.net") != {}


def test_the_store_sees_no_address_but_its_column(suppressions: SuppressionList) -> None:
    """The key tells nothing without the secret, and differs with the secret."""
    row = suppress(suppressions, "ada@example.net")
    other = SuppressionList(suppressions.store, b"another" * 6)
    assert "ada" not in row.recipient
    assert row.address == "ada@example.net"
    assert out(other, "ada@example.net") == {}


def test_addresses_that_are_not_stored(suppressions: SuppressionList) -> None:
    """Without the column the recipient is suppressed all the same."""
    bare = replace(suppressions, store_addresses=False)
    assert suppress(bare, "ada@example.net").address is None
    assert out(bare, "ada@example.net") == {"ada@example.net": "bounce"}


def test_an_address_goes_with_what_it_was_kept_for(suppressions: SuppressionList) -> None:
    """Nobody's address stays who is not suppressed any more, and forgetting keeps the hash."""
    who = suppressions.who("ada@example.net")
    suppress(suppressions, "ada@example.net")
    assert suppressions.forget_address(who) == 1
    assert suppressions.forget_address(who) == 0
    assert [row.address for row in suppressions.of(who)] == [None]
    assert out(suppressions, "ada@example.net") == {"ada@example.net": "bounce"}
    suppress(suppressions, "bob@example.net")
    suppressions.lift(suppressions.who("bob@example.net"), "account", "bounce", NOON)
    assert [row.address for row in suppressions.of(suppressions.who("bob@example.net"))] == [None]


def test_others_who_change_the_same_row(suppressions: SuppressionList) -> None:
    """A cause is added to what somebody else wrote in between, and takes nothing away."""

    class Racing(SqliteSuppressions):
        """A store in which somebody is always quicker, three times."""

        left = 3

        def swap(self, old: Suppression | None, new: Suppression) -> bool:
            if self.left:
                self.left -= 1
                suppress(suppressions, "ada@example.net", cause=Cause(f"other-{self.left}", NOON))
            return super().swap(old, new)

    racing = replace(suppressions, store=Racing(suppressions.store._database))  # type: ignore[attr-defined]  # this very file
    row = suppress(racing, "ada@example.net")
    assert {cause.reason for cause in row.causes} == {"bounce", "other-0", "other-1", "other-2"}


# --- A mail --------------------------------------------------------------------------------------


@pytest.fixture
def world(new_world: Callable[..., World], suppressions: SuppressionList) -> World:
    """A world that announces suppressions, with a list."""
    made = new_world(announced=frozenset({"suppressed"}))
    made.mailer = replace(made.mailer, suppressions=suppressions)
    made.consumer = replace(made.consumer, mailer=made.mailer)
    return made


def attempt(world: World, letter: Letter) -> Result:
    """One attempt, now."""
    return world.mailer.attempt(letter, world.clock.invocation())


def told(world: World) -> list[tuple[str, str | None, str | None]]:
    """What was published: state, recipient, reason."""
    return [
        (tag, event["data"]["recipient"], event["data"]["reason"])
        for tag, event in world.queues.published
    ]


def test_the_rest_of_the_mail_goes(world: World, suppressions: SuppressionList) -> None:
    """A suppressed recipient is taken out and told of; the others get the mail."""
    suppress(suppressions, TWO[0])
    world.deliver(world.letter(to=TWO))
    ((outgoing, _),) = world.provider.calls
    assert outgoing.to == ("bob@example.net",)
    assert told(world) == [("suppressed", TWO[0], "bounce")]
    row = world.row()
    assert (row.state, row.suppressed) == ("sent", 1)
    deliveries = world.ledger.inner.deliveries(row.mail_id)
    assert [(d.recipient, d.state) for d in deliveries] == [(TWO[0], "suppressed")]


def test_nobody_is_left(world: World, suppressions: SuppressionList) -> None:
    """A mail whose every recipient is suppressed is final without a call, and is announced."""
    for address in TWO:
        suppress(suppressions, address)
    world.deliver(world.letter(to=TWO))
    assert world.provider.calls == []
    assert (world.row().state, world.row().reason) == ("suppressed", "bounce")
    expected = [("suppressed", who, "bounce") for who in (None, *TWO)]
    assert told(world) == expected
    world.deliver(world.letter(to=TWO))
    assert told(world) == [*expected, *expected]
    assert len({event["id"] for _, event in world.queues.published}) == 3


def test_a_blind_copy_alone_is_no_mail(world: World, suppressions: SuppressionList) -> None:
    """With nobody left in `to` the mail does not go to `bcc` either; a bcc can be taken out."""
    suppress(suppressions, "ada@example.net")
    world.deliver(world.letter(bcc=["bob@example.net"]))
    assert (world.provider.calls, world.row().state) == ([], "suppressed")
    suppress(suppressions, "eve@example.net")
    letter = replace(world.letter(to=["bob@example.net"], bcc=["eve@example.net"]), key="2")
    world.deliver(letter)
    ((outgoing, _),) = world.provider.calls
    assert (outgoing.to, outgoing.bcc) == (("bob@example.net",), ())


def test_a_mail_that_goes_despite_unsubscriptions(
    world: World, suppressions: SuppressionList
) -> None:
    """`unsubscribe_filter: disabled` sends to who has unsubscribed, and not to who bounced."""
    suppress(suppressions, TWO[0], SENDER, Cause("unsubscribe", NOON))
    suppress(suppressions, TWO[1])
    result = attempt(world, world.letter(to=TWO, unsubscribe_filter="disabled"))
    assert [each.recipient for each in result.taken_out] == [TWO[1]]
    assert world.provider.calls[0][0].to == (TWO[0],)


def test_a_mail_that_somebody_has_sent_meanwhile(
    world: World, suppressions: SuppressionList
) -> None:
    """Whom a mail went to is not noted as taken out of it by a batch that came too late."""
    letter, other = world.letter(to=TWO), replace(world.letter(), key="2")

    def send_and_suppress() -> None:
        assert attempt(world, letter).kind == "sent"
        suppress(suppressions, TWO[0])

    world.ledger.meanwhile["create"] = send_and_suppress
    # The first mail's claim is when somebody else sends the second one.
    world.deliver(other, letter)
    assert [call.to for call, _ in world.provider.calls] == [tuple(TWO), (TWO[0],)]
    assert world.ledger.inner.deliveries(world.row().mail_id) == []


def test_a_later_copy_is_told_the_same(world: World, suppressions: SuppressionList) -> None:
    """A repeat tells again whom the mail did not go to, under the same ids, lifted or not."""
    suppress(suppressions, TWO[0])
    world.deliver(world.letter(to=TWO))
    suppressions.lift(suppressions.who(TWO[0]), "account", "bounce", NOON)
    world.deliver(world.letter(to=TWO))
    ids = [event["id"] for _, event in world.queues.published]
    assert len(ids) == 2
    assert len(set(ids)) == 1
    assert len(world.provider.calls) == 1


@pytest.mark.parametrize("method", ["record_delivery"])
def test_a_ledger_that_is_down(world: World, suppressions: SuppressionList, method: str) -> None:
    """What cannot be written down of a suppressed recipient keeps the mail from going."""
    suppress(suppressions, TWO[0])
    world.ledger.down.add(method)
    assert attempt(world, world.letter(to=TWO)).kind == "ledger-down"
    assert world.provider.calls == []


def test_no_send_without_the_lookup(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that does not answer is not an empty list: the mail waits."""

    def down(*_arguments: Any) -> Any:
        raise LedgerUnavailable("the list is down")

    monkeypatch.setattr(SqliteSuppressions, "find", down)
    world.deliver(world.letter())
    assert world.provider.calls == []
    assert not world.has_row()
    assert len(world.queues.mails) == 1


def test_each_try_looks_again(world: World, suppressions: SuppressionList) -> None:
    """A recipient who is suppressed while the mail waits to be tried again gets nothing."""
    world.provider.script = [Say(Rejected("Throttling.User", 400))]
    world.deliver(world.letter(to=TWO))
    suppress(suppressions, TWO[1])
    world.run()
    assert [call.to for call, _ in world.provider.calls] == [tuple(TWO), (TWO[0],)]


def test_a_mail_that_may_have_been_sent_is_held(
    world: World, suppressions: SuppressionList
) -> None:
    """Nobody can say that an unknown mail was not sent, so it does not end as suppressed."""
    world.show_life()
    world.provider.script = [Say(Broken("read-timeout"))]
    world.deliver(world.letter())
    suppress(suppressions, "ada@example.net")
    world.run()
    assert (world.row().state, len(world.provider.calls)) == ("held", 1)


def test_a_redriven_mail_can_end(world: World, suppressions: SuppressionList) -> None:
    """A parked mail whose recipient is suppressed by the time it is redriven ends so."""
    world.provider.script = [Say(Rejected("Forbidden.RAM", 403))]
    world.deliver(world.letter())
    assert world.row().state == "parked"
    suppress(suppressions, "ada@example.net")
    world.deliver(world.queues.dead[0])
    assert (world.row().state, len(world.provider.calls)) == ("suppressed", 1)


def test_a_death_after_the_claim_loses_no_report(
    new_world: Callable[..., World], suppressions: SuppressionList
) -> None:
    """Wherever the process dies, who was taken out is told of in the end, and one mail goes."""
    suppress(suppressions, TWO[0])
    for number in range(1, 12):
        for moment in ("before", "after"):
            made = new_world(announced=frozenset({"suppressed"}), events=True, alive=True)
            made.mailer = replace(made.mailer, suppressions=suppressions)
            made.consumer = replace(made.consumer, mailer=made.mailer)
            made.steps.crashes.add((number, moment))
            made.queues.put(made.letter(to=TWO).body().encode())
            made.run()
            assert {(tag, who) for tag, who, _ in told(made)} == {("suppressed", TWO[0])}
            assert len({event["id"] for _, event in made.queues.published}) == 1
            assert len(made.provider.accepts) == 1


def test_the_sender_of_the_lookup_is_the_mails(world: World, suppressions: SuppressionList) -> None:
    """The scopes are those of the sender that the mail goes out with, the default one included."""
    assert world.policy.default_sender == Sender(address=SENDER)
    suppress(suppressions, "ada@example.net", SENDER)
    assert attempt(world, world.letter()).kind == "suppressed"
    other = replace(world.letter(sender={"address": "news@example.com"}), key="2")
    assert attempt(world, other).kind == "sent"
