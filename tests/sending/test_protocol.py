"""The protocol's tables: complete, and true to its theory."""

from __future__ import annotations

from itertools import product
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.schema.states import MAIL_STATES
from shared.sending.letters import REDRIVE_STEP
from shared.sending.protocol import (
    DECISIONS,
    FINAL,
    TRANSITIONS,
    Decision,
    Situation,
    situation_of,
)
from shared.stores.ledger import MailRecord

NOW, GRACE, CUSTODY = 1_000_000, 900, 5
STRAY = CUSTODY + 1
REDRIVEN = CUSTODY + REDRIVE_STEP


def row(state: str, **fields: int) -> MailRecord:
    """A mail's row; copy 5 is the newest that it knows of."""
    return MailRecord("id", "k", state, custody=CUSTODY, payload="p", **fields)  # type: ignore[arg-type]  # numbers only


def stands(record: MailRecord | None, custody: int = CUSTODY, payload: str = "p") -> Situation:
    """Where a copy stands."""
    return situation_of(record, payload=payload, custody=custody, now=NOW, grace=GRACE)


OLDER, SAME = CUSTODY - 1, CUSTODY
RUNNING, ENDED = {"lease_until": NOW + 1}, {"lease_until": NOW}
EARLY, LATE = {"unknown_since": NOW - GRACE + 1}, {"unknown_since": NOW - GRACE}
# State and times of the row -> what an older copy is, the newest, a stray one, a redriven one.
TABLE: list[tuple[str, dict[str, int], tuple[Situation, Situation, Situation, Situation]]] = [
    ("accepted", {}, ("replaced", "due", "due", "due")),
    ("waiting", {}, ("replaced", "due", "due", "due")),
    ("sending", RUNNING, ("replaced", "in-progress", "in-progress", "in-progress")),
    ("sending", ENDED, ("replaced", "abandoned", "abandoned", "abandoned")),
    ("unknown", EARLY, ("replaced", "unknown-early", "unknown-early", "unknown-early")),
    ("unknown", LATE, ("replaced", "unknown-late", "unknown-late", "unknown-late")),
    ("held", {}, ("held", "held", "held", "redriven")),
    ("parked", {}, ("stopped", "stopped", "stopped", "redriven")),
    ("failed", {}, ("stopped", "stopped", "stopped", "redriven")),
    ("sent", {}, ("finished", "finished", "finished", "finished")),
    ("refused", {}, ("finished", "finished", "finished", "finished")),
    ("expired", {}, ("finished", "finished", "finished", "finished")),
    ("suppressed", {}, ("finished", "finished", "finished", "finished")),
    ("cancelled", {}, ("finished", "finished", "finished", "finished")),
]


@pytest.mark.parametrize(("state", "times", "expected"), TABLE)
def test_where_a_copy_stands(
    state: str, times: dict[str, int], expected: tuple[Situation, ...]
) -> None:
    """State, times and number decide, for each state and each kind of copy."""
    copies = (OLDER, SAME, STRAY, REDRIVEN)
    assert tuple(stands(row(state, **times), custody) for custody in copies) == expected


def test_without_a_row() -> None:
    """A mail that nobody knows is new, whatever its copy's number."""
    assert {stands(None, custody) for custody in (0, SAME, REDRIVEN)} == {"new"}


@pytest.mark.parametrize(("state", "times", "_expected"), TABLE)
def test_another_payload(
    state: str, times: dict[str, int], _expected: tuple[Situation, ...]
) -> None:
    """A key that was used for another mail is refused in every state, by every copy."""
    record = row(state, **times)
    assert {stands(record, c, "other") for c in (0, SAME, REDRIVEN)} == {"other-payload"}


def test_the_tables_are_complete() -> None:
    """Every state has its transitions, every situation its decision, every decision its use."""
    assert set(TRANSITIONS) == set(MAIL_STATES) == {state for state, _, _ in TABLE}
    assert set(DECISIONS) == set(get_args(Situation))
    assert set(DECISIONS.values()) == set(get_args(Decision))
    reached = {situation for _, _, row_ in TABLE for situation in row_}
    assert reached | {"new", "other-payload"} == set(get_args(Situation))


def test_transitions_stay_among_the_states() -> None:
    """No transition leads out of the protocol or back into the same state."""
    for state, following in TRANSITIONS.items():
        assert following <= set(TRANSITIONS)
        assert state not in following


def test_what_is_final_stays() -> None:
    """From a final state nothing leads on, but a failed mail can be redriven by hand."""
    assert {state: set(TRANSITIONS[state]) for state in FINAL if TRANSITIONS[state]} == {
        "failed": {"sending", "expired", "suppressed"}
    }


@pytest.mark.parametrize(("state", "times", "expected"), TABLE)
def test_a_claim_is_a_transition(
    state: str, times: dict[str, int], expected: tuple[Situation, ...]
) -> None:
    """Wherever a copy may claim, the table lets the state become `sending`, and nowhere else."""
    del times
    claims = {DECISIONS[situation] for situation in expected} & {"claim"}
    if claims:
        assert "sending" in TRANSITIONS[state]
    elif "sending" in TRANSITIONS[state]:
        # A resend of an unknown mail is a claim that comes with its own issue.
        assert state == "unknown"


def test_an_ended_lease_never_permits_a_send() -> None:
    """The theory's second rule: an abandoned claim becomes `unknown` before anything else."""
    assert DECISIONS["abandoned"] == "make-unknown"
    assert "unknown" in TRANSITIONS["sending"]


def test_every_state_ends() -> None:
    """From every state there is a way to a final one: no mail can be caught in a circle."""
    reach = set(FINAL)
    while True:
        more = {state for state in TRANSITIONS if TRANSITIONS[state] & reach} - reach
        if not more:
            break
        reach |= more
    assert reach == set(TRANSITIONS)


@given(
    st.sampled_from(MAIL_STATES),
    st.integers(0, 10),
    st.integers(0, 10),
    st.integers(0, 2 * NOW),
    st.integers(0, 2 * NOW),
)
def test_every_copy_stands_somewhere(
    state: str, known: int, custody: int, lease: int, since: int
) -> None:
    """Whatever a row and a copy say, there is a decision; and no replaced copy may claim."""
    record = MailRecord(
        "id", "k", state, custody=known, payload="p", lease_until=lease, unknown_since=since
    )
    situation = stands(record, custody)
    assert situation in DECISIONS
    if custody < known:
        assert DECISIONS[situation] != "claim"


def test_only_a_redriven_copy_restarts_a_stopped_mail() -> None:
    """The number of a stray copy, left by a crash, is never a permission to send."""
    for state, custody in product(("held", "parked", "failed"), range(REDRIVEN)):
        assert DECISIONS[stands(row(state), custody)] == "read"
