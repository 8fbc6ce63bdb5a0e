"""The change of a stack: previewed, agreed to, executed, followed to its end."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

from deploy.cloud.faults import NotThere, Unreachable
from deploy.stack import parameters
from deploy.stack.errors import DeployError
from deploy.stack.failures import advice_for, root_failures, state_advice
from deploy.stack.follow import Course, Pace, Work, follow
from deploy.stack.order import Order
from deploy.stack.plan import Plan
from deploy.stack.release import Release
from deploy.stack.ros import Ros
from deploy.stack.secrets import find_secrets
from deploy.stack.stacks import GONE, WELL, ChangeSet, Stack, Wanted
from deploy.stack.talk import Talk

# A change set is computed in seconds; nobody waits longer than this.
PREPARING_SECONDS = 300.0
_NOTHING = re.compile(r"no change|not changed|same stack|nothing to", re.IGNORECASE)


@dataclass(frozen=True)
class Update:
    """Everything that a change is made of.

    Attributes:
        order: what is asked for.
        release: what is deployed.
        plan: its template, evaluated.
        given: its parameters.
        before: the stack as it is; None where one has to be made.
    """

    order: Order
    release: Release
    plan: Plan
    given: Mapping[str, str]
    before: Stack | None


def change(update: Update, ros: Ros, talk: Talk) -> bool:
    """Preview, ask, execute, follow; whether the stack is now as it should be.

    Args:
        update: what is to be.
        ros: the service.
        talk: is told and asked.

    Raises:
        DeployError: the stack's work failed, or there was no answer.
        CloudError: ROS refused or did not answer.
    """
    order, before = update.order, update.before
    wanted = _wanted(update, ros, talk)
    found = _prepared(ros, ros.prepare(wanted), order.pace)
    if found.status != "CREATE_COMPLETE" or not found.changes:
        return _no_change(ros, found, before, order.pace, talk)
    talk.changes(found.changes)
    if order.dry_run or not talk.agree(_question(found, order)):
        _forget(ros, found, before, order.pace)
        talk.say("nothing was changed; the change set is removed")
        return order.dry_run
    course = _execute(ros, found, order, talk)
    return _finish(course, order, before, talk)


def _wanted(update: Update, ros: Ros, talk: Talk) -> Wanted:
    """What the change set is made of, once older ones are cleared away and secrets are found."""
    order, before = update.order, update.before
    if before is not None:
        for leftover in ros.change_sets(before.id):
            ros.discard(leftover)
    secrets = find_secrets(
        update.plan.declared,
        order.variables,
        order.state / f"{order.environment}.secrets.json",
        before.parameters if before else (),
        may_make="no" if order.ci else "try" if order.dry_run else "keep",
    )
    if secrets.made and not order.dry_run:
        talk.warn(
            f"{', '.join(secrets.made)} was made and is in {secrets.file}: keep a copy where "
            "secrets are kept. Without it, a stack that is made again knows no suppressed address."
        )
    given_anew = [parameters.variable(name) for name in secrets.values if before is not None]
    if given_anew:
        talk.warn(f"taken from this environment's variables anew: {', '.join(sorted(given_anew))}")
    return Wanted(
        stack=order.stack,
        stack_id=before.id if before else None,
        template=update.release.template,
        parameters={**parameters.effective(update.plan.declared, update.given), **secrets.values},
        name=f"postbus-{update.release.commit[:12]}-{int(time.time())}",
        description=f"Postbus, commit {update.release.commit}",
    )


def _prepared(ros: Ros, change_set_id: str, pace: Pace) -> ChangeSet:
    """The change set, once ROS has computed it."""
    until = pace.clock() + PREPARING_SECONDS
    while True:
        found = ros.change_set(change_set_id)
        if found.status not in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
            return found
        if pace.clock() > until:
            raise DeployError("ROS has not computed the changes in time: run it again")
        pace.sleep(pace.seconds)


def _no_change(ros: Ros, found: ChangeSet, before: Stack | None, pace: Pace, talk: Talk) -> bool:
    _forget(ros, found, before, pace)
    if found.status == "CREATE_COMPLETE" or _NOTHING.search(found.reason):
        talk.say("nothing to change: this is what runs")
        if before is not None:
            talk.ended(before)
        return True
    raise DeployError(f"ROS cannot compute the changes: {found.reason or found.status}")


def _question(found: ChangeSet, order: Order) -> str:
    lost = [
        change.name
        for change in found.changes
        if change.action == "Remove" or change.replacement != "False"
    ]
    risk = f" {', '.join(lost)} may lose what it holds." if lost else ""
    return f"Do this to {order.stack}?{risk}"


def _forget(ros: Ros, found: ChangeSet, before: Stack | None, pace: Pace) -> None:
    """Remove a change set, and the empty stack that one for a new stack makes."""
    ros.discard(found.id)
    if before is None and found.stack_id:
        remove_empty(ros, found.stack_id, pace)


def remove_empty(ros: Ros, stack_id: str, pace: Pace) -> None:
    """Remove a stack that nothing was made for, and wait until its name is free.

    Args:
        ros: the service.
        stack_id: the stack's.
        pace: how often to look.

    Raises:
        CloudError: ROS refused or did not answer.
    """
    ros.delete(stack_id, [])
    until = pace.clock() + PREPARING_SECONDS
    while pace.clock() < until:
        try:
            if ros.get(stack_id).status == GONE:
                return
        except NotThere:
            return
        pace.sleep(pace.seconds)


def _execute(ros: Ros, found: ChangeSet, order: Order, talk: Talk) -> Course:
    stack = ros.get(found.stack_id)
    old = {event.id for event in ros.events(stack.id)}
    try:
        ros.execute(found.id)
    except Unreachable:
        # Executed or not, nobody knows: the change set does.
        if not _was_executed(ros, found.id):
            raise
    return follow(ros, Work(stack, old, len(found.changes)), talk, order.pace)


def _was_executed(ros: Ros, change_set_id: str) -> bool:
    try:
        return ros.change_set(change_set_id).execution.startswith("EXECUTE_")
    except NotThere:
        return True


def _finish(course: Course, order: Order, before: Stack | None, talk: Talk) -> bool:
    if course.stack.status in WELL:
        talk.ended(course.stack)
        return True
    for event in root_failures(course.events, course.stack):
        talk.warn(f"{event.resource} ({event.kind}): {event.reason}")
        if advice := advice_for(event):
            talk.warn(advice)
    previous = before.parameters.get("CodeVersion", "") if before else ""
    raise DeployError(
        f"{course.stack.name} is {course.stack.status}: {course.stack.reason or 'see above'}. "
        f"{state_advice(course.stack, order.environment, previous)}"
    )
