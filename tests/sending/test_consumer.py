"""Messages of the mail queue: each is settled by itself, and none is lost or stops another."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
import structlog

from shared.errors import QueueUnavailable
from shared.sending.answers import Accepted, Answer, Broken, Rejected
from shared.sending.backoff import ATTEMPTS_MAX
from shared.sending.claims import CALL_MARGIN, LEASE_MARGIN
from shared.sending.compose import Policy
from shared.sending.consumer import RACES_MAX, Consumer
from shared.sending.custody import LEDGER_WAIT_MAX, SHORT_WAIT
from shared.sending.identity import PART_MARK, payload_hash
from shared.sending.opening import LOOKUP_MINIMUM, Opened
from shared.sending.results import Result
from shared.triggers.queue import QueueMessage
from tests.sending.conftest import GRACE, NOON, POLICY, TIMEOUT, Say, World

THROTTLED = Rejected("Throttling.User", 400)
REFUSED = Rejected("InvalidToAddress", 400, "no such address")
MISCONFIGURED = Rejected("Forbidden.RAM", 403)
QUOTA = Rejected("InvalidSendMail.Spam", 400)
UNREACHABLE = Broken("connect")
UNKNOWN = Broken("read-timeout")


def payload(world: World) -> str:
    """The fingerprint of the world's usual mail."""
    return payload_hash(world.letter().given)


def bare(**fields: Any) -> bytes:
    """A producer's message."""
    mail = {"to": ["ada@example.net"], "subject": "Hello", "text": "Hi.", "key": "k", **fields}
    return json.dumps(mail).encode()


# --- What an answer leads to ---------------------------------------------------------------------

# The answer -> the row's state and number, the put-backs' delays, what is rejected and buried.
ANSWERS: dict[str, tuple[Answer, str, int, list[int], int, int]] = {
    "sent": (Accepted("env-1"), "sent", 0, [], 0, 0),
    "refused": (REFUSED, "refused", 0, [], 1, 0),
    "throttled": (THROTTLED, "waiting", 1, [2_000], 0, 0),
    "unavailable": (UNREACHABLE, "waiting", 1, [2_000], 0, 0),
    "quota": (QUOTA, "waiting", 1, [4 * 3_600_000 + 300_000], 0, 0),
    "unknown": (UNKNOWN, "unknown", 1, [GRACE], 0, 0),
    "misconfigured": (MISCONFIGURED, "parked", 0, [], 0, 1),
}


@pytest.mark.parametrize("case", ANSWERS.values(), ids=ANSWERS)
def test_what_an_answer_leads_to(
    world: World, case: tuple[Answer, str, int, list[int], int, int]
) -> None:
    """Each answer brings the mail to one place, with the row saying which copy carries it."""
    answer, state, custody, delays, rejected, buried = case
    world.provider.script = [Say(answer)]
    world.deliver(bare())
    assert (world.row().state, world.row().custody) == (state, custody)
    assert world.queues.delays == delays
    assert [letter["custody"] for letter in world.queues.letters()] == [1] * len(delays)
    assert (len(world.queues.rejected), len(world.queues.dead)) == (rejected, buried)


def test_a_delay_is_written_down(world: World) -> None:
    """A copy remembers its key, when the mail was first seen and what happened to it."""
    world.provider.script = [Say(THROTTLED)]
    world.deliver(bare())
    (letter,) = world.queues.letters()
    assert (letter["key"], letter["first_seen"]) == ("k", NOON)
    assert letter["history"] == [[NOON, "throttled", "Throttling.User"]]
    assert world.row().reason == "Throttling.User"


def test_a_refusal_is_explained(world: World) -> None:
    """On the reject queue stand the message, the provider's code and its words."""
    world.provider.script = [Say(REFUSED)]
    world.deliver(bare())
    (letter,) = world.queues.rejected
    assert (letter["reason"], json.loads(letter["body"])["key"]) == ("refused-by-provider", "k")
    assert letter["problems"] == [
        {
            "pointer": "",
            "type": "refused-by-provider",
            "detail": "no such address",
            "given": "InvalidToAddress",
        }
    ]


