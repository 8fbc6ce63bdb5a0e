"""What a template makes for one environment: names and packages, without any account."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.stack.errors import UsageError
from local.host.template.intrinsics import Evaluator
from local.host.template.parameters import read_parameters
from local.host.template.scope import Scope
from local.host.template.yaml_reader import TemplateError, read_yaml

FUNCTION = "ALIYUN::FC3::Function"
QUEUE = "ALIYUN::MNS::Queue"
RULE = "ALIYUN::EventBridge::Rule"
TRIGGER = "ALIYUN::FC3::Trigger"
# Resources that hold what a deletion must not take along.
TABLES = ("ALIYUN::OTS::Instance", "ALIYUN::OTS::InstanceV2", "ALIYUN::OTS::Table")


@dataclass(frozen=True)
class Planned:
    """A resource.

    Attributes:
        name: in the template.
        kind: its type.
        properties: evaluated.
    """

    name: str
    kind: str
    properties: Mapping[str, Any]


class Plan:
    """A template, evaluated for one deployment.

    Args:
        document: the template, as `read_template` gives it.
        region: where.
        parameters: without secrets, which nothing here looks at.
        account: the account's number, where it is known.

    Raises:
        UsageError: the template cannot be evaluated.
    """

    def __init__(
        self,
        document: Mapping[str, Any],
        region: str,
        parameters: Mapping[str, str],
        account: str = "0",
    ) -> None:
        self.document = document
        self.declared = parameters_of(document)
        self._resources: dict[str, Any] = document.get("Resources") or {}
        known = {name: value for name, value in parameters.items() if name in self.declared}
        try:
            values = {
                "ALIYUN::AccountId": account,
                "ALIYUN::Region": region,
                "ALIYUN::StackName": "postbus",
                "ALIYUN::TenantId": account,
                **read_parameters(self.declared, known),
            }
        except TemplateError as error:
            raise UsageError(f"template.yml: {error}") from None
        self.parameters: Mapping[str, Any] = values
        self._evaluator = Evaluator(
            Scope(
                values=values,
                resources=self._resources,
                mappings=self.document.get("Mappings") or {},
                conditions=self.document.get("Conditions") or {},
            )
        )

    def of(self, *kinds: str) -> Iterator[Planned]:
        """The resources of some types that are made, in the template's order.

        Raises:
            UsageError: one cannot be evaluated.
        """
        for name, written in self._resources.items():
            if written.get("Type") not in kinds:
                continue
            path = f"Resources.{name}"
            try:
                if "Condition" in written and not self._evaluator.condition(
                    written["Condition"], f"{path}.Condition"
                ):
                    continue
                properties = self._evaluator.evaluate(written["Properties"], f"{path}.Properties")
            except TemplateError as error:
                raise UsageError(f"template.yml: {error}") from None
            yield Planned(name, written["Type"], properties)

    def packages(self) -> dict[str, str]:
        """Object name in the bucket -> runtime, for each code package that a function needs."""
        return {
            str(each.properties["Code"]["OssObjectName"]): str(each.properties["Runtime"])
            for each in self.of(FUNCTION)
        }


def read_template(path: Path) -> dict[str, Any]:
    """A template as plain values.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        return read_yaml(path)
    except TemplateError as error:
        raise UsageError(str(error)) from None


def parameters_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that a template declares, with their rules."""
    declared = document.get("Parameters")
    return declared if isinstance(declared, dict) else {}
