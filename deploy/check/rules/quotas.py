"""What an account, a stack, a service allows at most, and how long names may be.

ROS: https://www.alibabacloud.com/help/en/ros/product-overview/limits
Function Compute: https://www.alibabacloud.com/help/en/functioncompute/fc/product-overview/limits-of-usage
SMQ: https://www.alibabacloud.com/help/en/mns/product-overview/limits
EventBridge: https://www.alibabacloud.com/help/en/eventbridge/product-overview/limits
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from deploy.check.problems import Problem
from deploy.check.rendered import Rendered

TEMPLATE_BYTES_MAX = 512 * 1024
RESOURCES_MAX = 300
PARAMETERS_MAX = 200
TRIGGERS_MAX = 50
# Of one bus; and event streams of a region.
RULES_MAX = 50
# Instances of an account in a region, of which functions may reserve nine tenths.
RESERVED_MAX = 90
# Type -> the property that is its name, and how long it may be.
NAMES = {
    "EventBridge::Rule": ("RuleName", 127),
    "FC3::Function": ("FunctionName", 64),
    "FC3::Trigger": ("TriggerName", 128),
    "MNS::Queue": ("QueueName", 120),
    "MNS::Topic": ("TopicName", 120),
    "OTS::Instance": ("InstanceName", 16),
    "RAM::Role": ("RoleName", 64),
    "SLS::Project": ("Name", 63),
}


def check_quotas(rendered: Rendered) -> Iterator[Problem]:
    """What is too much or too long."""
    for section, most in (("Resources", RESOURCES_MAX), ("Parameters", PARAMETERS_MAX)):
        count = len(rendered.document.get(section, {}))
        if count > most:
            yield Problem(section, f"has {count} entries, more than {most}", "quota")
    yield from _lengths(rendered)
    counts = Counter(str(each.get("FunctionName")) for each in rendered.of("FC3::Trigger"))
    for function, count in counts.items():
        if count > TRIGGERS_MAX:
            yield Problem("Resources", f"{function} has {count} triggers", "quota")
    streams = [
        each for each in rendered.of("FC3::Trigger") if each.get("TriggerType") == "eventbridge"
    ]
    for what, count in (
        ("rules", len(rendered.of("EventBridge::Rule"))),
        ("streams", len(streams)),
    ):
        if count > RULES_MAX:
            yield Problem("Resources", f"has {count} {what}, more than {RULES_MAX}", "quota")
    yield from _reserved(rendered)


def check_size(size: int) -> Iterator[Problem]:
    """Whether the file is too big.

    Args:
        size: of the template, in bytes.
    """
    if size > TEMPLATE_BYTES_MAX:
        yield Problem("Resources", f"{size} bytes, more than {TEMPLATE_BYTES_MAX}", "quota")


def _lengths(rendered: Rendered) -> Iterator[Problem]:
    taken: dict[tuple[str, str, str], str] = {}
    for kind, (key, most) in NAMES.items():
        for resource in rendered.of(kind):
            name = str(resource.get(key))
            environment = rendered.case.parameters.get("Env", "")
            if kind != "FC3::Trigger" and environment not in name:
                problem = f"{name!r} does not hold the environment: two stacks would collide"
                yield Problem(f"{resource.path}.{key}", problem, "name")
            if len(name) > most:
                yield Problem(f"{resource.path}.{key}", f"{name!r} is longer than {most}", "name")
            scope = str(resource.get("FunctionName")) if kind == "FC3::Trigger" else ""
            other = taken.setdefault((kind, scope, name), resource.name)
            if other != resource.name:
                yield Problem(f"{resource.path}.{key}", f"{name!r} is the name of {other}", "name")


def _reserved(rendered: Rendered) -> Iterator[Problem]:
    """Over all environments together, from the mapping that says the instances of each."""
    shares = rendered.document.get("Mappings", {}).get("Instances", {})
    counts = [
        count
        for functions in shares.values()
        if isinstance(functions, dict)
        for count in functions.values()
    ]
    total = sum(count for count in counts if isinstance(count, int))
    if total > RESERVED_MAX:
        problem = f"reserve {total} instances together, more than {RESERVED_MAX}"
        yield Problem("Mappings.Instances", problem, "quota")