def test_the_last_attempt(world: World) -> None:
    """An unreachable provider is tried a stated number of times; then the letter is buried."""
    world.provider.script = [Say(UNREACHABLE)] * ATTEMPTS_MAX["unavailable"]
    world.queues.put(bare())
    world.run()
    assert (world.row().state, world.row().attempt) == (
        "failed",
        ATTEMPTS_MAX["unavailable"],
    )
    (letter,) = (json.loads(body) for body in world.queues.dead)
    assert {what for _, what, _ in letter["history"]} == {"unavailable", "failed"}


@pytest.mark.parametrize("kind", sorted(ATTEMPTS_MAX))
def test_attempts_are_capped_by_verdict(world: World, kind: str) -> None:
    """One answer before the cap the mail is still sent; at the cap it has failed."""
    answers: dict[str, Answer] = {
        "unavailable": UNREACHABLE,
        "throttled": THROTTLED,
        "quota": QUOTA,
    }
    answer = answers[kind]
    most = ATTEMPTS_MAX[kind]
    for key, failures in (("sent", most - 1), ("failed", most)):
        world.provider.script = [Say(answer)] * failures
        world.queues.put(bare(key=key))
        world.run()
        assert (world.row(key).state, world.row(key).attempt) == (key, most)
    assert len(world.queues.dead) == 1


@pytest.mark.parametrize("answer", [MISCONFIGURED, UNKNOWN], ids=["parked", "held"])
def test_redrive(world: World, answer: Answer) -> None:
    """A buried letter that a person puts back is sent, once, however often it is put back."""
    world.provider.script = [Say(answer)]
    world.queues.put(bare())
    world.run()
    (letter,) = world.queues.dead
    for _ in range(3):
        world.queues.put(letter)
    world.run()
    assert (world.row().state, len(world.provider.accepts)) == ("sent", 1)


def test_parked_again(world: World) -> None:
    """A redriven letter that is parked again can be redriven again; the old one cannot."""
    world.provider.script = [Say(MISCONFIGURED)] * 2
    world.queues.put(bare())
    world.run()
    world.queues.put(world.queues.dead[0])
    world.run()
    assert (len(world.queues.dead), world.row().state) == (2, "parked")
    world.queues.put(world.queues.dead[0])
    world.run()
    assert (world.row().state, world.provider.accepts) == ("parked", [])
    world.queues.put(world.queues.dead[1])
    world.run()
    assert (world.row().state, len(world.provider.accepts)) == ("sent", 1)


# --- Unknown outcomes ----------------------------------------------------------------------------


def test_unknown_without_evidence(world: World) -> None:
    """After the grace without evidence the mail is held for a person, with its letter buried."""
    world.provider.script = [Say(UNKNOWN, accepted=False)]
    world.queues.put(bare())
    world.run()
    assert (world.row().state, len(world.queues.dead)) == ("held", 1)
    assert world.clock.now >= NOON + GRACE
    assert len(world.provider.calls) == 1


def test_unknown_with_evidence(world: World) -> None:
    """A delivery event within the grace ends it: sent, one call, nothing left anywhere."""
    world.provider.script = [Say(UNKNOWN, accepted=True)]
    world.deliver(bare())
    world.prove()
    world.run()
    assert (world.row().state, world.row().evidence) == ("sent", "event")
    assert (len(world.provider.calls), world.queues.dead) == (1, [])


def test_evidence_while_it_is_put_back(world: World) -> None:
    """An event between the put-back and its note in the ledger is not overwritten."""
    world.provider.script = [Say(UNKNOWN, accepted=True)]
    world.ledger.meanwhile["change"] = world.prove
    world.deliver(bare())
    assert world.row().state == "sent"
    world.run()
    assert (world.row().state, world.queues.dead) == ("sent", [])


