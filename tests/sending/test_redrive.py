"""Dead letters, looked at: which of them may go back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.schema.mail_request import parse_mail
from shared.sending.letters import REDRIVE_STEP, Letter, Note
from shared.sending.redrive import read_dead_letter

NOW = 1_800_000_000_000
DAY = 86_400_000
KEEP = 45 * DAY
MAIL: dict[str, Any] = {"to": ["ada@example.net"], "subject": "Hello", "text": "Hi."}


def letter(age: int) -> bytes:
    """A parked letter that was first seen so long ago."""
    first = Letter(MAIL, parse_mail(dict(MAIL)), "k", 0, NOW - age)
    return first.next(Note(NOW, "parked", "Forbidden.RAM"), step=REDRIVE_STEP).body().encode()


@pytest.mark.parametrize(
    ("body", "fitness", "state"),
    [
        (letter(DAY), "ready", "parked"),
        (letter(KEEP), "ready", "parked"),
        (letter(KEEP + 1), "too-old", "parked"),
        (json.dumps({**MAIL, "key": "k"}).encode(), "ready", "received too often"),
        (json.dumps(MAIL).encode(), "no-key", "received too often"),
        (b"no mail", "no-mail", ""),
        (b'{"postbus": 1}', "no-mail", ""),
    ],
)
def test_which_letters_may_go_back(body: bytes, fitness: str, state: str) -> None:
    """Not those the ledger may have forgotten, nor those it would not know again."""
    found = read_dead_letter(body, message_id="m-1", now=NOW, keep=KEEP)
    assert (found.fitness, found.state) == (fitness, state)


def test_a_letter_keeps_its_permission() -> None:
    """What goes back has the number, the key and the history that it was buried with."""
    found = read_dead_letter(letter(DAY), message_id="m-1", now=NOW, keep=KEEP).letter
    assert found is not None
    assert (found.key, found.custody, found.history[-1].code) == ("k", 2, "Forbidden.RAM")
