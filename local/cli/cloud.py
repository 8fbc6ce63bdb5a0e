"""What the commands that speak to a cloud account share: options, and errors as exit codes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from local.cli.exits import USAGE, CommandError

ROOT = Path(__file__).resolve().parents[2]

Env = Annotated[str, typer.Option("--env", help="The environment: dev, staging, production.")]
Region = Annotated[
    str,
    typer.Option(
        envvar="POSTBUS_REGION", help="Where; else as deploy/environments/<env>.yml says."
    ),
]
Root = Annotated[Path, typer.Option(hidden=True)]
# Where all services answer instead of their own addresses: for tests.
Endpoint = Annotated[str, typer.Option(envvar="POSTBUS_CLOUD_ENDPOINT", hidden=True)]
Interval = Annotated[float, typer.Option(hidden=True)]


@contextmanager
def cloud_errors() -> Iterator[None]:
    """End the command well where a deployment cannot go on.

    Raises:
        CommandError: with what to do.
    """
    try:
        from deploy.cloud.faults import CloudError
        from deploy.stack.errors import DeployError, UsageError
    except ModuleNotFoundError as error:
        raise lacking(error) from None
    try:
        yield
    except UsageError as error:
        raise CommandError(str(error), USAGE) from None
    except (DeployError, CloudError) as error:
        raise CommandError(str(error)) from None
    except ModuleNotFoundError as error:
        raise lacking(error) from None


def lacking(error: ModuleNotFoundError) -> CommandError:
    """What to install where an SDK is missing."""
    if (error.name or "").split(".")[0] in {"deploy", "local", "shared"}:
        raise error
    return CommandError(
        f"{error.name} is not installed: `make install`, or `pip install 'postbus[deploy]'`, gets "
        "the SDKs that this command speaks with",
        USAGE,
    )


def is_interactive() -> bool:
    """Whether somebody is there to answer."""
    return sys.stdin.isatty()
