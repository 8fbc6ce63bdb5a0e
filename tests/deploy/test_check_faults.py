"""Seeded faults: one edit of `template.yml` each, and the check that must find it, by name.

The table is `template_faults.yml`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.check.__main__ import CACHE, ROOT
from deploy.check.cases import everything
from deploy.check.check import Report, check_template
from deploy.check.definitions import load_spec
from deploy.check.spec import Spec

TEMPLATE = (ROOT / "template.yml").read_text(encoding="utf-8")
TABLE = Path(__file__).with_name("template_faults.yml")


@dataclass(frozen=True)
class Fault:
    """A row of the table; see its head for what the columns are."""

    name: str
    where: str
    old: str
    new: str
    rule: str
    path: str
    says: str

    def made(self) -> str:
        """The template with the fault in it."""
        headings = [f"\n  {self.where}:\n", f"\n{self.where}:\n"] if self.where else [""]
        start = next(TEMPLATE.index(each) for each in headings if each in TEMPLATE)
        at = TEMPLATE.index(self.old, start)
        return TEMPLATE[:at] + self.new + TEMPLATE[at + len(self.old) :]


def read_table() -> list[Fault]:
    """Every fault of the table."""
    rows: list[dict[str, Any]] = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    return [
        Fault(
            name=row["fault"],
            where=row.get("in", ""),
            old=row["old"],
            new=row["new"],
            rule=row["rule"],
            path=row["path"],
            says=row.get("says", ""),
        )
        for row in rows
    ]


FAULTS = read_table()


@pytest.fixture(scope="module")
def spec() -> Spec:
    """The vendor's definitions, read once."""
    return load_spec(CACHE)


def check(text: str, spec: Spec, folder: Path) -> Report:
    """Check a template's text for the deployment that makes everything."""
    file = folder / "template.yml"
    file.write_text(text, encoding="utf-8")
    return check_template(file, spec, [everything()])


def test_the_template_itself_is_right(spec: Spec, tmp_path: Path) -> None:
    """So that what is found below comes from the fault and from nothing else."""
    assert [str(problem) for problem in check(TEMPLATE, spec, tmp_path).problems] == []


def test_there_are_enough_faults() -> None:
    """At least 40, each with a name of its own, and every one changes the template."""
    assert len(FAULTS) >= 40
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    assert all(fault.made() != TEMPLATE for fault in FAULTS)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_found(fault: Fault, spec: Spec, tmp_path: Path) -> None:
    """By the check that is for it, at its place, with a line."""
    report = check(fault.made(), spec, tmp_path)
    found = [
        problem
        for problem in report.problems
        if (problem.rule, fault.path in problem.path, fault.says in problem.message)
        == (fault.rule, True, True)
    ]
    assert found, "\n".join(map(str, report.problems)) or "nothing was found"
    assert report.lines is None or report.lines.of(found[0].path)
