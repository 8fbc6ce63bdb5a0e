"""Secrets of an environment: from variables, or made once and kept in a file of this machine.

A stack keeps its secrets itself (ROS shows none of them again), so they matter when a stack is
made: the first time, and after it was destroyed, when the tables that are left need the old key.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from deploy.stack.errors import DeployError
from deploy.stack.parameters import is_secret, variable
from local.host.template.parameters import read_parameters
from local.host.template.yaml_reader import TemplateError

BYTES = 32


@dataclass(frozen=True)
class Secrets:
    """What a deployment gives to secret parameters.

    Attributes:
        values: by the parameter's name; never to be shown.
        made: names of those that were made now.
        file: where what was made is kept.
    """

    values: Mapping[str, str]
    made: tuple[str, ...]
    file: Path

    def __repr__(self) -> str:
        """Names alone."""
        return f"Secrets({', '.join(sorted(self.values))})"


def find_secrets(
    declared: Mapping[str, Any],
    variables: Mapping[str, str],
    file: Path,
    kept: Collection[str],
    *,
    may_make: Literal["keep", "try", "no"],
) -> Secrets:
    """The secrets to give; those that the stack keeps and nobody gives anew are left out.

    Args:
        declared: the template's `Parameters`.
        variables: of this process.
        file: where this machine keeps those that it made.
        kept: parameters that the stack has.
        may_make: whether one that is needed may be made here, and kept; `try` makes one that is
            forgotten again.

    Raises:
        DeployError: one is needed and there is none, or one is not allowed.
    """
    remembered = _read(file)
    values: dict[str, str] = {}
    made = []
    for name, rules in declared.items():
        if not is_secret(rules):
            continue
        if variables.get(variable(name)):
            values[name] = variables[variable(name)]
        elif name in kept:
            continue
        elif name in remembered:
            values[name] = remembered[name]
        elif rules.get("Default") is not None:
            values[name] = str(rules["Default"])
        elif may_make != "no":
            values[name] = secrets.token_urlsafe(BYTES)
            made.append(name)
        else:
            raise DeployError(_lacking(name, file))
        _check(name, rules, values[name])
    if made and may_make == "keep":
        _write(file, {**remembered, **{name: values[name] for name in made}})
    return Secrets(values, tuple(made), file)


def _lacking(name: str, file: Path) -> str:
    return (
        f"{name} is needed and there is none. Make one that lasts and keep it where secrets are "
        f"kept, as the variable {variable(name)} of this job: "
        "python3 -c 'import secrets; print(secrets.token_urlsafe(32))'. "
        f"(Outside of CI it would be made here, and kept in {file}.)"
    )


def _check(name: str, rules: Mapping[str, Any], value: str) -> None:
    """A secret's own rules; what is wrong is said without the secret."""
    try:
        read_parameters({name: rules}, {name: value})
    except TemplateError as error:
        # Sentences about lengths have no value in them, those about patterns and words do.
        reason = error.problem if "length" in error.problem else "it is not allowed"
        raise DeployError(f"{variable(name)}: {reason}") from None


def _read(file: Path) -> dict[str, str]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DeployError(f"{file} cannot be read: {error}") from error
    return {str(name): str(value) for name, value in found.items()}


def _write(file: Path, values: Mapping[str, str]) -> None:
    """Nobody else may read it, and a half-written file never takes its place."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(f".{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        json.dump(values, out, indent=1)
        out.flush()
        os.fsync(out.fileno())
    draft.replace(file)
