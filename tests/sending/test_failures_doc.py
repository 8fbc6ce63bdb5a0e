"""`docs/failures.md` is true: its links, its tables and its state diagram, against the code.

A failure that it draws and that no other file tests is tested here.
"""

from __future__ import annotations

import ast
import itertools
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
import structlog

from shared.sending.answers import Broken, Rejected
from shared.sending.clockwork import Clockwork
from shared.sending.pace import Limits, Pacer
from shared.sending.protocol import DECISIONS, TRANSITIONS, Situation
from shared.sending.verdicts import Verdict
from shared.stores.ledger import Channel
from shared.times import rfc3339
from shared.triggers.timer import TimerEvent
from tests.api.conftest import Service
from tests.sending.conftest import GRACE, NOON, TIMEOUT, Crash, Say, World

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "failures.md"

LINK = re.compile(r"\[`(test_\w+)`\]\(\.\./(tests/[\w/]+\.py)\) in `(tests/[\w/]+\.py)`")
DIAGRAM = re.compile(r"^```mermaid\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECTION = re.compile(r"^### ([^\n]+)\n(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)
PARTICIPANT = re.compile(r"participant (\w+) as ")
ARROW = re.compile(r"^\s+(\w+?)-{1,2}(?:>>|x)(\w+): ", re.MULTILINE)


def rendered_states() -> str:
    """The protocol's table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2"]
    for state, following in sorted(TRANSITIONS.items()):
        lines += [f"    {state} --> {after}" for after in sorted(following) or ["[*]"]]
    return "\n".join(lines)


def text() -> str:
    """The document."""
    return DOCUMENT.read_text()


def sections() -> dict[str, str]:
    """What it says about each failure."""
    return dict(SECTION.findall(text()))


@cache
def functions_of(path: str) -> frozenset[str]:
    """The names of a file's test functions."""
    nodes = ast.walk(ast.parse((ROOT / path).read_text()))
    return frozenset(n.name for n in nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))


def anchor(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


# --- The document --------------------------------------------------------------------------------


def test_every_link_to_a_test_leads_to_one() -> None:
    """A test that was renamed or moved is found here, and not by the reader."""
    links = LINK.findall(text())
    assert len(links) == text().count("](../tests/"), "a link of another form"
    for name, target, shown in links:
        assert target == shown
        assert (ROOT / target).is_file(), f"{target} is not there"
        assert name in functions_of(target), f"{name} is not in {target}"


@pytest.mark.parametrize("title", sections())
def test_every_failure_is_drawn_and_tested(title: str) -> None:
    """Each has a sequence diagram, what the user sees, a test, and its line in the contents."""
    section = sections()[title]
    assert "```mermaid\nsequenceDiagram\n" in section
    assert "**You see:** " in section
    assert LINK.search(section)
    assert f"- [{title}](#{anchor(title)}): " in text()


def test_the_contents_are_complete() -> None:
    """Every entry of the contents has its heading."""
    headings = {anchor(heading) for heading in re.findall(r"^#{2,3} (.+)$", text(), re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)]+)\)", text())) <= headings


def test_the_diagrams_name_their_participants() -> None:
    """Arrows lead from and to who was introduced, and everybody introduced takes part."""
    for diagram in DIAGRAM.findall(text()):
        if diagram.startswith("sequenceDiagram\n"):
            notes = re.findall(r"Note over (\w+)(?:,(\w+))?:", diagram)
            there = set(itertools.chain(*ARROW.findall(diagram), *notes)) - {""}
            assert there == set(PARTICIPANT.findall(diagram)), diagram


def test_the_state_diagram_is_the_protocols() -> None:
    """It is the one that `TRANSITIONS` gives."""
    drawn = [diagram for diagram in DIAGRAM.findall(text()) if diagram.startswith("state")]
    assert drawn == [rendered_states() + "\n"]


def test_every_situation_has_its_decision() -> None:
    """The table of situations is `DECISIONS`, row by row."""
    rows = re.findall(r"^\| `([\w-]+)` \| `([\w-]+)` \| ", text(), re.MULTILINE)
    assert dict(rows) == DECISIONS
    assert set(dict(rows)) == set(get_args(Situation))


