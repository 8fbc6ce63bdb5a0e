"""DirectMail's rule: it sees every event, drops none, and writes them as the function reads them.

https://www.alibabacloud.com/help/en/eventbridge/user-guide/retry-and-dead-letter-queues
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from deploy.check.problems import Problem
from deploy.check.rendered import Made, Rendered
from deploy.check.rules.arns import endpoint_name, resource_name

# DirectMail's documents say the one, its console and its events the other.
SOURCES = {"acs.dm", "acs:dm"}
TYPES = [{"prefix": "dm:"}]
PATTERN_VALUES_MAX = 5
FORMS = ("CONSTANT", "JSONPATH", "ORIGINAL", "TEMPLATE")


def check_streams(rendered: Rendered) -> Iterator[Problem]:
    """What is wrong with rules of the event bus."""
    taken = set(_other_dead_letter_queues(rendered))
    for rule in rendered.of("EventBridge::Rule"):
        yield from _pattern(rule)
        for number, target in enumerate(rule.get("Targets", default=[])):
            if isinstance(target, Mapping):
                path = f"{rule.path}.Targets[{number}]"
                yield from _target(target, path, rendered, taken)


def _pattern(rule: Made) -> Iterator[Problem]:
    path = f"{rule.path}.FilterPattern"
    pattern = rule.get("FilterPattern", default={})
    if set(pattern.get("source", [])) != SOURCES:
        yield Problem(f"{path}.source", "does not have both spellings of DirectMail", "rule")
    if pattern.get("type") != TYPES:
        yield Problem(f"{path}.type", "does not take every type by its prefix", "rule")
    for key, values in pattern.items():
        if isinstance(values, list) and len(values) > PATTERN_VALUES_MAX:
            yield Problem(f"{path}.{key}", f"has more than {PATTERN_VALUES_MAX} values", "quota")


def _target(
    target: Mapping[str, Any], path: str, rendered: Rendered, taken: set[str]
) -> Iterator[Problem]:
    if target.get("PushRetryStrategy") != "EXPONENTIAL_DECAY_RETRY":
        where = f"{path}.PushRetryStrategy"
        yield Problem(where, "is not EXPONENTIAL_DECAY_RETRY: others give up in a minute", "retry")
    if target.get("ErrorsTolerance") != "ALL":
        yield Problem(f"{path}.ErrorsTolerance", "is not ALL: one event would block all", "retry")
    queue = endpoint_name(target.get("Endpoint"), rendered)
    if queue is None:
        yield Problem(
            f"{path}.Endpoint", f"{target.get('Endpoint')} is no queue of this stack", "arn"
        )
    letters = (target.get("DeadLetterQueue") or {}).get("Arn")
    dead = resource_name(letters, rendered)
    if dead is None:
        yield Problem(
            f"{path}.DeadLetterQueue", f"{letters} is no queue of this stack", "dead-letters"
        )
    elif dead in taken:
        yield Problem(f"{path}.DeadLetterQueue", f"{dead} is another's, too", "dead-letters")
    yield from _parameters(target, path, queue, rendered)


def _parameters(
    target: Mapping[str, Any], path: str, queue: str | None, rendered: Rendered
) -> Iterator[Problem]:
    found = {
        each.get("ResourceKey"): each
        for each in target.get("ParamList", [])
        if isinstance(each, Mapping)
    }
    for key, each in found.items():
        if each.get("Form") not in FORMS:
            yield Problem(
                f"{path}.ParamList", f"{key}'s Form is none of {', '.join(FORMS)}", "rule"
            )
    named = found.get("queue", {}).get("Value")
    if queue is not None and named != queue:
        yield Problem(
            f"{path}.ParamList", f"queue is {named!r}, the endpoint's is {queue!r}", "rule"
        )
    encoded = found.get("IsBase64Encode", {}).get("Value")
    if encoded is None:
        yield Problem(f"{path}.ParamList", "IsBase64Encode is not said", "base64")
        return
    for trigger in rendered.of("FC3::Trigger"):
        source = trigger.queue_source()
        decoded = source.get("IsBase64Decode")
        if source.get("QueueName") == queue and str(decoded).lower() != str(encoded).lower():
            where = f"{trigger.path}.TriggerConfig"
            yield Problem(where, f"decodes: {decoded}, the rule encodes: {encoded}", "base64")


def _other_dead_letter_queues(rendered: Rendered) -> Iterator[str]:
    for queue in rendered.of("MNS::Queue"):
        yield str(queue.get("DlqPolicy", "DeadLetterTargetQueue"))
    for trigger in rendered.of("FC3::Trigger"):
        arn = trigger.get("TriggerConfig", "runOptions", "deadLetterQueue", "Arn")
        yield str(resource_name(arn, rendered))
