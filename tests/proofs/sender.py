"""One instance of the sending function for the rate's proof: its own process, its own clock.

Says `ready`, then reads batches as JSON lines on standard input and answers each with a line: what
came of them, and the letters that went back on the queue. The app is the one that `shared.app`
builds from the environment; only its clock and its queues, which the test plays itself, are
replaced.

PROOF_SHIFT, ms: how far the clock is ahead. PROOF_SCALE, PROOF_ORIGIN, PROOF_EPOCH: at the real
time ORIGIN (ms) it is EPOCH, and time runs SCALE times as fast.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import structlog

from shared.app import build_consumer
from shared.sending.letters import Letter, Settlement
from shared.triggers.context import Credentials, Invocation
from shared.triggers.queue import QueueMessage

SHIFT, SCALE, ORIGIN, EPOCH = (
    int(os.environ.get(f"PROOF_{name}", default))
    for name, default in (("SHIFT", "0"), ("SCALE", "1"), ("ORIGIN", "0"), ("EPOCH", "0"))
)
TIMEOUT = 60_000


def clock() -> int:
    """This instance's time, in ms since 1970."""
    return EPOCH + (time.time_ns() // 1_000_000 - ORIGIN) * SCALE + SHIFT


def sleep(ms: int) -> None:
    """Wait so many ms of this instance's time."""
    time.sleep(ms / 1000 / SCALE)


class Queues:
    """Keeps what the consumer gives away, for the test."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.back: list[tuple[int, str]] = []
        self.ends: Counter[str] = Counter()

    def put_back(self, letter: Letter, delay: int) -> str:
        """See `MailQueues.put_back`."""
        with self.lock:
            self.back.append((delay, letter.body()))
            what = letter.history[-1].what if letter.history else "no-permit"
            self.ends[f"back:{what}"] += 1
        return "id"

    def settle(self, _settlement: Settlement, _delay: int) -> str:
        """See `MailQueues.settle`."""
        return self._count("settle")

    def reject(self, _body: str) -> str:
        """See `MailQueues.reject`."""
        return self._count("reject")

    def bury(self, _letter: Letter) -> str:
        """See `MailQueues.bury`."""
        return self._count("bury")

    def publish(self, _body: str, tag: str, _properties: Mapping[str, str]) -> None:
        """See `Publisher.publish`."""
        self._count(f"event:{tag}")

    def _count(self, what: str) -> str:
        with self.lock:
            self.ends[what] += 1
        return "id"


def main() -> None:
    """Serve batches until the input ends."""
    answers = sys.stdout
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    consumer: Any = build_consumer().use
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    queues = Queues()
    mailer = consumer.mailer
    pacer = replace(mailer.pacer, clock=clock, sleep=sleep)
    consumer = replace(
        consumer,
        mailer=replace(mailer, pacer=pacer),
        queues=queues,
        announcer=replace(consumer.announcer, publisher=queues),
    )
    key = Credentials(
        os.environ["ALIBABA_CLOUD_ACCESS_KEY_ID"], os.environ["ALIBABA_CLOUD_ACCESS_KEY_SECRET"]
    )
    answers.write("ready\n")
    answers.flush()
    for line in sys.stdin:
        messages = [QueueMessage(identity, body.encode()) for identity, body in json.loads(line)]
        call = Invocation("proof", "send-mail", clock() + TIMEOUT * SCALE, key, clock)
        consumer.settle_all(messages, call)
        answers.write(json.dumps({"back": queues.back, "ends": queues.ends}) + "\n")
        answers.flush()
        queues.back, queues.ends = [], Counter()


if __name__ == "__main__":
    main()
