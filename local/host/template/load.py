"""Reads `template.yml`, the ROS template that is deployed, so that the same file runs here.

    parameters -> conditions -> resources, evaluated -> typed values, and what is left over

https://www.alibabacloud.com/help/en/ros/user-guide/template-syntax
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from local.account import ACCOUNT_ID, REGION
from local.host.model import EventBridgeTrigger, Template, Trigger
from local.host.template.intrinsics import Evaluator
from local.host.template.parameters import read_parameters
from local.host.template.properties import Properties
from local.host.template.resources import (
    read_function,
    read_queue,
    read_rule,
    read_subscription,
)
from local.host.template.scope import Scope
from local.host.template.triggers import read_trigger
from local.host.template.unsimulated import find_unsimulated
from local.host.template.yaml_reader import TemplateError, read_yaml
from local.twins.eventbridge import Rule, Target

__all__ = ["TemplateError", "load_template"]

# https://www.alibabacloud.com/help/en/ros/user-guide/pseudo-parameters
_PSEUDO = {
    "ALIYUN::AccountId": ACCOUNT_ID,
    "ALIYUN::Region": REGION,
    "ALIYUN::StackName": "postbus-local",
    "ALIYUN::TenantId": ACCOUNT_ID,
}
_SECTIONS = frozenset(
    {
        "Conditions",
        "Description",
        "Mappings",
        "Metadata",
        "Outputs",
        "Parameters",
        "ROSTemplateFormatVersion",
        "Resources",
        "Rules",
    }
)
_T = TypeVar("_T")


def load_template(path: Path, parameters: Mapping[str, str]) -> Template:
    """Read and evaluate a template with the given parameters; the others take their defaults.

    Raises:
        TemplateError: names the path inside the template and what is wrong there.
    """
    document = read_yaml(path)
    for section in sorted(set(document) - _SECTIONS):
        raise TemplateError(str(section), "is not a section of a ROS template")
    resources = _mapping(document, "Resources")
    evaluator = Evaluator(
        Scope(
            values={**_PSEUDO, **read_parameters(_mapping(document, "Parameters"), parameters)},
            resources=resources,
            mappings=_mapping(document, "Mappings"),
            conditions=_mapping(document, "Conditions"),
        )
    )
    evaluator.evaluate(_mapping(document, "Outputs"), "Outputs")  # finds references to nothing
    return _Reader(evaluator, resources).template()


def _mapping(document: Mapping[str, Any], section: str) -> dict[str, Any]:
    value = document.get(section, {})
    if not isinstance(value, dict):
        raise TemplateError(section, "is not a mapping")
    return value


class _Reader:
    """Collects the resources of each type, in the template's order."""

    def __init__(self, evaluator: Evaluator, resources: Mapping[str, Any]) -> None:
        self._evaluator = evaluator
        self._resources = {
            name: resource for name, resource in resources.items() if self._is_made(name, resource)
        }
        self._read: list[tuple[str, str, Properties]] = []

    def template(self) -> Template:
        """Everything, typed."""
        functions = tuple(
            read_function(name, properties)
            for name, properties in self._of("ALIYUN::FC3::Function").items()
        )
        names = {function.name for function in functions}
        triggers = tuple(
            _trigger(properties, self._metadata(name), names)
            for name, properties in self._of("ALIYUN::FC3::Trigger").items()
        )
        queues = self._all("ALIYUN::MNS::Queue", read_queue)
        topics = self._all("ALIYUN::MNS::Topic", lambda properties: properties.text("TopicName"))
        rules = tuple(
            read_rule(properties, self._metadata(name))
            for name, properties in self._of("ALIYUN::EventBridge::Rule").items()
        )
        subscriptions = self._all("ALIYUN::MNS::Subscription", read_subscription)
        unknown = self._others()
        return Template(
            functions=functions,
            triggers=triggers,
            # A queue may name its dead-letter queue only once that is there.
            queues=tuple(sorted(queues, key=lambda q: q.attributes.dead_letter_queue is not None)),
            topics=topics,
            subscriptions=subscriptions,
            rules=(*rules, *_implied_rules(triggers)),
            unsimulated=find_unsimulated(self._read, unknown),
        )

    def _is_made(self, name: str, resource: Any) -> bool:
        path = f"Resources.{name}"
        if not isinstance(resource, dict) or not isinstance(resource.get("Type"), str):
            raise TemplateError(path, "has no Type")
        if "Condition" not in resource:
            return True
        return self._evaluator.condition(resource["Condition"], f"{path}.Condition")

    def _metadata(self, name: str) -> Properties:
        path = f"Resources.{name}.Metadata"
        written = self._resources[name].get("Metadata", {})
        return Properties(self._evaluator.evaluate(written, path), path)

    def _of(self, kind: str) -> dict[str, Properties]:
        found = {}
        for name, resource in self._resources.items():
            if resource["Type"] == kind:
                path = f"Resources.{name}.Properties"
                values = self._evaluator.evaluate(resource.get("Properties", {}), path)
                found[name] = Properties(values, path)
                self._read.append((kind, name, found[name]))
        return found

    def _others(self) -> list[tuple[str, str]]:
        """Type and name of what nobody read; evaluated all the same, to find what is wrong."""
        known = {name for _, name, _ in self._read}
        others = {name: r for name, r in self._resources.items() if name not in known}
        for name, resource in others.items():
            path = f"Resources.{name}.Properties"
            self._evaluator.evaluate(resource.get("Properties", {}), path)
        return [(resource["Type"], name) for name, resource in others.items()]

    def _all(self, kind: str, read: Callable[[Properties], _T]) -> tuple[_T, ...]:
        return tuple(read(properties) for properties in self._of(kind).values())


def _trigger(properties: Properties, metadata: Properties, functions: set[str]) -> Trigger:
    trigger = read_trigger(properties, metadata)
    if trigger.function not in functions:
        where = properties.where("FunctionName")
        raise TemplateError(where, f"{trigger.function!r} is no function of this template")
    return trigger


def _implied_rules(triggers: tuple[Trigger, ...]) -> list[Rule]:
    """A trigger with the source `Default` is a rule on the default bus, `{Function}-{Trigger}`."""
    return [
        Rule(
            f"{trigger.function}-{trigger.name}",
            dict(trigger.pattern),
            (Target("acs.fc.function", trigger.function, base64=False),),
        )
        for trigger in triggers
        if isinstance(trigger, EventBridgeTrigger) and trigger.enabled
    ]
