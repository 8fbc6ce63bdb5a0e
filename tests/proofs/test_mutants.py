"""Line 2 of the delivery events: mutants of every event go through the Forwarder, none is lost."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from structlog.testing import capture_logs

from shared.delivery.cloudevents import SOURCES, TYPES
from shared.triggers.context import Invocation
from shared.triggers.events import read_events
from tests.delivery.conftest import MemoryLedger, Way
from tests.delivery.envelopes import ALL_ENVELOPES, ENVELOPES
from tests.delivery.samples import (
    AXES,
    LEGACY_ORDERS,
    MAIL,
    MAIL_ID,
    NOW,
    OCCURRENCES,
    RECIPIENT,
    Dialect,
    legacy,
    spell,
)

SEED = 2
FULL, REDUCED = 100_000, 4_000
# Envelopes that are read here a second time, by other means, to know what is still intact.
TRANSPARENT: dict[str, Callable[[Any], Any]] = {
    "object": lambda value: value,
    "array": lambda value: value[0],
    "queue: stream, plain": lambda value: json.loads(value[0]["data"]["messageBody"]),
    "push: JSON of plain": lambda value: json.loads(value["Message"]),
}
# What is told beside the state is not lost either, but has no place downstream of its own.
COUNTED_ONLY = {"foreign", "repeated"}
JUNK: tuple[Any, ...] = (
    *(None, True, 0, -1, 7, 1.5, 10**30, 1e308, "", " ", "x" * 300, "\x00", "\ud800", "\ufffe"),
    *([], {}, [[]], {"a": {"b": []}}, "{}", "[]", "null", "MQ==", "<a/>", "event=open", "&=&"),
    *("2024-13-45T99:99:99", "9" * 30, "1" * 4_301, "dm:Deliver:Fail", "acs:dm", "<>", "NaN"),
)
Document = dict[str, Any]


# --- How an event is changed ---------------------------------------------------------------------


def drop(event: Document, dice: random.Random) -> None:
    """Keys are missing, in the envelope or in the data."""
    for part in dice.choices([event, event["data"]], k=dice.randint(1, 4)):
        if isinstance(part, dict) and part:
            del part[dice.choice(list(part))]
        if not isinstance(event.get("data"), dict):
            return


def spoil(event: Document, dice: random.Random) -> None:
    """A value is anything."""
    part = dice.choice([event, event["data"], event["data"]])
    part[dice.choice([*part, "postbus", "Message", "messageBody", "attrs"])] = dice.choice(JUNK)


def swap_type(event: Document, dice: random.Random) -> None:
    """The type is another one of DirectMail's."""
    event["type"] = dice.choice(list(TYPES))


def swap_values(event: Document, dice: random.Random) -> None:
    """Two fields have each other's values."""
    data = event["data"]
    one, other = dice.choice(list(data)), dice.choice(list(data))
    data[one], data[other] = data[other], data[one]


def swap_names(event: Document, dice: random.Random) -> None:
    """A field has the name of another dialect, or none that is known."""
    data = event["data"]
    name = dice.choice(list(data))
    data[dice.choice(["env_id", "envid", "rcpt", "block_email", "url", f"{name}_"])] = data.pop(
        name
    )


def reorder(event: Document, dice: random.Random) -> None:
    """Fields come in any order."""
    items = list(event["data"].items())
    dice.shuffle(items)
    event["data"] = dict(items)


CHANGES = (drop, spoil, swap_type, swap_values, swap_names, reorder)


def flip(data: bytearray, dice: random.Random) -> None:
    """Bits are flipped."""
    for _ in range(dice.randint(1, 3)):
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)


def replace(data: bytearray, dice: random.Random) -> None:
    """A byte is another one."""
    data[dice.randrange(len(data))] = dice.randrange(256)


def cut(data: bytearray, dice: random.Random) -> None:
    """The end is missing."""
    del data[dice.randrange(len(data)) :]


