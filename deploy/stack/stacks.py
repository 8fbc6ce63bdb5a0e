"""Stacks, change sets and events, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

GONE = "DELETE_COMPLETE"
# A stack that nothing was made for yet: its change set was never executed.
IN_REVIEW = "REVIEW_IN_PROGRESS"
# Of these a stack can be updated.
# https://www.alibabacloud.com/help/en/ros/user-guide/update-stacks
UPDATABLE = frozenset(
    {
        *("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_FAILED", "ROLLBACK_COMPLETE"),
        *("ROLLBACK_FAILED", "CHECK_COMPLETE", "CHECK_FAILED"),
    }
)
WELL = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE", GONE})


@dataclass(frozen=True)
class Stack:
    """A stack.

    Attributes:
        id: ROS's.
        name: ours.
        status: e.g. `UPDATE_COMPLETE`.
        reason: what ROS says about the status.
        parameters: as given, secrets as asterisks.
        outputs: name -> value, with `descriptions` of the same names.
        descriptions: for people.
    """

    id: str
    name: str
    status: str
    reason: str
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]
    descriptions: Mapping[str, str]

    @property
    def busy(self) -> bool:
        """Whether ROS is at work on it."""
        return self.status.endswith("_IN_PROGRESS") and self.status != IN_REVIEW


@dataclass(frozen=True)
class Change:
    """What a change set would do to a resource.

    Attributes:
        action: `Add`, `Modify` or `Remove`.
        name: the resource's, in the template.
        kind: its type.
        replacement: `True`, `False` or `Conditional`; whether it is made anew, with what it holds.
        properties: the properties that change.
    """

    action: str
    name: str
    kind: str
    replacement: str
    properties: tuple[str, ...]


@dataclass(frozen=True)
class ChangeSet:
    """A change set.

    Attributes:
        id: ROS's.
        stack_id: of the stack that it is for.
        status: e.g. `CREATE_COMPLETE`.
        reason: what ROS says about the status.
        execution: e.g. `AVAILABLE`.
        changes: in ROS's order.
    """

    id: str
    stack_id: str
    status: str
    reason: str
    execution: str
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Event:
    """Something that happened to a stack or to a resource of it."""

    id: str
    at: str
    resource: str
    kind: str
    status: str
    reason: str


@dataclass(frozen=True)
class Wanted:
    """What a change set is made of.

    Attributes:
        stack: the stack's name.
        stack_id: of the stack that is updated; None makes one.
        template: the template's text.
        parameters: all but the secrets that the stack keeps.
        name: the change set's.
        description: for people.
    """

    stack: str
    stack_id: str | None
    template: str
    parameters: Mapping[str, str]
    name: str
    description: str

    def __repr__(self) -> str:
        """Without the parameters, some of which are secret."""
        return f"Wanted({self.stack}, {self.name})"
