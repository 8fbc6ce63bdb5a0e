"""What a template's values can refer to, and the two values that only a template has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local.host.template.yaml_reader import TemplateError


class DeployTime(str):
    """A value that only a deployment knows; its text says which."""

    __slots__ = ()


class _NoValue:
    """What `Ref: ALIYUN::NoValue` gives: the key or list item is left out."""


NO_VALUE = _NoValue()


@dataclass(frozen=True)
class Scope:
    """What the functions can refer to.

    Attributes:
        values: parameters and pseudo parameters (`ALIYUN::Region`) by name.
        resources: the template's `Resources`, as written.
        mappings: its `Mappings`.
        conditions: its `Conditions`, as written.
    """

    values: Mapping[str, Any]
    resources: Mapping[str, Any]
    mappings: Mapping[str, Any]
    conditions: Mapping[str, Any]


def as_text(value: Any, path: str) -> str:
    """A value as part of a text: `true` and `false`, numbers as they are."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise TemplateError(path, f"{value!r} cannot be part of a text")
