"""`TriggerConfig` of an `ALIYUN::FC3::Trigger`, against the official SDK's own models.

ROS hands this mapping on as it is, so the vendor's resource definitions say nothing about it. The
models of Function Compute's SDK name every key; what a model loses on the way in and out again is
no key of it.
https://www.alibabacloud.com/help/en/functioncompute/fc/developer-reference/api-fc-2023-03-30-struct-trigger
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from alibabacloud_fc20230330 import models

from deploy.check.problems import Problem
from deploy.check.rendered import Made
from local.host.template.scope import DeployTime
from local.host.triggers.schedules import ScheduleError, read_schedule

_MODELS = {
    "cdn_events": models.CDNTriggerConfig,
    "eventbridge": models.EventBridgeTriggerConfig,
    "http": models.HTTPTriggerConfig,
    "log": models.SLSTriggerConfig,
    "mns_topic": models.MNSTopicTriggerConfig,
    "oss": models.OSSTriggerConfig,
    "timer": models.TimerTriggerConfig,
}
_RETRIES = ("BACKOFF_RETRY", "EXPONENTIAL_DECAY_RETRY")
# What the SDK says in prose only: the words that a key takes.
_WORDS: Mapping[str, tuple[str, ...]] = {
    "authType": ("anonymous", "function", "jwt"),
    "errorsTolerance": ("ALL", "NONE"),
    "eventSchema": ("CloudEvents", "RawData"),
    "eventSourceType": ("DTS", "Default", "Kafka", "MNS", "MQTT", "RabbitMQ", "RocketMQ"),
    "mode": ("event-driven", "event-streaming"),
    "notifyContentFormat": ("JSON", "STREAM"),
    "notifyStrategy": _RETRIES,
    "PushRetryStrategy": _RETRIES,
}
_METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
# https://www.alibabacloud.com/help/en/functioncompute/fc/advanced-features-of-triggers
_RANGES = {"CountBasedWindow": (1, 10_000), "TimeBasedWindow": (0, 15)}
_NEEDED = {
    "eventbridge": ("eventSourceConfig",),
    "http": ("authType", "methods"),
    "timer": ("cronExpression", "enable"),
}


def check_trigger(trigger: Made) -> Iterator[Problem]:
    """What is wrong with a trigger's configuration."""
    kind, config = trigger.get("TriggerType"), trigger.get("TriggerConfig")
    path = f"{trigger.path}.TriggerConfig"
    if not isinstance(kind, str) or isinstance(kind, DeployTime) or not isinstance(config, Mapping):
        return  # of the wrong type, or not known yet
    model = _MODELS.get(kind)
    if model is None:
        yield Problem(f"{trigger.path}.TriggerType", f"there are no {kind!r} triggers", "trigger")
        return
    for key in _NEEDED.get(kind, ()):
        if key not in config:
            yield Problem(path, f"{key} is missing", "trigger")
    yield from _shape(model, config, path)
    yield from _values(config, path)
    if kind == "mns_topic":
        for key in ("SourceArn", "InvocationRole"):
            if key not in trigger.properties:
                yield Problem(trigger.path, f"{key} is missing: a topic needs it", "trigger")


def _shape(model: Any, config: Mapping[str, Any], path: str) -> Iterator[Problem]:
    """Keys and types of one level, and of the levels inside."""
    fields = _fields(model)
    for key, value in config.items():
        where = f"{path}.{key}"
        if key not in fields:
            known = ", ".join(sorted(fields))
            yield Problem(where, f"is no key here; the SDK knows {known}", "trigger")
        elif isinstance(value, DeployTime):
            continue
        elif hasattr(fields[key], "from_map"):
            if isinstance(value, Mapping):
                yield from _shape(fields[key], value, where)
            else:
                yield Problem(where, f"{value!r} is not a mapping", "trigger")
        elif not _fits(value, fields[key]):
            expected = getattr(fields[key], "__name__", fields[key])
            yield Problem(where, f"{value!r} is not of the SDK's type {expected}", "trigger")


@lru_cache(maxsize=64)
def _fields(model: Any) -> dict[str, Any]:
    """The keys of a model as they are sent, with their types.

    A model writes only what is set, so each attribute is set alone to learn its key.
    """
    found = {}
    for attribute, hint in get_type_hints(model.__init__).items():
        if attribute != "return":
            one = model()
            setattr(one, attribute, _Probe())
            found.update(dict.fromkeys(one.to_map(), _without_none(hint)))
    return found


def _without_none(hint: Any) -> Any:
    """A type without the None that Python 3.10 adds where None is the default."""
    if get_origin(hint) is Union:
        (hint,) = (each for each in get_args(hint) if each is not type(None))
    return hint


class _Probe(list[Any]):
    """Stands for any value in a model, nested models included."""

    def to_map(self) -> dict[str, Any]:
        """As a nested model."""
        return {}


def _fits(value: Any, hint: Any) -> bool:
    if get_origin(hint) is list:
        (item,) = get_args(hint) or (Any,)
        return isinstance(value, list) and all(_fits(each, item) for each in value)
    if hint is bool:
        return isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return not isinstance(hint, type) or isinstance(value, hint)


def _values(config: Mapping[str, Any], path: str) -> Iterator[Problem]:
    """What the SDK says in prose: words, ranges, patterns and schedules."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _values(value, f"{path}.{key}")
        elif not isinstance(value, DeployTime):
            problem = _problem_of(key, value)
            if problem:
                yield Problem(f"{path}.{key}", problem, "trigger")


def _problem_of(key: str, value: Any) -> str | None:
    if isinstance(value, list):
        wrong = key == "methods" and [each for each in value if each not in _METHODS]
        return f"{wrong} are no methods" if wrong else None
    if key in _WORDS and value not in _WORDS[key]:
        return f"{value!r} is none of {', '.join(_WORDS[key])}"
    if key in _RANGES and isinstance(value, int):
        least, most = _RANGES[key]
        return None if least <= value <= most else f"{value} is not from {least} to {most}"
    if key == "eventRuleFilterPattern" and not _is_pattern(value):
        return "is not a JSON object in a text"
    if key == "cronExpression":
        return _schedule(value)
    return None


def _is_pattern(value: Any) -> bool:
    try:
        return isinstance(value, str) and isinstance(json.loads(value), dict)
    except ValueError:
        return False


def _schedule(value: Any) -> str | None:
    try:
        read_schedule(str(value))
    except ScheduleError as error:
        return str(error)
    return None
