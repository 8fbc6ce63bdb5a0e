"""The composition root: settings -> adapters -> use cases. The one place that chooses.

Each function has a builder of its own here, and a builder imports what only its function needs:
a function that does not send never imports the DirectMail SDK, whose import is most of a cold
start.
"""

from __future__ import annotations

import os
import random
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from shared import logs
from shared.cloud.queues import Queues
from shared.cloud.smq import Smq
from shared.errors import SettingsError
from shared.sending.compose import Policy
from shared.settings import Settings, read_settings
from shared.stores.ledger import Ledger
from shared.triggers.context import Invocation, read_context

UseCase = TypeVar("UseCase")

# The tables of the ledger have a time to live of 120 days, counted from the last write.
RECORD_DAYS_MAX = 110


def now_ms() -> int:
    """The time, in ms since 1970."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class App(Generic[UseCase]):
    """What one instance of a function keeps between invocations."""

    settings: Settings
    smq: Smq
    ledger: Ledger
    use: UseCase

    def begin(self, context: Any) -> Invocation:
        """Start an invocation: its credentials, its time, its id in every log line."""
        call = read_context(context, os.environ, now_ms)
        logs.bind(request_id=call.request_id)
        self.smq.use(call)
        self.ledger.use(call)
        return call


class Instance(Generic[UseCase]):
    """Builds a function's app once: in the initializer, or at the first request without one."""

    def __init__(self, build: Callable[[], App[UseCase]]) -> None:
        self._build = build
        self._app: App[UseCase] | None = None

    def app(self) -> App[UseCase]:
        """The app, built on the first call."""
        if self._app is None:
            self._app = self._build()
        return self._app


def build_consumer() -> App[Any]:
    """What `send_mail` needs."""
    from shared.concurrency import AtOnce  # noqa: PLC0415  # for functions that send only
    from shared.sending.consumer import Consumer  # noqa: PLC0415  # likewise

    settings, smq, queues = _edge()
    ledger = _ledger(settings)
    mailer = _mailer(settings, ledger, queues)
    announcer = _announcer(settings, queues)
    consumer = Consumer(mailer, queues, announcer, random.random, AtOnce(settings.threads))
    return App(settings, smq, ledger, consumer)


def build_clockwork() -> App[Any]:
    """What `clock` needs."""
    from shared.sending.clockwork import Clockwork  # noqa: PLC0415  # for this function only

    app = build_consumer()
    consumer = app.use
    work = Clockwork(consumer, app.ledger, consumer.announcer)
    return App(app.settings, app.smq, app.ledger, work)


def build_api() -> App[Any]:
    """What `mail_api` needs."""
    from shared.api.mails import Mails  # noqa: PLC0415  # for the API only
    from shared.api.routes import Api  # noqa: PLC0415  # likewise
    from shared.concurrency import AtMost  # noqa: PLC0415  # likewise

    settings, smq, queues = _edge()
    ledger = _ledger(settings)
    mails = Mails(
        _mailer(settings, ledger, queues),
        ledger,
        queues,
        _announcer(settings, queues),
        _new_key,
        random.random,
        AtMost(settings.threads),
    )
    return App(settings, smq, ledger, Api(mails, settings.environment))


def build_forwarder() -> App[Any]:
    """What `delivery_events` needs; nothing of it sends."""
    from shared.delivery.forward import Forwarder  # noqa: PLC0415  # for this function only

    settings, smq, queues = _edge()
    ledger = _ledger(settings)
    source = f"postbus/{settings.environment}"
    forwarder = Forwarder(ledger, queues, settings.environment, source)
    return App(settings, smq, ledger, forwarder)


def _edge() -> tuple[Settings, Smq, Queues]:
    settings = read_settings(os.environ)
    logs.configure(settings.log_level)
    try:
        smq = Smq(settings.smq_endpoint, settings.ca_file or None)
    except ValueError as error:
        raise SettingsError(f"POSTBUS_SMQ_ENDPOINT: {error}") from None
    queues = Queues(
        smq,
        mails=settings.mails_queue,
        rejected=settings.rejected_queue,
        dead=settings.dead_queue,
        topic=settings.events_topic,
        events=settings.delivery_events_queue,
    )
    return settings, smq, queues


def _ledger(settings: Settings) -> Ledger:
    kind, _, place = settings.ledger.partition(":")
    if kind == "sqlite" and place:
        from shared.stores.sqlite.ledger import SqliteLedger  # noqa: PLC0415  # chosen by settings

        return SqliteLedger(Path(place))
    if kind == "tablestore":
        from shared.stores.tablestore.ledger import TablestoreLedger  # noqa: PLC0415  # likewise

        return TablestoreLedger.at(place, settings.ca_file or None)
    raise SettingsError(
        "POSTBUS_LEDGER is `sqlite:<path>` or `tablestore:https://<instance>.<region>.ots."
        f"aliyuncs.com/<instance>`; it is {settings.ledger!r}"
    )


def _mailer(settings: Settings, ledger: Ledger, queues: Queues) -> Any:
    from shared.cloud.directmail import DirectMail, Endpoint  # noqa: PLC0415  # the sending SDK
    from shared.schema.mail_request import Sender  # noqa: PLC0415  # for functions that send only
    from shared.sending.mailer import Mailer  # noqa: PLC0415  # likewise
    from shared.sending.pace import Limits, Pacer  # noqa: PLC0415  # likewise

    provider = DirectMail(
        Endpoint(
            settings.directmail_region,
            settings.directmail_endpoint,
            settings.open_platform_endpoint,
            settings.ca_file,
        )
    )
    sender = settings.default_sender
    policy = Policy(
        environment=settings.environment,
        default_sender=Sender(address=sender) if sender else None,
        allowed_senders=settings.allowed_senders,
        allowed_recipients=settings.allowed_recipients,
        redirect_to=settings.redirect_to or None,
    )
    limits = Limits(
        settings.calls_per_second, settings.daily_recipients, settings.quota_zone_hours * 3_600_000
    )
    return Mailer(
        ledger=ledger,
        provider=provider,
        policy=policy,
        new_owner=lambda: secrets.token_hex(8),
        grace=settings.unknown_grace_seconds * 1000,
        keep=min(settings.record_days, RECORD_DAYS_MAX) * 86_400_000,
        pacer=Pacer(ledger, limits, now_ms, _sleep, threading.Lock(), random.random),
        lag=lambda: queues.events_lag(now_ms()),
    )


def _announcer(settings: Settings, queues: Queues) -> Any:
    from shared.sending.announce import Announcer  # noqa: PLC0415  # for functions that send only

    return Announcer(queues, f"postbus/{settings.environment}", settings.published_states)


def _sleep(ms: int) -> None:
    time.sleep(ms / 1000)


def _new_key() -> str:
    return f"once-{now_ms():x}-{secrets.token_hex(8)}"
