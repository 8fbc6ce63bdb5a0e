"""A template for one deployment: its parameters and region decided, everything evaluated."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from deploy.check.evaluate import CheckingEvaluator
from deploy.check.problems import Problem
from deploy.check.spec import Spec
from local.host.template.parameters import read_parameters
from local.host.template.scope import Scope
from local.host.template.yaml_reader import TemplateError

ACCOUNT = "1234567890123456"


@dataclass(frozen=True)
class Case:
    """One deployment to check for.

    Attributes:
        name: for people, e.g. `staging in eu-central-1`.
        region: where.
        parameters: as the deployment would give them.
    """

    name: str
    region: str
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Made:
    """A resource that is made in this deployment.

    Attributes:
        name: its logical id.
        kind: its type, e.g. `ALIYUN::MNS::Queue`.
        written: as in the file.
        properties: evaluated; empty where they could not be.
    """

    name: str
    kind: str
    written: Mapping[str, Any]
    properties: Mapping[str, Any]

    @property
    def path(self) -> str:
        """Where its properties stand."""
        return f"Resources.{self.name}.Properties"

    def get(self, *keys: str, default: Any = None) -> Any:
        """The value at a path inside of the properties."""
        value: Any = self.properties
        for key in keys:
            if not isinstance(value, Mapping) or key not in value:
                return default
            value = value[key]
        return value

    def queue_source(self) -> Mapping[str, Any]:
        """The queue that a trigger reads, as its configuration names it; else empty."""
        found: Mapping[str, Any] = self.get(
            "TriggerConfig",
            "eventSourceConfig",
            "eventSourceParameters",
            "sourceMNSParameters",
            default={},
        )
        return found


@dataclass(frozen=True)
class Rendered:
    """The evaluated template."""

    case: Case
    document: Mapping[str, Any]
    made: Mapping[str, Made]

    def of(self, kind: str) -> list[Made]:
        """The resources of a type; `kind` is without `ALIYUN::`."""
        return [each for each in self.made.values() if each.kind == f"ALIYUN::{kind}"]


def render(
    document: Mapping[str, Any], case: Case, spec: Spec, report: Callable[[Problem], None]
) -> Rendered:
    """Evaluate everything for one case.

    Args:
        document: the template as it is written.
        case: what is deployed.
        spec: the vendor's definitions.
        report: takes each problem of parameters, conditions and references.
    """
    resources = {
        name: each
        for name, each in _section(document, "Resources").items()
        if isinstance(each, dict) and isinstance(each.get("Type"), str)
    }
    scope = Scope(
        values={**_pseudo(case), **_parameters(document, case, report)},
        resources=resources,
        mappings=_section(document, "Mappings"),
        conditions=_section(document, "Conditions"),
    )
    made: set[str] = set()
    evaluator = CheckingEvaluator(scope, spec, made, report)
    made.update(_conditions(evaluator, scope, report))
    rendered = {}
    for name in (name for name in resources if name in made):
        values = evaluator.evaluate(
            resources[name].get("Properties", {}), f"Resources.{name}.Properties"
        )
        if not isinstance(values, dict):
            report(Problem(f"Resources.{name}.Properties", "is not a mapping", "structure"))
            values = {}
        rendered[name] = Made(name, resources[name]["Type"], resources[name], values)
    for name, output in _section(document, "Outputs").items():
        if isinstance(output, dict) and _holds(evaluator, output, f"Outputs.{name}", report):
            evaluator.evaluate(output.get("Value"), f"Outputs.{name}.Value")
    return Rendered(case, document, rendered)


def _section(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    section = document.get(name, {})
    return section if isinstance(section, dict) else {}


def _pseudo(case: Case) -> dict[str, Any]:
    # https://www.alibabacloud.com/help/en/ros/user-guide/pseudo-parameters
    return {
        "ALIYUN::AccountId": ACCOUNT,
        "ALIYUN::Region": case.region,
        "ALIYUN::ResourceGroupId": "rg-1",
        "ALIYUN::StackId": "00000000-0000-0000-0000-000000000000",
        "ALIYUN::StackName": "postbus",
        "ALIYUN::TenantId": ACCOUNT,
    }


def _parameters(
    document: Mapping[str, Any], case: Case, report: Callable[[Problem], None]
) -> dict[str, Any]:
    """Every parameter's value; each problem is reported by itself."""
    declared = {k: v for k, v in _section(document, "Parameters").items() if isinstance(v, dict)}
    for name in sorted(set(case.parameters) - set(declared)):
        report(Problem(f"Parameters.{name}", "is given and not declared", "parameter"))
    values: dict[str, Any] = {}
    for name, rules in declared.items():
        given = {name: case.parameters[name]} if name in case.parameters else {}
        if not given and "Default" not in rules:
            report(Problem(f"Parameters.{name}", "has no default and no value", "parameter"))
        try:
            values.update(read_parameters({name: rules}, given))
        except TemplateError as error:
            report(Problem(error.path, error.problem, "parameter"))
            values[name] = str(rules.get("Default", ""))
    return values


def _conditions(
    evaluator: CheckingEvaluator, scope: Scope, report: Callable[[Problem], None]
) -> Iterator[str]:
    """The names of the resources that are made; every condition is tried."""
    for name in scope.conditions:
        try:
            evaluator.condition(name, f"Conditions.{name}")
        except TemplateError as error:
            report(Problem(error.path, error.problem, "condition"))
    for name, resource in scope.resources.items():
        if _holds(evaluator, resource, f"Resources.{name}", report):
            yield name


def _holds(
    evaluator: CheckingEvaluator,
    resource: Mapping[str, Any],
    path: str,
    report: Callable[[Problem], None],
) -> bool:
    if "Condition" not in resource:
        return True
    try:
        return evaluator.condition(resource["Condition"], f"{path}.Condition")
    except TemplateError as error:
        report(Problem(error.path, error.problem, "condition"))
        return False
