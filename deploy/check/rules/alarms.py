"""Where alarms are made, each dead-letter queue and each function has one."""

from __future__ import annotations

from collections.abc import Iterator

from deploy.check.problems import Problem
from deploy.check.rendered import ACCOUNT, Made, Rendered
from deploy.check.rules.queues import dead_letter_queues

ALARM = "CMS::ResourceMetricRule"
# What only the logs tell; each has an alarm that looks for it.
LOGGED = ("mail.held", "mail.unknown", "alarm*")


def check_alarms(rendered: Rendered) -> Iterator[Problem]:
    """What nobody would hear of."""
    rules = rendered.of(ALARM)
    if not rules:
        return
    for rule in rules:
        yield from _dimensions(rule, rendered)
    watched = {
        str(value)
        for rule in rules
        for resource in rule.get("Resources", default=[])
        for key, value in resource.items()
        if key in ("queue", "functionName")
    }
    for queue in rendered.of("MNS::Queue"):
        name = str(queue.get("QueueName"))
        if name in dead_letter_queues(rendered) and name not in watched:
            yield Problem(queue.path, "no alarm watches this dead-letter queue", "alarm")
    for function in rendered.of("FC3::Function"):
        if str(function.get("FunctionName")) not in watched:
            yield Problem(function.path, "no alarm watches this function's errors", "alarm")
    queries = " ".join(
        str(query.get("Query"))
        for alert in rendered.of("SLS::Alert")
        for query in alert.get("Detail", "Configuration", "QueryList", default=[])
    )
    for event in LOGGED:
        if event not in queries:
            yield Problem("Resources", f"no alarm looks for {event} in the logs", "alarm")


def _dimensions(rule: Made, rendered: Rendered) -> Iterator[Problem]:
    """What a rule watches is of this account and region."""
    expected = {"userId": ACCOUNT, "region": rendered.case.region}
    for number, resource in enumerate(rule.get("Resources", default=[])):
        for key, value in expected.items():
            if resource.get(key) != value:
                where = f"{rule.path}.Resources[{number}].{key}"
                yield Problem(where, f"is {resource.get(key)!r}, not this stack's {value}", "alarm")