def lose(data: bytearray, dice: random.Random) -> None:
    """Some bytes are missing."""
    at = dice.randrange(len(data))
    del data[at : at + dice.randint(1, 40)]


def repeat(data: bytearray, dice: random.Random) -> None:
    """Some bytes are there twice."""
    at = dice.randrange(len(data))
    data[at:at] = data[at : at + dice.randint(1, 40)]


def insert(data: bytearray, dice: random.Random) -> None:
    """Bytes that nobody wrote."""
    at = dice.randrange(len(data) + 1)
    data[at:at] = dice.randbytes(dice.randint(1, 8))


BYTES = (flip, flip, replace, cut, lose, repeat, insert)


# --- What is still intact ------------------------------------------------------------------------


def told_by(event: Any, original: Document) -> str | None:
    """The state that a mutant has to come out with; None where type or identity are not intact.

    The identity is the recipient and, as they were or left out, the header, the Message-ID and
    DirectMail's id: one of them has to be there.
    """
    if not isinstance(event, dict) or not isinstance(event.get("data"), dict):
        return None
    data, before = event["data"], original["data"]
    kind, source = event.get("type"), event.get("source")
    if {"postbus", "Message", "messageBody", "attrs"} & {*event, *data}:
        return None
    if not isinstance(kind, str) or kind not in TYPES or str(source) not in SOURCES:
        return None
    if not isinstance(event.get("id"), str) or not event["id"]:
        return None
    who, ids = ("rcpt", "block_email"), ("msg_id", "message_id", "env_id", "envid", "header")
    if [data.get(name) for name in who] != [before.get(name) for name in who]:
        return None
    changed = [name for name in ids if name in data and data[name] != before.get(name)]
    return None if changed or not set(ids) & set(data) else TYPES[kind]


def reread(data: bytes, unwrap: Callable[[Any], Any]) -> Any:
    """The event in a mutant's bytes, read by the standard library; None where it is none."""
    try:
        event = unwrap(json.loads(data.decode(), parse_constant=_refuse))
        json.dumps(event, ensure_ascii=False).encode()  # lone surrogates
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return event


def _refuse(name: str) -> None:
    raise ValueError(name)


# --- The proof -----------------------------------------------------------------------------------


@dataclass
class Mutant:
    """Bytes, and the state of the one intact event in them, where there is one."""

    data: bytes
    state: str | None


@dataclass
class Breeder:
    """Makes mutants; the same seed, the same ones."""

    dice: random.Random
    made: Counter[str] = field(default_factory=Counter)

    def mutant(self) -> Mutant:
        """One of any kind."""
        kind = self.dice.choice([self.of_fields, self.of_bytes, self.of_pairs])
        self.made[kind.__name__] += 1
        return kind()

    def of_fields(self) -> Mutant:
        """An event that was changed before it was wrapped."""
        original = self._event()
        event = json.loads(json.dumps(original))
        for change in self.dice.choices(CHANGES, k=self.dice.randint(1, 2)):
            if not isinstance(event.get("data"), dict) or not event["data"]:
                break
            change(event, self.dice)
        state = told_by(event, original)
        envelope = self.dice.choice(list(ALL_ENVELOPES))
        if envelope == "object with data as text" and "data" not in event:
            envelope = "object"
        text = json.dumps(event)
        if state and reread(text.encode(), TRANSPARENT["object"]) is None:
            state = None  # a lone surrogate, a number of 4,301 digits
        return Mutant(ALL_ENVELOPES[envelope](text), state)

    def of_bytes(self) -> Mutant:
        """An event whose bytes were changed on the way."""
        original = self._event()
        names = list(TRANSPARENT) if self.dice.random() < 0.5 else list(ALL_ENVELOPES)
        envelope = self.dice.choice(names)
        data = bytearray(ALL_ENVELOPES[envelope](json.dumps(original)))
        self.dice.choice(BYTES)(data, self.dice)
        unwrap = TRANSPARENT.get(envelope)
        event = reread(bytes(data), unwrap) if unwrap else None
        return Mutant(bytes(data), told_by(event, original) if event else None)

    def of_pairs(self) -> Mutant:
        """The older text, with pairs missing, elsewhere or twice, or changed on the way."""
        what = self.dice.choice([each for each in OCCURRENCES.values() if each.legacy])
        text = legacy(what, self.dice.choice(LEGACY_ORDERS))
        if self.dice.random() < 0.5:
            pairs = text.split("&")
            for _ in range(self.dice.randint(1, 3)):
                pair = pairs.pop(self.dice.randrange(len(pairs)))
                pairs += [pair] * self.dice.randrange(3) or [""]
            text = "&".join(pairs)
        data = bytearray(ENVELOPES[self.dice.choice(list(ENVELOPES))](text))
        if self.dice.random() < 0.5:
            self.dice.choice(BYTES)(data, self.dice)
        return Mutant(bytes(data), None)

    def _event(self) -> Document:
        what = OCCURRENCES[self.dice.choice(list(OCCURRENCES))]
        words = {axis: self.dice.choice(words) for axis, words in AXES.items()}
        return spell(what, Dialect(**words))


