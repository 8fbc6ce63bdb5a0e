"""A host on a stage: sample handlers, a real broker in a temporary folder, real workers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pytest

from local.account import Account
from local.activity import Activity, Happening
from local.host.host import Host
from local.host.instances.invocation import Invocation
from local.host.model import FunctionSpec, Initializer, QueueSpec, QueueTrigger, Template, Trigger
from local.twins.smq.broker import Broker
from local.twins.smq.model import QueueAttributes

HANDLERS = Path(__file__).parents[1] / "handlers"

T = TypeVar("T")


@dataclass
class Stage:
    """What a scene sees."""

    host: Host
    broker: Broker
    account: Account
    activity: Activity
    lines: list[tuple[str, str]] = field(default_factory=list)

    def happened(self, name: str) -> list[Happening]:
        """What was recorded under that name."""
        return [one for one in self.activity.kept() if one.name == name]

    async def until(self, true: Callable[[], Any], seconds: float = 10.0) -> None:
        """Wait for something to become true."""
        end = asyncio.get_running_loop().time() + seconds
        while not true():
            assert asyncio.get_running_loop().time() < end, "it did not happen"
            await asyncio.sleep(0.01)


Scene = Callable[[Stage], Awaitable[T]]


class Play(Protocol):
    """Runs a scene on a fresh host and closes it."""

    def __call__(self, scene: Scene[T], template: Template, **options: Any) -> T:
        """Give what the scene gives; `options` go to `Host`."""


def function(handler: str = "basic.echo", **changes: Any) -> FunctionSpec:
    """A function of the sample handlers, named after its handler; `changes` to the usual."""
    initializer = changes.pop("initializer", None)
    spec = FunctionSpec(
        logical_id="Sample",
        name=handler.replace(".", "-").replace("_", "-"),
        handler=handler,
        runtime="python3.12",
        timeout_seconds=10,
        memory_mb=256,
        environment={},
        initializer=Initializer(initializer, 10) if isinstance(initializer, str) else initializer,
        role="sample-role",
    )
    return replace(spec, **changes)


def template(*functions: FunctionSpec, triggers: tuple[Trigger, ...] = ()) -> Template:
    """A template with these functions and triggers, and the queues that the triggers name."""
    streams = [trigger for trigger in triggers if isinstance(trigger, QueueTrigger)]
    named = {name for t in streams for name in (t.queue, t.dead_letter_queue) if name}
    queues = tuple(QueueSpec(name, QueueAttributes()) for name in sorted(named))
    return Template(functions=functions, triggers=triggers, queues=queues)


@pytest.fixture
def play(tmp_path: Path) -> Play:
    """Runs scenes; the broker's file stays, so a second scene is the stack restarted."""

    def run(scene: Scene[T], template: Template, **options: Any) -> T:
        async def whole() -> T:
            activity, account = Activity(), Account()
            broker = Broker(tmp_path / "smq.db", activity=activity)
            for queue in template.queues:
                broker.ensure_queue(queue.name, queue.attributes)
            lines: list[tuple[str, str]] = []
            usual: Mapping[str, Any] = {
                "code_root": HANDLERS,
                "environment": {},
                "log": lambda name, line: lines.append((name, line)),
            }
            host = Host(
                template,
                broker=broker,
                account=account,
                activity=activity,
                **{**usual, **options},
            )
            try:
                return await scene(Stage(host, broker, account, activity, lines))
            finally:
                await host.close()
                broker.close()

        return asyncio.run(whole())

    return run


@pytest.fixture
def invoke(play: Play) -> Callable[..., Invocation]:
    """Invokes one sample handler once: `invoke("basic.echo", b"event", **changes)`.

    `code_root` and `overrides` go to the host, other changes to the function.
    """

    def once(handler: str, payload: bytes = b"", **changes: Any) -> Invocation:
        options = {
            "code_root": changes.pop("code_root", HANDLERS),
            "environment": changes.pop("overrides", {}),
        }
        spec = function(handler, **changes)

        async def scene(stage: Stage) -> Invocation:
            return await stage.host.invoke(spec.name, payload)

        return play(scene, template(spec), **options)

    return once
