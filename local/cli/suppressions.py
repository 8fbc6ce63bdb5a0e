"""`postbus suppressions` and `postbus forget`: whom not to write to, and who is to be forgotten."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import IO, Annotated, Any
from urllib.parse import quote

import httpx
import typer
from rich.progress import Progress

from local.cli import show
from local.cli.client import Client
from local.cli.exits import FAILED, CommandError
from local.cli.options import URL, Json, Url
from local.cli.suppression_lines import (
    COLUMNS,
    expect,
    import_line,
    pages,
    path_of,
    read_lines,
)

# Lines of a file that are on their way at the same time.
AT_ONCE = 4
SHOWN_MAX = 20

Address = Annotated[str, typer.Argument(help="The recipient; or `hash:` and what a list shows.")]
Scope = Annotated[
    str, typer.Option(help="`account`, `@` and a sender's domain, or a sender's address.")
]
Reason = Annotated[str, typer.Option(help="manual, bounce, complaint or unsubscribe.")]
All = Annotated[bool, typer.Option("--all", help="Also those that were lifted or have expired.")]

app = typer.Typer(no_args_is_help=True, help="Whom not to write to.")


@app.command("list")
def list_suppressions(
    address: Annotated[str | None, typer.Option(help="Only this recipient's.")] = None,
    everything: All = False,
    url: Url = URL,
    as_json: Json = False,
) -> None:
    """List suppressions, one line for each reason."""
    with closing(Client(url)) as client:
        found = list(pages(client, address=address, everything=everything))
    if as_json:
        for each in found:
            show.json_line(each)
        return
    rows = [
        [
            each["address"] or f"hash:{each['recipient']}",
            each["scope"],
            cause["reason"],
            cause["at"],
            _until(cause),
            cause["detail"] or "",
        ]
        for each in found
        for cause in each["causes"]
        if cause["active"] or everything
    ]
    columns = ["recipient", "scope", "reason", "since", "until", "detail"]
    show.table(f"{len(rows)} suppressions", columns, rows)


@app.command()
def add(
    address: Address,
    scope: Scope = "account",
    reason: Reason = "manual",
    expires: Annotated[str | None, typer.Option(help="Until when, e.g. 2027-01-31T00:00Z.")] = None,
    detail: Annotated[str, typer.Option(help="A note of your own.")] = "",
    url: Url = URL,
) -> None:
    """Suppress a recipient; the same again changes nothing."""
    body = {"reason": reason, "detail": detail, **({"expires_at": expires} if expires else {})}
    with closing(Client(url)) as client:
        answer = client.api("PUT", path_of(scope, address), json=body)
    expect(answer)
    new = answer.status_code == httpx.codes.CREATED
    show.line("suppressed" if new else "was suppressed already", f" in scope {scope}")


@app.command()
def remove(
    address: Address,
    scope: Scope = "account",
    reason: Annotated[str | None, typer.Option(help="Only for this reason.")] = None,
    url: Url = URL,
) -> None:
    """Lift a suppression: mails go to this recipient again."""
    params = {"reason": reason} if reason else {}
    with closing(Client(url)) as client:
        expect(client.api("DELETE", path_of(scope, address), params=params))
    show.line(f"lifted in scope {scope}")


@app.command("export")
def export_suppressions(
    file: Annotated[Path, typer.Argument(help="The CSV file; `-` is standard output.")],
    everything: All = False,
    url: Url = URL,
) -> None:
    """Write suppressions as CSV, one line for each reason, as `import` reads them."""
    with ExitStack() as stack:
        client = stack.enter_context(closing(Client(url)))
        out: IO[str] = sys.stdout
        if str(file) != "-":
            out = stack.enter_context(file.open("w", encoding="utf-8", newline=""))
        bar = stack.enter_context(Progress(console=show.err, transient=True))
        task = bar.add_task("export", total=None)
        writer = csv.DictWriter(out, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        count = 0
        for each in pages(client, everything=everything):
            for cause in each["causes"]:
                if cause["active"] or everything:
                    writer.writerow({**each, **cause})
                    count += 1
            bar.update(task, completed=count)
    show.err.print(f"{count} suppressions exported")


@app.command("import")
def import_suppressions(
    file: Annotated[Path, typer.Argument(help="The CSV file; `-` is standard input.")],
    scope: Scope = "account",
    reason: Reason = "manual",
    url: Url = URL,
) -> None:
    """Read suppressions from CSV with a line of names first.

    The column `address` (or `recipient`, with hashes of this very Postbus) must be there; `scope`,
    `reason`, `at`, `expires_at` and `detail` may be, and --scope and --reason stand in for what is
    empty. Importing a file twice changes nothing.
    """
    counts = Counter[str]()
    lines = read_lines(file, {"scope": scope, "reason": reason})
    with (
        closing(Client(url)) as client,
        Progress(console=show.err, transient=True) as bar,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        task = bar.add_task("import", total=len(lines))
        ended = pool.map(lambda line: import_line(client, line[1]), lines)
        for (number, _), (end, why) in zip(lines, ended, strict=True):
            counts[end] += 1
            bar.advance(task)
            if end == "refused" and counts[end] <= SHOWN_MAX:
                show.err.print(f"line {number}: {why}")
    told = ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
    show.line(told or "no lines")
    if counts["refused"]:
        raise CommandError(f"{counts['refused']} lines were refused", FAILED)


def forget(
    address: Annotated[str, typer.Argument(help="The recipient's address.")],
    lift: Annotated[
        bool, typer.Option("--lift", help="Also lift suppressions: mails go there again.")
    ] = False,
    url: Url = URL,
    as_json: Json = False,
) -> None:
    """Erase what the ledger knows of a recipient, who stays suppressed by a hash of the address."""
    counts = Counter[str]()
    params = {"lift": "true"} if lift else {}
    path = f"/v1/recipients/{quote(address, safe='@')}"
    with closing(Client(url)) as client:
        while True:
            answer = client.api("DELETE", path, params=params)
            expect(answer)
            told = answer.json()
            counts.update(told["erased"])
            if told["next"] is None:
                break
            params = {**params, "after": told["next"]}
    if as_json:
        show.json_line({**told, "erased": dict(counts)})
        return
    show.line(", ".join(f"{count} {what}" for what, count in sorted(counts.items())), " erased")
    if told["suppressed"]:
        show.line("still suppressed, by the hash alone, in scope ", ", ".join(told["suppressed"]))


def _until(cause: dict[str, Any]) -> str:
    if cause["active"] and cause["expires_at"] is None:
        return ""
    return str(cause["expires_at"] or "lifted")
