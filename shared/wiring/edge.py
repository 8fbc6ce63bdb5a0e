"""What every function reaches: its settings, SMQ, and the stores."""

from __future__ import annotations

import os
import time

from shared import logs
from shared.cloud.queues import Queues
from shared.cloud.smq import Smq
from shared.errors import SettingsError
from shared.settings import Settings, read_settings
from shared.wiring.stores import open_stores


def now_ms() -> int:
    """The time, in ms since 1970."""
    return time.time_ns() // 1_000_000


class Edge:
    """What the parts of a function are made from. Nothing is asked over the network yet.

    Args:
        settings: of this environment.

    Raises:
        SettingsError: a setting names a place that there cannot be.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        try:
            self.smq = Smq(settings.smq_endpoint, settings.ca_file or None)
        except ValueError as error:
            raise SettingsError(f"POSTBUS_SMQ_ENDPOINT: {error}") from None
        self.queues = Queues(
            self.smq,
            mails=settings.mails_queue,
            rejected=settings.rejected_queue,
            dead=settings.dead_queue,
            events=settings.delivery_events_queue,
            retries=settings.delivery_retries_queue,
            dead_events=settings.delivery_events_dead_queue,
        )
        self.stores = open_stores(settings)


def open_edge() -> Edge:
    """The edge that the environment's variables name; logs go out from here on.

    Raises:
        SettingsError: a setting is missing or wrong.
    """
    settings = read_settings(os.environ)
    logs.configure(settings.log_level)
    return Edge(settings)
