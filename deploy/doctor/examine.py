"""The whole examination: who is asking first, and then everything that can be asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from deploy.cloud.access import Access
from deploy.cloud.faults import ClockWrong, CloudError, NoCredentials, Unreachable, WrongCredentials
from deploy.doctor import account, events, mail, queues
from deploy.doctor.findings import Check, Finding, Patient, carefully
from deploy.stack import parameters
from deploy.stack.plan import Plan, parameters_of, read_template
from deploy.stack.ros import Ros
from deploy.stack.stacks import IN_REVIEW, Stack

# The check's word, and the check. Those of the second table need something deployed.
ALWAYS: tuple[tuple[str, Check], ...] = (
    ("credentials", account.credentials),
    ("clock", account.clock),
    ("stack", account.stack),
    ("runtime", account.runtime),
    ("roles", account.roles),
    ("sender", mail.senders),
    ("domain", mail.domains),
    ("tags", mail.tags),
    ("events", mail.event_switch),
    ("quota", mail.quota),
)
DEPLOYED: tuple[tuple[str, Check], ...] = (
    ("rule", events.rules),
    ("queue", queues.queues),
    ("trigger", queues.triggers),
)


@dataclass(frozen=True)
class Question:
    """What a person asked.

    Attributes:
        environment: the environment's name.
        root: the repository.
        region: of the command line; empty leaves it to the environment's file.
        tags: tags to look for, besides those of the environment's file.
        endpoint: where all services answer instead of their own addresses.
        clock: seconds since 1970.
        connect: region and endpoint -> the account's services.
    """

    environment: str
    root: Path
    region: str = ""
    tags: tuple[str, ...] = ()
    endpoint: str = ""
    clock: Callable[[], float] = time.time
    connect: Callable[[str, str], Access] = Access


def examine(question: Question) -> Iterator[Finding]:
    """Look at everything; each finding as it is found.

    Args:
        question: what is asked.

    Raises:
        UsageError: the environment's file or its parameters are wrong.
    """
    file = parameters.environment_file(question.root, question.environment)
    text = file.read_text(encoding="utf-8") if file.is_file() else None
    environment = parameters.read_environment(question.environment, text, file.name)
    region = parameters.check_region(question.region or environment.region)
    document = read_template(question.root / "template.yml")
    given = {**environment.given, "Env": question.environment}
    parameters.check_parameters(parameters_of(document), environment.given)
    access = question.connect(region, question.endpoint)
    try:
        identity = access.identity()
    except CloudError as error:
        yield _stranger(error)
        return
    now = question.clock()
    stack, trouble = _stack(access, region, question.environment)
    patient = Patient(
        question.environment,
        access,
        identity,
        Plan(document, region, given, identity.account),
        stack,
        (*environment.tags, *question.tags),
        now,
        environment.given,
    )
    yield from trouble
    checks = [each for each in ALWAYS if not (trouble and each[0] == "stack")]
    if trouble or (stack is not None and stack.status != IN_REVIEW):
        checks += DEPLOYED
    for name, check in checks:
        yield from carefully(name, check, patient)


def _stack(access: Access, region: str, environment: str) -> tuple[Stack | None, list[Finding]]:
    """The stack, or why it cannot be looked at."""
    found: list[Stack | None] = []

    def look(_patient: Patient | None) -> Iterator[Finding]:
        found.append(Ros(access.ros, region).find(f"postbus-{environment}"))
        yield from ()

    trouble = list(carefully("stack", look, None))  # type: ignore[arg-type]  # it looks at no patient
    return (found[0] if found else None), trouble


def _stranger(error: CloudError) -> Finding:
    """Nobody can ask anything: that is the one finding."""
    if isinstance(error, Unreachable):
        return Finding("credentials", "unknown", f"no answer: {error.message}", error.advice)
    check = "clock" if isinstance(error, ClockWrong) else "credentials"
    known = isinstance(error, (ClockWrong, NoCredentials, WrongCredentials))
    what = f"{error.code}: {error.message}" if error.code else error.message
    return Finding(check, "error", what, error.advice if known else str(error))
