"""Evaluates a template's values as the function host does, and goes on after an error.

What only a deployment knows stays a `DeployTime` value, and is not checked further.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from deploy.check.problems import Problem
from deploy.check.spec import Spec
from local.host.template.intrinsics import Evaluator
from local.host.template.scope import DeployTime, Scope
from local.host.template.yaml_reader import TemplateError

# Functions that ROS has and nothing here computes. Their arguments are evaluated all the same.
# https://www.alibabacloud.com/help/en/ros/user-guide/functions
NOT_COMPUTED = frozenset(
    f"Fn::{name}"
    for name in (
        *("Any", "Avg", "Base64", "Base64Decode", "Base64Encode", "Calculate", "Cidr", "Contains"),
        *("EachMemberIn", "FormatTime", "GetAZs", "GetJsonValue", "GetStackOutput", "Indent"),
        *("Index", "Jq", "Length", "ListMerge", "MarketplaceImage", "MatchPattern", "Max"),
        *("MemberListToMap", "MergeMap", "MergeMapToList", "Min", "Replace", "Select"),
        *("SelectMapList", "Split", "Str", "Test", "TransformNamespace"),
    )
)
_BROKEN = DeployTime("what could not be evaluated")


class CheckingEvaluator(Evaluator):
    """An evaluator that reports what is wrong and puts a `DeployTime` value in its place.

    Args:
        scope: what the template's functions can refer to.
        spec: what the resource types give as attributes.
        made: the resources whose condition holds, by their names.
        report: takes each problem.
    """

    def __init__(
        self, scope: Scope, spec: Spec, made: Collection[str], report: Callable[[Problem], None]
    ) -> None:
        super().__init__(scope)
        self._resources: Mapping[str, Any] = scope.resources
        self._spec = spec
        self._made = made
        self._report = report

    def evaluate(self, node: Any, path: str) -> Any:
        """The value of a node, or `DeployTime` after a problem was reported."""
        try:
            return super().evaluate(node, path)
        except TemplateError as error:
            if _BROKEN not in error.problem:  # the part that is wrong was reported
                self._report(Problem(error.path, error.problem, "reference"))
            return _BROKEN

    def _call(self, name: str, value: Any, path: str) -> Any:
        if name in NOT_COMPUTED:
            self.evaluate(value, f"{path}.{name}")
            return DeployTime(name)
        return super()._call(name, value, path)

    def _ref(self, name: Any, path: str) -> Any:
        found = super()._ref(name, path)
        self._is_made(name, path)
        return found

    def _get_att(self, value: Any, path: str) -> Any:
        found = super()._get_att(value, path)
        resource, attribute = value.split(".", 1) if isinstance(value, str) else value
        self._is_made(resource, path)
        kind = self._resources[resource].get("Type")
        known = self._spec.resources.get(kind)
        if known is not None and attribute not in known.attributes:
            raise TemplateError(
                path, f"{kind} has no attribute {attribute!r}: {', '.join(known.attributes)}"
            )
        return found

    def _is_made(self, name: Any, path: str) -> None:
        if name in self._resources and name not in self._made:
            raise TemplateError(path, f"{name} is not made here: its condition is false")
