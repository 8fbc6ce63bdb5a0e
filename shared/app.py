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
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import urlsplit

import structlog

from shared import coldstart, logs
from shared.cloud.queues import Queues
from shared.cloud.smq import Smq
from shared.errors import SettingsError
from shared.settings import Settings, read_settings
from shared.stores.ledger import Ledger
from shared.stores.suppressions import Suppressions
from shared.triggers.context import Invocation, read_context

if TYPE_CHECKING:
    from shared.sending.compose import Policy
    from shared.sending.unsubscribe import UnsubscribeLinks

UseCase = TypeVar("UseCase")
log = structlog.get_logger()

# The tables of the ledger have a time to live of 120 days, counted from the last write.
RECORD_DAYS_MAX = 110
# No mail's id: those are 26 letters and digits.
NO_MAIL = "none"
# The environment of one machine, and what its suppressions are hashed with unless it is told.
LOCAL = "local"
LOCAL_KEY = "the key of one machine, and of no cloud"
# A link has to fit into a line of a mail, with two addresses of 192 characters sealed in it.
URL_MAX = 200
# Where the code is; files that settings name are below it.
CODE = Path(__file__).parents[1]


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
    warm: tuple[Callable[[Invocation], object], ...] = ()

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

    def ready(self, context: Any) -> None:
        """Do in the initializer what the first request would have to wait for.

        Args:
            context: the platform's.

        Raises:
            SettingsError: a setting is wrong. Nothing else does: what cannot be reached now may be
                there when it is needed.
        """
        app = self.app()
        call = app.begin(context)
        for warm in app.warm:
            try:
                warm(call)
            except Exception as error:  # noqa: BLE001  # whatever the network does, see above
                log.info("instance.not_warm", error=type(error).__name__)
        coldstart.end()


def build_consumer() -> App[Any]:
    """What `send_mail` needs."""
    from shared.concurrency import AtOnce  # noqa: PLC0415  # for functions that send only
    from shared.sending.consumer import Consumer  # noqa: PLC0415  # likewise

    settings, smq, queues = _edge()
    ledger = _ledger(settings)
    mailer = _mailer(settings, ledger, queues)
    announcer = _announcer(settings, queues, ledger)
    consumer = Consumer(mailer, queues, announcer, random.random, AtOnce(settings.threads))
    warm = (_first_read(ledger), mailer.provider.warm)
    return App(settings, smq, ledger, consumer, warm)


def build_clockwork() -> App[Any]:
    """What `clock` needs."""
    from shared.sending.clockwork import Clockwork  # noqa: PLC0415  # for this function only

    app = build_consumer()
    consumer = app.use
    events = _event_log(app.settings, app.ledger)
    purges = (events.purge, consumer.mailer.suppressions.store.purge)
    work = Clockwork(consumer, app.ledger, consumer.announcer, purges)
    return App(app.settings, app.smq, app.ledger, work, app.warm)


def build_api() -> App[Any]:
    """What `mail_api` needs."""
    from shared.api.mails import Mails  # noqa: PLC0415  # for the API only
    from shared.api.recipients import RecipientApi  # noqa: PLC0415  # likewise
    from shared.api.routes import Api  # noqa: PLC0415  # likewise
    from shared.api.suppressions import SuppressionApi  # noqa: PLC0415  # likewise
    from shared.concurrency import AtMost  # noqa: PLC0415  # likewise

    settings, smq, queues = _edge()
    ledger = _ledger(settings)
    mailer = _mailer(settings, ledger, queues)
    mails = Mails(
        mailer,
        ledger,
        queues,
        _announcer(settings, queues, ledger),
        _new_key,
        random.random,
        AtMost(settings.threads),
    )
    suppressions = _suppressions(settings, ledger)
    recipients = RecipientApi(
        suppressions, _recipients(settings, ledger), _event_log(settings, ledger)
    )
    api = Api(mails, SuppressionApi(suppressions), recipients, settings.environment)
    warm = (_first_read(ledger), mailer.provider.warm)
    return App(settings, smq, ledger, api, warm)


def build_forwarder() -> App[Any]:
    """What `delivery_events` needs; nothing of it sends."""
    from shared.delivery.forward import Forwarder  # noqa: PLC0415  # for this function only
    from shared.delivery.suppressing import Suppressing  # noqa: PLC0415  # likewise

    settings, smq, queues = _edge()
    ledger = _ledger(settings)
    forwarder = Forwarder(
        ledger,
        _outlet(settings, queues, ledger),
        queues,
        settings.environment,
        f"postbus/{settings.environment}",
        settings.unmatched,
        Suppressing(_suppressions(settings, ledger)),
    )
    warm = (_first_read(ledger), lambda _call: smq.warm())
    return App(settings, smq, ledger, forwarder, warm)