def test_evidence_after_holding(world: World) -> None:
    """Evidence that comes too late still makes a held mail sent, and its letter is then inert."""
    world.provider.script = [Say(UNKNOWN, accepted=True)]
    world.queues.put(bare())
    world.run()
    world.prove()
    world.queues.put(world.queues.dead[0])
    world.run()
    assert (world.row().state, len(world.provider.calls)) == ("sent", 1)


def test_an_abandoned_claim(world: World) -> None:
    """A claim whose owner died permits no send: it is unknown, waits for evidence, and is held."""
    world.write(state="sending", attempt=1, owner="dead", lease_until=NOON, payload=payload(world))
    world.queues.put(bare())
    world.run()
    assert (world.row().state, world.provider.calls) == ("held", [])
    assert world.clock.now >= NOON + GRACE


def test_in_progress_elsewhere(world: World) -> None:
    """A copy of a mail that is being sent comes back when that claim's lease has ended."""
    world.write(state="sending", lease_until=NOON + 40_000, payload=payload(world))
    world.deliver(bare())
    assert world.queues.delays == [40_000]
    assert world.provider.calls == []


# --- Duplicates ----------------------------------------------------------------------------------


def test_copies_in_one_batch(world: World) -> None:
    """Of five copies in one batch one is sent; the others find its result."""
    world.deliver(*[bare()] * 5)
    assert (len(world.provider.calls), world.queues.mails) == (1, [])


def test_new_mails_are_looked_up_together(world: World) -> None:
    """New mails of a batch are one question to the ledger; one alone asks for itself."""
    world.deliver(*(bare(key=str(number)) for number in range(5)))
    assert (world.steps.names.count("get_many"), world.steps.names.count("get")) == (1, 0)
    world.deliver(bare(key="one"))
    assert (world.steps.names.count("get_many"), world.steps.names.count("get")) == (1, 1)
    assert len(world.provider.accepts) == 6


def test_nothing_is_looked_up_ahead_with_little_time(world: World) -> None:
    """Near its end an invocation spends no time on a question that need not be asked."""
    world.deliver(bare(), bare(key="2"), timeout=LOOKUP_MINIMUM - 1)
    assert "get_many" not in world.steps.names
    assert len(world.provider.accepts) == 2


@pytest.mark.parametrize("answer", [Accepted("env-other"), UNKNOWN, THROTTLED, REFUSED])
def test_somebody_is_quicker_than_a_batch(world: World, answer: Answer) -> None:
    """A mail that was new when its batch was opened is not sent once somebody else has it."""
    other = world.mailer
    results: list[Result] = []

    def be_quick() -> None:
        world.provider.script = [Say(answer)]
        results.append(other.attempt(world.letter(key="k"), world.clock.invocation()))

    world.ledger.meanwhile["create"] = be_quick
    world.deliver(bare(), bare(key="2"))
    assert [call[0].subject for call in world.provider.calls] == ["Hello"] * 2
    assert world.row("2").state == "sent"
    assert (world.row().owner, world.row().attempt) == ("owner-2", 1)
    assert [each.record and each.record.owner for each in results] == ["owner-2"]


def test_evidence_that_comes_after_the_look_up(world: World) -> None:
    """A row that was there is read again: what has come in since then counts."""
    world.write(state="waiting", payload=payload(world))
    world.ledger.meanwhile["get"] = world.prove
    world.deliver(bare(), bare(key="2"))
    assert (world.row().state, world.row("2").state) == ("sent", "sent")
    assert len(world.provider.calls) == 1


@pytest.mark.parametrize("fault", ["down", "deaf", "bug"])
def test_a_look_up_that_fails(world: World, fault: str) -> None:
    """Whoever sends a mail then reads its row."""

    def fail() -> None:
        raise ValueError("a bug")

    if fault == "bug":
        world.ledger.meanwhile["get_many"] = fail
    else:
        setattr(world.ledger, fault, {"get_many"})
    world.deliver(bare(), bare(), bare(key="2"))
    assert len(world.provider.accepts) == 2
    assert world.steps.names.count("get") == 3


