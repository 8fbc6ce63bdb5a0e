"""ROS's intrinsic functions: `Ref`, `Fn::Sub`, `Fn::GetAtt`, `Fn::If` and their like.

https://www.alibabacloud.com/help/en/ros/user-guide/functions

An attribute that only a deployment can give (an address, a generated id) becomes a `DeployTime`
value: fine where the host does not look, an error where it does (`properties.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from local.host.template.scope import NO_VALUE, DeployTime, Scope, as_text
from local.host.template.yaml_reader import TemplateError

_PLACEHOLDER = re.compile(r"\$\{(!?)([^}]*)\}")
_PAIR = 2
_CHOICE = 3
# Attributes that follow from a resource's properties, as `Fn::Sub` would write them.
_COMPOSED = {
    (
        "ALIYUN::MNS::Queue",
        "ARN.WithSlash",
    ): "acs:mns:${ALIYUN::Region}:${ALIYUN::TenantId}:/queues/${%s.QueueName}",
    (
        "ALIYUN::MNS::Topic",
        "ARN.WithSlash",
    ): "acs:mns:${ALIYUN::Region}:${ALIYUN::TenantId}:/topics/${%s.TopicName}",
    ("ALIYUN::RAM::Role", "Arn"): "acs:ram::${ALIYUN::TenantId}:role/${%s.RoleName}",
}


class Evaluator:
    """Evaluates a template's values in a scope."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._under_way: list[str] = []
        self._functions: dict[str, Callable[[Any, str], Any]] = {
            "Ref": self._ref,
            "Fn::And": lambda value, path: all(self._conditions(value, path)),
            "Fn::Equals": self._equals,
            "Fn::FindInMap": self._find_in_map,
            "Fn::GetAtt": self._get_att,
            "Fn::If": self._if,
            "Fn::Join": self._join,
            "Fn::Not": self._not,
            "Fn::Or": lambda value, path: any(self._conditions(value, path)),
            "Fn::Sub": self._sub,
        }

    def evaluate(self, node: Any, path: str) -> Any:
        """The value of a node; `path` is where it stands, for error messages.

        Raises:
            TemplateError: with the path of the part that cannot be evaluated.
        """
        if isinstance(node, dict):
            name = next(iter(node)) if len(node) == 1 else None
            if isinstance(name, str) and (name == "Ref" or name.startswith("Fn::")):
                return self._call(name, node[name], path)
            pairs = ((key, self.evaluate(value, f"{path}.{key}")) for key, value in node.items())
            return {key: value for key, value in pairs if value is not NO_VALUE}
        if isinstance(node, list):
            items = (self.evaluate(item, f"{path}[{n}]") for n, item in enumerate(node))
            return [item for item in items if item is not NO_VALUE]
        return node

    def condition(self, node: Any, path: str) -> bool:
        """Whether a condition holds: its name, a condition function or a plain true or false."""
        if isinstance(node, dict) and list(node) == ["Condition"]:
            node = node["Condition"]
        if not isinstance(node, str):
            value = self.evaluate(node, path)
        elif node in self._scope.conditions:
            written = self._scope.conditions[node]
            where = f"Conditions.{node}"
            value = self._once(where, path, lambda: self.condition(written, where))
        else:
            raise TemplateError(path, f"there is no condition {node!r}")
        if not isinstance(value, bool):
            raise TemplateError(path, f"{value!r} is neither true nor false")
        return value

    def _call(self, name: str, value: Any, path: str) -> Any:
        function = self._functions.get(name)
        if function is None:
            raise TemplateError(path, f"the function {name} is not known here")
        return function(value, path if name == "Ref" else f"{path}.{name}")

    def _once(self, what: str, path: str, work: Callable[[], Any]) -> Any:
        if what in self._under_way:
            raise TemplateError(path, f"{what} needs itself to be evaluated")
        self._under_way.append(what)
        try:
            return work()
        finally:
            self._under_way.pop()

    def _ref(self, name: Any, path: str) -> Any:
        if not isinstance(name, str):
            raise TemplateError(path, f"{name!r} is not a name")
        if name == "ALIYUN::NoValue":
            return NO_VALUE
        if name in self._scope.values:
            return self._scope.values[name]
        if name in self._scope.resources:
            return DeployTime(f"the id of {name}")
        raise TemplateError(path, f"Ref: there is no parameter or resource {name!r}")

    def _get_att(self, value: Any, path: str) -> Any:
        parts = value.split(".", 1) if isinstance(value, str) else value
        if not (
            isinstance(parts, list)
            and len(parts) == _PAIR
            and all(isinstance(part, str) for part in parts)
        ):
            raise TemplateError(path, "needs a resource and an attribute")
        resource, attribute = parts
        if resource not in self._scope.resources:
            raise TemplateError(path, f"there is no resource {resource!r}")
        written = self._scope.resources[resource]
        properties = written.get("Properties", {})
        if not isinstance(properties, dict):
            raise TemplateError(f"Resources.{resource}.Properties", "is not a mapping")
        composed = _COMPOSED.get((written.get("Type"), attribute))
        if composed:
            return self._sub(composed % resource, path)
        if attribute not in properties:
            return DeployTime(f"{resource}.{attribute}")
        where = f"Resources.{resource}.Properties.{attribute}"
        return self._once(where, path, lambda: self.evaluate(properties[attribute], where))

    def _sub(self, value: Any, path: str) -> str:
        text, variables = value if isinstance(value, list) and len(value) == _PAIR else (value, {})
        if not isinstance(text, str) or not isinstance(variables, dict):
            raise TemplateError(path, "needs a text, or a text and its variables")
        given = self.evaluate(variables, path)
        unknown = []

        def replace(match: re.Match[str]) -> str:
            literal, name = match.groups()
            if literal:
                return f"${{{name}}}"
            found = given[name] if name in given else self._named(name, path)
            if isinstance(found, DeployTime):
                unknown.append(found)
            return as_text(found, path)

        result = _PLACEHOLDER.sub(replace, text)
        return DeployTime(", ".join(unknown)) if unknown else result

    def _named(self, name: str, path: str) -> Any:
        """What `${name}` stands for: `Parameter`, or `Resource.Attribute`."""
        is_attribute = name not in self._scope.values and "." in name
        return self._get_att(name, path) if is_attribute else self._ref(name, path)

    def _join(self, value: Any, path: str) -> str:
        if not (isinstance(value, list) and len(value) == _PAIR and isinstance(value[0], str)):
            raise TemplateError(path, "needs a separator and a list")
        items = self.evaluate(value[1], path)
        if not isinstance(items, list):
            raise TemplateError(path, f"{items!r} is not a list")
        unknown = [item for item in items if isinstance(item, DeployTime)]
        joined = value[0].join(as_text(item, path) for item in items)
        return DeployTime(", ".join(unknown)) if unknown else joined

    def _find_in_map(self, value: Any, path: str) -> Any:
        keys = self.evaluate(value, path)
        if not (
            isinstance(keys, list)
            and len(keys) == _CHOICE
            and all(isinstance(key, str | int) for key in keys)
        ):
            raise TemplateError(path, "needs a mapping, a key and a second key")
        found: Any = self._scope.mappings
        for key in keys:
            if not isinstance(found, dict) or key not in found:
                raise TemplateError(path, f"Mappings has no {'.'.join(map(str, keys))}")
            found = found[key]
        return found

    def _if(self, value: Any, path: str) -> Any:
        if not (isinstance(value, list) and len(value) == _CHOICE):
            raise TemplateError(path, "needs a condition and two values")
        chosen = 1 if self.condition(value[0], path) else 2
        return self.evaluate(value[chosen], f"{path}[{chosen}]")

    def _equals(self, value: Any, path: str) -> bool:
        sides = self.evaluate(value, path)
        if not (isinstance(sides, list) and len(sides) == _PAIR):
            raise TemplateError(path, "needs two values")
        for side in sides:
            if isinstance(side, DeployTime):
                raise TemplateError(path, f"only a deployment knows this: {side}")
        return as_text(sides[0], path) == as_text(sides[1], path)

    def _not(self, value: Any, path: str) -> bool:
        # ROS takes a value here, and a list of one value as well.
        return not self.condition(value[0] if isinstance(value, list) and value else value, path)

    def _conditions(self, value: Any, path: str) -> list[bool]:
        if not (isinstance(value, list) and len(value) >= _PAIR):
            raise TemplateError(path, "needs a list of at least two conditions")
        return [self.condition(item, f"{path}[{n}]") for n, item in enumerate(value)]
