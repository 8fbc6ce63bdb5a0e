"""The lattice of states: whatever the order and the repeats of events, the same state holds."""

from __future__ import annotations

import itertools

import pytest

from shared.delivery.cloudevents import TYPES
from shared.delivery.states import MARKS, SENTENCES, STATES, VALIDATED, state_of

ALL = (*STATES, *MARKS)


@pytest.mark.parametrize(
    ("known", "state"),
    [
        ((), None),
        (("delivered",), "delivered"),
        (("bounced",), "bounced"),
        (("delivered", "bounced"), "bounced"),
        (("opened",), None),
        (("opened", "clicked", "complained"), None),
        (("delivered", "opened", "unsubscribed", "resubscribed"), "delivered"),
        (("complained", "bounced", "opened", "delivered"), "bounced"),
    ],
)
def test_the_highest_state_holds_and_marks_change_nothing(
    known: tuple[str, ...], state: str | None
) -> None:
    """A late bounce wins over the delivery, whichever was told first."""
    assert {state_of(order) for order in itertools.permutations(known)} == {state}


def test_what_is_known_only_grows() -> None:
    """One more event never leads back: the state that holds then is as high or higher."""
    rank: dict[str | None, int] = {state: i for i, state in enumerate((None, *STATES))}
    for size in range(len(ALL) + 1):
        for known in itertools.combinations(ALL, size):
            for one in ALL:
                assert rank[state_of({*known, one})] >= rank[state_of(known)]
                assert state_of([*known, *known]) == state_of(known)


def test_each_word_is_a_state_or_a_mark_and_has_a_sentence() -> None:
    """Everything that an event's type can say is one of them, but for an address check."""
    assert set(SENTENCES) == set(ALL)
    assert set(TYPES.values()) == {*ALL, VALIDATED}
    assert [word for word in ALL if word not in STATES] == list(MARKS)
    assert VALIDATED not in ALL
