"""Who needs whom: cycles, `DependsOn`, and what is declared and never used.

These checks look at the template as it is written, whichever conditions hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from deploy.check.problems import Problem

_PAIR = 2
_PLACEHOLDER = re.compile(r"\$\{(?!!)([^}]*)\}")


def check_references(document: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with references."""
    resources = {
        name: each
        for name, each in _section(document, "Resources").items()
        if isinstance(each, dict)
    }
    for name, resource in resources.items():
        for other in depends_on(resource):
            if other not in resources:
                yield Problem(
                    f"Resources.{name}.DependsOn", f"there is no resource {other!r}", "reference"
                )
    yield from _cycles({name: _needs(each) & set(resources) for name, each in resources.items()})
    yield from _unused(document)


def depends_on(resource: Mapping[str, Any]) -> list[str]:
    """The resources that `DependsOn` names."""
    written = resource.get("DependsOn", [])
    if not isinstance(written, str | list):
        return [str(written)]  # which is the name of no resource
    return (
        [written]
        if isinstance(written, str)
        else [each for each in written if isinstance(each, str)]
    )


def names_in(node: Any) -> Iterator[str]:
    """Every parameter and resource that a node refers to, by its name."""
    for function, value in calls_in(node):
        if function == "Ref" and isinstance(value, str):
            yield value
        elif function == "Fn::GetAtt":
            parts = value.split(".", 1) if isinstance(value, str) else value
            yield str(parts[0]) if isinstance(parts, list) and parts else ""
        elif function == "Fn::Sub":
            text, own = value if isinstance(value, list) and len(value) == _PAIR else (value, {})
            for name in _PLACEHOLDER.findall(text if isinstance(text, str) else ""):
                if not isinstance(own, dict) or name not in own:
                    yield name if name.startswith("ALIYUN::") else name.split(".", 1)[0]


def calls_in(node: Any) -> Iterator[tuple[str, Any]]:
    """Every call of a function in a node, with its argument, at every depth."""
    if isinstance(node, dict):
        if len(node) == 1:
            name, value = next(iter(node.items()))
            if name in ("Ref", "Condition") or name.startswith("Fn::"):
                yield name, value
        for value in node.values():
            yield from calls_in(value)
    elif isinstance(node, list):
        for item in node:
            yield from calls_in(item)


def _section(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    section = document.get(name, {})
    return section if isinstance(section, dict) else {}


def _needs(resource: Mapping[str, Any]) -> set[str]:
    return {*names_in(resource.get("Properties", {})), *depends_on(resource)}


def _cycles(needs: Mapping[str, set[str]]) -> Iterator[Problem]:
    """Each cycle once, at the resource of it that comes first."""
    done: set[str] = set()

    def search(name: str, way: tuple[str, ...]) -> Iterator[Problem]:
        if name in way:
            circle = " needs ".join((*way[way.index(name) :], name))
            yield Problem(f"Resources.{name}", f"a circle: {circle}", "cycle")
        elif name not in done:
            for other in sorted(needs[name]):
                yield from search(other, (*way, name))
            done.add(name)

    for name in needs:
        yield from search(name, ())


def _unused(document: Mapping[str, Any]) -> Iterator[Problem]:
    outside = {
        name: part for name, part in document.items() if name not in ("Parameters", "Mappings")
    }
    names = set(names_in(outside))
    for name in _section(document, "Parameters"):
        if name not in names:
            yield Problem(f"Parameters.{name}", "is never used", "unused")
    mappings = {
        str(value[0])
        for function, value in calls_in(outside)
        if function == "Fn::FindInMap" and isinstance(value, list) and value
    }
    for name in _section(document, "Mappings"):
        if name not in mappings:
            yield Problem(f"Mappings.{name}", "is never used", "unused")
    conditions = set(_conditions_in(document))
    for name in _section(document, "Conditions"):
        if name not in conditions:
            yield Problem(f"Conditions.{name}", "is never used", "unused")


def _conditions_in(document: Mapping[str, Any]) -> Iterator[str]:
    for section in ("Resources", "Outputs"):
        for each in _section(document, section).values():
            if isinstance(each, dict):
                yield str(each.get("Condition"))
    for function, value in calls_in(document):
        if function == "Fn::If" and isinstance(value, list) and value:
            yield str(value[0])
        elif function in ("Fn::And", "Fn::Or", "Fn::Not"):
            yield from (
                item
                for item in (value if isinstance(value, list) else [value])
                if isinstance(item, str)
            )
        elif function == "Condition":
            yield str(value)
