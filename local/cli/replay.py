"""Replay: recorded mail events go out again, under the same ids, by the routes of today."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress

from local.cli import show
from local.cli.client import Client, owner_invocation
from local.cli.exits import FAILED, USAGE, CommandError
from local.cli.options import URL
from shared.cloud.smq import Smq
from shared.delivery.outgoing import Outgoing
from shared.delivery.sink_letters import ReplayedEvent, SinkLetter
from shared.errors import LedgerUnavailable, QueueUnavailable, SettingsError
from shared.stores.events import EventLog
from shared.triggers.json_bytes import NotJson, read_json

FOREVER_MS = 400 * 86_400_000
_UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_AGE = re.compile(r"(\d{1,9})([smhd])")
# What `--where` asks about, beside `notify.<name>`.
NAMES = (
    *("id", "type", "state", "reason", "permanent", "bounce", "tag", "sender"),
    *("recipient", "mail_id", "key", "env_id"),
)

Event = Mapping[str, Any]


def replay(
    since: Annotated[
        str, typer.Option(help="From when on: 2026-11-22T12:00:00Z, or an age such as 90m, 2h, 3d.")
    ],
    until: Annotated[
        str, typer.Option(help="Until when, itself not included; likewise. Empty: now.")
    ] = "",
    where: Annotated[
        list[str],
        typer.Option(
            help="Only events with this, such as state=bounced, tag=order, notify.Service=shop. "
            "Repeatable: of one name any value does, of several names all must hold."
        ),
    ] = [],
    to: Annotated[
        str, typer.Option(help="Only to this sink: topic:NAME or queue:NAME. Empty: all.")
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go out, and send nothing.")
    ] = False,
    state: Annotated[
        Path, typer.Option(envvar="POSTBUS_STATE", help="The folder that keeps the ledger.")
    ] = Path(".postbus"),
    ledger: Annotated[
        str,
        typer.Option(
            envvar="POSTBUS_LEDGER", help="The ledger, as the setting names it. Empty: --state's."
        ),
    ] = "",
    url: Annotated[
        str, typer.Option("--url", envvar="POSTBUS_URL", help="Where Postbus runs.")
    ] = URL,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines, for programs.")] = False,
) -> None:
    """Send recorded events again, under the same ids, by the routes of today.

    Consumers drop what they have seen, so a replay reaches those that have lost something.
    """
    now = time.time_ns() // 1_000_000
    start, end = _moment(since, now), _moment(until, now) if until else now
    matches = read_where(where)
    if to and not re.fullmatch(r"(topic|queue):[A-Za-z0-9-]{1,120}", to):
        raise CommandError(f"--to takes topic:NAME or queue:NAME, not {to!r}", USAGE)
    try:
        with closing(_Log(ledger or f"sqlite:{state / 'ledger.db'}")) as log:
            # Counted first, so that the bar has an end.
            total = sum(1 for _ in found(log.events, start, end, matches))
            if not total:
                raise CommandError("no recorded event matches", FAILED)
            send = _nothing if dry_run else _sender(url, to)
            counts = _send_all(found(log.events, start, end, matches), total, send, as_json=as_json)
    except (LedgerUnavailable, QueueUnavailable) as error:
        raise CommandError(f"{error}; what was sent may be sent again", FAILED) from None
    if not as_json:
        would = "would be sent" if dry_run else "sent"
        told = ", ".join(f"{count} {word}" for word, count in sorted(counts.items()))
        show.line(f"{sum(counts.values())} events {would}: {told}")


def read_where(given: list[str]) -> Callable[[Event], bool]:
    """What `--where` asks for, as a condition on an event.

    Raises:
        CommandError: one of them is not `name=value`, or no event has such a name.
    """
    wanted: dict[str, set[str]] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals or not (name in NAMES or name.startswith("notify.")):
            raise CommandError(
                f"--where takes name=value with one of {', '.join(NAMES)}, notify.NAME; "
                f"not {each!r}",
                USAGE,
            )
        wanted.setdefault(name, set()).add(value)
    return lambda event: all(_value(event, name) in values for name, values in wanted.items())


def found(
    log: EventLog, start: int, end: int, matches: Callable[[Event], bool]
) -> Iterator[Outgoing]:
    """The recorded events that match, each id once."""
    seen: set[str] = set()
    for recorded in log.between(start, end):
        try:
            document = read_json(recorded.body)
        except NotJson:
            continue
        if recorded.id not in seen and isinstance(document, dict) and matches(document):
            seen.add(recorded.id)
            yield Outgoing.of_document(document)


def _value(event: Event, name: str) -> str:
    """What an event says under a name, as `--where` spells it."""
    data: Any = event.get("data") or {}
    if name in ("id", "type"):
        value = event.get(name)
    elif name.startswith("notify."):
        notify = data.get("notify") or {}
        value = notify.get(name.removeprefix("notify."))
    else:
        value = data.get(name)
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def _send_all(
    events: Iterator[Outgoing], total: int, send: Callable[[Outgoing], None], *, as_json: bool
) -> Counter[str]:
    counts: Counter[str] = Counter()
    with Progress(console=show.err, transient=True) as bar:
        task = bar.add_task("replay", total=total)
        for event in events:
            send(event)
            counts[event.tag] += 1
            bar.advance(task)
            if as_json:
                show.json_line(
                    {"id": event.id, "tag": event.tag, "mail_id": event.data.get("mail_id")}
                )
    return counts


def _sender(url: str, to: str) -> Callable[[Outgoing], None]:
    """Puts events on the queue of retries, from where the function brings them out."""
    queue, smq = Client(url).name_of("queues", "delivery-retries"), Smq(url)

    def send(event: Outgoing) -> None:
        smq.use(owner_invocation())
        letter = SinkLetter(to, event) if to else ReplayedEvent(event)
        smq.send(queue, letter.body())

    return send


def _nothing(_event: Outgoing) -> None:
    """A dry run."""


class _Log:
    """The log of events that a setting names."""

    def __init__(self, place: str) -> None:
        kind, _, where = place.partition(":")
        if kind == "tablestore":
            from shared.stores.tablestore.events import TablestoreEventLog
            from shared.stores.tablestore.ledger import TablestoreLedger

            try:
                ledger = TablestoreLedger.at(where)
            except SettingsError as error:
                raise CommandError(str(error), USAGE) from None
            ledger.use(owner_invocation())
            self.events: EventLog = TablestoreEventLog(ledger.tables, FOREVER_MS)
            self.close = ledger.close
            return
        from shared.stores.sqlite.database import Database
        from shared.stores.sqlite.events import SqliteEventLog

        if kind != "sqlite" or not Path(where).is_file():
            raise CommandError(f"there is no ledger at {place}: say where with --state", USAGE)
        database = Database(Path(where))
        self.events = SqliteEventLog(database, FOREVER_MS)
        self.close = database.close


def _moment(text: str, now: int) -> int:
    """A time, or an age before `now`, in ms since 1970."""
    age = _AGE.fullmatch(text.strip())
    if age:
        return now - int(age[1]) * _UNITS[age[2]]
    try:
        moment = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    except ValueError:
        raise CommandError(
            f"a time is like 2026-11-22T12:00:00Z, or an age like 90m, 2h, 3d; not {text!r}", USAGE
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return int(moment.timestamp() * 1000)
