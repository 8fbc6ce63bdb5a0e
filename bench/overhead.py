# ruff: noqa: INP001  # programs, not a package: nobody imports them
"""What Postbus costs: CPU per mail over the bare loop, on the same twin, in the same run.

    python bench/overhead.py [--mails N] [--json]

The bare loop is what one would write without Postbus: `json.loads`, and the call of the official
SDK, with a client made once. The full path is the function `send_mail` as it is deployed: a queue
trigger's event in, everything between, an answer out. Batches of both alternate, so that whatever
else the machine does meets both. Each has a process of its own, whose CPU counts
(`time.process_time`, all threads); so have the twins.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from local.account import OWNER  # noqa: E402  # `bench` is no package: its root is put there first

SENDER = "noreply@mail.example.com"
BATCH = 16
WARM_UP = 64
# Of the mails, so many go the ways that have no budget and are only told.
PRINTED_PART = 4

# Sends a batch; the seconds of CPU that this took.
Round = Callable[[bytes], float]


@dataclass(frozen=True)
class Figures:
    """CPU per mail in ms, and the full path's over the bare loop's."""

    name: str
    bare_ms: float
    full_ms: float
    ratio: float


@contextlib.contextmanager
def program(name: str, *arguments: str) -> Iterator[int]:
    """Run a server of this folder that prints its port; it ends with the block."""
    command = [sys.executable, str(ROOT / "bench" / name), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:  # noqa: S603  # our own program
        try:
            assert process.stdout is not None  # noqa: S101  # for the type checker
            yield int(process.stdout.readline())
        finally:
            process.kill()


def mails(prefix: str, count: int) -> list[dict[str, Any]]:
    """Mail requests of a usual kind: HTML and text of some KB, a tag, two notify values."""
    return [
        {
            "key": f"{prefix}-{number}",
            "sender": {"address": SENDER, "alias": "The shop"},
            "to": ["ada@example.net"],
            "subject": f"Your order {number}",
            "html": "<p>Thank you for your order, it is on its way.</p>" * 40,
            "text": "Thank you for your order, it is on its way.\n" * 20,
            "tag": "orders",
            "notify": {"OrderId": str(number), "Shop": "berlin"},
        }
        for number in range(count)
    ]


@contextlib.contextmanager
def bare(port: int) -> Iterator[Round]:
    """The loop that one would write without Postbus, in a process that knows nothing of it."""
    command = [sys.executable, str(ROOT / "bench" / "bare.py"), str(port)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, cwd=ROOT) as process:  # noqa: S603  # our own program
        asked, told = process.stdin, process.stdout
        assert asked is not None  # noqa: S101  # for the type checker
        assert told is not None  # noqa: S101  # likewise

        def run(event: bytes) -> float:
            asked.write(event + b"\n")
            asked.flush()
            return float(told.readline())

        try:
            yield run
        finally:
            process.kill()


def full(port: int, ledger: str, *, states: str = "refused,failed", smq: int = 9) -> Round:
    """The function as deployed, built anew with these settings."""
    os.environ.update(
        POSTBUS_ENVIRONMENT="production",
        POSTBUS_MAILS_QUEUE="mails",
        POSTBUS_REJECTED_QUEUE="rejected",
        POSTBUS_DEAD_QUEUE="dead",
        POSTBUS_EVENTS_TOPIC="topic",
        POSTBUS_SMQ_ENDPOINT=f"http://127.0.0.1:{smq}",
        POSTBUS_DIRECTMAIL_ENDPOINT=f"http://127.0.0.1:{port}",
        POSTBUS_LEDGER=ledger,
        POSTBUS_CALLS_PER_SECOND="5000",  # permits are taken, and never waited for
        POSTBUS_PUBLISHED_STATES=states,
        POSTBUS_SUPPRESSION_KEY="no secret, but it has the length",
    )
    from shared.app import Instance, build_consumer  # noqa: PLC0415  # after the environment is set
    from shared.triggers.queue import read_queue_event  # noqa: PLC0415  # likewise

    instance = Instance(build_consumer)
    context = SimpleNamespace(
        request_id="bench",
        credentials=SimpleNamespace(
            access_key_id=OWNER.id, access_key_secret=OWNER.secret, security_token=""
        ),
        function=SimpleNamespace(name="send-mail", timeout=60),
    )

    instance.ready(context)  # now, while the settings are these

    def run(event: bytes) -> float:
        # As functions/send_mail.py does it.
        before = time.process_time()
        app = instance.app()
        app.use.settle_all(read_queue_event(event), app.begin(context))
        return time.process_time() - before

    return run


def events_of(requests: list[dict[str, Any]]) -> list[bytes]:
    """Queue trigger events of `BATCH` messages each."""
    elements = [
        {
            "id": f"m-{number}",
            "source": "MNS",
            "type": "mns:Queue:SendMessage",
            "data": {"messageId": f"m-{number}", "messageBody": json.dumps(request)},
        }
        for number, request in enumerate(requests)
    ]
    batches = [elements[i : i + BATCH] for i in range(0, len(elements), BATCH)]
    return [json.dumps(batch).encode() for batch in batches]


def compare(name: str, bare_run: Round, full_run: Round, *, count: int) -> Figures:
    """Alternate batches of both and compare.

    Batch by batch, so that both meet the same moments of a machine that others use as well. The
    medians are those of the batches; the ratio is that of the sums without the dearest tenth.
    """
    stamp = f"{name}-{time.time_ns()}"
    warm = events_of(mails(f"{stamp}-warm", WARM_UP))
    events = events_of(mails(stamp, count))
    spent: dict[Round, list[float]] = {bare_run: [], full_run: []}
    for number, event in enumerate([*warm, *events]):
        for run in (bare_run, full_run) if number % 2 else (full_run, bare_run):
            seconds = run(event)
            if number >= len(warm):
                spent[run].append(seconds * 1000 / BATCH)
    kept = {run: sorted(each)[: -max(1, len(each) // 10)] for run, each in spent.items()}
    bare_ms, full_ms = (statistics.fmean(kept[run]) for run in (bare_run, full_run))
    return Figures(name, round(bare_ms, 3), round(full_ms, 3), round(full_ms / bare_ms, 3))


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--mails", type=int, default=2_000, help="by each way")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        os.environ.pop(name, None)
    out = sys.stdout
    # The log lines are written, as in the cloud, but not here.
    with (
        Path(os.devnull).open("w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        tempfile.TemporaryDirectory() as folder,
        program("twin.py", f"{folder}/outbox") as port,
        program("services.py", folder) as services,
        bare(port) as loop,
    ):
        sqlite = f"sqlite:{folder}/ledger.db"
        tablestore = f"tablestore:http://127.0.0.1:{services}/postbus"
        told = "refused,failed,sent"
        ways = {
            "sqlite": (full(port, sqlite), given.mails),
            "sqlite, with `sent` events": (
                full(port, sqlite, states=told, smq=services),
                given.mails // PRINTED_PART,
            ),
            "tablestore": (full(port, tablestore), given.mails // PRINTED_PART),
        }
        figures = [(compare(name, loop, way, count=n), n) for name, (way, n) in ways.items()]
    for each, count in figures:
        out.write(
            json.dumps(each.__dict__) + "\n"
            if given.json
            else f"overhead: {each.name}: {each.full_ms:.2f} ms of CPU per mail, bare loop "
            f"{each.bare_ms:.2f} ms: ratio {each.ratio:.2f} "
            f"({count} mails by each way)\n"
        )


if __name__ == "__main__":
    main()
