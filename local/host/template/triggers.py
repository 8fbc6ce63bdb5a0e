"""Reads an `ALIYUN::FC3::Trigger`: http, timer, mns_topic, or eventbridge (MNS or Default).

Inside `TriggerConfig` the names are those of Function Compute's API.
https://www.alibabacloud.com/help/en/functioncompute/fc/developer-reference/api-fc-2023-03-30-struct-trigger
"""

from __future__ import annotations

import json
from typing import Any

from local.host.model import (
    EventBridgeTrigger,
    HttpTrigger,
    QueueTrigger,
    RetryStrategy,
    TimerTrigger,
    TopicTrigger,
    Trigger,
)
from local.host.template.properties import Properties
from local.host.template.resources import queue_of, topic_of
from local.host.template.yaml_reader import TemplateError

# https://www.alibabacloud.com/help/en/functioncompute/fc/developer-reference/api-fc-2023-03-30-struct-mnstopictriggerconfig
_TAG_LENGTH = 16
_RETRIES: tuple[RetryStrategy, ...] = ("BACKOFF_RETRY", "EXPONENTIAL_DECAY_RETRY")


def read_trigger(properties: Properties, metadata: Properties) -> Trigger:
    """An `ALIYUN::FC3::Trigger` of a type that this host has."""
    kind = properties.text("TriggerType")
    config = properties.section("TriggerConfig")
    name, function = properties.text("TriggerName"), properties.text("FunctionName")
    if kind == "http":
        routes = metadata.texts("LocalRoutes", [])
        methods = tuple(method.upper() for method in config.texts("methods", ["GET"]))
        return HttpTrigger(name, function, methods, routes)
    if kind == "timer":
        return TimerTrigger(
            name,
            function,
            schedule=config.text("cronExpression"),
            enabled=config.flag("enable", default=False),
            payload=config.text("payload", ""),
        )
    if kind == "eventbridge":
        return _read_eventbridge(name, function, config)
    if kind == "mns_topic":
        return _read_topic(name, function, properties)
    raise TemplateError(properties.where("TriggerType"), f"this host has no {kind!r} triggers")


def _read_eventbridge(name: str, function: str, config: Properties) -> Trigger:
    source = config.section("eventSourceConfig")
    kind = source.text("eventSourceType")
    if kind == "MNS":
        return _read_stream(name, function, config)
    if kind != "Default":
        raise TemplateError(source.where("eventSourceType"), f"this host has no source {kind!r}")
    pattern = _pattern(config)
    if not pattern:
        raise TemplateError(config.where("eventRuleFilterPattern"), "is empty")
    options = config.section("runOptions")
    options.word("mode", ("event-driven",), "event-driven")
    return EventBridgeTrigger(
        name,
        function,
        pattern=pattern,
        retry=_retry(options.section("retryStrategy")),
        enabled=config.flag("triggerEnable", default=True),
    )


def _read_stream(name: str, function: str, config: Properties) -> QueueTrigger:
    source = config.section("eventSourceConfig").section("eventSourceParameters")
    queue = source.section("sourceMNSParameters")
    queue.text("RegionId", "")  # one region here
    options = config.section("runOptions")
    window = options.section("batchWindow")
    sink = config.section("eventSinkConfig").section("deliveryOption")
    mode = options.word("mode", ("event-streaming", "event-driven"), "event-driven")
    if _pattern(config):
        where = config.where("eventRuleFilterPattern")
        raise TemplateError(where, "this host filters no queue messages")
    return QueueTrigger(
        name,
        function,
        queue=queue.text("QueueName"),
        base64_decode=queue.flag("IsBase64Decode", default=True),
        schema=sink.word("eventSchema", ("CloudEvents", "RawData"), "CloudEvents"),
        streaming=mode == "event-streaming",
        batch_count=window.integer("CountBasedWindow", 1, within=(1, 10_000)),
        batch_seconds=window.integer("TimeBasedWindow", 0, within=(0, 15)),
        retry=_retry(options.section("retryStrategy")),
        tolerate_errors=options.word("errorsTolerance", ("ALL", "NONE"), "NONE") == "ALL",
        dead_letter_queue=_dead_letter_queue(options),
        enabled=config.flag("triggerEnable", default=True),
    )


def _read_topic(name: str, function: str, properties: Properties) -> TopicTrigger:
    # The topic pushes with this role; without one the trigger cannot be made.
    properties.known("InvocationRole")
    config = properties.section("TriggerConfig")
    tag = config.text("filterTag", "")
    if len(tag) > _TAG_LENGTH:
        raise TemplateError(config.where("filterTag"), f"has more than {_TAG_LENGTH} characters")
    return TopicTrigger(
        name,
        function,
        topic=topic_of(properties.text("SourceArn"), properties.where("SourceArn")),
        content_format=config.word("notifyContentFormat", ("STREAM", "JSON"), "STREAM"),
        filter_tag=tag or None,
    )


def _retry(strategy: Properties) -> RetryStrategy:
    return strategy.word("PushRetryStrategy", _RETRIES, "BACKOFF_RETRY")


def _dead_letter_queue(options: Properties) -> str | None:
    if not options.has("deadLetterQueue"):
        return None
    letters = options.section("deadLetterQueue")
    return queue_of(letters.text("Arn"), letters.where("Arn"))


def _pattern(config: Properties) -> dict[str, Any]:
    text = config.text("eventRuleFilterPattern", "{}")
    try:
        pattern = json.loads(text)
    except ValueError:
        pattern = None
    if not isinstance(pattern, dict):
        raise TemplateError(config.where("eventRuleFilterPattern"), "is not a JSON object")
    return pattern
