"""The ledger outlives its stack: it is what keeps a mail from being sent twice."""

from __future__ import annotations

from collections.abc import Iterator

from deploy.check.problems import Problem
from deploy.check.rendered import Rendered
from shared.stores.tablestore.rows import TABLES

KINDS = ("OTS::Instance", "OTS::Table")


def check_tables(rendered: Rendered) -> Iterator[Problem]:
    """What is wrong with the ledger's instance and tables."""
    for kind in KINDS:
        for resource in rendered.of(kind):
            if resource.written.get("DeletionPolicy") != "Retain":
                where = f"Resources.{resource.name}.DeletionPolicy"
                yield Problem(where, "is not Retain: the ledger would be deleted", "retained")
    tables = {table.get("TableName"): table for table in rendered.of("OTS::Table")}
    for expected in TABLES if tables else ():
        if expected.name not in tables:
            yield Problem("Resources", f"the code's table {expected.name!r} is not here", "table")
            continue
        table = tables[expected.name]
        keys = tuple(key.get("Name") for key in table.get("PrimaryKey", default=[]))
        if keys != expected.keys:
            where = f"{table.path}.PrimaryKey"
            yield Problem(where, f"is {keys}, and {expected.keys} in the code", "table")
    for name in sorted(set(tables) - {table.name for table in TABLES}, key=str):
        yield Problem(tables[name].path, f"the code has no table {name!r}", "table")