def build_webhooks() -> App[Any]:
    """What `webhooks` needs; nothing of it sends."""
    from shared.cloud.certificates import Certificates  # noqa: PLC0415  # for this function only
    from shared.cloud.https_fetch import HttpsFetch  # noqa: PLC0415  # likewise
    from shared.concurrency import AtMost  # noqa: PLC0415  # likewise
    from shared.hooks.eventbridge_push import EventBridgePush  # noqa: PLC0415  # likewise
    from shared.hooks.mails import HookMails  # noqa: PLC0415  # likewise
    from shared.hooks.pushes import Pushes  # noqa: PLC0415  # likewise
    from shared.hooks.routes import EVENTBRIDGE, SMQ, Webhooks  # noqa: PLC0415  # likewise
    from shared.hooks.smq_push import SmqPush  # noqa: PLC0415  # likewise

    app = build_forwarder()
    settings, queues = app.settings, _queues(app.settings, app.smq)
    certificates = Certificates(
        settings.directmail_region,
        settings.push_cert_hosts,
        HttpsFetch(settings.ca_file or None),
    )
    readers: dict[str, Callable[[Any, int], bytes]] = {}
    if settings.push_account:
        path = urlsplit(settings.public_url).path + SMQ
        readers[SMQ] = SmqPush(certificates, path, settings.push_account).read
    if settings.push_token and settings.public_url:
        url = settings.public_url + EVENTBRIDGE
        readers[EVENTBRIDGE] = EventBridgePush(certificates, url, settings.push_token).read
    at_most = AtMost(settings.threads)
    pushes = {
        path: Pushes(path.rpartition("/")[2], read, app.use, queues, at_most)
        for path, read in readers.items()
    }
    mails = HookMails(settings.hook_secrets, _policy(settings), queues)
    webhooks = Webhooks(pushes, mails, _unsubscribes(settings, app.use))
    return App(settings, app.smq, app.ledger, webhooks, app.warm)


def _edge() -> tuple[Settings, Smq, Queues]:
    settings = read_settings(os.environ)
    logs.configure(settings.log_level)
    try:
        smq = Smq(settings.smq_endpoint, settings.ca_file or None)
    except ValueError as error:
        raise SettingsError(f"POSTBUS_SMQ_ENDPOINT: {error}") from None
    return settings, smq, _queues(settings, smq)


def _queues(settings: Settings, smq: Smq) -> Queues:
    return Queues(
        smq,
        mails=settings.mails_queue,
        rejected=settings.rejected_queue,
        dead=settings.dead_queue,
        events=settings.delivery_events_queue,
        retries=settings.delivery_retries_queue,
        dead_events=settings.delivery_events_dead_queue,
    )


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


def _first_read(ledger: Ledger) -> Callable[[Invocation], object]:
    """Reads a row that no mail has: a connection, and all code that a read goes through."""
    return lambda _call: ledger.get(NO_MAIL)


def _mailer(settings: Settings, ledger: Ledger, queues: Queues) -> Any:
    from shared.cloud.directmail import DirectMail, Endpoint  # noqa: PLC0415  # the sending SDK
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
    limits = Limits(
        settings.calls_per_second, settings.daily_recipients, settings.quota_zone_hours * 3_600_000
    )
    return Mailer(
        ledger=ledger,
        provider=provider,
        policy=_policy(settings),
        new_owner=lambda: secrets.token_hex(8),
        grace=settings.unknown_grace_seconds * 1000,
        keep=min(settings.record_days, RECORD_DAYS_MAX) * 86_400_000,
        pacer=Pacer(ledger, limits, now_ms, _sleep, threading.Lock(), random.random),
        lag=lambda: queues.events_lag(now_ms()),
        suppressions=_suppressions(settings, ledger),
    )


def _policy(settings: Settings) -> Policy:
    from shared.schema.mail_request import Sender  # noqa: PLC0415  # for functions with mails only
    from shared.sending.compose import Policy  # noqa: PLC0415  # likewise

    sender = settings.default_sender
    return Policy(
        environment=settings.environment,
        default_sender=Sender(address=sender) if sender else None,
        allowed_senders=settings.allowed_senders,
        allowed_recipients=settings.allowed_recipients,
        redirect_to=settings.redirect_to or None,
        links=_links(settings),
    )


def _secret(settings: Settings) -> bytes:
    """The key of hashes and links."""
    if not settings.suppression_key and settings.environment != LOCAL:
        raise SettingsError(
            "POSTBUS_SUPPRESSION_KEY is missing: a secret of at least 32 characters, to be kept "
            "for as long as suppressions are"
        )
    return (settings.suppression_key or LOCAL_KEY).encode()