def forward(way: Way, forwarder: Any, data: bytes) -> Counter[str]:
    """One delivery of these bytes; every event of it is accounted for."""
    way.post.messages.clear()
    way.log.events.clear()
    arrived = read_events(data)
    call = Invocation("1-abc", "delivery-events", NOW + 60_000, None, way.clock)
    ends: Counter[str] = forwarder.forward_all(arrived, call)
    assert sum(ends.values()) == len(arrived)
    dropped = sum(ends[end] for end in COUNTED_ONLY)
    assert len(way.post.messages) == len(arrived) - dropped, ends
    assert arrived or not _objects(data), "an event vanished"
    return ends


def _objects(data: bytes) -> bool:
    """Whether there is anything in the bytes but empty arrays."""
    return data.strip().replace(b"[", b"").replace(b"]", b"").strip() != b""


@pytest.mark.timeout(600)
def test_no_mutant_is_lost_and_whoever_is_intact_is_told_right(proving: bool) -> None:
    """100,000 mutants: nothing raised, each forwarded or refused; the intact ones' states right."""
    count = FULL if proving else REDUCED
    breeder = Breeder(random.Random(SEED))
    way = Way(MemoryLedger({MAIL_ID: MAIL}), unmatched="forward")
    forwarder = way.forwarder()
    ends: Counter[str] = Counter()
    intact = events = 0
    for number in range(count):
        mutant = breeder.mutant()
        try:
            with capture_logs() as logs:
                found = forward(way, forwarder, mutant.data)
        except Exception as error:  # noqa: BLE001  # whatever it is, there must be none
            pytest.fail(f"mutant {number} of seed {SEED}: {error!r}\n{mutant.data!r}")
        ends += found
        # Wherever the address has got to, no log line has it.
        assert "ada@" not in str(logs), mutant.data
        events += sum(found.values())
        if mutant.state is not None:
            intact += 1
            (message,) = way.post.messages
            told = message.event
            state = told["data"]["state"] or told["type"].rpartition(".")[2]
            assert state == mutant.state, f"mutant {number} of seed {SEED}: {mutant.data!r}"
            if state != "validated":
                assert told["data"]["mail_id"] == MAIL_ID, mutant.data
                assert told["data"]["recipient"] == RECIPIENT, mutant.data
        way.ledger.states.clear()
        way.ledger.sightings.clear()
        way.ledger.channels.clear()
    print(
        f"\nmutants: seed {SEED}, {count} ({dict(breeder.made)}), {events} events, unhandled "
        f"exceptions 0, lost 0, intact {intact}, all with the right state; {dict(ends)}"
    )
    assert intact > count // 10
