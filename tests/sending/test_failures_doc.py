"""`docs/failures.md` is true: its links, its tables and its state diagram, against the code.

A failure that it draws and that no other file tests is tested here.
"""

from __future__ import annotations

import ast
import itertools
import json
import re
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest

from shared.sending.answers import Broken
from shared.sending.pace import Limits, Pacer
from shared.sending.protocol import DECISIONS, TRANSITIONS, Situation
from shared.sending.verdicts import Verdict
from tests.sending.conftest import NOON, Say, World

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


def body(**fields: Any) -> bytes:
    """A mail with key `k`."""
    mail = {"to": ["ada@example.net"], "subject": "Hello", "text": "Hi.", "key": "k", **fields}
    return json.dumps(mail).encode()


def test_held_with_the_topic_down(new_world: Callable[..., World]) -> None:
    """A mail is not held before that is told; the repeat tells it, and its letters send it once."""
    world = new_world(announced=frozenset({"held"}))
    world.provider.script = [Say(Broken("read-timeout"), accepted=False)]
    world.queues.put(body(on_unknown="hold"))
    world.run(at_most=1)
    world.queues.down = {"publish"}
    world.run(at_most=1)
    assert (world.row().state, world.queues.published) == ("unknown", [])
    world.queues.down = set()
    world.run()
    assert (world.row().state, [tag for tag, _ in world.queues.published]) == ("held", ["held"])
    for letter in world.queues.dead:
        world.queues.put(letter)
    world.run()
    assert (world.row().state, len(world.provider.accepts)) == ("sent", 1)


def test_no_permit_is_no_attempt(world: World) -> None:
    """A mail without a permit waits as it is; the quota's is there on the next day."""
    limits = Limits(calls=0, recipients=1, zone_offset=0)
    pacer = Pacer(
        world.ledger, limits, world.clock, lambda _ms: None, threading.Lock(), lambda: 0.0
    )
    mailer = replace(world.mailer, pacer=pacer)
    world.consumer = replace(world.consumer, mailer=mailer)
    world.queues.put(body(key="first"))
    world.queues.put(body())
    world.run(at_most=2)
    (letter,) = world.queues.letters()
    assert (letter["key"], letter["custody"], len(world.provider.calls)) == ("k", 0, 1)
    assert not world.has_row()
    world.run()
    assert (world.row().state, world.row().attempt) == ("sent", 1)
    assert world.clock.now == NOON + 12 * 3_600_000
