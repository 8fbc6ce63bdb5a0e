# ruff: noqa: INP001  # a program, not a package: nobody imports it
"""What calls cost once an instance is ready: the first mail, connections, memory, a mail of 1 MB.

    python bench/calls.py [--runtime python3.12] [--runs 15] [--mails 10000] [--json]

`send_mail` runs from its package, on the runtime's Python, against the twins over TLS, with the
Tablestore ledger.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from bench.cold_start import environment_of  # noqa: E402  # its root is put there first
from bench.coldness import server_of, trust, twins, unpacked_packages  # noqa: E402  # likewise
from deploy.package.contents import SENDER  # noqa: E402  # likewise
from deploy.package.targets import TARGETS, find_interpreter  # noqa: E402  # likewise

PROGRAM = ROOT / "bench" / "calls_program.py"
THREADS = 16
SENDS = 400
TURNS = 15


@dataclass(frozen=True)
class Figures:
    """What was measured.

    Attributes:
        first_over_tenth: latency of the first mail over the tenth's; medians of fresh processes.
        connections: how many 400 sends over 16 threads have opened, besides the one ahead of them.
        memory: after all sends over after a tenth of them.
        megabyte: CPU of a mail of 1 MB over the plain SDK's.
        identical: whether both sent the same bytes.
    """

    first_over_tenth: float
    connections: int
    memory: float
    megabyte: float
    identical: bool


@dataclass(frozen=True)
class Instance:
    """How an instance is run: the interpreter, its package, its variables."""

    python: Path
    package: Path
    environment: Mapping[str, str]

    def run(self, plan: Mapping[str, Any], **environment: str) -> Any:
        """Run `calls_program.py` in a fresh process; gives what it tells."""
        done = subprocess.run(  # noqa: S603  # the runtime's Python and our own program
            [str(self.python), "-S", "-s", str(PROGRAM), json.dumps(plan)],
            env={
                "PATH": os.environ.get("PATH", os.defpath),
                "PYTHONPATH": str(self.package),
                "PYTHONDONTWRITEBYTECODE": "1",
                **self.environment,
                **environment,
            },
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return json.loads(done.stdout.splitlines()[-1])


def measure(runtime: str, *, runs: int, mails: int) -> Figures:
    """The figures of one runtime.

    Raises:
        InterpreterMissing: this machine has no Python of its version.
    """
    target = TARGETS[runtime]
    interpreter = find_interpreter(target)
    package = unpacked_packages(target, interpreter)[SENDER]
    with tempfile.TemporaryDirectory() as scratch, twins(Path(scratch)) as addresses:
        trust(package, Path(addresses["authority"]))
        sink = environment_of(addresses)
        cloud = {
            **sink,
            "POSTBUS_ALLOWED_RECIPIENTS": "*",
            "POSTBUS_CALLS_PER_SECOND": "0",
            "POSTBUS_THREADS": str(THREADS),
            "POSTBUS_LOG_LEVEL": "error",
        }
        instance = Instance(interpreter.path, package, cloud)
        first, tenth = _first_and_tenth(instance, runs)
        plan = {**addresses, "do": "connections", "prefix": "c", "mails": SENDS, "batch": THREADS}
        opened = instance.run(plan)
        light = {"POSTBUS_LEDGER": f"sqlite:{scratch}/ledger.db"}
        steps = {"do": "memory", "prefix": "m", "steps": [mails // 10, mails], "batch": THREADS}
        early, late = instance.run(steps, **light)
        large = _megabyte(instance)
    return Figures(
        first_over_tenth=round(first / tenth, 2),
        connections=opened,
        memory=round(late / early, 3),
        megabyte=round(statistics.median(large["ours"]) / statistics.median(large["plain"]), 2),
        identical=len(set(large["bodies"])) == 1,
    )


def _first_and_tenth(instance: Instance, runs: int) -> tuple[float, float]:
    times = [
        instance.run({"do": "latency", "prefix": f"l{run}", "mails": 10}) for run in range(runs)
    ]
    return statistics.median(t[0] for t in times), statistics.median(t[9] for t in times)


def _megabyte(instance: Instance) -> dict[str, Any]:
    with server_of("sink.py") as port:
        plan = {"do": "megabyte", "sink": f"127.0.0.1:{port}", "turns": TURNS}
        told: dict[str, Any] = instance.run(
            plan, POSTBUS_DIRECTMAIL_ENDPOINT=f"http://127.0.0.1:{port}"
        )
        return told


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--runtime", choices=list(TARGETS), default="python3.12")
    parser.add_argument("--runs", type=int, default=15, help="fresh processes (default: 15)")
    parser.add_argument("--mails", type=int, default=10_000, help="for the memory (default: 10000)")
    parser.add_argument("--json", action="store_true", help="for programs")
    options = parser.parse_args()
    figures = measure(options.runtime, runs=options.runs, mails=options.mails)
    if options.json:
        sys.stdout.write(json.dumps(asdict(figures)) + "\n")
        return
    sys.stdout.write(
        f"calls, {options.runtime}, from the package, over TLS\n"
        f"  first mail over the tenth, {options.runs} processes: {figures.first_over_tenth:.2f}\n"
        f"  connections of {SENDS} sends over {THREADS} threads: {figures.connections}\n"
        f"  memory after {options.mails:,} sends over after {options.mails // 10:,}: "
        f"{figures.memory:.3f}\n"
        f"  CPU of 1 MB over the plain SDK's: {figures.megabyte:.2f}, "
        f"bytes {'identical' if figures.identical else 'DIFFERENT'}\n"
    )


if __name__ == "__main__":
    main()
