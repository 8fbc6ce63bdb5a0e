"""Line 10: what Postbus costs over the bare loop, in CPU per mail."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.stack, pytest.mark.quiet]

ROOT = Path(__file__).parents[2]
# What it may be at the most.
BUDGET = 1.35
# What it was last: the median of 17 runs of 240 to 960 mails on two processors that others used as
# well (1.00 to 1.37, and in the upper half where the machine was quiet; before: 1.50 to 1.79). One
# run says little, so what is over the budget is measured again.
RECORDED = 1.16
TRIES = 3


@pytest.mark.timeout(300)
def test_the_full_path_costs_little_more_than_the_bare_loop(proving: bool) -> None:
    """The function's CPU per mail is at most 1.35 of what `json.loads` and the SDK's call cost."""
    count = 2_000 if proving else 240
    for _ in range(TRIES):
        ratio = _measure(count)
        if ratio <= BUDGET:
            return
    pytest.fail(f"ratio {ratio}, budget {BUDGET}, recorded {RECORDED}")


def _measure(count: int) -> float:
    """Run the program, print its figures, and give the ratio that there is a budget for."""
    done = subprocess.run(  # noqa: S603  # our own program
        [sys.executable, str(ROOT / "bench" / "overhead.py"), "--json", "--mails", str(count)],
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    figures = {line["name"]: line for line in map(json.loads, done.stdout.splitlines())}
    for each in figures.values():
        print(
            f"\noverhead: {each['name']}: ratio {each['ratio']} ({each['full_ms']} ms of CPU per "
            f"mail over {each['bare_ms']} ms)"
        )
    ratio: float = figures["sqlite"]["ratio"]
    print(f"overhead: budget {BUDGET}, recorded {RECORDED}, {count} mails by each way")
    return ratio
