"""How the command ends: what each exit code means, and errors that say what to do.

0   it worked
1   it ran, and the answer is no (a mail was refused, a function failed, an event did not arrive)
2   the command line is wrong (also: a file that is not there)
3   Postbus is not running at that address
"""

from __future__ import annotations

import sys

import httpx
import typer

FAILED = 1
USAGE = 2
NOT_RUNNING = 3


class CommandError(Exception):
    """Ends the command with a message for a person and an exit code."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code


def run(app: typer.Typer) -> None:
    """Run the command; what goes wrong ends in one line on standard error."""
    try:
        app()
    except CommandError as error:
        sys.stderr.write(f"postbus: {error}\n")
        sys.exit(error.code)
    except httpx.ConnectError as error:
        sys.stderr.write(
            f"postbus: nothing answers at {error.request.url.copy_with(path='/')}: start it with "
            "`postbus up` (or `make run`) in another terminal, or say where it is with --url\n"
        )
        sys.exit(NOT_RUNNING)
    except httpx.HTTPError as error:
        sys.stderr.write(f"postbus: {type(error).__name__}: {error}\n")
        sys.exit(FAILED)
    except KeyboardInterrupt:
        sys.exit(130)