def test_redelivery_of_a_batch(world: World) -> None:
    """A batch that comes five times sends each of its mails once."""
    batch = [bare(key=str(number)) for number in range(10)]
    for _ in range(5):
        world.deliver(*batch)
    assert sorted(world.provider.accepts) == sorted(
        world.mailer.mail_id(str(number)) for number in range(10)
    )


def test_the_messages_id_is_the_key(world: World) -> None:
    """A mail without a key is known by its message, so that its redelivery sends nothing."""
    message = QueueMessage("message-7", bare(key=None))
    for _ in range(3):
        world.consumer.settle_all([message], world.clock.invocation())
    assert len(world.provider.calls) == 1
    assert world.has_row("message-7")


def test_a_replaced_copy_is_dropped(world: World) -> None:
    """A producer's message that comes again after it was put back breeds no second copy."""
    world.provider.script = [Say(THROTTLED)]
    world.deliver(bare())
    world.deliver(bare())
    assert len(world.queues.mails) == 1


def test_another_payload(world: World) -> None:
    """A key that was used for another mail is rejected; the first mail is untouched."""
    world.deliver(bare())
    before = world.row()
    world.deliver(bare(subject="Other"))
    assert [letter["reason"] for letter in world.queues.rejected] == ["other-payload"]
    assert world.queues.rejected[0]["problems"][0]["pointer"] == "/key"
    assert (world.row(), len(world.provider.calls)) == (before, 1)


def test_a_lost_race(world: World) -> None:
    """Who loses the claim looks again at once, and finds the winner's result."""
    world.ledger.meanwhile["create"] = lambda: world.write(
        state="sent", payload=payload(world), evidence="answer"
    )
    world.deliver(bare())
    assert (world.provider.calls, world.queues.mails) == ([], [])


def test_races_without_end(world: World) -> None:
    """Who loses every race puts the message back and lets others go first."""
    world.write(state="waiting", payload=payload(world))

    def interfere() -> None:
        world.ledger.meanwhile["change"] = interfere
        row = world.row()
        assert world.ledger.inner.change(row, replace(row, owner=row.owner + "x"))

    world.ledger.meanwhile["change"] = interfere
    world.deliver(bare())
    assert world.steps.names.count("change") == RACES_MAX + 1
    assert (world.queues.delays, world.provider.calls) == ([0], [])


# --- Bad messages --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "not-json"),
        (b"\xff\xfe", "not-json"),
        (b"[]", "not-an-object"),
        (bare(to=[]), "too-few"),
        (bare(lane="bulk"), "not-yet-supported"),
        (bare(text="x" * 48_000), "too-big-for-the-queue"),
        (json.dumps({"postbus": 1}).encode(), "bad-envelope"),
    ],
    ids=["empty", "no UTF-8", "no object", "no recipient", "unsupported", "too big", "envelope"],
)
def test_a_bad_message(world: World, body: bytes, problem: str) -> None:
    """What is no mail that can be sent goes on the reject queue, whole, with what is wrong."""
    world.deliver(body)
    (letter,) = world.queues.rejected
    assert (letter["reason"], letter["message_id"]) == ("invalid-mail", "batch-0")
    assert problem in {each["type"] for each in letter["problems"]}
    assert (world.provider.calls, world.queues.mails) == ([], [])


def test_a_broken_trigger_event(world: World) -> None:
    """What the platform itself has garbled is rejected with the trigger's reason."""
    message = QueueMessage("m", b"?", broken="the element has no messageBody")
    world.consumer.settle_all([message], world.clock.invocation())
    (letter,) = world.queues.rejected
    assert (letter["reason"], letter["body"]) == ("bad-trigger-event", "?")
    assert letter["problems"][0]["detail"] == "the element has no messageBody"


def test_the_environment_refuses(new_world: Callable[..., World]) -> None:
    """A recipient who is not listed in a test environment gets nothing, and the reason is told."""
    strict = new_world(policy=Policy("test", POLICY.default_sender))
    strict.deliver(bare())
    assert strict.queues.rejected[0]["problems"][0]["type"] == "recipient-not-allowed"
    assert (strict.provider.calls, strict.has_row()) == ([], False)


