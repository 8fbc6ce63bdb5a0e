"""What takes DirectMail's events in."""

from __future__ import annotations

from shared.delivery.forward import Forwarder
from shared.delivery.suppressing import Suppressing
from shared.wiring.edge import Edge
from shared.wiring.outlet import make_outlet, source_of
from shared.wiring.policy import make_suppressions


def make_forwarder(edge: Edge) -> Forwarder:
    """Reads, records and forwards events; nothing of it sends mails."""
    settings = edge.settings
    return Forwarder(
        ledger=edge.stores.ledger,
        outlet=make_outlet(edge),
        shelf=edge.queues,
        environment=settings.environment,
        source=source_of(settings),
        unmatched=settings.unmatched,
        suppressor=Suppressing(make_suppressions(edge)),
    )
