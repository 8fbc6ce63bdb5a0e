"""`postbus faults`: let the twins misbehave, and see how often they did."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from local.cli import show
from local.cli.client import Client
from local.cli.exits import USAGE, CommandError
from local.cli.options import URL, Json, Url
from local.faults.kinds import ACTIONS, KINDS
from local.faults.rules import COUNTERS, PATH, Rule, RuleError, rules_of

_SAME = ("target", "action", "kind", "match")
_COLUMNS = ("target", "action", "kind", "probability", "hits", "asked")


def _kinds() -> str:
    """Every kind with its sentence, as the help shows them."""
    parts = ["**What can go wrong** (the value after a name is the default of --seconds):"]
    for target, kinds in KINDS.items():
        lines = [f"**{target}**: actions `*`, {', '.join(ACTIONS[target])}"]
        for name, kind in kinds.items():
            seconds = kind.options.get("seconds")
            default = "" if seconds is None else f" ({seconds:g} s)"
            lines.append(f"* {name}{default}: {kind.sentence}")
        parts.append("\n\n".join([lines[0], "\n".join(lines[1:])]))
    return "\n\n".join(parts)


app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Let DirectMail, its events, SMQ or Tablestore misbehave, on this machine only.",
    epilog=_kinds(),
)


@app.command("list")
def list_rules(url: Url = URL, as_json: Json = False) -> None:
    """List the rules in force, and how often each was asked and hit."""
    _show(Client(url).get(PATH)["rules"], as_json=as_json)


@app.command("set", epilog=_kinds())
def set_rule(
    target: Annotated[str, typer.Argument(help="directmail, events, smq or tablestore.")],
    action: Annotated[str, typer.Argument(help="An operation or an event's type; `*`: all.")],
    kind: Annotated[str, typer.Argument(help="What goes wrong; see below.")],
    probability: Annotated[float, typer.Option(help="Of each request, 0 to 1.")] = 1.0,
    count: Annotated[int | None, typer.Option(help="Over after so many hits.")] = None,
    seed: Annotated[int, typer.Option(help="Of the dice: the same seed, the same hits.")] = 0,
    match: Annotated[
        str | None, typer.Option(help="Only requests with this text: a recipient, a queue.")
    ] = None,
    seconds: Annotated[float | None, typer.Option(help="How long.")] = None,
    per_second: Annotated[float | None, typer.Option(help="Calls, for rate-limit.")] = None,
    recipients: Annotated[int | None, typer.Option(help="A day, for daily-quota.")] = None,
    day_seconds: Annotated[float | None, typer.Option(help="Length of a simulated day.")] = None,
    times: Annotated[int | None, typer.Option(help="How often, for duplicated.")] = None,
    only: Annotated[bool, typer.Option("--only", help="End all other rules.")] = False,
    url: Url = URL,
    as_json: Json = False,
) -> None:
    """Add a rule, or replace the one for the same target, action, kind and match.

    The first rule that hits decides. Rules are gone when Postbus stops; `postbus up --faults FILE`
    starts with some.
    """
    try:
        rule = Rule(
            target=target,
            action=action,
            kind=kind,
            probability=probability,
            count=count,
            seed=seed,
            match=match,
            seconds=seconds,
            per_second=per_second,
            recipients=recipients,
            day_seconds=day_seconds,
            times=times,
        ).as_json()
    except RuleError as error:
        raise CommandError(str(error), USAGE) from None
    client = Client(url)
    there = [] if only else client.get(PATH)["rules"]
    kept = [
        {name: value for name, value in each.items() if name not in COUNTERS}
        for each in there
        if any(each.get(name) != rule.get(name) for name in _SAME)
    ]
    _show(client.put(PATH, {"rules": [*kept, rule]})["rules"], as_json=as_json)


@app.command()
def clear(url: Url = URL) -> None:
    """Let everything go well again."""
    Client(url).delete(PATH)
    show.line("no faults")


def read(path: Path) -> tuple[Rule, ...]:
    """The rules of a file as `PUT /_local/faults` takes them.

    Raises:
        CommandError: the file cannot be read, or is not that.
    """
    import json

    try:
        return tuple(rules_of(json.loads(path.read_bytes())))
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}", USAGE) from None
    except ValueError as error:
        raise CommandError(f"{path}: {error}", USAGE) from None


def _show(rules: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        for rule in rules:
            show.json_line(rule)
        return
    rows = []
    for rule in rules:
        more = [f"{name}={value}" for name, value in rule.items() if name not in _COLUMNS]
        rows.append([*(str(rule[name]) for name in _COLUMNS), " ".join(more)])
    show.table(f"{len(rows)} faults", [*_COLUMNS, "more"], rows)
