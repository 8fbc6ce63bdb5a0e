"""What publishes our events: the sinks, and the routes that lead to them."""

from __future__ import annotations

import random
from pathlib import Path

from shared.concurrency import AtOnce
from shared.delivery.outlet import Outlet
from shared.delivery.routing import Routing, compile_routing
from shared.errors import SettingsError
from shared.settings import Settings
from shared.wiring.edge import Edge, now_ms

# Where the code is; files that settings name are below it.
CODE = Path(__file__).parents[2]


def source_of(settings: Settings) -> str:
    """The CloudEvents `source` of what this environment publishes."""
    return f"postbus/{settings.environment}"


def make_outlet(edge: Edge) -> Outlet:
    """Publishes to every sink that wants an event."""
    settings = edge.settings
    return Outlet(
        post=edge.queues,
        routing=read_routing(settings),
        events=edge.stores.events,
        at_once=AtOnce(settings.threads),
        chance=random.random,
        clock=now_ms,
        patience=settings.sink_patience_seconds * 1000,
    )


def read_routing(settings: Settings) -> Routing:
    """Which event goes where: to the one topic, unless there are routes.

    Raises:
        SettingsError: the routes cannot be read, or something in them is wrong.
    """
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
