"""`postbus up`: run the stack until Ctrl-C, or for one journey."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import IO

from local import console
from local.activity import Happening
from local.cli import show
from local.cli.exits import USAGE, CommandError
from local.cli.journey import travel
from local.host.template import load_template
from local.host.template.unsimulated import other_runtimes, summary
from local.serving import PortInUseError
from local.stack import LOCAL_PARAMETERS, Stack, StackOptions, running


def up(options: StackOptions, *, journey: bool, once: bool) -> None:
    """Run it.

    Args:
        options: how.
        journey: send the sample mail and tell its way.
        once: end after the journey; its event is the last line that is printed.

    Raises:
        CommandError: the port is taken, or the journey's event did not arrive.
    """
    try:
        asyncio.run(_up(options, journey=journey, once=once))
    except PortInUseError as error:
        raise CommandError(str(error), USAGE) from None
    except KeyboardInterrupt:
        pass


async def _up(options: StackOptions, *, journey: bool, once: bool) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    show.line("starting the twins and the functions …")
    async with running(options) as stack:
        _greet(stack)
        event = await _until(stopped, travel(stack)) if journey else None
        if once:
            if event is None:
                raise CommandError("stopped before the event arrived")
            show.json_line(event)
            return
        if event is not None:
            show.line("\nThe event, as the topic's subscribers get it:")
            show.out.print_json(json.dumps(event))
        show.line("\nready; Ctrl-C ends it. In another terminal: ", ("postbus --help", "bold"))
        teller = asyncio.ensure_future(_tell(stack))
        await stopped.wait()
        teller.cancel()
        show.line("stopping …")


async def _until(stopped: asyncio.Event, work: object) -> dict[str, object] | None:
    """Await the work, unless a signal comes first."""
    job = asyncio.ensure_future(work)  # type: ignore[call-overload]  # a coroutine of ours
    ended = asyncio.ensure_future(stopped.wait())
    await asyncio.wait({job, ended}, return_when=asyncio.FIRST_COMPLETED)
    ended.cancel()
    if job.done():
        result: dict[str, object] = job.result()
        return result
    job.cancel()
    return None


def _greet(stack: Stack) -> None:
    show.line(("Postbus runs on this machine.", "bold"))
    for address, what in console.addresses(stack.url).items():
        show.line(f"  {address:<46} ", (what, "dim"))
    found = stack.host.unsimulated
    if found:
        show.line(f"{len(found)} settings of the template do nothing here "
                  "(`postbus up --unsimulated` says why):")  # fmt: skip
        for group, names in summary(found):
            show.line((f"  {group:<15} {names}", "dim"))


def tell_unsimulated(template: Path) -> None:
    """Print what the template says and this machine does not do, a sentence each."""
    found = load_template(template, LOCAL_PARAMETERS)
    for each in (*other_runtimes(found.functions), *found.unsimulated):
        show.line(each.sentence)


async def _tell(stack: Stack) -> None:
    """One line for what happens, while somebody looks."""
    async for happening in stack.activity.follow():
        line = _line_of(happening)
        if line:
            show.line((f"{happening.name:<22}", "cyan"), line)


def _line_of(happening: Happening) -> str:
    if happening.name in ("function.invoked", "function.started"):
        return ""
    return "  ".join(f"{name}={value}" for name, value in happening.fields.items())


def log_to(path: Path) -> Callable[[str, str], None]:
    """A writer of the functions' log lines; the file is begun anew when it is over 10 MB."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > 10_000_000:  # noqa: PLR2004  # said above
        path.replace(path.with_suffix(".log.1"))
    file: IO[str] = path.open("a", buffering=1)
    return lambda function, line: print(function, line, file=file)
