"""The way out: the stack goes, its tables stay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from deploy.cloud.access import Access
from deploy.stack.errors import DeployError
from deploy.stack.failures import advice_for, root_failures, state_advice
from deploy.stack.follow import Pace, Work, follow
from deploy.stack.plan import TABLES
from deploy.stack.ros import Ros
from deploy.stack.stacks import GONE, IN_REVIEW, Stack
from deploy.stack.talk import Talk


@dataclass(frozen=True)
class Removal:
    """What a person asked for.

    Attributes:
        environment: the environment's name.
        region: where its stack is.
        endpoint: where all services answer instead of their own addresses.
        pace: how often to look.
        connect: region and endpoint -> the account's services.
    """

    environment: str
    region: str
    endpoint: str = ""
    pace: Pace = field(default_factory=Pace)
    connect: Callable[[str, str], Access] = Access


def destroy(
    removal: Removal,
    talk: Talk,
    confirm: Callable[[Stack, list[str], list[str]], bool],
) -> bool:
    """Delete an environment's stack without its tables; whether it is gone.

    Args:
        removal: what is asked for.
        talk: is told.
        confirm: is shown the stack, what goes and what stays, and says whether to go on.

    Raises:
        DeployError: there is no such stack, somebody is at work on it, or it could not be deleted.
        CloudError: a service refused or did not answer.
    """
    access = removal.connect(removal.region, removal.endpoint)
    ros = Ros(access.ros, removal.region)
    name = f"postbus-{removal.environment}"
    stack = ros.find(name)
    if stack is None:
        raise DeployError(f"there is no stack {name} in {removal.region}")
    if stack.busy:
        raise DeployError(f"{name} is being worked on ({stack.status}): wait for that to end")
    resources = ros.resources(stack.id)
    stays = sorted(each for each, kind in resources.items() if kind in TABLES)
    goes = sorted(set(resources) - set(stays))
    if stack.status != IN_REVIEW and not confirm(stack, goes, stays):
        return False
    old = {event.id for event in ros.events(stack.id)}
    ros.delete(stack.id, stays)
    course = follow(ros, Work(stack, old, len(resources)), talk, removal.pace)
    if course.stack.status == GONE:
        return True
    for event in root_failures(course.events, course.stack):
        talk.warn(f"{event.resource} ({event.kind}): {event.reason}")
        if advice := advice_for(event):
            talk.warn(advice)
    raise DeployError(
        f"{name} is {course.stack.status}. {state_advice(course.stack, removal.environment, '')}"
    )