def test_a_bad_message_stops_nobody(world: World) -> None:
    """Of a hundred messages ten are bad: ninety are sent once, ten rejected once, over and over."""
    bodies = [bare(key=str(n)) if n % 10 else bare(to=n) for n in range(100)]
    for _ in range(5):
        world.deliver(*bodies)
        assert len(world.provider.accepts) == len(set(world.provider.accepts)) == 90
        assert len(world.queues.rejected) == 10


def test_a_separate_mail(world: World) -> None:
    """A separate mail becomes one for each recipient, each sent once, however often it comes."""
    everybody = [f"r{number}@example.net" for number in range(20)]
    body = bare(to=everybody, separate=True)
    world.deliver(body)
    world.deliver(body)
    world.run()
    assert sorted(mail.to for mail, _ in world.provider.calls) == sorted((r,) for r in everybody)
    assert (world.row().state, world.row().attempt) == ("accepted", 0)


def test_a_separate_mails_key_is_taken(world: World) -> None:
    """Another mail under the key of a separate one is rejected, and its parts go out as asked."""
    everybody = ["a@x.org", "b@x.org"]
    world.deliver(bare(to=everybody, separate=True))
    world.deliver(bare(), bare(to=everybody, separate=True, subject="Other"))
    assert [letter["reason"] for letter in world.queues.rejected] == ["other-payload"] * 2
    world.run()
    assert {mail.subject for mail, _ in world.provider.calls} == {"Hello"}
    assert len(world.provider.calls) == 2


def test_a_key_that_looks_like_a_parts(world: World) -> None:
    """No producer can take the key of a separate mail's part."""
    world.deliver(bare(key=f"k{PART_MARK}0"))
    (letter,) = world.queues.rejected
    assert [each["type"] for each in letter["problems"]] == ["reserved-character"]
    assert world.provider.calls == []


def test_a_separate_mail_and_the_ledger_down(world: World) -> None:
    """Nothing is taken apart that could not be written down; it comes back whole."""
    world.ledger.down = {"create"}
    world.deliver(bare(to=["a@x.org", "b@x.org"], separate=True))
    assert [letter["mail"]["separate"] for letter in world.queues.letters()] == [True]
    world.ledger.down = set()
    world.run()
    assert len(world.provider.accepts) == 2


def test_separate_for_one(world: World) -> None:
    """A separate mail to one recipient is an ordinary one."""
    world.deliver(bare(separate=True))
    assert world.row().state == "sent"


# --- A ledger or a queue that is down ------------------------------------------------------------


@pytest.mark.parametrize("method", ["get", "create"])
def test_ledger_down_before_the_call(world: World, method: str) -> None:
    """Without the ledger nothing is sent; the message waits on the queue until it is back."""
    world.ledger.down = {method}
    world.deliver(bare())
    assert (world.provider.calls, world.queues.delays) == ([], [SHORT_WAIT])
    world.ledger.down = set()
    world.run()
    assert len(world.provider.accepts) == 1


@pytest.mark.parametrize("method", ["get", "create"])
def test_a_ledger_that_stays_down(world: World, method: str) -> None:
    """The longer it is down the more slowly copies come, up to a longest wait."""
    world.ledger.down = {method}
    world.queues.put(bare())
    for _ in range(30):
        world.run(at_most=1)
    delays = world.queues.delays
    assert delays == sorted(delays)
    assert (delays[0], delays[-1]) == (SHORT_WAIT, LEDGER_WAIT_MAX)
    assert sum(delay < 60_000 for delay in delays) < 10
    assert len(world.queues.mails) == 1


@pytest.mark.parametrize("answer", [THROTTLED, UNREACHABLE, REFUSED, MISCONFIGURED, UNKNOWN])
def test_ledger_down_at_the_release(world: World, answer: Answer) -> None:
    """A mail whose release was not written down is neither lost nor sent twice."""
    world.provider.script = [Say(answer)]
    world.ledger.down = {"change"}
    world.deliver(bare())
    world.ledger.down = set()
    world.run()
    assert len(world.provider.accepts) <= 1
    assert world.queues.dead or world.queues.rejected


