"""The ledger's tables in template.yml are those that the code reads and writes."""

from __future__ import annotations

from pathlib import Path

from local.host.template.yaml_reader import read_yaml
from shared.stores.tablestore.rows import TABLES

FILE = Path(__file__).parents[3] / "template.yml"


def test_the_template_has_the_ledgers_tables() -> None:
    """Names, keys and times to live agree, and deleting the stack keeps every table."""
    resources = read_yaml(FILE)["Resources"]
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
