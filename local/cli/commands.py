"""The commands. Each reads its options, makes one call and shows the answer."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from local.cli import dead, faults, fire, operate, replay, show, suppressions
from local.cli import deploy as cloud_deploy
from local.cli import doctor as cloud_doctor
from local.cli.client import Client
from local.cli.exits import FAILED, USAGE, CommandError
from local.cli.options import URL, Json, Url
from shared.errors import QueueUnavailable

app = typer.Typer(
    name="postbus",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    rich_markup_mode="markdown",
    help="Event-driven mail on Function Compute, whole on this machine. `postbus up` runs "
    "DirectMail's and SMQ's twins and the functions on one address; the other commands talk to it.",
    epilog="Exit codes: 0 it worked; 1 the answer is no; 2 the command line is wrong; "
    "3 Postbus is not running.",
)
app.add_typer(dead.app, name="dead")
app.add_typer(faults.app, name="faults")
app.add_typer(operate.unknown, name="unknown")
app.add_typer(suppressions.app, name="suppressions")
app.command()(suppressions.forget)
app.command()(cloud_deploy.deploy)
app.command()(cloud_deploy.destroy)
app.command()(cloud_doctor.doctor)
app.command()(fire.fire)
app.command()(operate.redrive)
app.command()(replay.replay)
app.command()(operate.resolve)

Files = Annotated[
    list[Path], typer.Argument(help="Files with one mail request each; `-` is standard input.")
]


@app.command()
def up(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; uploads take the next one.")] = 8025,
    state: Annotated[
        Path, typer.Option(help="Folder that keeps queues, mails and the ledger.")
    ] = Path(".postbus"),
    header_style: Annotated[
        Literal["given", "lower", "json", "absent"],
        typer.Option(help="How X-User-Notify-* headers come back in DirectMail's events."),
    ] = "given",
    event_delay: Annotated[float, typer.Option(help="Seconds from a mail to its event.")] = 0.2,
    domain: Annotated[
        list[str], typer.Option(help="A sender domain that the DirectMail twin knows; repeatable.")
    ] = ["mail.example.com"],
    instances: Annotated[int, typer.Option(help="Worker processes for each function.")] = 2,
    template: Annotated[
        Path | None, typer.Option(help="Another template than the one of this project.")
    ] = None,
    ledger: Annotated[
        Literal["sqlite", "tablestore"], typer.Option(help="Where the ledger is kept.")
    ] = "sqlite",
    setting: Annotated[
        list[str],
        typer.Option("--set", help="A variable of the functions, e.g. POSTBUS_LOG_LEVEL=debug."),
    ] = [],
    fault_file: Annotated[
        Path | None,
        typer.Option("--faults", help="Rules from the start: JSON, as PUT /_local/faults."),
    ] = None,
    journey: Annotated[
        bool, typer.Option("--journey", help="Send the sample mail and tell its way.")
    ] = False,
    once: Annotated[bool, typer.Option("--once", help="End after the journey.")] = False,
    unsimulated: Annotated[
        bool,
        typer.Option("--unsimulated", help="Only say what of the template does nothing here."),
    ] = False,
) -> None:
    """Run everything on this machine until Ctrl-C."""
    from local.cli.up import log_to, tell_unsimulated
    from local.cli.up import up as run_up
    from local.stack import ROOT, StackOptions
    from local.twins.directmail.rules import DirectMailRules

    file = template or ROOT / "template.yml"
    if unsimulated:
        tell_unsimulated(file)
        return
    options = StackOptions(
        port=port,
        state=state,
        rules=DirectMailRules(
            domains=frozenset(domain), header_style=header_style, event_delay_seconds=event_delay
        ),
        instances=instances,
        template=file,
        environment=_settings(setting),
        ledger=ledger,
        faults=faults.read(fault_file) if fault_file else (),
        log=log_to(state / "functions.log"),
    )
    run_up(options, journey=journey or once, once=once)


@app.command()
def send(
    files: Files,
    http: Annotated[
        bool, typer.Option("--http", help="Over the HTTP API instead of the queue.")
    ] = False,
    later: Annotated[
        bool, typer.Option("--async", help="With --http: accept it for later (202).")
    ] = False,
    url: Url = URL,
    as_json: Json = False,
) -> None:
    """Send mail requests: through the queue, or over HTTP.

    On this machine the part of a recipient's address before the `@` chooses the mail's fate:
    `bounce@`, `softbounce@`, `spam@`, `complaint@`, `unsubscribe@`, `resubscribe@`, `open@`,
    `click@` (a `+label` may follow); every other mail is delivered.
    """
    client = Client(url)
    refused = 0
    queue = "" if http else client.name_of("queues", "mails")
    for name, body in _read(files):
        if http:
            answer = client.post_mail(body, {"Prefer": "respond-async"} if later else {})
            shown = answer.json() if answer.content else {}
            refused += answer.is_error
            if as_json:
                show.json_line({"file": name, "status": answer.status_code, **shown})
            else:
                _show_answer(name, answer.status_code, shown)
            continue
        try:
            message_id = client.send(queue, body.decode())
        except UnicodeDecodeError:
            raise CommandError(f"{name} is not UTF-8", USAGE) from None
        except QueueUnavailable as error:
            raise CommandError(f"{name}: {error}") from None
        if as_json:
            show.json_line({"file": name, "queue": queue, "message_id": message_id})
        else:
            show.line(f"{name}: message ", (message_id, "cyan"), f" on {queue}")
    if refused:
        raise typer.Exit(FAILED)


@app.command()
def invoke(
    function: Annotated[str, typer.Argument(help="send_mail, mail_api, clock, delivery_events …")],
    file: Annotated[Path, typer.Argument(help="The event's bytes; `-` reads standard input.")],
    url: Url = URL,
) -> None:
    """Call one function with one event, as the platform's InvokeFunction does."""
    ((_, event),) = _read([file])
    answer = Client(url).invoke(function, event)
    print(answer.text)  # noqa: T201  # the function's own answer
    error = answer.headers.get("x-fc-error-type")
    if error or answer.is_error:
        raise CommandError(f"the function failed: {error or answer.status_code}")


