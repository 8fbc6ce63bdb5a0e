"""`postbus dead`: what was rejected, parked or given up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from local.cli import show
from local.cli.client import Client
from local.cli.exits import CommandError
from local.cli.options import URL, Json, Url

app = typer.Typer(no_args_is_help=True, help="Look at rejected, parked and dead letters.")


@app.command("list")
def list_letters(url: Url = URL, as_json: Json = False) -> None:
    """List the letters on the reject queue and on every dead-letter queue."""
    letters = list(letters_of(Client(url)))
    if as_json:
        for letter in letters:
            show.json_line(letter)
        return
    rows = [
        [show.clock_of_ms(letter["enqueued_at_ms"]), letter["queue"], letter["id"], _reason(letter)]
        for letter in letters
    ]
    show.table(f"{len(rows)} letters", ["since", "queue", "message", "reason"], rows)


@app.command("show")
def show_letter(
    message_id: Annotated[str, typer.Argument(help="As `postbus dead list` prints it.")],
    url: Url = URL,
) -> None:
    """Print one letter, whole."""
    for letter in letters_of(Client(url)):
        if letter["id"] == message_id:
            print(letter["body"])  # noqa: T201  # the letter
            return
    raise CommandError(f"no letter {message_id} on the reject and dead-letter queues")


def letters_of(client: Client) -> Iterator[dict[str, Any]]:
    """The letters on the reject queue and on every dead-letter queue."""
    for queue in client.get("/_local/status")["queues"]:
        if queue.endswith(("-rejected", "-dead")):
            for message in client.get(f"/_local/queues/{queue}/messages"):
                yield {"queue": queue, **message}


def _reason(letter: dict[str, Any]) -> str:
    """Why a letter is where it is, in a few words."""
    try:
        body = json.loads(letter["body"])
    except ValueError:
        return "received too often"
    if not isinstance(body, dict):
        return "received too often"
    problems = [f"{p.get('pointer')}: {p.get('type')}" for p in body.get("problems", [])[:2]]
    if problems:
        return ", ".join(problems)
    history = body.get("history") or []
    return " ".join(str(part) for part in history[-1][1:]) if history else "received too often"
