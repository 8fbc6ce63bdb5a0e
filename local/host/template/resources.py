"""Reads one resource each: function, queue, subscription, rule. Triggers are in `triggers.py`.

The property names are those of ROS.
https://www.alibabacloud.com/help/en/ros/developer-reference/list-of-resource-types-by-service
"""

from __future__ import annotations

import json
from typing import Any, Literal

from local.host.model import (
    FunctionSpec,
    Initializer,
    QueueSpec,
    RetryStrategy,
    SubscriptionSpec,
)
from local.host.template.properties import Properties
from local.host.template.yaml_reader import TemplateError
from local.twins.eventbridge import PushStyle, Rule, Target
from local.twins.smq.model import QueueAttributes

_TARGETS: tuple[Literal["acs.mns.queue", "http", "https"], ...] = ("acs.mns.queue", "http", "https")
_RETRIES: tuple[RetryStrategy, ...] = ("BACKOFF_RETRY", "EXPONENTIAL_DECAY_RETRY")
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


def topic_of(arn: str, path: str) -> str:
    """The topic's name in either spelling of its ARN: `…:/topics/name` and `…:topics/name`."""
    head, found, name = arn.rpartition("topics/")
    if not (found and name and head.startswith("acs:mns:")):
        raise TemplateError(path, f"{arn!r} is not a topic's ARN")
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
    """An `ALIYUN::MNS::Subscription` whose endpoint is a queue or a URL."""
    url = properties.word("PushType", ("queue", "http"), "queue") == "http"
    endpoint, where = properties.text("Endpoint"), properties.where("Endpoint")
    return SubscriptionSpec(
        topic=properties.text("TopicName"),
        name=properties.text("SubscriptionName"),
        queue="" if url else queue_of(endpoint, where),
        content_format=properties.word("NotifyContentFormat", ("XML", "JSON", "SIMPLIFIED"), "XML"),
        filter_tag=properties.text("FilterTag", "") or None,
        endpoint=_url(endpoint, where) if url else None,
        # A push to a queue needs no repeats here, so there the strategy has no effect.
        retry=properties.word("NotifyStrategy", _RETRIES, _RETRIES[0]) if url else _RETRIES[0],
    )


def _url(text: str, path: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise TemplateError(path, f"{text!r} is not a URL")
    return text


def read_rule(properties: Properties, metadata: Properties) -> Rule:
    """An `ALIYUN::EventBridge::Rule` whose targets are queues or URLs.

    Its metadata may say how pushes to URLs are signed here, where the service chooses itself:
    `LocalPush: {Version: 1, Newline: true, Array: true, Seconds: true}`.
    """
    properties.word("EventBusName", ("default",), "default")
    properties.word("Status", ("ENABLE",), "ENABLE")
    chosen = metadata.section("LocalPush")
    style = PushStyle(
        version=1 if chosen.integer("Version", 2, within=(1, 2)) == 1 else 2,
        newline=chosen.flag("Newline", default=False),
        array=chosen.flag("Array", default=False),
        seconds=chosen.flag("Seconds", default=False),
    )
    targets = tuple(_read_target(target, style) for target in properties.sections("Targets"))
    return Rule(properties.text("RuleName"), properties.mapping("FilterPattern"), targets)


def _read_target(target: Properties, style: PushStyle) -> Target:
    kind = target.word("Type", _TARGETS, _TARGETS[0])
    target.text("Id")
    parameters = {item.text("ResourceKey"): item for item in target.sections("ParamList")}
    for key, item in parameters.items():
        form = "ORIGINAL" if key == "Body" else "CONSTANT"
        item.word("Form", (form,), form)
        item.text("Value")
    encoded, token = parameters.get("IsBase64Encode"), parameters.get("token")
    endpoint, where = target.text("Endpoint"), target.where("Endpoint")
    if kind != "acs.mns.queue":
        told = token.text("Value") if token is not None else ""
        return Target(type=kind, name=_url(endpoint, where), token=told, style=style)
    return Target(
        type=kind,
        name=queue_of(endpoint, where),
        base64=encoded is not None and encoded.flag("Value", default=False),
    )
