"""Suppressions on their way between the HTTP API and CSV files."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import httpx

from local.cli.client import Client
from local.cli.exits import USAGE, CommandError

PATH = "/v1/suppressions"
COLUMNS = ("address", "recipient", "scope", "reason", "at", "expires_at", "detail")
PAGE = 1000


def pages(
    client: Client, *, address: str | None = None, everything: bool
) -> Iterator[dict[str, Any]]:
    """Every suppression, or those of one recipient; the lifted and expired ones where asked for."""
    params: dict[str, Any] = {"limit": PAGE, "all": str(everything).lower()}
    if address is not None:
        params["address"] = address
    while True:
        answer = client.api("GET", PATH, params=params)
        expect(answer)
        page = answer.json()
        yield from page["suppressions"]
        if page["next"] is None:
            return
        params["after"] = page["next"]


def read_lines(file: Path, defaults: dict[str, str]) -> list[tuple[int, dict[str, str]]]:
    """The file's lines with their numbers, each a mapping of what is not empty."""
    with ExitStack() as stack:
        source: IO[str] = sys.stdin
        if str(file) != "-":
            try:
                source = stack.enter_context(file.open(encoding="utf-8-sig", newline=""))
            except OSError as error:
                raise CommandError(f"cannot read {file}: {error.strerror}", USAGE) from None
        reader = csv.DictReader(source)
        names = {(name or "").strip().lower() for name in reader.fieldnames or ()}
        if not names & {"address", "recipient"}:
            raise CommandError("the first line must name a column `address`", USAGE)
        return [
            (
                reader.line_num,
                {
                    **defaults,
                    **{
                        (name or "").strip().lower(): value.strip()
                        for name, value in row.items()
                        if isinstance(value, str) and value.strip()
                    },
                },
            )
            for row in reader
        ]


def import_line(client: Client, line: dict[str, str]) -> tuple[str, str]:
    """Put one line; how it ended, and why."""
    who = line.get("address") or (f"hash:{line['recipient']}" if "recipient" in line else "")
    if not who:
        return "refused", "no address"
    fields = ("reason", "at", "expires_at", "detail")
    body = {name: line[name] for name in fields if name in line}
    answer = client.api("PUT", path_of(line["scope"], who), json=body)
    if answer.is_error:
        return "refused", _why(answer)
    new = answer.status_code == httpx.codes.CREATED
    return "suppressed" if new else "known already", ""


def path_of(scope: str, address: str) -> str:
    """The address of one recipient in one scope."""
    return f"{PATH}/{quote(scope, safe='@')}/{quote(address, safe='@')}"


def expect(answer: httpx.Response) -> None:
    """End the command where the answer is no."""
    if answer.is_error:
        raise CommandError(_why(answer))


def _why(answer: httpx.Response) -> str:
    if "json" not in answer.headers.get("content-type", ""):
        return f"HTTP {answer.status_code}"
    told = answer.json()
    problems = [
        f"{each['pointer'].lstrip('/') or 'it'} {each['detail']}" for each in told.get("errors", [])
    ]
    return "; ".join(problems) or str(told.get("detail"))
