"""Checks one template for one or more deployments: the vendor's rules, then our own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from deploy.check.handlers import check_handlers, check_packages
from deploy.check.problems import Lines, Problem, in_order
from deploy.check.properties import check_properties
from deploy.check.references import check_references
from deploy.check.rendered import Case, Rendered, render
from deploy.check.rules import RULES
from deploy.check.rules.quotas import check_size
from deploy.check.settings_used import check_environment, check_values
from deploy.check.spec import Spec
from deploy.check.structure import check_structure
from deploy.check.trigger_config import check_trigger
from local.host.template.yaml_reader import TemplateError, read_nodes

# The checks of the vendor's rules that say whether a thing has the shape that it should have.
SHAPES = frozenset({"missing", "structure", "trigger", "type"})


@dataclass(frozen=True)
class Code:
    """Where the functions' code is.

    Attributes:
        tree: the folder with `functions` and `shared` in it.
        packages: the folder with the built packages, to import the handlers from there; or None.
    """

    tree: Path
    packages: Path | None = None


@dataclass(frozen=True)
class Report:
    """What was found.

    Attributes:
        problems: in the file's order; none if the template is right.
        lines: where they are.
        resources: how many are made at most.
        properties: how many values were checked, over all cases.
    """

    problems: list[Problem]
    lines: Lines | None = None
    resources: int = 0
    properties: int = 0


def check_template(
    path: Path,
    spec: Spec,
    cases: Iterable[Case],
    code: Code | None = None,
    progress: Callable[[Case, int], None] = lambda _case, _problems: None,
) -> Report:
    """Check a template.

    Args:
        path: the template's file.
        spec: the vendor's definitions.
        cases: the deployments to check for.
        code: the functions' code, or None to leave it out.
        progress: takes each case and how many problems it had.
    """
    try:
        document, root = read_nodes(path)
    except TemplateError as error:
        return Report([Problem(error.path, error.problem, "yaml")])
    found = [*check_structure(document, spec), *check_references(document)]
    found += check_size(path.stat().st_size)
    resources = properties = 0
    for number, case in enumerate(cases):
        own: list[Problem] = []
        rendered = render(document, case, spec, own.append)
        own += _resources(rendered, spec)
        # Our own rules rely on the shapes of things: what is not of its type comes first.
        if not any(problem.rule in SHAPES for problem in own):
            for rule in RULES:
                own += rule(rendered)
            own += check_values(rendered)
        if code is not None:
            own += _code(rendered, code, first=number == 0)
        progress(case, len(own))
        found += own
        resources = max(resources, len(rendered.made))
        properties += sum(_count(each.properties) for each in rendered.made.values())
    lines = Lines(root)
    return Report(in_order(found, lines), lines, resources, properties)


def _resources(rendered: Rendered, spec: Spec) -> Iterator[Problem]:
    for made in rendered.made.values():
        known = spec.resources.get(made.kind)
        if known is not None:
            yield from check_properties(spec, known.properties, made.properties, made.path)
    for trigger in rendered.of("FC3::Trigger"):
        yield from check_trigger(trigger)


def _code(rendered: Rendered, code: Code, *, first: bool) -> Iterator[Problem]:
    """The code is one for all cases; packages there are for each runtime."""
    if first:
        yield from check_environment(rendered, code.tree)
        if code.packages is None:
            yield from check_handlers(rendered, code.tree)
    if code.packages is not None and (first or "Runtime" in rendered.case.parameters):
        yield from check_packages(rendered, code.packages)


def _count(value: object) -> int:
    if isinstance(value, dict):
        return sum(_count(each) for each in value.values())
    if isinstance(value, list):
        return sum(_count(each) for each in value)
    return 1
