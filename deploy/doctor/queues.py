"""Queues and the triggers that read them: dead letters, depth, age."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from alibabacloud_mns_open20220119 import models as mns

from deploy.cloud.faults import NotAllowed, NotThere, calling, kind_of
from deploy.doctor.findings import Finding, Level, Patient
from deploy.stack.plan import QUEUE, TRIGGER, Planned
from shared.errors import QueueUnavailable

AGE_WARNING = 15 * 60
AGE_ERROR = 24 * 3600


def queues(patient: Patient) -> Iterator[Finding]:
    """Each queue of the template's, as it is in the account."""
    smq = patient.access.smq(patient.identity.account)
    well = []
    for planned in patient.plan.of(QUEUE):
        name = str(planned.properties["QueueName"])
        try:
            data = _attributes(patient, name)
        except NotThere:
            yield Finding(
                "queue", "error", f"there is no queue {name}",
                f"Run `postbus deploy --env {patient.environment}`.",
            )  # fmt: skip
            continue
        found = [*_dead_letters(patient, name, planned, data), *_load(patient, name, data, smq)]
        yield from found
        if not found:
            well.append(name)
    if well:
        yield Finding("queue", "ok", f"{len(well)} queues are empty or up to date")


def _attributes(patient: Patient, name: str) -> Any:
    with calling("mns:GetQueueAttributes"):
        body = patient.access.queues.get_queue_attributes(
            mns.GetQueueAttributesRequest(queue_name=name)
        ).body
    if body.data is None:
        error = kind_of(str(body.code or ""), int(body.status or 0))
        raise error(
            str(body.message or ""), code=str(body.code or ""), action="mns:GetQueueAttributes"
        )
    return body.data


def _dead_letters(patient: Patient, name: str, planned: Planned, data: Any) -> Iterator[Finding]:
    wanted = planned.properties.get("DlqPolicy") or {}
    if not wanted.get("Enabled"):
        return
    policy = data.dlq_policy
    if policy is None or str(policy.enabled).lower() != "true":
        yield Finding(
            "dead-letters", "error",
            f"{name} has no dead-letter queue: what fails too often is lost",
            f"Run `postbus deploy --env {patient.environment}`.",
        )  # fmt: skip
        return
    # The service takes a name and gives a name or an address.
    target = str(policy.dead_letter_target_queue).rpartition("/")[2]
    if target != wanted["DeadLetterTargetQueue"]:
        yield Finding(
            "dead-letters", "error",
            f"{name}: dead letters go to {target} and not to {wanted['DeadLetterTargetQueue']}",
            f"Run `postbus deploy --env {patient.environment}`.",
        )  # fmt: skip


def _load(patient: Patient, name: str, data: Any, smq: Any) -> Iterator[Finding]:
    """How much lies there and for how long.

    The counts are approximate and may be 0 at any depth; the oldest message is looked at itself.
    """
    counted = sum(
        int(number or 0)
        for number in (data.active_messages, data.inactive_messages, data.delay_messages)
    )
    try:
        put_at = smq.oldest(name)
    except QueueUnavailable as error:
        if issubclass(kind_of(error.code or "", 0), NotAllowed):
            yield Finding(
                "queue", "unknown", f"{name}: {counted} messages; their age may not be looked at",
                "Allow the RAM action mns:PeekMessage to whoever runs this.",
            )  # fmt: skip
        else:
            yield Finding("queue", "unknown", f"{name}: {counted} messages; {error}")
        return
    if put_at is None:
        return
    age = patient.now - put_at / 1000
    told = f"{name}: {max(counted, 1)} or more messages, the oldest {age_of(age)} old"
    if name.endswith("-dead"):
        yield Finding(
            "dead-letters", "warning", told, "Look at them, mend the cause, and put them back."
        )
    elif name.endswith(("-rejected", "-failed-calls", "-inbox")):
        if not name.endswith("-inbox"):
            yield Finding("queue", "warning", told, "Each says why it is there: look at them.")
    elif age > AGE_WARNING:
        level: Level = "error" if age > AGE_ERROR else "warning"
        todo = "Its function is behind or fails: see its errors in the logs."
        yield Finding("queue", level, told, todo)


def triggers(patient: Patient) -> Iterator[Finding]:
    """Whether each trigger that reads a queue is on, and has its own dead-letter queue."""
    well = []
    again = f"Run `postbus deploy --env {patient.environment}`."
    for planned in patient.plan.of(TRIGGER):
        if planned.properties["TriggerType"] != "eventbridge":
            continue
        function, name = planned.properties["FunctionName"], planned.properties["TriggerName"]
        try:
            with calling("fc:GetTrigger"):
                body = patient.access.functions.get_trigger(function, name).body
        except NotThere:
            yield Finding("trigger", "error", f"{function} has no trigger {name}", again)
            continue
        config = json.loads(body.trigger_config or "{}")
        options = config.get("runOptions") or {}
        if not (options.get("deadLetterQueue") or {}).get("Arn"):
            told = f"{function}/{name} has no dead-letter queue: what fails for a day is lost"
            yield Finding("dead-letters", "error", told, again)
        elif config.get("triggerEnable") is False:
            yield Finding("trigger", "error", f"{function}/{name} is switched off", again)
        else:
            well.append(f"{function}/{name}")
    if well:
        yield Finding("trigger", "ok", f"{', '.join(well)}: on")


def age_of(seconds: float) -> str:
    """An age for people."""
    for size, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} seconds"
