"""What the log says of a mail that was refused."""

from __future__ import annotations

import pytest

from shared.schema.problems import Problem
from shared.sending.reports import place_in_log


@pytest.mark.parametrize(
    ("pointer", "told"),
    [
        ("", ": rule"),
        ("/to", "/to: rule"),
        ("/to/0", "/to: rule"),
        ("/headers/X-User-ada@example.net", "/headers: rule"),
        ("/ada@example.net", "/*: rule"),
        ("/~1to/to", "/*: rule"),
    ],
)
def test_a_problem_s_place_is_the_schema_s_own_name(pointer: str, told: str) -> None:
    """A name that the sender has chosen, which may be an address, is not in the log."""
    assert place_in_log(Problem(pointer=pointer, type="rule", detail="")) == told
