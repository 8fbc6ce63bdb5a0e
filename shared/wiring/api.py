"""The HTTP API."""

from __future__ import annotations

import random
import secrets

from shared.api.mails import Mails
from shared.api.recipients import RecipientApi
from shared.api.routes import Api
from shared.api.suppressions import SuppressionApi
from shared.cloud.directmail import DirectMail
from shared.concurrency import AtMost
from shared.wiring.edge import Edge, now_ms
from shared.wiring.policy import make_suppressions
from shared.wiring.sending import make_announcer, make_mailer


def make_api(edge: Edge, directmail: DirectMail) -> Api:
    """Answers requests about mails, suppressions and recipients."""
    stores, settings = edge.stores, edge.settings
    suppressions = make_suppressions(edge)
    mails = Mails(
        make_mailer(edge, directmail, suppressions),
        stores.ledger,
        edge.queues,
        make_announcer(edge),
        _new_key,
        random.random,
        AtMost(settings.threads),
    )
    recipients = RecipientApi(suppressions, stores.recipients, stores.events)
    return Api(mails, SuppressionApi(suppressions), recipients, settings.environment)


def _new_key() -> str:
    """The key of a request that has none: it is sent once for each request."""
    return f"once-{now_ms():x}-{secrets.token_hex(8)}"
