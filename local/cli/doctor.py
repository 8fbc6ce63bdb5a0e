"""`postbus doctor`: can this account work, and what is to be done so that it does?"""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from local.cli import show
from local.cli.cloud import ROOT, Endpoint, Env, Region, Root, cloud_errors
from local.cli.exits import FAILED

_STYLES = {"ok": "green", "warning": "yellow", "error": "bold red", "unknown": "magenta"}


def doctor(
    env: Env,
    region: Region = "",
    tag: Annotated[
        list[str], typer.Option("--tag", help="A tag that mails carry; repeatable.")
    ] = [],
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines, for programs.")] = False,
    root: Root = ROOT,
    endpoint: Endpoint = "",
) -> None:
    """Ask the account's services whether everything is as it must be. It changes nothing.

    Ends with 1 if anything is an error. What may not be looked at is `unknown`, with the permission
    that is missing.
    """
    with cloud_errors():
        from deploy.doctor.examine import Question, examine

        question = Question(env, root, region, tuple(tag), endpoint)
        levels = []
        shown = Table(box=None, pad_edge=False, expand=False)
        for column in ("", "check", "found", "to do"):
            shown.add_column(column, overflow="fold")
        with show.err.status("asking the account's services"):
            for finding in examine(question):
                levels.append(finding.level)
                if as_json:
                    show.json_line(finding.describe())
                style = _STYLES[finding.level]
                cells = (finding.check, finding.what, finding.todo)
                shown.add_row(Text(finding.level, style), *map(Text, cells))
    if not as_json:
        show.out.print(shown)
        counts = [f"{levels.count(level)} {level}" for level in _STYLES if level in levels]
        show.line(", ".join(counts))
    if "error" in levels:
        raise typer.Exit(FAILED)
