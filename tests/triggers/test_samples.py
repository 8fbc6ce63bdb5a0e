"""The sample files themselves."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

Sample = Callable[[str], bytes]


def test_the_table_names_every_sample_once_with_its_page(
    sample_names: list[str], samples_readme: str
) -> None:
    """`events/README.md` has one row for each file and a page for each row, and no other row."""
    rows = re.findall(
        r"^\| `([^`]+)` \| .+ \| \[.+\]\((https://\S+)\) \|$", samples_readme, re.MULTILINE
    )
    assert sorted(name for name, _ in rows) == sample_names


def test_every_sample_is_json_in_utf_8(sample: Sample, sample_names: list[str]) -> None:
    """Each file can be handed to a function as it is."""
    assert sample_names
    for name in sample_names:
        assert json.loads(sample(name).decode("utf-8")), name
