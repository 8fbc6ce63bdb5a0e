"""What a stack does, as it does it, until it is at rest."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from deploy.cloud.faults import NotThere, Unreachable
from deploy.stack.errors import DeployError
from deploy.stack.ros import Ros
from deploy.stack.stacks import GONE, Event, Stack
from deploy.stack.talk import Talk

# Without an answer for so long, somebody has to look.
SILENCE_SECONDS = 300.0
_DONE = ("_COMPLETE", "_FAILED")


@dataclass(frozen=True)
class Pace:
    """How often to look.

    Attributes:
        seconds: between two looks.
        sleep: waits for so many seconds.
        clock: seconds of a clock that only goes forward.
    """

    seconds: float = 3.0
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic


@dataclass(frozen=True)
class Work:
    """What is followed.

    Attributes:
        stack: the stack, whose work has begun.
        before: ids of the events that are older.
        total: how many resources the work is about.
    """

    stack: Stack
    before: Collection[str]
    total: int


@dataclass(frozen=True)
class Course:
    """What happened.

    Attributes:
        stack: as it is at the end.
        events: of this operation alone.
    """

    stack: Stack
    events: list[Event] = field(default_factory=list)


def follow(ros: Ros, work: Work, talk: Talk, pace: Pace) -> Course:
    """Tell what happens to a stack until ROS has ended its work.

    Args:
        ros: the service.
        work: what has begun.
        talk: is told.
        pace: how often to look.

    Raises:
        CloudError: ROS refused.
        DeployError: ROS did not answer for `SILENCE_SECONDS`; the stack goes on by itself.
    """
    stack = work.stack
    seen = set(work.before)
    events: list[Event] = []
    done: set[str] = set()
    heard = pace.clock()
    while True:
        try:
            # The state first: what is told after it belongs to it or is newer.
            now = _state(ros, stack)
            fresh = [event for event in _events(ros, stack) if event.id not in seen]
            heard = pace.clock()
        except Unreachable as error:
            if pace.clock() - heard > SILENCE_SECONDS:
                raise DeployError(
                    f"{error} The stack {stack.name} goes on without being watched; "
                    "`postbus deploy` again tells how it ended."
                ) from error
            pace.sleep(pace.seconds)
            continue
        for event in fresh:
            seen.add(event.id)
            events.append(event)
            if event.status.endswith(_DONE) and event.resource != stack.name:
                done.add(event.resource)
            talk.happened(event, min(len(done), work.total), work.total)
        if not now.busy:
            return Course(now, events)
        pace.sleep(pace.seconds)


def _state(ros: Ros, stack: Stack) -> Stack:
    try:
        return ros.get(stack.id)
    except NotThere:
        return Stack(stack.id, stack.name, GONE, "", {}, {}, {})


def _events(ros: Ros, stack: Stack) -> list[Event]:
    try:
        return ros.events(stack.id)
    except NotThere:
        return []
