"""What was found, and how bad it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from deploy.cloud.access import Access, Identity
from deploy.cloud.faults import CloudError, NotAllowed, Unreachable
from deploy.stack.plan import Plan
from deploy.stack.stacks import Stack

Level = Literal["ok", "warning", "error", "unknown"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        check: what it belongs to, in a word, e.g. `sender`.
        level: `ok`; `warning`, it works, but not for long or not for all; `error`, mails are not
            sent or their events are lost; `unknown`, it could not be looked at.
        what: what was found, in a sentence.
        todo: what to do about it; empty where there is nothing to do.
    """

    check: str
    level: Level
    what: str
    todo: str = ""

    def describe(self) -> dict[str, str]:
        """For programs."""
        return asdict(self)


@dataclass(frozen=True)
class Patient:
    """What is examined.

    Attributes:
        environment: the environment's name.
        access: the account's services.
        identity: who is asking.
        plan: what the template makes for this environment.
        stack: the environment's stack; None where nothing is deployed.
        tags: names of tags that the environment's services use.
        now: this machine's time when the identity was told, in seconds since 1970.
        given: the parameters that a person chose.
    """

    environment: str
    access: Access
    identity: Identity
    plan: Plan
    stack: Stack | None
    tags: tuple[str, ...]
    now: float
    given: Mapping[str, str] = field(default_factory=dict)

    def parameter(self, name: str) -> str:
        """A parameter's value, as text."""
        return str(self.plan.parameters.get(name, ""))


Check = Callable[[Patient], Iterator[Finding]]


def carefully(name: str, check: Check, patient: Patient) -> Iterator[Finding]:
    """What a check finds; what stops it is a finding as well.

    Args:
        name: the check's word, for a finding about itself.
        check: the check.
        patient: what it looks at.
    """
    try:
        yield from check(patient)
    except NotAllowed as error:
        yield Finding(
            name,
            "unknown",
            f"may not be looked at: {error.code}",
            f"Allow the RAM action {error.action} to whoever runs this.",
        )
    except Unreachable as error:
        yield Finding(name, "unknown", f"no answer: {error.message}", error.advice)
    except CloudError as error:
        yield Finding(name, "error", str(error), error.advice)


def pages(call: Callable[[int], Any], rows: Callable[[Any], Any], size: int) -> Iterator[Any]:
    """All rows of a list that comes in pages.

    Args:
        call: page number, from 1 -> the answer's body.
        rows: body -> its rows, or None.
        size: how many a full page has.
    """
    number = 1
    while True:
        found = list(rows(call(number)) or [])
        yield from found
        if len(found) < size:
            return
        number += 1
