"""`postbus deploy` and `postbus destroy`: an environment's stack in the cloud."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn

from local.cli import show
from local.cli.cloud import (
    ROOT,
    Endpoint,
    Env,
    Interval,
    Region,
    Root,
    cloud_errors,
    is_interactive,
)
from local.cli.exits import FAILED, USAGE, CommandError

if TYPE_CHECKING:  # the SDKs behind these are not always installed
    from deploy.stack.stacks import Change, Event, Stack

_STYLES = {"Add": "green", "Modify": "yellow", "Remove": "red"}
_PROPERTIES_SHOWN = 4
_TRY = """\
python -c '
import json, os
from mns.account import Account
from mns.queue import Message
env = os.environ
account = Account("{url}", env["ALIBABA_CLOUD_ACCESS_KEY_ID"],
    env["ALIBABA_CLOUD_ACCESS_KEY_SECRET"], env.get("ALIBABA_CLOUD_SECURITY_TOKEN", ""))
mail = {{"to": ["you@example.com"], "subject": "Hello", "text": "Hello"}}
message = Message(json.dumps(mail))
print(account.get_queue("{queue}").send_message(message).message_id)'"""


class Screen:
    """Tells a person how a deployment goes, and asks; steps on standard error, outputs on output.

    Args:
        agreed: whether the answer is yes without asking.
        as_json: outputs as one JSON object.
    """

    def __init__(self, *, agreed: bool, as_json: bool) -> None:
        self._agreed = agreed
        self._as_json = as_json
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._loading = ""

    def say(self, text: str) -> None:
        """A step, in a line."""
        self._close()
        show.err.print(escape(text))

    def warn(self, text: str) -> None:
        """Something to look at, which stops nothing."""
        self._close()
        show.err.print(f"[yellow]{escape(text)}[/yellow]")

    def uploading(self, name: str, done: int, total: int) -> None:
        """How far an upload is, in bytes; a bar for people alone."""
        if not show.err.is_terminal:
            return
        if self._bar is None or self._loading != name:
            self._close()
            self._open(TextColumn(escape(name)), BarColumn(), DownloadColumn(), total=total)
            self._loading = name
        self._move(done)

    def changes(self, changes: Sequence[Change]) -> None:
        """What would change, as a table."""
        self._close()
        counts = [
            f"{sum(each.action == action for each in changes)} {word}"
            for action, word in (("Add", "made"), ("Modify", "changed"), ("Remove", "removed"))
        ]
        rows = [
            [each.action, each.name, each.kind.removeprefix("ALIYUN::"), _detail(each)]
            for each in changes
        ]
        show.table(
            ", ".join(counts), ["", "resource", "type", "properties"], rows,
            styles=_STYLES, console=show.err,
        )  # fmt: skip

    def agree(self, question: str) -> bool:
        """Whether to go on."""
        return self._agreed or typer.confirm(question, err=True)

    def happened(self, event: Event, done: int, total: int) -> None:
        """Something happened to the stack."""
        style = "red" if "FAILED" in event.status or "ROLLBACK" in event.status else "dim"
        line = f"{event.at[11:]}  {event.resource:<28} {event.status}"
        if event.status.endswith("_FAILED"):
            line += f"  {event.reason}"
        if show.err.is_terminal:
            if self._bar is None:
                self._open(
                    TextColumn("{task.completed:.0f} of {task.total:.0f} resources"),
                    BarColumn(),
                    total=total,
                )
            self._move(done)
            if event.status.endswith("_IN_PROGRESS"):
                return
        show.err.print(f"[{style}]{escape(line)}[/{style}]")

    def ended(self, stack: Stack) -> None:
        """The stack's outputs, and a command to try."""
        self._close()
        if self._as_json:
            show.json_line({"stack": stack.name, "status": stack.status, **stack.outputs})
            return
        rows = [[name, value, stack.descriptions[name]] for name, value in stack.outputs.items()]
        show.table(f"{stack.name}: {stack.status}", ["output", "value", ""], rows)
        if url := stack.outputs.get("MailsQueueUrl"):
            endpoint, _, queue = url.rpartition("/queues/")
            show.line("\nPut a mail on the queue, with the key that may do so:")
            show.line(_TRY.format(url=endpoint, queue=queue))

    def _open(self, *columns: TextColumn | BarColumn | DownloadColumn, total: int) -> None:
        self._bar = Progress(*columns, console=show.err, transient=True)
        self._bar.start()
        self._task = self._bar.add_task("", total=total)

    def _move(self, done: int) -> None:
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
        self._bar, self._task, self._loading = None, None, ""

    def __enter__(self) -> Screen:  # noqa: PYI034  # Self is not in Python 3.10
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Take the bar away."""
        self._close()


def deploy(
    env: Env,
    region: Region = "",
    parameter: Annotated[
        list[str],
        typer.Option("--parameter", "-p", help="A parameter of the template, NAME=VALUE; over the "
                     "environment's file. Secrets are taken from variables: POSTBUS_…"),
    ] = [],
    rollback: Annotated[
        str, typer.Option(metavar="COMMIT", help="Go back to an earlier commit, as it was.")
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask, as in CI.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The outputs as JSON.")] = False,
    root: Root = ROOT,
    endpoint: Endpoint = "",
    interval: Interval = 3.0,
) -> None:  # fmt: skip
    """Deploy this commit to an environment: check, package, upload, preview, ask, update the stack.

    Credentials come from the default chain of Alibaba Cloud's SDKs: ALIBABA_CLOUD_ACCESS_KEY_ID and
    ALIBABA_CLOUD_ACCESS_KEY_SECRET, a profile of the `aliyun` command, the role of the machine.
    """
    if not (yes or dry_run or is_interactive()):
        raise CommandError(
            "nobody is here to agree to the changes: --yes agrees, --dry-run only shows them",
            USAGE,
        )
    with cloud_errors(), Screen(agreed=yes, as_json=as_json) as screen:
        from deploy.stack.deploy import deploy as run_deploy
        from deploy.stack.follow import Pace
        from deploy.stack.order import Order
        from deploy.stack.parameters import read_options

        order = Order(
            environment=env,
            root=root,
            region=region,
            given=read_options(parameter),
            rollback=rollback,
            dry_run=dry_run,
            ci=bool(os.environ.get("CI")),
            variables=dict(os.environ),
            endpoint=endpoint,
            pace=Pace(interval),
        )
        if not run_deploy(order, screen):
            raise typer.Exit(FAILED)


def destroy(
    env: Env,
    region: Region = "",
    confirm: Annotated[
        str, typer.Option(help="The environment's name once more, where nobody can be asked.")
    ] = "",
    root: Root = ROOT,
    endpoint: Endpoint = "",
    interval: Interval = 3.0,
) -> None:
    """Delete an environment's stack. Its tables stay, and so do the packages in the bucket."""
    if confirm and confirm != env:
        raise CommandError(f"--confirm says {confirm!r} and --env {env!r}", USAGE)
    if not confirm and not is_interactive():
        raise CommandError(
            f"nobody is here to be asked: --confirm {env} says that it is meant", USAGE
        )

    def ask(stack: Stack, goes: list[str], stays: list[str]) -> bool:
        show.err.print(f"{stack.name} ({stack.status})")
        show.err.print(f"  goes:  {', '.join(goes)}; with all messages on its queues")
        show.err.print(f"  stays: {', '.join(stays) or 'nothing'}")
        if confirm:
            return True
        return bool(typer.prompt(f"Type {env} to delete it", err=True) == env)

    with cloud_errors(), Screen(agreed=True, as_json=False) as screen:
        from deploy.stack.destroy import Removal
        from deploy.stack.destroy import destroy as run_destroy
        from deploy.stack.follow import Pace
        from deploy.stack.parameters import check_region, environment_file, read_environment

        file = environment_file(root, env)
        text = file.read_text(encoding="utf-8") if file.is_file() else None
        where = check_region(region or read_environment(env, text, file.name).region)
        if not run_destroy(Removal(env, where, endpoint, Pace(interval)), screen, ask):
            screen.say("nothing was deleted")
            raise typer.Exit(FAILED)
    show.err.print(
        f"postbus-{env} is gone. Its tables are kept: to use them again, deploy with "
        "LedgerIs: kept and the same POSTBUS_SUPPRESSION_KEY."
    )


def _detail(change: Change) -> str:
    shown = ", ".join(change.properties[:_PROPERTIES_SHOWN])
    more = len(change.properties) - _PROPERTIES_SHOWN
    again = {"True": "MADE ANEW, what it holds is lost: ", "Conditional": "perhaps made anew: "}
    return again.get(change.replacement, "") + shown + (f" and {more} more" if more > 0 else "")
