"""What sends mails: the one wiring that imports the DirectMail SDK."""

from __future__ import annotations

import random
import secrets
import threading
import time

from shared.cloud.directmail import DirectMail, Endpoint
from shared.concurrency import AtOnce
from shared.sending.announce import Announcer
from shared.sending.consumer import Consumer
from shared.sending.mailer import Mailer
from shared.sending.pace import Limits, Pacer
from shared.sending.suppress import SuppressionList
from shared.settings import Settings
from shared.wiring.edge import Edge, now_ms
from shared.wiring.outlet import make_outlet, source_of
from shared.wiring.policy import make_policy, make_suppressions
from shared.wiring.stores import kept_ms


def open_directmail(settings: Settings) -> DirectMail:
    """The provider, through its official SDK."""
    return DirectMail(
        Endpoint(
            settings.directmail_region,
            settings.directmail_endpoint,
            settings.open_platform_endpoint,
            settings.ca_file,
        )
    )


def make_mailer(edge: Edge, directmail: DirectMail, suppressions: SuppressionList) -> Mailer:
    """Sends one mail, once."""
    settings, ledger = edge.settings, edge.stores.ledger
    return Mailer(
        ledger=ledger,
        provider=directmail,
        policy=make_policy(settings),
        new_owner=lambda: secrets.token_hex(8),
        grace=settings.unknown_grace_seconds * 1000,
        keep=kept_ms(settings),
        pacer=Pacer(ledger, _limits(settings), now_ms, _sleep, threading.Lock(), random.random),
        lag=lambda: edge.queues.events_lag(now_ms()),
        suppressions=suppressions,
    )


def make_announcer(edge: Edge) -> Announcer:
    """Says what became of a mail, where somebody has to know."""
    settings = edge.settings
    return Announcer(make_outlet(edge), source_of(settings), settings.published_states)


def make_consumer(edge: Edge, directmail: DirectMail) -> Consumer:
    """Settles the messages of a batch."""
    return Consumer(
        make_mailer(edge, directmail, make_suppressions(edge)),
        edge.queues,
        make_announcer(edge),
        random.random,
        AtOnce(edge.settings.threads),
    )


def _limits(settings: Settings) -> Limits:
    return Limits(
        settings.calls_per_second, settings.daily_recipients, settings.quota_zone_hours * 3_600_000
    )


def _sleep(ms: int) -> None:
    time.sleep(ms / 1000)
