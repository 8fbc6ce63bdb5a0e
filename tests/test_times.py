"""Times as they are told to the outside."""

from __future__ import annotations

import pytest

from shared.times import rfc3339


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1, "1970-01-01T00:00:00.001Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (1_800_000_000_000, "2027-01-15T08:00:00.000Z"),
        (1_714_360_033_179, "2024-04-29T03:07:13.179Z"),
    ],
)
def test_a_time_is_rfc_3339_in_utc_with_milliseconds(ms: int, text: str) -> None:
    """Always in the same form, so that texts sort as times do."""
    assert rfc3339(ms) == text
