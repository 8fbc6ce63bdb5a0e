"""Why a resource failed, and what a person can do about it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from deploy.stack.stacks import Event, Stack

# What ROS says of resources that failed only because another one did.
_COLLATERAL = re.compile(r"cancel|rollback|rolled back|aborted", re.IGNORECASE)


class Advice(NamedTuple):
    """What to do where a resource of this type failed for this reason (regular expressions)."""

    kind: str
    reason: str
    text: str


_DENIED = r"NoPermission|Forbidden|not authorized|AccessDenied|Unauthorized"
_EXISTS = r"already ?exist|duplicat"

# The first that fits. The reasons are other services' own words, which ROS hands on.
_ADVICE = (
    Advice(
        r"OTS::Instance",
        rf"{_EXISTS}|taken|conflict",
        "The ledger's name is taken. If an earlier stack of yours left it, set the parameter "
        "LedgerIs: kept, and give the same POSTBUS_SUPPRESSION_KEY; if it is somebody else's, "
        "set LedgerSuffix, for example -x1.",
    ),
    Advice(
        r"OTS::Table",
        _EXISTS,
        "An earlier stack left its tables: set the parameter LedgerIs: kept, and give the same "
        "POSTBUS_SUPPRESSION_KEY.",
    ),
    Advice(
        r"RAM::",
        _DENIED,
        "Making roles needs ram:CreateRole, ram:CreatePolicy and ram:AttachPolicyToRole: allow "
        "them to the user or role that deploys.",
    ),
    Advice(
        r"",
        _DENIED,
        "Allow the action that the reason names to the user or role that deploys: ROS acts with "
        "its permissions.",
    ),
    Advice(
        r"FC3::Function",
        r"runtime",
        "The region lacks the runtime: set the parameter Runtime: python3.10.",
    ),
    Advice(
        r"",
        r"not (been )?(open|activat|enabl)|NotOpen|not subscribed",
        "The service is not switched on in this account: deploy bootstrap.yml once, and open the "
        "consoles of EventBridge and DirectMail.",
    ),
    Advice(
        r"",
        r"ServiceLinkedRole|AliyunServiceRole",
        "A service-linked role is missing: deploy bootstrap.yml once.",
    ),
    Advice(
        r"",
        r"quota|limit.{0,20}(exceed|reach)|exceed.{0,20}(limit|maximum)|TooMany",
        "A quota of the account is used up: ask for more in the Quota Center, or remove what is "
        "not needed.",
    ),
    Advice(
        r"",
        _EXISTS,
        "The name is taken by something that is not of this stack: remove or rename it, or choose "
        "another environment.",
    ),
    Advice(r"", r"throttl|flow control|QpsLimit", "A service was asked too often: deploy again."),
)


def root_failures(events: Sequence[Event], stack: Stack) -> list[Event]:
    """The resources that failed by themselves, the earliest first.

    Args:
        events: of the operation that failed.
        stack: whose own events say nothing more.
    """
    failed = [
        event
        for event in events
        if event.status.endswith("_FAILED") and event.resource != stack.name
    ]
    own = [event for event in failed if not _COLLATERAL.search(event.reason)]
    return own or failed[:1]


def advice_for(event: Event) -> str:
    """What to do about a failed resource; empty where the reason has to do."""
    for each in _ADVICE:
        if re.search(each.kind, event.kind) and re.search(each.reason, event.reason, re.IGNORECASE):
            return each.text
    return ""


def state_advice(stack: Stack, environment: str, previous: str) -> str:
    """What is left of a stack whose work failed, and the way on.

    Args:
        stack: as it is now.
        environment: the environment's name.
        previous: the commit that ran before; empty where nothing did.
    """
    again = f"`postbus deploy --env {environment}`"
    away = f"`postbus destroy --env {environment}`"
    back = f"`postbus deploy --env {environment} --rollback {previous[:12]}`" if previous else again
    return {
        "CREATE_FAILED": f"The stack is half made. Once the cause is mended: {away}, then {again}.",
        "CREATE_ROLLBACK_COMPLETE": "What had been made was removed again, and an empty stack is "
        f"left. Once the cause is mended: {away}, then {again}.",
        "CREATE_ROLLBACK_FAILED": "Not all that had been made could be removed again. "
        f"Once the cause is mended: {away}, then {again}.",
        "UPDATE_FAILED": "The stack is partly updated and goes on working with both. "
        f"Once the cause is mended: {again}; or go back: {back}.",
        "ROLLBACK_COMPLETE": "ROS has put everything back as it was: what ran before runs. "
        f"Once the cause is mended: {again}.",
        "ROLLBACK_FAILED": "ROS could not put everything back. "
        f"Go back with {back}, or mend the cause and {again}.",
        "DELETE_FAILED": "The rest of the stack is still there. "
        f"Mend the cause, then {away} again.",
    }.get(stack.status, f"The stack is in the state {stack.status}: see the console of ROS.")
