"""The composition root: what one instance of a function keeps, and how each function is built.

Each function has one builder here, which reads as a list of its parts. How a part is made from the
settings is in `shared.wiring`, by subject; nothing else in `shared` chooses an implementation. A
builder imports the wiring of what only its function needs: who does not send never imports the
DirectMail SDK, whose import is most of a cold start.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import structlog

from shared import coldstart, logs
from shared.settings import Settings
from shared.stores.ledger import Ledger
from shared.triggers.context import Invocation, read_context
from shared.values import dataclass
from shared.wiring.edge import Edge, now_ms, open_edge

if TYPE_CHECKING:
    from shared.api.routes import Api
    from shared.cloud.smq import Smq
    from shared.delivery.forward import Forwarder
    from shared.hooks.routes import Webhooks
    from shared.sending.clockwork import Clockwork
    from shared.sending.consumer import Consumer

UseCase = TypeVar("UseCase")
log = structlog.get_logger()

# No mail's id: those are 26 letters and digits.
NO_MAIL = "none"


@dataclass(frozen=True)
class App(Generic[UseCase]):
    """What one instance of a function keeps between invocations.

    Attributes:
        settings: as the environment says.
        smq: to be told each invocation's credentials.
        ledger: likewise.
        use: the use case that the function's handler calls.
        warm: what the initializer does ahead of the first request.
    """

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


def build_consumer() -> App[Consumer]:
    """What `send_mail` needs."""
    from shared.wiring.sending import make_consumer, open_directmail  # noqa: PLC0415  # who sends

    edge = open_edge()
    directmail = open_directmail(edge.settings)
    return _app(edge, make_consumer(edge, directmail), directmail.warm)


def build_clockwork() -> App[Clockwork]:
    """What `clock` needs."""
    from shared.wiring.clock import make_clockwork  # noqa: PLC0415  # for this function only
    from shared.wiring.sending import open_directmail  # noqa: PLC0415  # who sends

    edge = open_edge()
    directmail = open_directmail(edge.settings)
    return _app(edge, make_clockwork(edge, directmail), directmail.warm)


def build_api() -> App[Api]:
    """What `mail_api` needs."""
    from shared.wiring.api import make_api  # noqa: PLC0415  # for this function only
    from shared.wiring.sending import open_directmail  # noqa: PLC0415  # who sends

    edge = open_edge()
    directmail = open_directmail(edge.settings)
    return _app(edge, make_api(edge, directmail), directmail.warm)


def build_forwarder() -> App[Forwarder]:
    """What `delivery_events` needs; nothing of it sends."""
    from shared.wiring.delivery import make_forwarder  # noqa: PLC0415  # who receives events

    edge = open_edge()
    return _app(edge, make_forwarder(edge), lambda _call: edge.smq.warm())


def build_webhooks() -> App[Webhooks]:
    """What `webhooks` needs; nothing of it sends."""
    from shared.wiring.hooks import make_webhooks  # noqa: PLC0415  # for this function only

    edge = open_edge()
    return _app(edge, make_webhooks(edge), lambda _call: edge.smq.warm())


def _app(edge: Edge, use: UseCase, warm: Callable[[Invocation], object]) -> App[UseCase]:
    """The app; its first read is of a row that no mail has, and opens the ledger's connection."""
    ledger = edge.stores.ledger
    return App(edge.settings, edge.smq, ledger, use, (lambda _call: ledger.get(NO_MAIL), warm))
