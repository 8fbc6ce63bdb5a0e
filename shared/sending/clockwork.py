"""What a timer can ask for: to send its mail, or to sweep.

A sweep finds the mails that nobody carries: sent over HTTP, in a process that died in mid-call.
They become `held` and are announced, and go on when the caller repeats the key. (A mail that came
through a queue has its message, which comes back by itself.)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import structlog

from shared.sending.announce import Announcer
from shared.sending.claims import LEASE_MARGIN
from shared.sending.consumer import Consumer
from shared.stores.ledger import Ledger
from shared.triggers.context import Invocation
from shared.triggers.json_bytes import NotJson, read_json
from shared.triggers.queue import QueueMessage
from shared.triggers.timer import TimerEvent
from shared.values import dataclass

log = structlog.get_logger("postbus.clock")

SWEPT_AT_ONCE = 2_000
# The longest invocation of any function here, in ms.
UNKNOWN_MARGIN = 300_000
SWEEP = {"task": "sweep"}


@dataclass(frozen=True)
class Clockwork:
    """Does what ticks ask for.

    Args:
        consumer: sends a timer's mail.
        ledger: is swept.
        announcer: publishes what was found.
        purges: delete what has expired elsewhere; each takes the time and says how much it was.
    """

    consumer: Consumer
    ledger: Ledger
    announcer: Announcer
    purges: tuple[Callable[[int], int], ...] = ()

    def tick(self, tick: TimerEvent, call: Invocation) -> dict[str, int]:
        """Do what one tick asks for; returns what was done, counted.

        Raises:
            LedgerUnavailable: the sweep could not be finished; the next one goes on.
            QueueUnavailable: the mail could not be settled in any way.
        """
        if _is_sweep(tick.payload):
            return dict(self._sweep(call.now()))
        self.settle(QueueMessage(tick.key, tick.payload, key=tick.key), call)
        return {"mails": 1}

    def settle(self, message: QueueMessage, call: Invocation) -> None:
        """Settle a mail, or what was meant to be one."""
        self.consumer.settle_all([message], call)

    def _sweep(self, now: int) -> Counter[str]:
        done: Counter[str] = Counter()
        for row in self.ledger.by_state(("sending", "unknown"), SWEPT_AT_ONCE):
            # The lease of a row that is unknown is over; whoever found that out had time enough
            # to put the mail on the queue.
            over = row.lease_until or row.updated_at + UNKNOWN_MARGIN
            if row.carrier != "caller" or now < over + LEASE_MARGIN:
                continue
            held = replace(row, state="held", unknown_since=now, lease_until=0, updated_at=now)
            self.announcer.announce(held, "held", "caller-died", now)
            if self.ledger.change(row, held):
                done["held"] += 1
                log.warning("mail.held", mail_id=row.mail_id, why="its caller's process died")
        done["purged"] = self.ledger.purge(now) + sum(purge(now) for purge in self.purges)
        return done


def _is_sweep(payload: bytes) -> bool:
    try:
        return bool(read_json(payload) == SWEEP)
    except NotJson:
        return False
