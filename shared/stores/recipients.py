"""What the ledger knows of one recipient, erased on request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from shared.triggers.context import Invocation
from shared.values import dataclass


@dataclass(frozen=True)
class Erased:
    """How far an erasure came.

    Attributes:
        rows: how many rows are gone.
        following: where to go on; empty when all of them are.
    """

    rows: int
    following: str = ""


class Recipients(Protocol):
    """What a store does. Every method raises `LedgerUnavailable` when it does not answer."""

    def use(self, invocation: Invocation) -> None:
        """Take this invocation's credentials and remaining time for the calls that follow."""
        ...

    def erase(self, recipient: str, start: str, may_go_on: Callable[[], bool]) -> Erased:
        """Delete the states and sightings of an address, however it is spelled.

        Args:
            recipient: the address.
            start: empty, or the `following` of an erasure that did not come to its end.
            may_go_on: asked now and then; False ends this part of the work.
        """
        ...
