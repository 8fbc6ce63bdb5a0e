"""Mail requests on their way through the queue, bare and in envelopes."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.schema.limits import KEY_MAX, QUEUE_BODY_MAX, RECIPIENTS_MAX
from shared.schema.problems import InvalidMail
from shared.sending.identity import PART_MARK
from shared.sending.letters import (
    COUNT_MAX,
    HISTORY_KEPT,
    MAIL_ON_QUEUE_MAX,
    NOTE_MAX,
    PINNED_KEY_MAX,
    QUEUE_PAYLOAD_MAX,
    REDRIVE_STEP,
    Letter,
    Note,
    check_size,
    compact,
    fan_out,
    first_letter,
    read_letter,
)
from shared.triggers.queue import QueueMessage

NOW = 1_795_348_800_000
MAIL: dict[str, Any] = {"to": ["ada@example.net"], "subject": "Grüße 世界", "text": "Hi."}
ENVELOPE: dict[str, Any] = {
    "postbus": 1,
    "key": "k",
    "custody": 2,
    "first_seen": NOW,
    "history": [[NOW, "throttled", "Throttling.User"]],
    "mail": MAIL,
}


def read(document: Any, *, key: str | None = None) -> Letter:
    """Read a message with that body."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return read_letter(QueueMessage("message-1", body, key=key), NOW)


def told(document: Any, *, key: str | None = None) -> list[tuple[str, str]]:
    """Why a message is refused, as pairs of pointer and type."""
    with pytest.raises(InvalidMail) as caught:
        read(document, key=key)
    return [(problem.pointer, problem.type) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("own", "trigger", "expected"),
    [
        (None, None, "message-1"),
        ("order-1", None, "order-1"),
        (None, "timer:tick:1", "timer:tick:1"),
        ("timer:tick:1", "timer:tick:1", "timer:tick:1"),
    ],
    ids=["message id", "own", "timer", "own, the same as the timer's"],
)
def test_the_key_of_a_bare_mail(own: str | None, trigger: str | None, expected: str) -> None:
    """A bare mail's key is its own, else the trigger's, else the message's id."""
    letter = read({**MAIL, "key": own} if own else MAIL, key=trigger)
    assert (letter.key, letter.custody, letter.first_seen) == (expected, 0, NOW)
    assert letter.history == ()


def test_a_timers_mail_has_no_key_of_its_own() -> None:
    """With a fixed key a timer's second tick would send nothing; that is said."""
    assert told({**MAIL, "key": "daily"}, key="timer:tick:1") == [("/key", "key-of-a-timer")]


def test_an_envelope_comes_back_as_it_was() -> None:
    """What `body` writes, `read_letter` reads: key, number, history and mail."""
    letter = first_letter({**MAIL, "notify": {"a": "1"}}, key="k", now=NOW)
    for number in range(3):
        letter = letter.next(Note(NOW + number, "throttled", "Throttling.User"))
        assert read(letter.body().encode()) == letter
    assert (letter.custody, len(letter.history)) == (3, 3)


def test_the_key_stays_pinned() -> None:
    """A copy is another message with another id; the envelope keeps the first one's key."""
    first = read_letter(QueueMessage("message-1", json.dumps(MAIL).encode()), NOW)
    copy = QueueMessage("message-2", first.next(Note(NOW, "throttled")).body().encode())
    assert read_letter(copy, NOW + 1).key == "message-1"


def test_the_fields_stay_as_given() -> None:
    """The envelope holds what was given and not what the model made of it."""
    request = {**MAIL, "to": ["ada@EXAMPLE.net"]}
    assert json.loads(read(request).next(Note(NOW, "x")).body())["mail"] == request


def test_history_is_short() -> None:
    """An envelope keeps the latest notes and cuts their codes: it cannot outgrow its room."""
    letter = first_letter(MAIL, key="k", now=NOW)
    for number in range(HISTORY_KEPT + 3):
        letter = letter.next(Note(number, "unavailable", "c" * 1000))
    assert [note.at for note in letter.history] == list(range(3, HISTORY_KEPT + 3))
    assert {len(note.code) for note in read(letter.body().encode()).history} == {NOTE_MAX}


