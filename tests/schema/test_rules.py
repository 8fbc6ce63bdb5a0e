"""The rules between fields."""

from __future__ import annotations

from typing import Any

import pytest

from tests.schema.samples import BROKEN_RULES, Told


@pytest.mark.parametrize(("change", "problems"), BROKEN_RULES.values(), ids=BROKEN_RULES.keys())
def test_a_broken_rule_has_a_type_and_a_place_of_its_own(
    change: dict[str, Any], problems: list[tuple[str, str]], good: dict[str, Any], told: Told
) -> None:
    """Each rule is told by itself, and all that are broken are told."""
    assert told({**good, **change}) == problems
