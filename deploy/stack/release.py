"""What is deployed: a commit with its template and parameters, before any account is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.check.cases import ENVIRONMENTS
from deploy.check.check import Code, check_template
from deploy.check.definitions import DefinitionsMissing, load_spec
from deploy.check.rendered import Case
from deploy.stack import parameters
from deploy.stack.errors import DeployError, UsageError
from deploy.stack.order import Order
from deploy.stack.parameters import Environment
from deploy.stack.plan import parameters_of, read_template
from deploy.stack.talk import Talk
from deploy.stack.tree import clean_commit, find_commit, show_file

TEMPLATE = "template.yml"
_STANDIN = "k" * 64


@dataclass(frozen=True)
class Release:
    """A commit with its template and parameters, before any account is asked.

    Attributes:
        commit: its full id.
        template: its text.
        path: a file with it.
        document: its values.
        region: where.
        given: parameters, those of the deployment's own included.
    """

    commit: str
    template: str
    path: Path
    document: Mapping[str, Any]
    region: str
    given: Mapping[str, str]


# What is deployed, where its code is, variables -> what is wrong.
Proof = Callable[[Release, Path | None, Mapping[str, str]], list[str]]


def read_release(order: Order, talk: Talk, check: Proof) -> Release:
    """What is deployed, checked as far as one machine can.

    Args:
        order: what is asked for.
        talk: is told.
        check: finds what is wrong with a template.

    Raises:
        DeployError: it cannot be deployed; `UsageError` where what was given is wrong.
    """
    if order.environment not in ENVIRONMENTS:
        raise UsageError(f"--env is one of {', '.join(ENVIRONMENTS)}")
    if order.rollback:
        return _earlier(order, talk, check)
    commit = clean_commit(order.root)
    path = order.root / TEMPLATE
    file = parameters.environment_file(order.root, order.environment)
    text = file.read_text(encoding="utf-8") if file.is_file() else None
    release = _decide(order, commit, path, path.read_text(encoding="utf-8"), text)
    talk.say("checking the template")
    found = check(release, order.root, order.variables)
    if found:
        shown = "\n  ".join(found)
        raise DeployError(f"the template does not pass:\n  {shown}\n`make check-template` has all")
    return release


def _earlier(order: Order, talk: Talk, check: Proof) -> Release:
    """An earlier commit, with its template and its environment's file."""
    commit = find_commit(order.root, order.rollback)
    template = show_file(order.root, commit, TEMPLATE)
    if template is None:
        raise UsageError(f"the commit {commit[:12]} has no {TEMPLATE}")
    name = f"{parameters.FOLDER}/{order.environment}.yml"
    text = show_file(order.root, commit, name)
    if text is None:
        file = order.root / name
        text = file.read_text(encoding="utf-8") if file.is_file() else None
    order.state.mkdir(parents=True, exist_ok=True)
    path = order.state / f"template-{commit[:12]}.yml"
    path.write_text(template, encoding="utf-8")
    release = _decide(order, commit, path, template, text)
    # It was checked when it was deployed. A rule that is younger must not stand in the way back.
    for problem in check(release, None, order.variables):
        talk.warn(f"by today's rules: {problem}")
    return release


def _decide(order: Order, commit: str, path: Path, template: str, text: str | None) -> Release:
    environment: Environment = parameters.read_environment(
        order.environment, text, f"{parameters.FOLDER}/{order.environment}.yml"
    )
    region = parameters.check_region(order.region or environment.region)
    given = {**environment.given, **order.given}
    document = read_template(path)
    parameters.check_parameters(parameters_of(document), given)
    own = {"Env": order.environment, "CodeVersion": commit}
    return Release(commit, template, path, document, region, {**given, **own})


def problems(release: Release, tree: Path | None, variables: Mapping[str, str]) -> list[str]:
    """What `make check-template` finds, for this deployment alone.

    Args:
        release: what is deployed.
        tree: where the functions' code is, to be looked at as well; None leaves it out.
        variables: of this process, for the secrets.

    Raises:
        DeployError: the vendor's definitions are not installed.
    """
    try:
        spec = load_spec(Path(__file__).resolve().parents[2] / "build" / "definitions")
    except DefinitionsMissing as error:
        raise DeployError(str(error)) from error
    declared = parameters_of(release.document)
    secret = {
        name: variables.get(parameters.variable(name)) or _STANDIN
        for name, rules in declared.items()
        if parameters.is_secret(rules)
        and (variables.get(parameters.variable(name)) or rules.get("Default") is None)
    }
    given = {"OssBucket": "postbus-code", **secret, **release.given}
    case = Case("this deployment", release.region, given)
    report = check_template(release.path, spec, [case], Code(tree) if tree else None)
    return [_without(str(problem), secret.values()) for problem in report.problems]


def _without(text: str, secrets: Iterable[str]) -> str:
    """A text without what nobody may see."""
    for secret in secrets:
        text = text.replace(secret, "…")
    return text
