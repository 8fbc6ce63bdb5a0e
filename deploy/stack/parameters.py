"""What the template is given: the environment's file, the command line, and secrets.

The file `deploy/environments/<environment>.yml`:

    region: cn-hangzhou
    parameters:
      SenderDomain: mail.example.com
      AllowedRecipients: '@example.com'
    tags: [order-shipped]

Each parameter is one of the template's. Those that the template marks as secret (`NoEcho`) are
never in a file and never on a command line, where others could read them: they come from variables,
are kept by ROS, and a later deployment need not know them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from deploy.check.cases import REGIONS
from deploy.stack.errors import UsageError
from local.host.template.parameters import read_parameters
from local.host.template.yaml_reader import TemplateError

FOLDER = "deploy/environments"
# Those that a deployment decides by itself.
OWN = {"Env": "--env", "CodeVersion": "the commit"}
_KEYS = frozenset({"parameters", "region", "tags"})


@dataclass(frozen=True)
class Environment:
    """What a person decided for one environment.

    Attributes:
        name: e.g. `staging`.
        region: where it is; empty where nobody said.
        given: parameters by their name, without secrets.
        tags: DirectMail's tags that the environment's mails carry; `postbus doctor` looks for them.
    """

    name: str
    region: str = ""
    given: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()


def read_environment(name: str, text: str | None, where: str) -> Environment:
    """Read an environment's file.

    Args:
        name: the environment's.
        text: the file's content; None where there is no file.
        where: the file's name, for messages.

    Raises:
        UsageError: it is not what such a file is.
    """
    if text is None:
        return Environment(name)
    try:
        document = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise UsageError(f"{where} is not YAML: {error}") from None
    if not isinstance(document, dict):
        raise UsageError(f"{where} is not a mapping")
    for key in sorted(set(map(str, document)) - _KEYS):
        raise UsageError(f"{where}: {key} is not known; there is region, parameters and tags")
    given = document.get("parameters") or {}
    if not isinstance(given, dict):
        raise UsageError(f"{where}: parameters is not a mapping")
    tags = document.get("tags") or []
    if not isinstance(tags, list):
        raise UsageError(f"{where}: tags is not a list")
    return Environment(
        name,
        str(document.get("region") or ""),
        {str(key): _text(value, f"{where}: {key}") for key, value in given.items()},
        tuple(_text(tag, f"{where}: tags") for tag in tags),
    )


def read_options(options: list[str]) -> dict[str, str]:
    """`NAME=VALUE` of the command line, many of them.

    Raises:
        UsageError: one is not like that.
    """
    given = {}
    for each in options:
        name, equals, value = each.partition("=")
        if not equals or not name:
            raise UsageError(f"--parameter takes NAME=VALUE, not {each!r}")
        given[name] = value
    return given


def check_region(region: str) -> str:
    """The region, if a deployment can be there.

    Raises:
        UsageError: nobody said one, or DirectMail sends no events in it.
    """
    if not region:
        raise UsageError("no region: say --region, or `region:` in the environment's file")
    if region not in REGIONS:
        raise UsageError(
            f"DirectMail sends no events in {region}, and without them Postbus cannot tell what "
            f"became of a mail. There is {', '.join(REGIONS)}."
        )
    return region


def check_parameters(declared: Mapping[str, Any], given: Mapping[str, str]) -> None:
    """Whether a deployment may give these.

    Args:
        declared: the template's `Parameters`.
        given: by a file or a command line.

    Raises:
        UsageError: names the parameter and what is wrong with it.
    """
    for name in given:
        if name in OWN:
            raise UsageError(f"{name} cannot be given: it is {OWN[name]}")
        if is_secret(declared.get(name)):
            raise UsageError(f"{name} is a secret: set it as the variable {variable(name)}")
    try:
        read_parameters(declared, given)
    except TemplateError as error:
        name = error.path.rpartition(".")[2]
        raise UsageError(f"the parameter {name}: {_quoteless(error.problem)}") from None


def effective(declared: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    """All parameters that are not secret, with the template's defaults for those not given.

    They are sent each time. Otherwise what was taken out of the file would stay as it was.
    """
    values = {
        name: given.get(name, _text(rules.get("Default"), name))
        for name, rules in declared.items()
        if not is_secret(rules) and (name in given or rules.get("Default") is not None)
    }
    return {**values, **{name: value for name, value in given.items() if name in OWN}}


def is_secret(rules: Any) -> bool:
    """Whether a parameter's rules mark it as one that ROS does not show."""
    return isinstance(rules, dict) and str(rules.get("NoEcho", "")).lower() == "true"


def variable(name: str) -> str:
    """The variable that a secret parameter is taken from: `PushToken`, `POSTBUS_PUSH_TOKEN`."""
    return f"POSTBUS_{re.sub(r'(?<=[a-z0-9])(?=[A-Z])', '_', name).upper()}"


def environment_file(root: Path, name: str) -> Path:
    """Where an environment's file is."""
    return root / FOLDER / f"{name}.yml"


def _text(value: Any, where: str) -> str:
    """A parameter's value as ROS takes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return ""
    if isinstance(value, str | int | float):
        return str(value)
    raise UsageError(f"{where} is neither a text, a number nor true or false")


def _quoteless(problem: str) -> str:
    return problem.replace("the length is", "its length is")
