# ruff: noqa: INP001  # a program, not a package: nobody imports it
"""What a cold start costs, in F; and where it may not go.

    python bench/cold_start.py [--runtime python3.12] [--runs 15] [--json]

F is the import of what any straightforward function needs: the DirectMail SDK's client, pydantic
and structlog, and one small model. Each function is measured as it is deployed: from its unpacked
package, its import and its initializer together, with the Tablestore ledger, and with SQLite.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from bench.coldness import (  # noqa: E402  # `bench` is no package: its root is put there first
    Cost,
    Variant,
    compare,
    naive_folder,
    source_folder,
    trust,
    twins,
    unpacked_packages,
)
from bench.encrypted import INSTANCE  # noqa: E402  # likewise
from deploy.package.contents import FUNCTIONS  # noqa: E402  # likewise
from deploy.package.errors import InterpreterMissing  # noqa: E402  # likewise
from deploy.package.targets import TARGETS, find_interpreter  # noqa: E402  # likewise
from local.account import OWNER  # noqa: E402  # likewise

NAIVE = """\
from alibabacloud_dm20151123.client import Client
import pydantic, structlog
class Small(pydantic.BaseModel):
    name: str
    count: int = 0
"""
READY = """\
import importlib
module = importlib.import_module("functions.{name}")
module.initialize(None)
"""
CLOUD = {
    "FC_FUNC_CODE_PATH": "/code",
    "ALIBABA_CLOUD_ACCESS_KEY_ID": OWNER.id,
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET": OWNER.secret,
    "POSTBUS_ENVIRONMENT": "production",
    "POSTBUS_MAILS_QUEUE": "mails",
    "POSTBUS_REJECTED_QUEUE": "rejected",
    "POSTBUS_DEAD_QUEUE": "dead",
    "POSTBUS_DELIVERY_EVENTS_QUEUE": "delivery-events",
    "POSTBUS_EVENTS_TOPIC": "events",
    "POSTBUS_SUPPRESSION_KEY": "no secret, but it has the length",
    "POSTBUS_LOG_LEVEL": "info",
}
F = "F"
NOT_PACKAGED = "send_mail, not packaged"


def environment_of(addresses: Mapping[str, str]) -> dict[str, str]:
    """The variables of a function that works with these twins."""
    return {
        **CLOUD,
        "POSTBUS_SMQ_ENDPOINT": addresses["smq"],
        "POSTBUS_DIRECTMAIL_ENDPOINT": addresses["directmail"],
        "POSTBUS_LEDGER": f"tablestore:{addresses['tablestore']}/{INSTANCE}",
    }


def variants(
    packages: Mapping[str, Path], cloud: Mapping[str, str], scratch: Path
) -> dict[str, Variant]:
    """The functions, by name, as they are deployed.

    Args:
        packages: group -> its unpacked package.
        cloud: the variables of a function.
        scratch: for SQLite's files.
    """
    found = {}
    sqlite = {**cloud, "POSTBUS_LEDGER": f"sqlite:{scratch / 'ledger.db'}"}
    for name, group in FUNCTIONS.items():
        found[name] = Variant((packages[group],), READY.format(name=name), cloud)
    for name in ("send_mail", "delivery_events"):
        folder = packages[FUNCTIONS[name]]
        found[f"{name}, SQLite"] = Variant((folder,), READY.format(name=name), sqlite)
    return found


def measure(runtime: str, runs: int) -> dict[str, Cost]:
    """The figures of one runtime.

    Raises:
        InterpreterMissing: this machine has no Python of its version.
    """
    target = TARGETS[runtime]
    interpreter = find_interpreter(target)
    packages = unpacked_packages(target, interpreter)
    naive, source = naive_folder(target, interpreter), source_folder(target, interpreter)
    with tempfile.TemporaryDirectory() as scratch, twins(Path(scratch)) as addresses:
        for folder in packages.values():
            trust(folder, Path(addresses["authority"]))
        cloud = environment_of(addresses)
        measured = variants(packages, cloud, Path(scratch))
        measured[F] = Variant((naive,), NAIVE, {})
        whole = {**cloud, "POSTBUS_CA_FILE": addresses["ca_file"]}
        ready = READY.format(name="send_mail")
        measured[NOT_PACKAGED] = Variant((source, naive), ready, whole)
        return compare(interpreter.path, measured, runs)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--runtime", action="append", choices=list(TARGETS))
    parser.add_argument("--runs", type=int, default=15, help="of each variant (default: 15)")
    parser.add_argument("--json", action="store_true", help="for programs")
    options = parser.parse_args()
    for runtime in options.runtime or list(TARGETS):
        try:
            costs = measure(runtime, options.runs)
        except InterpreterMissing as missing:
            sys.stderr.write(f"left out: {missing}\n")
            continue
        if options.json:
            base = costs[F]
            told = {
                name: {**vars(cost), "f": cost.ms / base.ms, "cpu_f": cost.cpu_ms / base.cpu_ms}
                for name, cost in costs.items()
            }
            sys.stdout.write(json.dumps({"runtime": runtime, **told}) + "\n")
        else:
            _print(runtime, costs, options.runs)


def _print(runtime: str, costs: dict[str, Cost], runs: int) -> None:
    lines = [f"cold start, {runtime}, medians of {runs} fresh processes each, interleaved"]
    for name, cost in costs.items():
        ratio, cpu = cost.ms / costs[F].ms, cost.cpu_ms / costs[F].cpu_ms
        lines.append(
            f"  {name:24}{cost.ms:6.0f} ms {ratio:5.2f} F{cost.cpu_ms:6.0f} ms of CPU {cpu:5.2f} F"
            f"{cost.modules:5} modules{cost.rss_mb:4.0f} MB"
        )
    packed, plain = costs["send_mail"], costs[NOT_PACKAGED]
    lines.append(f"  from the package over not packaged: {packed.ms / plain.ms:.2f}")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
