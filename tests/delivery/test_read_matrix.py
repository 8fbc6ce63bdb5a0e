"""Every type in every dialect and envelope reads to one clean event, and nothing falls through."""

from __future__ import annotations

import itertools
import json
import os
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from shared.delivery import read
from shared.delivery.causes import Cause
from shared.delivery.clean import clean_event
from shared.delivery.facts import Unrecognised
from shared.delivery.read import read_event
from shared.delivery.reasons import cause_of
from shared.triggers.events import read_events
from tests.delivery.envelopes import ALL_ENVELOPES, ENVELOPES
from tests.delivery.sample_files import FOLDER, File, files, readme
from tests.delivery.samples import (
    AXES,
    EVENT_ID,
    LEGACY_ORDERS,
    MAIL,
    NOW,
    OCCURRENCES,
    Dialect,
    dialects,
    expected,
    legacy,
    spell,
)

SEED = 4
# Of each occurrence's dialects, each in one of the envelopes (`make prove`: all of them).
REDUCED = 300
Combination = tuple[str, str, bytes]


def current(proving: bool) -> Iterator[Combination]:
    """EventBridge's events: name, envelope, bytes."""
    dice = random.Random(SEED)
    every = list(dialects())
    axes = [Dialect(**{axis: word}) for axis, words in AXES.items() for word in words]
    envelopes = itertools.cycle(ALL_ENVELOPES.items())
    for name, what in OCCURRENCES.items():
        for envelope, wrap in ALL_ENVELOPES.items():
            yield name, envelope, wrap(json.dumps(spell(what, Dialect())))
        for dialect in [*axes, *(every if proving else dice.sample(every, REDUCED))]:
            envelope, wrap = next(envelopes)
            text = json.dumps(spell(what, dialect), ensure_ascii=dice.random() < 0.5)
            yield f"{name}: {dialect.label}", envelope, wrap(text)


def older() -> Iterator[Combination]:
    """The older notification's texts, in every envelope that can hold them."""
    for name, what in OCCURRENCES.items():
        for order, (envelope, wrap) in itertools.product(LEGACY_ORDERS, ENVELOPES.items()):
            # A JSON string around pairs is nobody's form, but reads all the same.
            if what.legacy is not None:
                yield f"{name}: {order}", envelope, wrap(legacy(what, order))


def clean(data: bytes) -> dict[str, Any]:
    """The clean event of the one event in these bytes, as it goes out."""
    (arrived,) = read_events(data)
    fact = read_event(arrived)
    assert not isinstance(fact, Unrecognised), fact.why
    mail = None if fact.state == "validated" else MAIL
    return dict(json.loads(clean_event(fact, mail, source="postbus/local", now=NOW).to_json()))


@pytest.fixture
def answered_by(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts which table told a bounce's reason; `class` is the fallback."""
    counts: Counter[str] = Counter()

    def counted(*given: Any) -> Cause:
        cause = cause_of(*given)
        counts[cause.by] += 1
        return cause

    monkeypatch.setattr(read, "cause_of", counted)
    return counts


def test_every_combination_reads_to_the_same_clean_event(answered_by: Counter[str]) -> None:
    """At least 2,000 of type, dialect and envelope; the catch-all and the fallback are not hit."""
    proving = os.environ.get("POSTBUS_PROVE") == "1"
    wanted = {name: expected(what) for name, what in OCCURRENCES.items()}
    ids: dict[tuple[str, str], set[str]] = {}
    combinations: Counter[str] = Counter()
    for form, each in (("current", current(proving)), ("older", older())):
        for name, envelope, data in each:
            event = clean(data)
            what = name.partition(":")[0]
            told = event["data"]
            told.pop("raw")
            assert told == wanted[what], f"{name} in {envelope}"
            assert event["time"] == "2024-04-29T03:07:12Z", f"{name} in {envelope}"
            by = "id" if "MessageId" in _kept(data) else "text"
            ids.setdefault((what, form if form == "current" else f"{name} {by}"), set()).add(
                event["id"]
            )
            combinations[form] += 1
    print(f"\nmatrix: seed {SEED}, {dict(combinations)}, reasons told by {dict(answered_by)}")
    assert sum(combinations.values()) >= 2_000
    assert set(answered_by) == {"failed_type"}
    assert {key: len(found) for key, found in ids.items() if len(found) != 1} == {}


def _kept(data: bytes) -> dict[str, Any]:
    (arrived,) = read_events(data)
    return arrived.document or {}


@pytest.mark.parametrize("envelope", ALL_ENVELOPES)
def test_the_event_comes_out_of_every_envelope_whole(envelope: str) -> None:
    """Not one member of what EventBridge published is lost or changed on the way."""
    document = spell(OCCURRENCES["clicked"], Dialect())
    (arrived,) = read_events(ALL_ENVELOPES[envelope](json.dumps(document)))
    found = dict(arrived.document or {})
    if isinstance(found.get("data"), str):
        found["data"] = json.loads(found["data"])
    assert (found, arrived.broken) == (document, None)
    assert found["id"] == EVENT_ID


@pytest.mark.parametrize("envelope", ENVELOPES)
@pytest.mark.parametrize("name", ["delivered", "clicked"])
def test_what_was_read_once_is_read_again(name: str, envelope: str) -> None:
    """An event that waited comes back as the object it was read from, and is the same event."""
    for text in (json.dumps(spell(OCCURRENCES[name], Dialect())), legacy(OCCURRENCES[name])):
        (arrived,) = read_events(ENVELOPES[envelope](text))
        first = read_event(arrived)
        again = json.dumps(first.raw).encode()
        for data in (again, ENVELOPES["queue: stream, base64"](again.decode())):
            (returned,) = read_events(data)
            assert read_event(returned) == first


def test_the_files_are_the_samples() -> None:
    """`python -m tests.delivery.sample_files` writes them; the table names each, with its page."""
    there = {file.name: file.read_bytes() for file in FOLDER.iterdir()}
    table = there.pop("README.md").decode()
    assert there == {file.name: file.data for file in files()}
    assert table == readme()


@pytest.mark.parametrize("file", list(files()), ids=lambda file: file.name)
def test_every_file_reads_to_the_clean_event(file: File) -> None:
    """Every type in the spelling of either year and in the older text, in every envelope."""
    event = clean((FOLDER / file.name).read_bytes())
    event["data"].pop("raw")
    assert event["data"] == expected(OCCURRENCES[file.what])
