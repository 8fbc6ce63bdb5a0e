"""Triggers drop nothing: a day of repeats, then a dead-letter queue; and nobody sends unasked.

https://www.alibabacloud.com/help/en/functioncompute/fc/advanced-features-of-triggers
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from deploy.check.problems import Problem
from deploy.check.rendered import Made, Rendered
from deploy.check.rules.arns import resource_name

# The one function whose callers have no access key and prove themselves otherwise.
ANONYMOUS = "functions.webhooks.handler"
_OPTIONS = {
    "mode": ("event-streaming", "batches exist in event-streaming only"),
    "errorsTolerance": ("ALL", "a broken batch would block the queue"),
}


def check_triggers(rendered: Rendered) -> Iterator[Problem]:
    """What is wrong with triggers, beyond what the SDK's models say."""
    functions = {
        function.get("FunctionName"): function for function in rendered.of("FC3::Function")
    }
    for trigger in rendered.of("FC3::Trigger"):
        function = functions.get(trigger.get("FunctionName"))
        if function is None:
            yield Problem(f"{trigger.path}.FunctionName", "is no function of this stack", "trigger")
            continue
        config = trigger.get("TriggerConfig", default={})
        kind = trigger.get("TriggerType")
        if kind == "http":
            yield from _http(trigger, function, rendered)
        elif kind == "mns_topic" and config.get("notifyStrategy") != "EXPONENTIAL_DECAY_RETRY":
            where = f"{trigger.path}.TriggerConfig.notifyStrategy"
            yield Problem(where, "is not EXPONENTIAL_DECAY_RETRY", "retry")
        elif kind == "eventbridge":
            yield from _stream(trigger, function, rendered)


def _http(trigger: Made, function: Made, rendered: Rendered) -> Iterator[Problem]:
    chosen = rendered.case.parameters.get("MailApiAuth") == "anonymous"
    anonymous = trigger.get("TriggerConfig", "authType") == "anonymous"
    if anonymous and function.get("Handler") != ANONYMOUS and not chosen:
        where = f"{trigger.path}.TriggerConfig.authType"
        yield Problem(where, "is anonymous: whoever finds the address can send", "open-relay")


def _stream(trigger: Made, function: Made, rendered: Rendered) -> Iterator[Problem]:
    path = f"{trigger.path}.TriggerConfig"
    options = trigger.get("TriggerConfig", "runOptions", default={})
    if options.get("retryStrategy", {}).get("PushRetryStrategy") != "EXPONENTIAL_DECAY_RETRY":
        where = f"{path}.runOptions.retryStrategy"
        yield Problem(where, "is not EXPONENTIAL_DECAY_RETRY: others give up in a minute", "retry")
    for key, (value, why) in _OPTIONS.items():
        if options.get(key) != value:
            yield Problem(f"{path}.runOptions.{key}", f"is not {value}: {why}", "retry")
    for key in ("CountBasedWindow", "TimeBasedWindow"):
        if key not in options.get("batchWindow", {}):
            yield Problem(f"{path}.runOptions.batchWindow", f"{key} is not said", "trigger")
    if "asyncInvocationType" not in trigger.get("TriggerConfig", default={}):
        yield Problem(path, "asyncInvocationType is not said", "trigger")
    letters = options.get("deadLetterQueue", {}).get("Arn")
    if resource_name(letters, rendered) is None:
        where = f"{path}.runOptions.deadLetterQueue"
        yield Problem(where, f"{letters} is no queue of this stack", "dead-letters")
    source = trigger.queue_source()
    yield from _source(source, path, function, rendered)


def _source(
    source: Mapping[str, Any], path: str, function: Made, rendered: Rendered
) -> Iterator[Problem]:
    if "IsBase64Decode" not in source:
        yield Problem(path, "IsBase64Decode is not said", "base64")
    if source.get("RegionId") != rendered.case.region:
        yield Problem(path, f"RegionId is not {rendered.case.region}", "trigger")
    queues = {queue.get("QueueName"): queue for queue in rendered.of("MNS::Queue")}
    queue = queues.get(source.get("QueueName"))
    if queue is None:
        yield Problem(path, f"{source.get('QueueName')!r} is no queue of this stack", "trigger")
        return
    visibility, timeout = (
        queue.get("VisibilityTimeout", default=30),
        function.get("Timeout", default=3),
    )
    if _number(visibility) <= _number(timeout):
        where = f"{queue.path}.VisibilityTimeout"
        problem = f"is {visibility} s, not longer than the {timeout} s of {function.name}"
        yield Problem(where, problem, "visibility")


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0
