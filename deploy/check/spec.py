"""What the vendor publishes about resource types: properties, limits, attributes.

A type is written as a list, so that it can be kept as JSON:

    ["string"]  ["number"]  ["boolean"]  ["any"]      a value
    ["type", "FC3.RosFunction_CodeProperty"]          an object with the properties of that type
    ["list", T]  ["map", T]  ["union", T, U, ...]     built of others
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

# JSON of a type: a list whose first item says the kind.
TypeExpression = list[Any]


@dataclass(frozen=True)
class Rule:
    """What one property takes.

    Attributes:
        type: the type expression; see this module's docstring.
        required: whether it must be there.
        minimum: the least number, or the least length of a text or list.
        maximum: likewise the most.
        allowed: the only values, or none for any.
        pattern: a regular expression that a text must match somewhere.
    """

    type: TypeExpression
    required: bool = False
    minimum: float | None = None
    maximum: float | None = None
    allowed: tuple[Any, ...] | None = None
    pattern: str | None = None


@dataclass(frozen=True)
class Resource:
    """A resource type: the name of its properties' type, and what `Fn::GetAtt` may ask it for."""

    properties: str
    attributes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Spec:
    """Everything that was found.

    Attributes:
        sources: the package's file and the SHA-256 of it.
        types: property rules by name, by the type's name (`FC3.RosFunctionProps`).
        resources: by ROS's name (`ALIYUN::FC3::Function`).
    """

    sources: Mapping[str, str]
    types: Mapping[str, Mapping[str, Rule]]
    resources: Mapping[str, Resource] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Spec:
        """The way back from `to_json`."""
        return cls(
            sources=document["sources"],
            types={
                name: {key: _rule(rule) for key, rule in rules.items()}
                for name, rules in document["types"].items()
            },
            resources={
                name: Resource(found["properties"], tuple(found["attributes"]))
                for name, found in document["resources"].items()
            },
        )


def _rule(written: Mapping[str, Any]) -> Rule:
    allowed = written["allowed"]
    return Rule(**{**written, "allowed": None if allowed is None else tuple(allowed)})
