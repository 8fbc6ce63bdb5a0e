"""Line 7: the account's rate and daily quota, kept by several instances whose clocks differ."""

from __future__ import annotations

import heapq
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.account import OWNER

pytestmark = [pytest.mark.stack, pytest.mark.quiet]

ROOT = Path(__file__).parents[2]
SEED = 7
# How far each instance's clock is ahead of the true time, in ms.
SHIFTS = (200, -200, 100, -100)
BATCH = 16
DAY = 86_400_000
CHINA = 8 * 3_600_000
# A day of 12 seconds.
SCALE = DAY // 12_000


class Twin:
    """DirectMail's twin behind its gate, in a process of its own."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def limit(self, *, calls: int = 0, recipients: int = 0) -> None:
        """Set the account's limits, and the counts to zero."""
        limits = {"calls": calls, "recipients": recipients}
        httpx.post(f"{self.url}/-/limits", json=limits).raise_for_status()

    def counts(self) -> dict[str, Any]:
        """What was admitted and refused since then."""
        counts: dict[str, Any] = httpx.get(f"{self.url}/-/counts").json()
        return counts


@contextmanager
def running(command: list[str], environment: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A program of ours, killed at the end."""
    with subprocess.Popen(  # noqa: S603  # our own program
        [sys.executable, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def twin(folder: Path, *scaled: int) -> Iterator[Twin]:
    """Run the twin; `scaled` is its simulated time."""
    program = [str(ROOT / "bench" / "twin.py"), str(folder), *map(str, scaled)]
    with running(program, {}) as process:
        assert process.stdout is not None
        yield Twin(int(process.stdout.readline()))


class Queue:
    """The mail queue, played by the test: a message is due at some time, in seconds from now."""

    def __init__(self, mails: list[dict[str, Any]], scale: int) -> None:
        self._waiting = [(0.0, f"m-{n}", json.dumps(mail)) for n, mail in enumerate(mails)]
        heapq.heapify(self._waiting)
        self._lock = threading.Lock()
        self._in_flight = 0
        self._scale = scale
        self.ends: Counter[str] = Counter()

    def take(self) -> list[tuple[str, str]] | None:
        """A batch of what is due; None when nothing is left."""
        with self._lock:
            if not self._waiting and not self._in_flight:
                return None
            batch: list[tuple[str, str]] = []
            while self._waiting and len(batch) < BATCH and self._waiting[0][0] <= time.monotonic():
                batch.append(heapq.heappop(self._waiting)[1:])
            self._in_flight += len(batch)
            return batch

    def settle(self, count: int, answer: dict[str, Any]) -> None:
        """What became of a batch."""
        with self._lock:
            self._in_flight -= count
            self.ends.update(answer["ends"])
            for delay, body in answer["back"]:
                due = time.monotonic() + delay / 1000 / self._scale
                heapq.heappush(self._waiting, (due, f"b-{random.random()}", body))


def send(
    mails: list[dict[str, Any]],
    environment: Mapping[str, str],
    *,
    scale: int = 1,
    begin: Callable[[], None] = lambda: None,
) -> Queue:
    """Send mails through four instances, each of which takes batches as the queue trigger does.

    Args:
        mails: the requests.
        environment: the instances'.
        scale: how fast their time runs.
        begin: is called once all of them are ready.
    """
    queue = Queue(mails, scale)

    def feed(process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        while (batch := queue.take()) is not None:
            if not batch:
                time.sleep(0.005)
                continue
            process.stdin.write(json.dumps(batch) + "\n")
            process.stdin.flush()
            queue.settle(len(batch), json.loads(process.stdout.readline()))

    with ExitStack() as stack:
        program = [str(Path(__file__).with_name("sender.py"))]
        processes = [
            stack.enter_context(running(program, {**environment, "PROOF_SHIFT": str(shift)}))
            for shift in SHIFTS
        ]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        begin()
        feeders = [threading.Thread(target=feed, args=(each,), daemon=True) for each in processes]
        for feeder in feeders:
            feeder.start()
        for feeder in feeders:
            feeder.join()
    return queue


def mails(count: int, prefix: str) -> list[dict[str, Any]]:
    """Plain mails; each tenth has thirty recipients."""
    chance = random.Random(SEED)
    return [
        {
            "key": f"{prefix}-{number}",
            "sender": {"address": "noreply@mail.example.com"},
            "to": [
                f"reader{place}@example.net" for place in range(30 if chance.random() < 0.1 else 1)
            ],
            "subject": "Hello",
            "text": "Hello, Ada.",
        }
        for number in range(count)
    ]


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """The environment of the instances."""

    def make(account: Twin, **more: object) -> dict[str, str]:
        given = {
            "ENVIRONMENT": "production",
            "SUPPRESSION_KEY": "0123456789abcdef0123456789abcdef",
            "SMQ_ENDPOINT": "http://127.0.0.1:9",
            "DIRECTMAIL_ENDPOINT": account.url,
            "LEDGER": f"sqlite:{tmp_path / 'ledger.db'}",
            "LOG_LEVEL": "error",
            **more,
        }
        return {
            "ALIBABA_CLOUD_ACCESS_KEY_ID": OWNER.id,
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET": OWNER.secret,
            **{f"POSTBUS_{name}": str(value) for name, value in given.items()},
        }

    return make


def rate_of(times: list[float]) -> float:
    """Calls a second, while there is work for everybody: without the last tenth."""
    busy = times[: len(times) * 9 // 10]
    return (len(busy) - 1) / (busy[-1] - busy[0])


@pytest.mark.timeout(600)
def test_the_rate_is_kept_and_used(
    tmp_path: Path, proving: bool, settings: Callable[..., dict[str, str]]
) -> None:
    """At half of what is reached without a limit: 0.90 of it is used, at most 1 % throttled."""
    count = 2_000 if proving else 400
    with twin(tmp_path / "outbox") as account:
        account.limit()
        send(mails(400, "free"), settings(account, CALLS_PER_SECOND=0))
        free = rate_of(account.counts()["times"])
        limit = int(free / 2)
        account.limit(calls=limit)
        queue = send(mails(count, "paced"), settings(account, CALLS_PER_SECOND=limit))
        counts = account.counts()
    throttled = counts.get("Throttling.User", 0)
    used = rate_of(counts["times"]) / limit
    print(
        f"\nrate: seed {SEED}: {free:.0f} calls/s without a limit, limit {limit}: {count} mails, "
        f"4 instances at {SHIFTS} ms: {used:.3f} of the limit used, {throttled} throttled "
        f"({throttled / (count + throttled):.2%}), {dict(queue.ends)}"
    )
    assert counts["admitted"] == count
    # In full, what issue 3 asks for, on a machine that has time for it. The reduced run lasts a few
    # seconds, of which the first is spent on finding the shares, beside other tests: 5 % were
    # throttled on two cores with a load of 5. Its bounds only tell pacing from none.
    least, most = (0.90, 0.01) if proving else (0.70, 0.15)
    assert used >= least
    assert throttled <= most * (count + throttled)


@pytest.mark.timeout(600)
def test_the_quota_is_kept_and_the_rest_goes_out_on_the_next_day(
    tmp_path: Path, proving: bool, settings: Callable[..., dict[str, str]]
) -> None:
    """No recipient over the daily quota; what is deferred is sent on the next simulated day."""
    count = 2_000 if proving else 300
    requests = mails(count, "quota")
    recipients = sum(len(mail["to"]) for mail in requests)
    quota = recipients * 6 // 10
    first = 20_000 * DAY - CHINA
    origin = time.time_ns() // 1_000_000 + 8_000  # the instances have started by then
    time_of_run = {
        "PROOF_SCALE": str(SCALE),
        "PROOF_ORIGIN": str(origin),
        "PROOF_EPOCH": str(first),
    }
    with twin(tmp_path / "outbox", SCALE, origin, first) as account:
        account.limit(recipients=quota)
        given = settings(account, CALLS_PER_SECOND=0, DAILY_RECIPIENTS=quota)

        def begin() -> None:
            late = origin / 1000 - time.time()
            assert late > 0, "the instances took too long to start"
            time.sleep(late)

        queue = send(requests, {**given, **time_of_run}, scale=SCALE, begin=begin)
        counts = account.counts()
    days = dict(sorted(counts["days"].items()))
    over = counts.get("InvalidSendMail.Spam", 0)
    print(
        f"\nquota: seed {SEED}: a day is {DAY / SCALE / 1000:.0f} s (factor {SCALE}): {count} "
        f"mails to {recipients} recipients, quota {quota}: sent {days}, "
        f"refused by the account {over}, {dict(queue.ends)}"
    )
    assert counts["admitted"] == count
    assert over == 0
    assert max(days.values()) <= quota
    assert len(days) == 2
    assert days[min(days)] >= 0.9 * quota