# What the queue does not take -> the provider's answer that leads there.
@pytest.mark.parametrize(
    ("down", "answer"),
    [
        ("put_back", THROTTLED),
        ("put_back", UNREACHABLE),
        ("put_back", QUOTA),
        ("put_back", UNKNOWN),
        ("reject", REFUSED),
        ("bury", MISCONFIGURED),
    ],
)
def test_queue_down(world: World, down: str, answer: Answer) -> None:
    """When a mail cannot be put anywhere the function fails, so that its message comes again."""
    world.provider.script = [Say(answer)]
    world.queues.down = {down}
    with pytest.raises(QueueUnavailable):
        world.deliver(bare())
    # What is proven not sent waits for that very message, and is not taken for unknown later.
    assert world.row().state == ("sending" if answer is UNKNOWN else "waiting")
    assert world.row().custody == 0


@pytest.mark.parametrize("answer", [THROTTLED, UNREACHABLE, QUOTA])
def test_queue_down_for_a_while(world: World, answer: Answer) -> None:
    """A mail that met a provider and a queue in trouble is sent once both are well again."""
    world.provider.script = [Say(answer)]
    world.queues.down = {"put_back"}
    with pytest.raises(QueueUnavailable):
        world.deliver(bare())
    world.queues.down = set()
    world.deliver(bare())
    assert (world.row().state, len(world.provider.accepts)) == ("sent", 1)


@pytest.mark.parametrize(
    "body", [b"?", bare(to=["a@x.org", "b@x.org"], separate=True)], ids=["bad", "separate"]
)
def test_queue_down_before_the_call(world: World, body: bytes) -> None:
    """A message that can neither be rejected nor taken apart comes again."""
    world.queues.down = {"reject", "put_back"}
    with pytest.raises(QueueUnavailable):
        world.deliver(body)
    assert world.provider.calls == []


def test_everything_down(world: World) -> None:
    """With ledger and queue down together nothing is sent, and the message comes again."""
    world.ledger.down = {"get"}
    world.queues.down = {"put_back"}
    with pytest.raises(QueueUnavailable):
        world.deliver(bare())
    assert world.provider.calls == []


# --- Time ----------------------------------------------------------------------------------------


def test_no_time_left(world: World) -> None:
    """What cannot be sent within this invocation goes back untouched, due soon."""
    world.deliver(bare(), timeout=1_000)
    assert (world.queues.delays, world.provider.calls, world.has_row()) == ([1_000], [], False)
    assert world.queues.letters()[0]["custody"] == 0


def test_a_message_that_meets_a_bug_stops_no_other(world: World) -> None:
    """A batch is opened as a whole; what goes wrong with one message is raised for it alone."""

    def in_turn(
        work: Callable[[Opened], None], batch: Sequence[Opened], _timeout: int
    ) -> list[Opened]:
        with ExitStack() as later:
            for opened in batch:
                later.callback(work, opened)  # the last one first; errors surface at the end
        return []

    consumer = replace(world.consumer, at_once=in_turn)
    broken = QueueMessage("bug", None)  # type: ignore[arg-type]  # a bug
    with pytest.raises(TypeError):
        consumer.settle_all([QueueMessage("good", bare()), broken], world.clock.invocation())
    assert len(world.provider.accepts) == 1


class Straggling:
    """An `at_once` whose messages never end in time; `finish` lets them end."""

    def __init__(self, *, begun: bool) -> None:
        self.begun = begun
        self.timeouts: list[int] = []
        self.unfinished: list[Callable[[], None]] = []

    def __call__(
        self,
        work: Callable[[Opened], None],
        batch: Sequence[Opened],
        timeout: int,
    ) -> list[Opened]:
        """Leave every message unfinished."""
        self.timeouts.append(timeout)
        if self.begun:
            self.unfinished += [lambda o=opened: work(o) for opened in batch]  # type: ignore[misc]  # bound early
        return list(batch)

    def finish(self) -> None:
        """The stragglers end."""
        for work in self.unfinished:
            work()


