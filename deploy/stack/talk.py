"""What a deployment tells and asks; the command line answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from deploy.stack.stacks import Change, Event, Stack


class Talk(Protocol):
    """Whoever watches a deployment."""

    def say(self, text: str) -> None:
        """A step, in a line."""

    def warn(self, text: str) -> None:
        """Something to look at, which stops nothing."""

    def uploading(self, name: str, done: int, total: int) -> None:
        """How far an upload is, in bytes."""

    def changes(self, changes: Sequence[Change]) -> None:
        """What would change."""

    def agree(self, question: str) -> bool:
        """Whether to go on."""

    def happened(self, event: Event, done: int, total: int) -> None:
        """Something happened to the stack; so many of its resources are done."""

    def ended(self, stack: Stack) -> None:
        """The stack as it is now, with its outputs."""
