"""Reads the vendor's resource definitions out of the generated JavaScript of the ROS CDK.

The packages `ros-cdk-*` carry a generated module per service in which every property has a line
for its type, for whether it is required and for its limits. This module reads those lines; it runs
nothing of it. The generator's forms are few, and one that is not known here is an error: better no
check than one that has silently become weaker.
https://www.alibabacloud.com/help/en/ros/developer-reference/ros-cdk-overview
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from deploy.check.spec import Resource, Rule, TypeExpression

_FUNCTION = re.compile(r"^function (\w+)\(properties[^)]*\) \{\n(.*?)^\}", re.DOTALL | re.MULTILINE)
_MAPPED = re.compile(r"^\s+'([^']+)': .*?\bproperties\.(\w+)\b", re.MULTILINE)
_TYPED = re.compile(
    r"errors\.collect\(ros\.propertyValidator\('(\w+)', (.+)\)\(properties\.\w+\)\);"
)
_LIMITED = re.compile(
    r"propertyValidator\('(\w+)', ros\.(validate(?:Range|Length|AllowedValues|AllowedPattern))\)"
    r"\(\{(.*?)\}\)\);",
    re.DOTALL,
)
_CLASS = re.compile(r"^class (Ros\w+) extends .*?^\}", re.DOTALL | re.MULTILINE)
_NAMED = re.compile(r'^(Ros\w+)\.ROS_RESOURCE_TYPE_NAME = "([^"]+)"', re.MULTILINE)
_ATTRIBUTE = re.compile(r"this\.attr\w* = this\.getAtt\('([^']+)'\)")
_PLAIN = {
    "ros.validateString": "string",
    "ros.validateDate": "string",
    "ros.validateNumber": "number",
    "ros.validateBoolean": "boolean",
    "ros.validateAny": "any",
    "ros.validateObject": "any",
}
_BUILT = re.compile(r"ros\.(list|hash|union)Validator\((.*)\)", re.DOTALL)
_REFERENCE = re.compile(r"(Ros\w+)Validator")


class ExtractionError(ValueError):
    """The generated code has a form that is not known here; the message shows it."""


def extract(source: str, service: str) -> tuple[dict[str, dict[str, Rule]], dict[str, Resource]]:
    """The types and resources of one service's module.

    Args:
        source: the JavaScript of the module.
        service: the service's name in ROS, e.g. `FC3`; every type's name begins with it.

    Raises:
        ExtractionError: a form of the generator is not known here.
    """
    functions = {match[1]: match[2] for match in _FUNCTION.finditer(source)}
    types = {
        f"{service}.{name.removesuffix('Validator')}": _rules(
            body, _mapping(name.removesuffix("Validator"), functions), service
        )
        for name, body in functions.items()
        if name.startswith("Ros") and name.endswith("Validator")
    }
    classes = {match[1]: match[0] for match in _CLASS.finditer(source)}
    resources = {
        match[2]: Resource(
            f"{service}.{match[1]}Props",
            tuple(sorted(set(_ATTRIBUTE.findall(classes.get(match[1], ""))))),
        )
        for match in _NAMED.finditer(source)
    }
    for name, resource in resources.items():
        if resource.properties not in types:
            raise ExtractionError(f"{name}: its properties {resource.properties} were not found")
    return types, resources


def _mapping(name: str, functions: Mapping[str, str]) -> dict[str, str]:
    """The template's key for each JavaScript name."""
    lower = name[0].lower() + name[1:]
    for mapper in (lower.replace("_", ""), lower):
        body = functions.get(f"{mapper}ToRosTemplate")
        if body is not None:
            return {js: key for key, js in _MAPPED.findall(body)}
    raise ExtractionError(f"{name}: how it is written in a template was not found")


def _rules(body: str, keys: Mapping[str, str], service: str) -> dict[str, Rule]:
    found: dict[str, dict[str, Any]] = {key: {} for key in keys.values()}
    for js, expression in _TYPED.findall(body):
        rule = found[_key(js, keys)]
        if expression == "ros.requiredValidator":
            rule["required"] = True
        else:
            rule["type"] = _type(expression, service)
    for js, kind, text in _LIMITED.findall(body):
        found[_key(js, keys)].update(_limits(kind, text))
    untyped = [key for key, rule in found.items() if "type" not in rule]
    if untyped:
        raise ExtractionError(f"no type was found for {', '.join(untyped)}")
    return {key: Rule(**rule) for key, rule in found.items()}


def _key(js: str, keys: Mapping[str, str]) -> str:
    if js not in keys:
        raise ExtractionError(f"{js}: its key in a template was not found")
    return keys[js]


def _type(expression: str, service: str) -> TypeExpression:
    if expression in _PLAIN:
        return [_PLAIN[expression]]
    if expression == "ros.validateAnyDict":
        return ["map", ["any"]]
    built = _BUILT.fullmatch(expression)
    if built:
        parts = [_type(part, service) for part in _arguments(built[2])]
        return [{"list": "list", "hash": "map", "union": "union"}[built[1]], *parts]
    reference = _REFERENCE.fullmatch(expression)
    if reference:
        return ["type", f"{service}.{reference[1]}"]
    raise ExtractionError(f"the validator {expression!r} is not known here")


def _arguments(text: str) -> Iterator[str]:
    """The parts of a list of arguments, split at the commas outside of parentheses."""
    depth, start = 0, 0
    for at, character in enumerate(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            yield text[start:at].strip()
            start = at + 1
    yield text[start:].strip()


def _limits(kind: str, text: str) -> dict[str, Any]:
    if kind == "validateAllowedValues":
        return {"allowed": tuple(json.loads(_field(text, r"allowedValues: (\[.*?\])")))}
    if kind == "validateAllowedPattern":
        return {"pattern": _field(text, r"reg: /(.*)/[a-z]*\s*,?\s*$").replace(r"\/", "/")}
    limits = {"minimum": _field(text, r"min: (\S+?),"), "maximum": _field(text, r"max: (\S+?),")}
    return {name: float(value) for name, value in limits.items() if value != "undefined"}


def _field(text: str, pattern: str) -> str:
    found = re.search(pattern, text, re.DOTALL | re.MULTILINE)
    if not found:
        raise ExtractionError(f"a limit could not be read: {text.strip()!r}")
    return found[1]
