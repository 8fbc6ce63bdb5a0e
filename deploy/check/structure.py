"""The outer form of a template: sections, and the keys of resources, parameters and outputs.

https://www.alibabacloud.com/help/en/ros/user-guide/template-syntax
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from deploy.check.problems import Problem
from deploy.check.spec import Spec

VERSION = "2015-09-01"
_SECTIONS = frozenset(
    {
        *("Conditions", "Description", "Locals", "Mappings", "Metadata", "Outputs", "Parameters"),
        *("ROSTemplateFormatVersion", "Resources", "Rules", "Transform", "Workspace"),
    }
)
_RESOURCE_KEYS = frozenset(
    {
        *("Condition", "Count", "DeletionPolicy", "DependsOn", "Metadata", "Properties", "Type"),
        "UpdatePolicy",
    }
)
_PARAMETER_KEYS = frozenset(
    {
        *("AllowedPattern", "AllowedValues", "AssociationProperty", "AssociationPropertyMetadata"),
        *("Confirm", "ConstraintDescription", "Default", "Description", "Label", "MaxLength"),
        *("MaxValue", "MinLength", "MinValue", "NoEcho", "Placeholder", "Required", "TextArea"),
        "Type",
    }
)
_PARAMETER_TYPES = frozenset(
    {"Boolean", "CommaDelimitedList", "Json", "Number", "String", "ALIYUN::OOS::Parameter::Value"}
)
_OUTPUT_KEYS = frozenset({"Condition", "Description", "Label", "NoEcho", "Value"})
_DELETION_POLICIES = ("Delete", "Retain")


def check_structure(document: Mapping[str, Any], spec: Spec) -> Iterator[Problem]:
    """What is wrong with the outer form."""
    yield from _unknown("", document, _SECTIONS, "is not a section of a ROS template")
    version = document.get("ROSTemplateFormatVersion")
    if version != VERSION:
        yield Problem("ROSTemplateFormatVersion", f"is {version!r}, not {VERSION!r}", "structure")
    for section in ("Parameters", "Mappings", "Conditions", "Resources", "Outputs"):
        if not isinstance(document.get(section, {}), dict):
            yield Problem(section, "is not a mapping", "structure")
    yield from _resources(document.get("Resources", {}), spec)
    yield from _parameters(document.get("Parameters", {}))
    yield from _outputs(document.get("Outputs", {}))


def _entries(section: Any, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The entries of a section that are mappings."""
    if isinstance(section, dict):
        yield from (
            (f"{name}.{key}", each) for key, each in section.items() if isinstance(each, dict)
        )


def _not_mappings(section: Any, name: str) -> Iterator[Problem]:
    if isinstance(section, dict):
        for key, each in section.items():
            if not isinstance(each, dict):
                yield Problem(f"{name}.{key}", "is not a mapping", "structure")


def _resources(section: Any, spec: Spec) -> Iterator[Problem]:
    yield from _not_mappings(section, "Resources")
    for path, resource in _entries(section, "Resources"):
        yield from _unknown(path, resource, _RESOURCE_KEYS, "is not a key of a resource")
        kind = resource.get("Type")
        if kind is None:
            yield Problem(path, "has no Type", "structure")
        elif not isinstance(kind, str) or kind not in spec.resources:
            yield Problem(f"{path}.Type", f"the resource type {kind!r} is not known", "type")
        policy = resource.get("DeletionPolicy", "Delete")
        if policy not in _DELETION_POLICIES:
            yield Problem(f"{path}.DeletionPolicy", f"{policy!r} is no policy", "structure")


def _parameters(section: Any) -> Iterator[Problem]:
    yield from _not_mappings(section, "Parameters")
    for path, parameter in _entries(section, "Parameters"):
        yield from _unknown(path, parameter, _PARAMETER_KEYS, "is not a key of a parameter")
        kind = parameter.get("Type")
        if not isinstance(kind, str) or kind not in _PARAMETER_TYPES:
            yield Problem(f"{path}.Type", f"{kind!r} is no type of a parameter", "structure")
        yield from _description(path, parameter)
        if not isinstance(parameter.get("AllowedValues", []), list):
            yield Problem(f"{path}.AllowedValues", "is not a list", "structure")
        if not isinstance(parameter.get("AllowedPattern", ""), str):
            yield Problem(f"{path}.AllowedPattern", "is not a text", "structure")
        if isinstance(parameter.get("Default"), list | dict) and kind != "Json":
            yield Problem(f"{path}.Default", "is not a text, a number or a flag", "structure")


def _outputs(section: Any) -> Iterator[Problem]:
    yield from _not_mappings(section, "Outputs")
    for path, output in _entries(section, "Outputs"):
        yield from _unknown(path, output, _OUTPUT_KEYS, "is not a key of an output")
        yield from _description(path, output)
        if "Value" not in output:
            yield Problem(path, "has no Value", "structure")


def _description(path: str, entry: Mapping[str, Any]) -> Iterator[Problem]:
    if not isinstance(entry.get("Description", ""), str):
        yield Problem(f"{path}.Description", "is not a text", "structure")


def _unknown(
    path: str, mapping: Mapping[str, Any], known: frozenset[str], problem: str
) -> Iterator[Problem]:
    for key in mapping:
        if key not in known:
            yield Problem(f"{path}.{key}" if path else key, problem, "structure")
