"""Line 7 of the delivery events: what reading one costs over reading the same bytes bare."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.quiet

ROOT = Path(__file__).parents[2]
# What it may be, and what it was last: EventBridge's own object, and through a queue, as the
# template has it. On two processors with a load of 5 to 7, single runs went from 3.62 to 5.3 and
# from 2.42 to 3.1: the full way holds more in the caches that other work takes. That only ever
# makes it dearer, so what is over is measured again, and the lowest counts.
BUDGET = 4.0
RECORDED = {"EventBridge's object": 3.7, "through a queue": 2.4}
TRIES = 8


@pytest.mark.timeout(300)
def test_reading_costs_at_most_four_times_the_bare_reading(proving: bool) -> None:
    """From the trigger's bytes to the text to publish, over `json.loads` and pydantic."""
    lowest: dict[str, float] = {}
    for _ in range(TRIES):
        ratios = _measure(1_000 if proving else 200)
        lowest = {name: min(ratio, lowest.get(name, ratio)) for name, ratio in ratios.items()}
        if max(lowest.values()) <= BUDGET:
            return
    pytest.fail(f"ratios {lowest}, recorded {RECORDED}")


def _measure(count: int) -> dict[str, float]:
    """Run the program, print its figures, and give its ratios."""
    done = subprocess.run(  # noqa: S603  # our own program
        [sys.executable, str(ROOT / "bench" / "events.py"), "--json", "--events", str(count)],
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
    )
    figures = [json.loads(line) for line in done.stdout.splitlines()]
    for each in figures:
        print(f"\nevents: {each}; budget {BUDGET}, recorded {RECORDED}")
    return {each["name"]: each["ratio"] for each in figures}
