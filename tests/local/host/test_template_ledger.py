"""The ledger's tables in template.yml are those that the code reads and writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from shared.stores.tablestore.rows import TABLES

FILE = Path(__file__).parents[3] / "template.yml"


class _Loader(yaml.SafeLoader):
    """Reads the short forms of functions as what they are given."""


def _short_form(loader: yaml.SafeLoader, _suffix: str, node: yaml.Node) -> Any:
    assert isinstance(node, yaml.ScalarNode)
    return loader.construct_scalar(node)


_Loader.add_multi_constructor("!", _short_form)


def test_the_template_has_the_ledgers_tables() -> None:
    """Names, keys and times to live agree, and deleting the stack keeps every table."""
    resources = yaml.load(FILE.read_text(), _Loader)["Resources"]  # noqa: S506  # a safe loader
    tables = {
        resource["Properties"]["TableName"]: resource
        for resource in resources.values()
        if resource["Type"] == "ALIYUN::OTS::Table"
    }
    assert {
        name: (
            tuple(key["Name"] for key in table["Properties"]["PrimaryKey"]),
            table["Properties"]["TimeToLive"],
        )
        for name, table in tables.items()
    } == {table.name: (table.keys, table.ttl_seconds) for table in TABLES}
    kept = [*tables.values(), resources["Ledger"]]
    assert all(resource["DeletionPolicy"] == "Retain" for resource in kept)
