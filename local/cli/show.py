"""What the command prints: for a person with colour, for a program as JSON lines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

# rich leaves colour out when nobody looks (no terminal, or NO_COLOR is set).
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

_STYLES = {"delivered": "green", "sent": "green", "bounced": "red", "unrecognised": "yellow"}


def json_line(value: Any) -> None:
    """One JSON object on a line, for programs."""
    print(json.dumps(value, ensure_ascii=False))  # noqa: T201  # this is the command's output


def line(*parts: str | tuple[str, str]) -> None:
    """One line for a person; a part may be (text, style)."""
    out.print(Text.assemble(*parts))


def table(
    title: str,
    columns: list[str],
    rows: list[list[str]],
    styles: Mapping[str, str] | None = None,
    console: Console = out,
) -> None:
    """A table for a person; `styles` says how rows look that begin with a word."""
    shown = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in columns:
        shown.add_column(column, overflow="fold")
    for row in rows:
        shown.add_row(*(Text(cell) for cell in row), style=(styles or {}).get(row[0]))
    console.print(shown)


def event_line(event: dict[str, Any]) -> None:
    """One mail event."""
    data = event.get("data", {})
    state = data.get("state") or event.get("type", "").rpartition(".")[2]
    smtp = data.get("smtp") or {}
    line(
        (f"{clock(event.get('time', ''))}  ", "dim"),
        (f"{state:<12}", _STYLES.get(state, "")),
        f"{data.get('recipient') or '-':<32} ",
        f"{smtp.get('message') or data.get('reason') or ''} ",
        (f"mail {data.get('mail_id') or '-'}", "dim"),
    )


def clock(rfc3339: str) -> str:
    """The time of day in this machine's zone."""
    try:
        return (
            datetime.fromisoformat(rfc3339.replace("Z", "+00:00")).astimezone().strftime("%H:%M:%S")
        )
    except ValueError:
        return rfc3339[:8]


def clock_of_ms(ms: int) -> str:
    """Likewise, from ms since 1970."""
    moment = datetime.fromtimestamp(ms / 1000, timezone.utc).astimezone()
    return moment.strftime("%Y-%m-%d %H:%M:%S")
