"""A template's parameters: given values against what is declared.

https://www.alibabacloud.com/help/en/ros/user-guide/parameters
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from local.host.template.scope import DeployTime
from local.host.template.yaml_reader import TemplateError


def read_parameters(declared: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
    """The value of each declared parameter: given, or its default, or known to a deployment only.

    Raises:
        TemplateError: a given value is not allowed, or not declared.
    """
    for name in sorted(set(given) - set(declared)):
        raise TemplateError(f"Parameters.{name}", "is not declared")
    return {name: _parameter(name, rules, given) for name, rules in declared.items()}


def _parameter(name: str, rules: Mapping[str, Any], given: Mapping[str, str]) -> Any:
    path = f"Parameters.{name}"
    value = given.get(name, rules.get("Default"))
    if value is None:
        # A deployment must be told; here it matters only to what is not simulated.
        return DeployTime(f"the parameter {name}, which was not given")
    allowed = rules.get("AllowedValues")
    if not isinstance(allowed, list | None):
        raise TemplateError(f"{path}.AllowedValues", "is not a list")
    if allowed is not None and str(value) not in map(str, allowed):
        raise TemplateError(path, f"{value!r} is none of {', '.join(map(str, allowed))}")
    pattern = str(rules.get("AllowedPattern", "(?s).*"))
    if not re.fullmatch(pattern, str(value)):
        raise TemplateError(path, f"{value!r} does not match {pattern}")
    _limits(path, rules, str(value))
    if rules.get("Type") == "Boolean":
        return str(value).lower() == "true"
    if rules.get("Type") == "Number":
        return value if isinstance(value, int | float) else _number(path, value)
    return str(value)


def _limits(path: str, rules: Mapping[str, Any], value: str) -> None:
    """The limits of a text's length and of a number."""
    is_number = rules.get("Type") == "Number"
    for key in ("MinValue", "MaxValue", "MinLength", "MaxLength"):
        if type(rules.get(key, 0)) not in (int, float):
            raise TemplateError(f"{path}.{key}", "is not a number")
    size = _number(path, value) if is_number else len(value)
    what = "it" if is_number else "the length"
    least, most = ("MinValue", "MaxValue") if is_number else ("MinLength", "MaxLength")
    if least in rules and size < rules[least]:
        raise TemplateError(path, f"{what} is {size}, less than {rules[least]}")
    if most in rules and size > rules[most]:
        raise TemplateError(path, f"{what} is {size}, more than {rules[most]}")


def _number(path: str, value: str) -> float:
    try:
        return float(value) if "." in value else int(value)
    except ValueError:
        raise TemplateError(path, f"{value!r} is not a number") from None
