"""What the clock does beside sending a timer's own mail."""

from __future__ import annotations

from shared.cloud.directmail import DirectMail
from shared.sending.clockwork import Clockwork
from shared.wiring.edge import Edge
from shared.wiring.sending import make_consumer


def make_clockwork(edge: Edge, directmail: DirectMail) -> Clockwork:
    """Sweeps, and sends what a timer carries."""
    consumer = make_consumer(edge, directmail)
    stores = edge.stores
    purges = (stores.events.purge, stores.suppressions.purge)
    return Clockwork(consumer, stores.ledger, consumer.announcer, purges)
