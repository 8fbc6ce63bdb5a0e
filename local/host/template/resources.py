"""Reads one resource each: function, queue, subscription, rule. Triggers are in `triggers.py`.

The property names are those of ROS.
https://www.alibabacloud.com/help/en/ros/developer-reference/list-of-resource-types-by-service
"""

from __future__ import annotations

import json
from typing import Any, Literal

from local.host.model import FunctionSpec, Initializer, QueueSpec, SubscriptionSpec
from local.host.template.properties import Properties
from local.host.template.yaml_reader import TemplateError
from local.twins.eventbridge import Rule, Target
from local.twins.smq.model import QueueAttributes

_TARGETS: tuple[Literal["acs.mns.queue"]] = ("acs.mns.queue",)
# Function Compute's API has 3 s where nothing is said; limits:
# https://www.alibabacloud.com/help/en/functioncompute/fc/product-overview/limits-of-usage
_DEFAULT_TIMEOUT = 3
_RUNTIMES = ("python3.10", "python3.12")


def read_function(logical_id: str, properties: Properties) -> FunctionSpec:
    """An `ALIYUN::FC3::Function`."""
    runtime = properties.text("Runtime")
    if runtime not in _RUNTIMES:
        raise TemplateError(
            properties.where("Runtime"), f"this host runs {' and '.join(_RUNTIMES)}"
        )
    role = properties.text("Role", "")
    return FunctionSpec(
        logical_id=logical_id,
        name=properties.text("FunctionName"),
        handler=properties.text("Handler"),
        runtime=runtime,
        timeout_seconds=properties.integer("Timeout", _DEFAULT_TIMEOUT, within=(1, 86_400)),
        memory_mb=properties.integer("MemorySize", 512, within=(128, 32_768)),
        environment=_environment(properties),
        initializer=_initializer(properties.section("InstanceLifecycleConfig")),
        role=role.rpartition("/")[2] or None,
    )


def _environment(properties: Properties) -> dict[str, str]:
    variables = properties.section("EnvironmentVariables")
    names = variables.unread()
    return {name: _plain_text(variables.raw(name)) for name in names}


def _plain_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _initializer(hooks: Properties) -> Initializer | None:
    if not hooks.has("Initializer"):
        return None
    hook = hooks.section("Initializer")
    return Initializer(
        hook.text("Handler"), hook.integer("Timeout", _DEFAULT_TIMEOUT, within=(1, 300))
    )


def queue_of(arn: str, path: str) -> str:
    """The queue's name in either spelling of its ARN: `…:/queues/name` and `…:queues/name`."""
    head, found, name = arn.rpartition("queues/")
    if not (found and name and head.startswith("acs:mns:")):
        raise TemplateError(path, f"{arn!r} is not a queue's ARN")
    return name


def read_queue(properties: Properties) -> QueueSpec:
    """An `ALIYUN::MNS::Queue`; the defaults are the service's."""
    letters = properties.section("DlqPolicy")
    dead = letters.has("Enabled") and letters.flag("Enabled", default=False)
    return QueueSpec(
        properties.text("QueueName"),
        QueueAttributes(
            delay_seconds=properties.integer("DelaySeconds", 0),
            maximum_message_size=properties.integer("MaximumMessageSize", 65536),
            message_retention_seconds=properties.integer("MessageRetentionPeriod", 345600),
            visibility_timeout_seconds=properties.integer("VisibilityTimeout", 30),
            polling_wait_seconds=properties.integer("PollingWaitSeconds", 0),
            dead_letter_queue=letters.text("DeadLetterTargetQueue") if dead else None,
            max_receive_count=letters.integer("MaxReceiveCount") if dead else None,
        ),
    )


def read_subscription(properties: Properties) -> SubscriptionSpec:
    """An `ALIYUN::MNS::Subscription` whose endpoint is a queue."""
    properties.word("PushType", ("queue",), "queue")
    return SubscriptionSpec(
        topic=properties.text("TopicName"),
        name=properties.text("SubscriptionName"),
        queue=queue_of(properties.text("Endpoint"), properties.where("Endpoint")),
        content_format=properties.word("NotifyContentFormat", ("XML", "JSON", "SIMPLIFIED"), "XML"),
        filter_tag=properties.text("FilterTag", "") or None,
    )


def read_rule(properties: Properties) -> Rule:
    """An `ALIYUN::EventBridge::Rule` whose targets are queues."""
    properties.word("EventBusName", ("default",), "default")
    properties.word("Status", ("ENABLE",), "ENABLE")
    targets = tuple(_read_target(target) for target in properties.sections("Targets"))
    return Rule(properties.text("RuleName"), properties.mapping("FilterPattern"), targets)


def _read_target(target: Properties) -> Target:
    kind = target.word("Type", _TARGETS, _TARGETS[0])
    target.text("Id")
    parameters = {item.text("ResourceKey"): item for item in target.sections("ParamList")}
    for key, item in parameters.items():
        form = "ORIGINAL" if key == "Body" else "CONSTANT"
        item.word("Form", (form,), form)
        item.text("Value")
    encoded = parameters.get("IsBase64Encode")
    return Target(
        type=kind,
        name=queue_of(target.text("Endpoint"), target.where("Endpoint")),
        base64=encoded is not None and encoded.flag("Value", default=False),
    )
