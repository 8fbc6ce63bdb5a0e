"""Evaluated properties against the vendor's rules: names, types and limits at every depth."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from deploy.check.problems import Problem
from deploy.check.spec import Rule, Spec, TypeExpression
from local.host.template.scope import DeployTime

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return _NUMBER.fullmatch(value) is not None
    return isinstance(value, int | float) and not isinstance(value, bool)


# ROS takes a number and a flag in a text as well; it takes nothing else for a text.
_VALUES: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "string": ("a text", lambda value: isinstance(value, str)),
    "number": ("a number", _is_number),
    "boolean": (
        "true or false",
        lambda value: isinstance(value, bool) or value in ("true", "false"),
    ),
    "list": ("a list", lambda value: isinstance(value, list)),
    "map": ("a mapping", lambda value: isinstance(value, dict)),
    "type": ("a mapping", lambda value: isinstance(value, dict)),
}


def check_properties(spec: Spec, type_name: str, value: Any, path: str) -> Iterator[Problem]:
    """What is wrong with the properties of one type.

    Args:
        spec: the rules.
        type_name: the type of the properties in the spec.
        value: the properties, evaluated.
        path: where they stand.
    """
    rules = spec.types[type_name]
    for key in value:
        if key not in rules:
            known = ", ".join(sorted(rules))
            yield Problem(f"{path}.{key}", f"is not a property here; there are {known}", "unknown")
    for key, rule in rules.items():
        if key in value:
            yield from _check(spec, rule.type, value[key], f"{path}.{key}")
            yield from _limits(rule, value[key], f"{path}.{key}")
        elif rule.required:
            yield Problem(path, f"{key} is missing", "missing")


def _check(spec: Spec, expression: TypeExpression, value: Any, path: str) -> Iterator[Problem]:
    kind = expression[0]
    if isinstance(value, DeployTime) or kind == "any":
        return
    if kind == "union":
        found = [list(_check(spec, part, value, path)) for part in expression[1:]]
        if all(found):
            yield from found[0]
        return
    name, is_it = _VALUES[kind]
    if not is_it(value):
        yield Problem(path, f"{value!r} is not {name}", "type")
    elif kind == "type":
        yield from check_properties(spec, expression[1], value, path)
    elif kind == "list":
        for number, item in enumerate(value):
            yield from _check(spec, expression[1], item, f"{path}[{number}]")
    elif kind == "map":
        for key, item in value.items():
            yield from _check(spec, expression[1], item, f"{path}.{key}")


def _limits(rule: Rule, value: Any, path: str) -> Iterator[Problem]:
    if isinstance(value, DeployTime | bool):
        return
    if rule.allowed is not None and value not in rule.allowed:
        allowed = ", ".join(map(str, rule.allowed))
        yield Problem(path, f"{value!r} is none of {allowed}", "value")
    if rule.pattern is not None and isinstance(value, str) and not re.search(rule.pattern, value):
        yield Problem(path, f"{value!r} does not match {rule.pattern}", "pattern")
    size, what = _size(rule, value)
    if size is None:
        return
    if rule.minimum is not None and size < rule.minimum:
        yield Problem(path, f"{what} is {size:g}, less than {rule.minimum:g}", "range")
    if rule.maximum is not None and size > rule.maximum:
        yield Problem(path, f"{what} is {size:g}, more than {rule.maximum:g}", "range")


def _size(rule: Rule, value: Any) -> tuple[float | None, str]:
    """What a limit is about: the number itself, or a text's or list's length."""
    if rule.type == ["number"]:
        return (float(value), "it") if _is_number(value) else (None, "")
    if isinstance(value, str | list):
        return float(len(value)), "the length"
    return None, ""
