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
# What it is to be, and what it was last: the median of four runs of 480 mails on two processors
# with a load of 3 to 5 (1.50 to 1.59; the code before, in turns with it: 1.58 to 1.73).
BUDGET = 1.35
RECORDED = 1.52
# The reduced run is short and the machine has other work: single runs went from 1.35 to 1.79. That
# only ever makes it dearer, so what is over is measured again; half more than recorded, three
# times, is a regression. (A sharper look: `make bench` on a quiet machine.)
TOLERANCE = 1.5
TRIES = 3


@pytest.mark.timeout(300)
def test_the_full_path_costs_little_more_than_the_bare_loop(proving: bool) -> None:
    """The function's CPU per mail over `json.loads` and the SDK's call stays what it was."""
    count = 2_000 if proving else 240
    for _ in range(TRIES):
        ratio = _measure(count)
        if ratio <= RECORDED * TOLERANCE:
            return
    pytest.fail(f"ratio {ratio}, recorded {RECORDED}")


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
