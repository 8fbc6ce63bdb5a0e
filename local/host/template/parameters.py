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
    if allowed is not None and str(value) not in map(str, allowed):
        raise TemplateError(path, f"{value!r} is none of {', '.join(map(str, allowed))}")
    if not re.fullmatch(rules.get("AllowedPattern", "(?s).*"), str(value)):
        raise TemplateError(path, f"{value!r} does not match {rules['AllowedPattern']}")
    if rules.get("Type") == "Boolean":
        return str(value).lower() == "true"
    if rules.get("Type") == "Number":
        return value if isinstance(value, int | float) else _number(path, value)
    return str(value)


def _number(path: str, value: str) -> float:
    try:
        return float(value) if "." in value else int(value)
    except ValueError:
        raise TemplateError(path, f"{value!r} is not a number") from None