def test_a_buried_letter_has_a_number_of_its_own() -> None:
    """No copy that was put back can have the number by which a redriven letter is known."""
    letter = first_letter(MAIL, key="k", now=NOW)
    note = Note(NOW, "parked")
    assert letter.next(note, step=REDRIVE_STEP).custody > letter.next(note).custody


# --- Sizes ---------------------------------------------------------------------------------------


def sized(size: int) -> Letter:
    """A letter whose mail has exactly that many bytes as JSON."""
    room = size - len(compact({**MAIL, "text": ""}).encode())
    return first_letter({**MAIL, "text": "x" * room}, key="k", now=NOW)


def test_the_largest_mail() -> None:
    """A mail at the limit passes; one byte more is refused with limit and size."""
    check_size(sized(MAIL_ON_QUEUE_MAX))
    with pytest.raises(InvalidMail) as caught:
        check_size(sized(MAIL_ON_QUEUE_MAX + 1))
    (problem,) = caught.value.problems
    assert (problem.type, problem.pointer) == ("too-big-for-the-queue", "")
    assert (problem.limit, problem.given) == (MAIL_ON_QUEUE_MAX, MAIL_ON_QUEUE_MAX + 1)


@pytest.mark.parametrize("key", ["k", "\N{GRINNING FACE}" * KEY_MAX, '"' * KEY_MAX, "世" * KEY_MAX])
def test_the_largest_mail_travels(key: str) -> None:
    """A mail at the limit fits one message in base64 with the largest envelope there is."""
    letter = sized(MAIL_ON_QUEUE_MAX)
    letter = Letter(letter.given, letter.mail, f"{key}/99", 10**6, NOW)
    for _ in range(HISTORY_KEPT):
        letter = letter.next(Note(NOW, "misconfigured", "InvalidMailAddressSendType" * 9))
    body = letter.body().encode()
    assert len(base64.b64encode(body)) <= QUEUE_BODY_MAX
    assert read(body) == letter_with_cut_codes(letter)


def letter_with_cut_codes(letter: Letter) -> Letter:
    """The letter as it comes back from the queue."""
    notes = tuple(Note(note.at, note.what, note.code[:NOTE_MAX]) for note in letter.history)
    return Letter(letter.given, letter.mail, letter.key, letter.custody, letter.first_seen, notes)


# --- Separate mails ------------------------------------------------------------------------------


def test_fan_out() -> None:
    """Each recipient of a separate mail gets a letter with a derived key, content unchanged."""
    everybody = [f"r{number}@example.net" for number in range(RECIPIENTS_MAX)]
    letter = first_letter(
        {**MAIL, "to": everybody, "separate": True, "key": "k", "tag": "t"}, key="x", now=NOW
    )
    parts = fan_out(letter)
    assert [part.mail.to for part in parts] == [[recipient] for recipient in everybody]
    assert [part.key for part in parts] == [
        f"k{PART_MARK}{number}" for number in range(RECIPIENTS_MAX)
    ]
    for part, recipient in zip(parts, everybody, strict=True):
        assert part.given == {**MAIL, "to": [recipient], "tag": "t"}
        assert not part.mail.separate
        assert read(part.body().encode()) == part


def test_fan_out_repeats_itself() -> None:
    """A repeat of a separate mail makes the same keys, so that nobody gets it twice."""
    letter = first_letter(
        {**MAIL, "to": ["a@x.org", "b@x.org"], "separate": True}, key="k", now=NOW
    )
    assert fan_out(letter) == fan_out(letter)


