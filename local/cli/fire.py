"""`postbus fire`: an event of DirectMail about a mail in the outbox, of any type, in any form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import typer

from local.cli import show
from local.cli.client import Client
from local.cli.exits import USAGE, CommandError
from local.cli.options import URL, Json, Url
from local.fire.orders import LATEST, PATH, Order, OrderError
from local.fire.ways import WAYS
from local.twins.directmail.catalogue import TYPES
from local.twins.directmail.dialects import WORDS
from local.twins.directmail.reports import FAIL, KNOWN


def fire(
    event: Annotated[str, typer.Argument(help="A type, such as Deliver:Fail; see --list.")] = "",
    mail: Annotated[
        str, typer.Option(help="A mail in the outbox: its mail id, key or EnvId; or `latest`.")
    ] = LATEST,
    recipient: Annotated[str | None, typer.Option(help="One of the mail's, not its first.")] = None,
    dialect: Annotated[
        list[str], typer.Option(help="A word of a dialect, or several with commas; see --list.")
    ] = [],
    envelope: Annotated[str, typer.Option(help="The way it takes; see --list.")] = "queue",
    header: Annotated[
        Literal["given", "lower", "json", "absent"],
        typer.Option(help="How the X-User-Notify-* headers come back."),
    ] = "given",
    failed_type: Annotated[
        str | None, typer.Option(help="Of Deliver:Fail: any text; see --list.")
    ] = None,
    err_code: Annotated[str | None, typer.Option(help="Of a delivery, such as 552.")] = None,
    err_msg: Annotated[str | None, typer.Option(help="Of a delivery: any text.")] = None,
    status: Annotated[
        str | None, typer.Option(help="Of Deliver:Fail: 2 address, 3 spam, 4 other.")
    ] = None,
    link: Annotated[str | None, typer.Option(help="Of Trace:Click: what was clicked.")] = None,
    event_id: Annotated[
        str | None, typer.Option("--id", help="Of the event; a new one if not given.")
    ] = None,
    times: Annotated[int, typer.Option(help="How often it comes, with the same id.")] = 1,
    delay: Annotated[float, typer.Option(help="Seconds before it comes.")] = 0.0,
    list_all: Annotated[
        bool, typer.Option("--list", help="List types, ways, dialects and failures.")
    ] = False,
    url: Url = URL,
    as_json: Json = False,
) -> None:
    """Fire an event of DirectMail about a mail that its twin has accepted.

    `postbus fire Deliver:Fail --failed-type SmtpContSpam --envelope legacy-xml`
    """
    if list_all:
        _list(as_json=as_json)
        return
    if not event:
        raise CommandError(f"which event? {', '.join(tables()['events'])}", USAGE)
    try:
        order = Order(
            event=event,
            mail=mail,
            recipient=recipient,
            dialect=tuple(word for each in dialect for word in each.split(",")),
            envelope=envelope,
            header=header,
            failed_type=failed_type,
            err_code=err_code,
            err_msg=err_msg,
            status=status,
            url=link,
            id=event_id,
            times=times,
            delay=delay,
        )
        order.report()
    except OrderError as error:
        raise CommandError(f"{error} (postbus fire --list shows what there is)", USAGE) from None
    fired = Client(url).post(PATH, order.as_json())
    if as_json:
        show.json_line(fired)
        return
    often = f" {times} times" if times > 1 else ""
    late = f" in {delay:g} s" if delay else ""
    show.line(
        (fired["type"], "cyan"),
        f" about {fired['recipient']}, EnvId {fired['env_id']}, by {envelope}{often}{late}: ",
        (fired["id"], "dim"),
    )


def tables() -> dict[str, Mapping[str, str]]:
    """What can be fired: title -> name -> sentence."""
    failures = {
        name: f"status {report.status}, {report.message}"
        for name, report in KNOWN.items()
        if report.type == FAIL
    }
    return {
        "events": {name.removeprefix("dm:"): each.sentence for name, each in TYPES.items()},
        "envelopes": WAYS,
        "dialects": {name: word.sentence for name, word in WORDS.items()},
        "failed types": failures,
    }


def _list(*, as_json: bool) -> None:
    for title, rows in tables().items():
        if as_json:
            for name, sentence in rows.items():
                show.json_line({"kind": title, "name": name, "sentence": sentence})
        else:
            show.table(title, ["name", "what"], [[*row] for row in rows.items()])
            show.line("")
