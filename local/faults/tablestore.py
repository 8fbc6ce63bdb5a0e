"""Tablestore misbehaves: what the twin's store asks at each request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, cast

from local.faults.registry import Faults
from local.twins.tablestore.faults import Fault

Kind = Literal["busy", "down", "lost-answer", "slow"]


def tablestore_faults(faults: Faults) -> Callable[[str], Fault | None]:
    """What to put at the `fault` of the twin's store.

    Args:
        faults: decides.
    """

    def fault(operation: str) -> Fault | None:
        chosen = faults.choose("tablestore", operation, operation)
        # The table of kinds has these names for this target, and no others.
        return Fault(cast("Kind", chosen.kind), chosen.seconds) if chosen else None

    return fault
