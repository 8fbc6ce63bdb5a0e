"""Options that many commands have."""

from __future__ import annotations

from typing import Annotated

import typer

URL = "http://127.0.0.1:8025"

Url = Annotated[str, typer.Option("--url", envvar="POSTBUS_URL", help="Where Postbus runs.")]
Json = Annotated[bool, typer.Option("--json", help="JSON lines, for programs.")]
