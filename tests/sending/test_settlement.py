"""Proof of a send that could not be written down: the queue keeps it until it can be."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from shared.errors import QueueUnavailable
from shared.sending.custody import SHORT_WAIT
from shared.sending.letters import Settlement, read_settlement
from shared.triggers.queue import QueueMessage
from tests.api.conftest import Service
from tests.sending.conftest import Say, World
from tests.sending.test_consumer import UNKNOWN, bare

NewWorld = Callable[..., World]
KEY = {"idempotency-key": "k"}


def read(body: bytes) -> Settlement | None:
    """Read a message body."""
    return read_settlement(QueueMessage("m", body))


@pytest.mark.parametrize("request_id", ["req-1", None])
def test_there_and_back(request_id: str | None) -> None:
    """What is put on the queue is what is read from it."""
    proof = Settlement("m" * 26, "env-1", request_id)
    assert read(proof.body().encode()) == proof


@pytest.mark.parametrize(
    "document",
    [
        "rubbish",
        [],
        {"settle": ["m", "e", None]},
        {"postbus": 2, "settle": ["m", "e", None]},
        {"postbus": 1, "settle": ["m", "e"]},
        {"postbus": 1, "settle": ["m", None, None]},
        {"postbus": 1, "settle": [1, "e", None]},
        {"postbus": 1, "settle": {"mail_id": "m"}},
        {"postbus": 1, "mail": {}},
    ],
)
def test_what_is_no_settlement(world: World, document: object) -> None:
    """The queue is open to others: what is not exactly one is read as a mail, and refused."""
    body = json.dumps(document).encode()
    assert read(body) is None
    world.deliver(body)
    assert (len(world.queues.rejected), world.provider.calls) == (1, [])


def test_a_settlement_of_an_unknown_mail(world: World) -> None:
    """Proof of a mail that the ledger does not know makes no row, and does not come back."""
    world.deliver(Settlement("m" * 26, "env-1").body().encode())
    assert (world.queues.mails, world.ledger.inner.get("m" * 26)) == ([], None)


def test_ledger_down_after_acceptance(world: World) -> None:
    """The proof goes on the queue before the function returns, and is written down later."""
    world.ledger.down = {"prove"}
    world.deliver(bare())
    mail_id = world.mailer.mail_id("k")
    assert world.queues.letters() == [{"postbus": 1, "settle": [mail_id, "env-1", "req-1"]}]
    assert world.row().state == "sending"
    world.ledger.down = set()
    world.run()
    row = world.row()
    assert (row.state, row.evidence, row.envelope_id) == ("sent", "answer", "env-1")
    assert (len(world.provider.calls), world.queues.dead) == (1, [])


def test_ledger_down_for_long(world: World) -> None:
    """The proof stays on the queue for as long as it takes."""
    world.ledger.down = {"prove"}
    world.queues.put(bare())
    for _ in range(50):
        world.run(at_most=1)
    assert len(world.queues.mails) == 1
    assert world.clock.now >= 45 * SHORT_WAIT
    world.ledger.down = set()
    world.run()
    assert (world.row().state, len(world.provider.accepts)) == ("sent", 1)


@pytest.mark.parametrize("wish", ["resend", "hold"])
def test_a_repeat_before_the_settlement(new_world: NewWorld, wish: str) -> None:
    """Copies that come meanwhile find a claim, and then the proof; even with a living channel."""
    world = new_world(alive=True)
    world.ledger.down = {"prove"}
    body = bare(on_unknown=wish)
    world.deliver(body)
    for _ in range(3):
        world.queues.put(body)
    world.run(at_most=3)
    world.ledger.down = set()
    world.run()
    assert (world.row().state, len(world.provider.accepts)) == ("sent", 1)


def test_ledger_and_queue_down_after_acceptance(world: World) -> None:
    """The message comes again, finds its own claim, and the delivery event makes it sent."""
    world.ledger.down, world.queues.down = {"prove"}, {"settle"}
    with pytest.raises(QueueUnavailable):
        world.deliver(bare())
    world.ledger.down, world.queues.down = set(), set()
    world.queues.put(bare())
    world.prove()
    world.run()
    assert (world.row().state, len(world.provider.accepts)) == ("sent", 1)


def test_a_proof_that_comes_after_the_decision(world: World) -> None:
    """However late it is: a mail that was held meanwhile is sent, and its letter is inert."""
    world.provider.script = [Say(UNKNOWN, accepted=True)]
    world.queues.put(bare())
    world.run()
    assert world.row().state == "held"
    world.deliver(Settlement(world.mailer.mail_id("k"), "env-1").body().encode())
    world.queues.put(world.queues.dead[0])
    world.run()
    assert (world.row().state, len(world.provider.accepts)) == ("sent", 1)


def test_over_http(world: World) -> None:
    """The caller is told that the mail is sent, and the proof waits on the queue."""
    service = Service(world)
    world.ledger.down = {"prove"}
    answer = service.post(headers=KEY)
    assert answer.status == 201
    assert answer.body is not None
    assert (answer.body["state"], answer.body["env_id"]) == ("sent", "env-1")
    world.ledger.down = set()
    world.run()
    assert (world.row().state, world.row().envelope_id) == ("sent", "env-1")
    assert service.post(headers=KEY).body == answer.body
    assert len(world.provider.accepts) == 1


def test_over_http_with_the_queue_down(world: World) -> None:
    """A mail that is sent is a 201 all the same; a repeat does not send it again."""
    service = Service(world)
    world.ledger.down, world.queues.down = {"prove"}, {"settle"}
    assert service.post(headers=KEY).status == 201
    world.ledger.down, world.queues.down = set(), set()
    assert service.post(headers=KEY).status in {202, 409}
    world.prove()
    assert service.post(headers=KEY).status == 201
    assert len(world.provider.accepts) == 1
