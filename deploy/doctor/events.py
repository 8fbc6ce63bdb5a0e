"""The rule on EventBridge's default bus: does every event of DirectMail's reach the queue?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from alibabacloud_eventbridge20200401 import models

from deploy.cloud.faults import NotThere, calling
from deploy.doctor.findings import Finding, Patient
from deploy.stack.plan import RULE, Planned
from local.twins.directmail.catalogue import TYPES
from local.twins.eventbridge import InvalidPatternError, compile_pattern

# DirectMail's documents say the one, its console and its events the other.
SOURCES = ("acs.dm", "acs:dm")
PATIENT = "EXPONENTIAL_DECAY_RETRY"


def rules(patient: Patient) -> Iterator[Finding]:
    """Each rule of the template's, as it is in the account."""
    again = f"Run `postbus deploy --env {patient.environment}`."
    for planned in patient.plan.of(RULE):
        name = str(planned.properties["RuleName"])
        try:
            with calling("eventbridge:GetRule"):
                answer = patient.access.eventbridge.get_rule(
                    models.GetRuleRequest(
                        event_bus_name=planned.properties["EventBusName"], rule_name=name
                    )
                ).body
        except NotThere:
            yield Finding("rule", "error", f"there is no rule {name}", again)
            continue
        if answer.data is None:
            missing = f"there is no rule {name}: {answer.code} {answer.message}"
            yield Finding("rule", "error", missing, again)
            continue
        found = list(_rule(name, answer.data, planned, again))
        yield from found or [
            Finding("rule", "ok", f"{name} takes all {len(TYPES)} types under both names")
        ]


def _rule(name: str, data: Any, planned: Planned, again: str) -> Iterator[Finding]:
    if str(data.status or "").upper() not in ("ENABLE", "ENABLED"):
        yield Finding("rule", "error", f"{name} is switched off", "Switch it on in EventBridge.")
    lost = uncovered(data.filter_pattern)
    if lost:
        yield Finding("rule", "error", f"{name} does not take {', '.join(lost)}", again)
    wanted = {str(target["Id"]): target for target in planned.properties["Targets"]}
    there = {str(target.id): target for target in data.targets or []}
    for target_id, target in wanted.items():
        if target_id not in there:
            yield Finding("rule", "error", f"{name} has no target {target_id}", again)
        else:
            yield from _target(name, there[target_id], target, again)


def _target(name: str, found: Any, wanted: Mapping[str, Any], again: str) -> Iterator[Finding]:
    if not _same_queue(str(found.endpoint or ""), str(wanted["Endpoint"])):
        told = f"{name} leads to {found.endpoint} and not to {wanted['Endpoint']}"
        yield Finding("rule", "error", told, again)
    arn = found.dead_letter_queue.arn if found.dead_letter_queue else None
    if "DeadLetterQueue" in wanted and not arn:
        yield Finding(
            "rule",
            "error",
            f"{name} has no dead-letter queue: what it cannot deliver is lost",
            again,
        )
    if str(found.push_retry_strategy or "") != PATIENT:
        yield Finding("rule", "warning", f"{name} gives up within a minute", again)


def uncovered(pattern: Any) -> list[str]:
    """The events of DirectMail's that a pattern does not match, as `source type`.

    Args:
        pattern: as EventBridge gives it: an object, or its text.
    """
    try:
        read = json.loads(pattern) if isinstance(pattern, str) else pattern
        matches = compile_pattern(read, "the rule")
    except (ValueError, InvalidPatternError) as error:
        return [f"anything ({error})"]
    lost = [
        f"{kind} from {source}"
        for source in SOURCES
        for kind in TYPES
        if not matches({"source": source, "type": kind, "specversion": "1.0", "data": {}})
    ]
    return lost if len(lost) < len(TYPES) * len(SOURCES) else ["any event of DirectMail's"]


def _same_queue(found: str, wanted: str) -> bool:
    """Both spellings of a queue's name are used: `:queues/x` and `:/queues/x`."""
    return found.replace(":/", ":") == wanted.replace(":/", ":")
