"""Reads a ROS template's YAML: strict about duplicate keys, with the short forms spelled out.

YAML lets the last of two equal keys win in silence, which in a template means a resource or a
property that is simply gone. `!Ref X`, `!GetAtt A.B`, `!Sub text` … are the short forms of
`Ref`, `Fn::GetAtt`, `Fn::Sub` …; the rest of the host knows the long forms only.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml


class TemplateError(ValueError):
    """The template cannot be read or evaluated.

    Attributes:
        path: where in the template, dotted (`Resources.SendMail.Properties.Timeout`).
        problem: what is wrong there.
    """

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem


if TYPE_CHECKING:
    _SafeLoader = yaml.SafeLoader
else:
    # Where PyYAML was built with its C parser: several times as fast, the same nodes.
    _SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_SafeLoader):
    """SafeLoader without dates (`2015-09-01` stays text) and with the rules of this module."""

    yaml_implicit_resolvers = {  # noqa: RUF012  # PyYAML reads a plain dict here
        first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002  # PyYAML's signature
        """Build a mapping; two equal keys are an error."""
        self.flatten_mapping(node)
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node)
            if not isinstance(key, str):
                where = f"line {key_node.start_mark.line + 1}"
                raise TemplateError(where, f"the key {key!r} is not a text; put it in quotes")
            if key in seen:
                where = f"line {key_node.start_mark.line + 1}"
                raise TemplateError(where, f"the key {key!r} is there twice")
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def _short_form(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    else:
        raise TemplateError(f"line {node.start_mark.line + 1}", f"!{suffix} has no value")
    return {suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a template as plain values.

    Raises:
        TemplateError: it is not there, not YAML, has a key twice or is not a mapping.
    """
    return read_nodes(path)[0]


def read_nodes(path: Path) -> tuple[dict[str, Any], yaml.Node]:
    """Read a template as plain values, and as nodes that know their lines.

    Raises:
        TemplateError: as `read_yaml`.
    """
    try:
        loader = _Loader(path.read_text(encoding="utf-8"))
        node = loader.get_single_node()
        document = loader.construct_document(node) if node else None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise TemplateError(str(path), f"cannot be read: {error}") from error
    if node is None or not isinstance(document, dict):
        raise TemplateError(str(path), "is not a mapping")
    return document, node