def test_every_situation_is_met_in_a_drawing() -> None:
    """Each stands in brackets in some diagram, and nothing else stands there as one."""
    drawn = " ".join(DIAGRAM.findall(text()))
    missing = [name for name in get_args(Situation) if not re.search(rf"\([^)]*\b{name}\b", drawn)]
    assert missing == []


def test_every_verdict_is_mentioned() -> None:
    """The table of verdicts is complete."""
    rows = re.findall(r"^\| `([\w-]+)` \| (?:yes|no|perhaps)", text(), re.MULTILINE)
    assert rows == list(get_args(Verdict))


# --- Failures that no other file tests -----------------------------------------------------------

LOST = Broken("read-timeout")
FORBIDDEN = Rejected("Forbidden.RAM", 403)
SENDER = "shop@example.com"


def body(**fields: Any) -> bytes:
    """A mail with key `k`."""
    mail = {"to": ["ada@example.net"], "subject": "Hello", "text": "Hi.", "key": "k", **fields}
    return json.dumps(mail).encode()


def with_mailer(world: World, **fields: Any) -> None:
    """Give the world a mailer that differs in these."""
    world.mailer = replace(world.mailer, **fields)
    world.consumer = replace(world.consumer, mailer=world.mailer)


def announced(world: World) -> list[str]:
    """The states that were published."""
    return [tag for tag, _ in world.queues.published]


@pytest.fixture
def alive(new_world: Callable[..., World]) -> World:
    """A world whose sender's delivery events come in, and that announces `held`."""
    world = new_world(announced=frozenset({"held", "expired"}))
    with_mailer(world, lag=lambda: 0)
    world.ledger.inner.note_channel(SENDER, Channel(sent_at=NOON, proven_at=NOON))
    return world


def test_resent_while_the_senders_events_come_in(alive: World) -> None:
    """Without evidence, and with its channel alive, a mail goes out again after the grace."""
    alive.provider.script = [Say(LOST, accepted=False)]
    alive.queues.put(body())
    alive.run()
    assert (alive.row().state, alive.row().attempt, alive.row().resent) == ("sent", 2, 1)
    assert alive.clock.now == NOON + GRACE
    assert len(alive.provider.accepts) == 1


@pytest.mark.parametrize("lag", [None, GRACE])
def test_not_resent_while_events_are_behind(alive: World, lag: int | None) -> None:
    """Nor where nobody knows whether they are: the mail waits, and is held."""
    with_mailer(alive, lag=lambda: lag)
    alive.provider.script = [Say(LOST, accepted=False)]
    alive.queues.put(body())
    alive.run()
    assert (alive.row().state, len(alive.provider.calls)) == ("held", 1)
    assert alive.clock.now > NOON + GRACE


def test_a_resend_happens_once(alive: World) -> None:
    """When nobody knows what became of the second call either, the mail is held."""
    alive.provider.script = [Say(LOST, accepted=False)] * 9
    alive.queues.put(body())
    alive.run()
    assert (alive.row().state, len(alive.provider.calls)) == ("held", 2)
    assert announced(alive) == ["held"]


def test_a_mail_that_wants_to_be_held_is(alive: World) -> None:
    """With `on_unknown: hold` nothing is sent again, whatever the channel says."""
    alive.provider.script = [Say(LOST, accepted=False)]
    alive.queues.put(body(on_unknown="hold"))
    alive.run()
    assert (alive.row().state, len(alive.provider.calls)) == ("held", 1)


def test_a_sighting_holds(alive: World) -> None:
    """An event that may be the mail's own is no proof, and forbids the resend."""
    alive.provider.script = [Say(LOST, accepted=True)]
    alive.queues.put(body())
    alive.run(at_most=1)
    alive.ledger.inner.sight(SENDER, "ada@example.net", NOON + 1)
    alive.run()
    assert (alive.row().state, len(alive.provider.calls)) == ("held", 1)
    assert len(alive.queues.dead) == 1


def test_held_with_the_topic_down(alive: World) -> None:
    """A mail is not held before that is told; the repeat tells it, and its letters send it once."""
    alive.provider.script = [Say(LOST, accepted=False)]
    alive.queues.put(body(on_unknown="hold"))
    alive.run(at_most=1)
    alive.queues.down = {"publish"}
    alive.run(at_most=1)
    assert (alive.row().state, announced(alive)) == ("unknown", [])
    alive.queues.down = set()
    alive.run()
    assert (alive.row().state, announced(alive)) == ("held", ["held"])
    for letter in alive.queues.dead:
        alive.queues.put(letter)
    alive.run()
    assert (alive.row().state, len(alive.provider.accepts)) == ("sent", 1)