@app.command()
def events(
    count: Annotated[int, typer.Option("-n", "--count", help="End after so many; 0: never.")] = 0,
    since_start: Annotated[bool, typer.Option("--all", help="Also those from before.")] = False,
    topic: Annotated[str, typer.Option(help="The topic.")] = "mail-events",
    url: Url = URL,
    as_json: Json = False,
) -> None:
    """Follow the mail events on the downstream topic."""
    client = Client(url)
    name = client.name_of("topics", topic)
    after = 0
    if not since_start:
        after = max((e["sequence"] for e in _pages(client, name)), default=0)
    for event in itertools.islice(_follow(client, name, after), count or None):
        if as_json:
            show.json_line(event)
        else:
            show.event_line(event)


@app.command()
def outbox(url: Url = URL, as_json: Json = False) -> None:
    """List the mails that the DirectMail twin accepted, and where each is kept."""
    client, after = Client(url), 0
    rows: list[list[str]] = []
    while page := client.get("/_local/outbox", after=after):
        after = page[-1]["sequence"]
        for mail in page:
            if as_json:
                show.json_line(mail)
            to = ", ".join(mail["to"][:3]) + (" …" if len(mail["to"]) > 3 else "")  # noqa: PLR2004  # a glance
            at = show.clock_of_ms(int(mail["at"] * 1000))
            rows.append([at, mail["env_id"], to, mail["subject"] or "", mail["eml"]])
    if not as_json:
        show.table(f"{len(rows)} mails", ["accepted", "EnvId", "to", "subject", "file"], rows)


@app.command()
def status(url: Url = URL, as_json: Json = False) -> None:
    """Show the queues' depths, the functions and what is not simulated."""
    found = Client(url).get("/_local/status")
    if as_json:
        show.json_line(found)
        return
    rows = [
        [name, *(str(depth[part]) for part in ("visible", "in_flight", "delayed"))]
        for name, depth in found["queues"].items()
    ]
    show.table("Queues", ["queue", "visible", "in flight", "delayed"], rows)
    show.line("\nFunctions  ", ", ".join(found["functions"]))
    show.line("Topics     ", ", ".join(found["topics"]))
    show.line(f"Mails      {found['accepted_mails']} accepted by DirectMail's twin")
    count = len(found["not_simulated"])
    show.line(f"Template   {count} settings do nothing here: postbus up --unsimulated")


@app.command()
def schema(
    name: Annotated[str, typer.Argument(help="mail-request or mail-event.")] = "mail-request",
    write: Annotated[Path | None, typer.Option(help="Write all of them into this folder.")] = None,
) -> None:
    """Print the JSON Schema of the mail request or of the mail event."""
    from shared.schema.export import json_schemas
    from shared.schema.export import write as write_all

    if write is not None:
        write_all(write)
        return
    schemas = json_schemas()
    if name not in schemas:
        raise CommandError(f"there is {' and '.join(schemas)}, and no {name}", USAGE)
    print(json.dumps(schemas[name], indent=2, ensure_ascii=False))  # noqa: T201  # the answer


def _settings(given: list[str]) -> dict[str, str]:
    """`NAME=VALUE`, many of them."""
    settings = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals or not name:
            raise CommandError(f"--set takes NAME=VALUE, not {each!r}", USAGE)
        settings[name] = value
    return settings


def _read(files: list[Path]) -> Iterator[tuple[str, bytes]]:
    for file in files:
        if str(file) == "-":
            yield "standard input", sys.stdin.buffer.read()
            continue
        try:
            yield str(file), file.read_bytes()
        except OSError as error:
            raise CommandError(f"cannot read {file}: {error.strerror}", USAGE) from None


def _show_answer(name: str, status_code: int, answer: dict[str, Any]) -> None:
    if status_code < 300:  # noqa: PLR2004  # HTTP's border of success
        show.line(f"{name}: {status_code} {answer.get('state')}, mail ",
                  (str(answer.get("mail_id") or f"{len(answer.get('mails', []))} mails"), "cyan"),
                  f", EnvId {answer.get('env_id')}")  # fmt: skip
        return
    show.line(
        f"{name}: ", (f"{status_code} {answer.get('title')}", "red"), f": {answer.get('detail')}"
    )
    for problem in answer.get("errors", []):
        show.line(f"  {problem['pointer'] or '(the whole)'}: {problem['detail']}")


def _pages(client: Client, topic: str, after: int = 0, wait: int = 0) -> Iterator[dict[str, Any]]:
    while page := list(client.published(topic, after=after, wait=wait)):
        yield from page
        after, wait = page[-1]["sequence"], 0


def _follow(client: Client, topic: str, after: int) -> Iterator[dict[str, Any]]:
    while True:
        for entry in _pages(client, topic, after, wait=20):
            after = entry["sequence"]
            yield entry["event"]