def _suppressions(settings: Settings, ledger: Any) -> Any:
    """Whom not to write to, kept in the ledger's place."""
    from shared.sending.suppress import SuppressionList  # noqa: PLC0415  # with its store

    store: Suppressions
    if settings.ledger.startswith("sqlite:"):
        from shared.stores.sqlite.suppressions import SqliteSuppressions  # noqa: PLC0415  # by settings

        store = SqliteSuppressions(ledger.database)
    else:
        from shared.stores.tablestore.suppressions import (  # noqa: PLC0415  # likewise
            TablestoreSuppressions,
        )

        store = TablestoreSuppressions(ledger.tables)
    return SuppressionList(store, _secret(settings), settings.store_addresses)


def _recipients(settings: Settings, ledger: Any) -> Any:
    """What is known of people, in the ledger's place."""
    if settings.ledger.startswith("sqlite:"):
        from shared.stores.sqlite.recipients import SqliteRecipients  # noqa: PLC0415  # by settings

        return SqliteRecipients(ledger.database)
    from shared.stores.tablestore.recipients import (  # noqa: PLC0415  # likewise
        TablestoreRecipients,
    )

    return TablestoreRecipients(ledger.tables)


def _links(settings: Settings) -> UnsubscribeLinks | None:
    """Unsubscribe links, where there is an address for them that mail programs post to."""
    if len(settings.public_url) > URL_MAX:
        raise SettingsError(f"POSTBUS_PUBLIC_URL has at most {URL_MAX} characters")
    local = settings.environment == LOCAL
    if not settings.public_url.startswith("http" if local else "https:"):
        return None
    from shared.sending.unsubscribe import UnsubscribeLinks  # noqa: PLC0415  # where there are any

    return UnsubscribeLinks(settings.public_url, _secret(settings), settings.environment)


def _unsubscribes(settings: Settings, forwarder: Any) -> Any:
    from shared.hooks.unsubscribe import Unsubscribes  # noqa: PLC0415  # for `webhooks` only

    links = _links(settings)
    if links is None:
        return None
    return Unsubscribes(
        links,
        _suppressions(settings, forwarder.ledger),
        forwarder.joining,
        forwarder.outlet,
        forwarder.source,
        now_ms,
    )


def _announcer(settings: Settings, queues: Queues, ledger: Ledger) -> Any:
    from shared.sending.announce import Announcer  # noqa: PLC0415  # for functions that send only

    outlet = _outlet(settings, queues, ledger)
    return Announcer(outlet, f"postbus/{settings.environment}", settings.published_states)


def _outlet(settings: Settings, queues: Queues, ledger: Ledger) -> Any:
    from shared.concurrency import AtOnce  # noqa: PLC0415  # for who publishes only
    from shared.delivery.outlet import Outlet  # noqa: PLC0415  # likewise

    return Outlet(
        post=queues,
        routing=_routing(settings),
        events=_event_log(settings, ledger),
        at_once=AtOnce(settings.threads),
        chance=random.random,
        clock=now_ms,
        patience=settings.sink_patience_seconds * 1000,
    )


def _routing(settings: Settings) -> Any:
    from shared.delivery.routing import Routing, compile_routing  # noqa: PLC0415  # see `_outlet`

    given = settings.routes
    if not given:
        return Routing((f"topic:{settings.events_topic}",))
    # The model is for those who have routes: it costs some milliseconds of a cold start.
    from shared.schema.routes import InvalidRoutes, parse_routes  # noqa: PLC0415  # see above

    where = "POSTBUS_ROUTES"
    if not given.startswith("{"):
        where, file = f"{where}: {given}", CODE / given
        try:
            given = file.read_text("utf-8")
        except (OSError, ValueError) as error:
            raise SettingsError(
                f"POSTBUS_ROUTES is a JSON object or the path of a file in the package: {error}"
            ) from None
    try:
        document = parse_routes(given)
    except InvalidRoutes as error:
        raise SettingsError(f"{where}: {error}") from None
    return compile_routing(document, environment=settings.environment, events=settings.events_topic)


def _event_log(settings: Settings, ledger: Any) -> Any:
    """The log of events, in the ledger's place."""
    keep = min(settings.record_days, RECORD_DAYS_MAX) * 86_400_000
    if settings.ledger.startswith("sqlite:"):
        from shared.stores.sqlite.events import SqliteEventLog  # noqa: PLC0415  # by settings

        return SqliteEventLog(ledger.database, keep)
    from shared.stores.tablestore.events import TablestoreEventLog  # noqa: PLC0415  # likewise

    return TablestoreEventLog(ledger.tables, keep)


def _sleep(ms: int) -> None:
    time.sleep(ms / 1000)


def _new_key() -> str:
    return f"once-{now_ms():x}-{secrets.token_hex(8)}"
