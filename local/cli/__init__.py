"""The `postbus` command: run everything on this machine, and look at what happens."""

from __future__ import annotations

from local.cli.commands import app
from local.cli.exits import run


def main() -> None:
    """The entry point of the `postbus` command."""
    run(app)