def test_an_expired_mail_is_not_sent(alive: World) -> None:
    """A mail whose time is over makes no call, and that is told."""
    alive.queues.put(body(expires_at=rfc3339(NOON - 1_000)))
    alive.run()
    assert (alive.row().state, alive.provider.calls) == ("expired", [])
    assert announced(alive) == ["expired"]


def test_an_expired_unknown_mail_is_held(alive: World) -> None:
    """Nobody can say that it was not sent in time."""
    alive.provider.script = [Say(LOST, accepted=False)]
    alive.queues.put(body(expires_at=rfc3339(NOON + 1_000)))
    alive.run()
    assert (alive.row().state, len(alive.provider.calls)) == ("held", 1)
    assert announced(alive) == ["held"]


def test_proof_that_waits_on_the_queue(world: World) -> None:
    """It is written down once the ledger is back, however often that takes."""
    world.ledger.down = {"prove"}
    world.queues.put(body())
    world.run(at_most=3)
    assert (world.row().state, len(world.queues.mails)) == ("sending", 1)
    world.ledger.down = set()
    world.run()
    assert (world.row().state, world.row().evidence) == ("sent", "answer")
    assert len(world.provider.calls) == 1


def test_no_permit_is_no_attempt(world: World) -> None:
    """A mail without a permit waits as it is; the quota's is there on the next day."""
    limits = Limits(calls=0, recipients=1, zone_offset=0)
    pacer = Pacer(
        world.ledger, limits, world.clock, lambda _ms: None, threading.Lock(), lambda: 0.0
    )
    with_mailer(world, pacer=pacer)
    world.queues.put(body(key="first"))
    world.queues.put(body())
    world.run(at_most=2)
    (letter,) = world.queues.letters()
    assert (letter["key"], letter["custody"], len(world.provider.calls)) == ("k", 0, 1)
    assert not world.has_row()
    world.run()
    assert (world.row().state, world.row().attempt) == ("sent", 1)
    assert world.clock.now == NOON + 12 * 3_600_000


def test_one_alarm_an_hour(world: World) -> None:
    """However many mails meet the operator's fault, it is told once an hour."""
    world.provider.script = [Say(FORBIDDEN)] * 4
    with structlog.testing.capture_logs() as lines:
        for hour in (0, 1):
            world.clock.now = NOON + hour * 3_600_000
            for number in range(2):
                world.deliver(body(key=f"mail-{hour}-{number}"))
    alarms = [line["code"] for line in lines if line["event"] == "alarm.misconfigured"]
    assert alarms == ["Forbidden.RAM"] * 2
    assert len(world.queues.dead) == 4


@pytest.fixture
def service() -> Iterator[Service]:
    """The API, and a world that announces `held`."""
    fresh = Service(World(announced=frozenset({"held"})))
    yield fresh
    fresh.world.ledger.close()


def test_a_caller_who_died_and_comes_again(service: Service) -> None:
    """The sweep holds and tells what nobody carries; the caller's repeat brings it on."""
    world, key = service.world, {"idempotency-key": "k"}
    call = world.steps.names
    world.steps.crashes = {(3, "before")}
    with pytest.raises(Crash):
        service.post(headers=key)
    assert call == ["get", "create", "send"]
    clockwork = Clockwork(world.consumer, world.ledger, world.announcer)
    sweep = TimerEvent("sweep", "now", b'{"task": "sweep"}')
    assert clockwork.tick(sweep, world.clock.invocation()) == {"purged": 0}
    world.clock.now += 2 * TIMEOUT
    assert clockwork.tick(sweep, world.clock.invocation())["held"] == 1
    assert (world.row().state, announced(world)) == ("held", ["held"])
    answer = service.post(headers=key)
    assert (answer.status, (answer.body or {})["state"]) == (202, "unknown")
    assert (world.row().state, world.row().carrier) == ("unknown", "queue")
    world.run()
    assert (world.row().state, len(world.queues.dead)) == ("held", 1)
    assert world.provider.accepts == []