# --- Hostile messages ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"postbus": 2},
        {"postbus": "1"},
        {"postbus": None},
        {"key": None},
        {"key": 1},
        {"key": ""},
        {"key": "k" * (PINNED_KEY_MAX + 1)},
        {"custody": None},
        {"custody": -1},
        {"custody": 1.0},
        {"custody": True},
        {"custody": "1"},
        {"custody": COUNT_MAX + 1},
        {"custody": 2**63},
        {"first_seen": -1},
        {"first_seen": None},
        {"first_seen": 10**400},
        {"history": None},
        {"history": {}},
        {"history": [None]},
        {"history": [[]]},
        {"history": [[NOW, "what"]]},
        {"history": [[NOW, "what", "code", "more"]]},
        {"history": [["now", "what", "code"]]},
        {"history": [[NOW, 1, "code"]]},
        {"history": [[NOW, "what", None]]},
        {"history": [[NOW, "w" * (NOTE_MAX + 1), "code"]]},
        {"history": [[NOW, "what", "c" * (NOTE_MAX + 1)]]},
        {"mail": None},
        {"mail": []},
        {"mail": "{}"},
    ],
    ids=repr,
)
def test_a_hostile_envelope(changes: dict[str, Any]) -> None:
    """An envelope that Postbus cannot have written is refused whole, and nothing of it is used."""
    assert told({**ENVELOPE, **changes}) == [("/postbus", "bad-envelope")]


@pytest.mark.parametrize("name", ["key", "custody", "first_seen", "history", "mail"])
def test_an_envelope_with_a_part_missing(name: str) -> None:
    """Every part of an envelope is required."""
    document = {key: value for key, value in ENVELOPE.items() if key != name}
    assert told(document) == [("/postbus", "bad-envelope")]


@pytest.mark.parametrize(
    "changes",
    [
        {"key": "k" * PINNED_KEY_MAX},
        {"custody": 0},
        {"custody": COUNT_MAX},
        {"history": []},
        {"history": [[0, "", ""]] * 100},
        {"more": "is not looked at"},
    ],
    ids=["longest key", "first", "highest", "no history", "a long history", "more"],
)
def test_an_odd_envelope(changes: dict[str, Any]) -> None:
    """What is within the bounds is taken, and a long history is cut to the latest notes."""
    letter = read({**ENVELOPE, **changes})
    assert len(letter.history) <= HISTORY_KEPT
    assert read(letter.body().encode()) == letter


def test_a_mail_in_an_envelope_is_checked_too() -> None:
    """The queue is open to other writers: what an envelope holds is no more trusted than a mail."""
    assert told({**ENVELOPE, "mail": {**MAIL, "to": []}}) == [("/to", "too-few")]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", [("", "not-json")]),
        (b"{", [("", "not-json")]),
        (b"\xff\xfe", [("", "not-json")]),
        (b"null", [("", "not-an-object")]),
        (b"[]", [("", "not-an-object")]),
        (b'"text"', [("", "not-an-object")]),
        (b"[" * 100_000, [("", "not-json")]),
        (b'{"a":' * 100_000, [("", "not-json")]),
        (b'{"version": NaN}', [("", "not-json")]),
        (b'{"to": "\\ud800"}', [("", "not-json")]),
        (b"{}", [("/to", "missing"), ("/subject", "missing")]),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_what_is_no_mail(body: bytes, expected: list[tuple[str, str]]) -> None:
    """A body that is no mail request is refused with the schema's own words."""
    assert told(body) == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
FIELDS = st.sampled_from([*ENVELOPE, *MAIL, "sender", "notify", "template", "reply_to"])


@given(
    st.one_of(
        st.binary(),
        st.builds(lambda value: json.dumps(value).encode(), JSON),
        st.builds(
            lambda changes: json.dumps({**ENVELOPE, **changes}).encode(),
            st.dictionaries(FIELDS, JSON, max_size=4),
        ),
        st.builds(
            lambda changes: json.dumps({**MAIL, **changes}).encode(),
            st.dictionaries(FIELDS, JSON, max_size=4),
        ),
    ),
    st.one_of(st.none(), st.text(min_size=1, max_size=40)),
)
def test_reading_is_total(body: bytes, key: str | None) -> None:
    """Whatever is on the queue becomes a letter or `InvalidMail`; a letter can be put back."""
    try:
        letter = read_letter(QueueMessage("message-1", body, key=key), NOW)
        check_size(letter)
    except InvalidMail:
        return
    assert len(letter.next(Note(NOW, "throttled")).body().encode()) <= QUEUE_PAYLOAD_MAX