def straggle(world: World, at_once: Straggling, *bodies: bytes) -> None:
    """One invocation with messages that do not end in time."""
    consumer = Consumer(world.mailer, world.queues, world.announcer, lambda: 0.5, at_once)
    messages = [QueueMessage(f"late-{n}", body) for n, body in enumerate(bodies)]
    consumer.settle_all(messages, world.clock.invocation())


def test_stragglers_are_put_back(world: World) -> None:
    """What does not end in time goes back as it was, due when its claim's lease has ended."""
    at_once = Straggling(begun=False)
    straggle(world, at_once, bare(), bare(key="l"))
    assert at_once.timeouts == [TIMEOUT - CALL_MARGIN]
    assert world.queues.delays == [TIMEOUT + LEASE_MARGIN] * 2
    assert [letter["custody"] for letter in world.queues.letters()] == [0, 0]
    world.run()
    assert len(world.provider.accepts) == 2


def test_a_straggler_that_is_no_mail(world: World) -> None:
    """A bad message whose rejection hangs comes again with its batch."""
    with pytest.raises(QueueUnavailable):
        straggle(world, Straggling(begun=False), b"?")


def test_a_straggler_that_nobody_takes(world: World) -> None:
    """A straggler that cannot be put back makes the function fail."""
    world.queues.down = {"put_back"}
    with pytest.raises(QueueUnavailable):
        straggle(world, Straggling(begun=False), bare())


def test_a_straggler_that_wakes_too_late(world: World) -> None:
    """A thread that goes on after its invocation's end makes no call: its copy has taken over."""
    at_once = Straggling(begun=True)
    straggle(world, at_once, bare())
    world.clock.now += 2 * TIMEOUT
    at_once.finish()
    assert world.provider.calls == []
    world.run()
    assert len(world.provider.accepts) == 1


@pytest.mark.parametrize("deliveries", [1, 2, 3, 4])
@pytest.mark.parametrize(
    "say",
    [
        Say(UNKNOWN, accepted=True),
        Say(UNKNOWN, accepted=False),
        Say(THROTTLED),
        Say(UNREACHABLE),
        Say(MISCONFIGURED),
        Say(REFUSED),
        Say(Accepted("env-late")),
    ],
    ids=["unknown, sent", "unknown", "throttled", "unreachable", "misconfigured", "refused", "ok"],
)
def test_a_late_answer(world: World, say: Say, deliveries: int) -> None:
    """However late a call ends, and whatever became of the mail's copy since: one send at most."""

    def meanwhile() -> None:
        # The invocation has ended without this call, and its copy makes its way.
        world.queues.put(bare(), TIMEOUT + LEASE_MARGIN)
        world.run(at_most=deliveries)

    world.provider.script = [Say(say.answer, say.accepted, meanwhile)]
    world.deliver(bare())
    world.run()
    accepted = isinstance(say.answer, Accepted) if say.accepted is None else say.accepted
    assert len(world.provider.accepts) == accepted
    assert world.row().state in {"sent", "held", "refused", "parked"}
    if isinstance(say.answer, Accepted):
        assert world.row().state == "sent"
    elif world.row().state != "refused":
        assert world.queues.dead


# --- The log -------------------------------------------------------------------------------------


def test_one_line_for_each_mail(world: World) -> None:
    """Each mail has one line with its ids, and none holds an address, a subject or a body."""
    world.provider.script = [Say(Accepted("env-1")), Say(THROTTLED), Say(REFUSED)]
    with structlog.testing.capture_logs() as lines:
        world.deliver(bare(key="a"), bare(key="b"), bare(key="c"), b"?")
    assert [line["event"] for line in lines] == [
        "mail.sent",
        "mail.throttled",
        "mail.rejected",
        "mail.refused",
        "mail.rejected",
    ]
    text = str(lines)
    for private in ("ada", "example.net", "Hello", "Hi."):
        assert private not in text
