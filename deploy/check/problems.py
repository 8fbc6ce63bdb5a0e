"""What is wrong with a template, and in which line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import yaml


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        path: where in the template, dotted (`Resources.SendMail.Properties.Timeout`).
        message: what is wrong there.
        rule: the short name of the check that found it.
    """

    path: str
    message: str
    rule: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message} [{self.rule}]"


class Lines:
    """The line of each path in a YAML document."""

    def __init__(self, root: yaml.Node) -> None:
        self._lines: dict[str, int] = {}
        self._add(root, "")

    def of(self, path: str) -> int | None:
        """The line of a path, or of the nearest part around it; from 1."""
        while path:
            if path in self._lines:
                return self._lines[path]
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return None

    def _add(self, node: yaml.Node, path: str) -> None:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                inner = f"{path}.{key.value}" if path else str(key.value)
                self._lines[inner] = key.start_mark.line + 1
                self._add(value, inner)
        elif isinstance(node, yaml.SequenceNode):
            for number, item in enumerate(node.value):
                inner = f"{path}[{number}]"
                self._lines[inner] = item.start_mark.line + 1
                self._add(item, inner)


def in_order(problems: Iterable[Problem], lines: Lines) -> list[Problem]:
    """Each problem once, in the file's order."""
    return sorted(set(problems), key=lambda each: (lines.of(each.path) or 0, each))
