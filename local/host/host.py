"""The function host: runs the functions of a template as Function Compute does.

    queue -> stream --------------+
    timer, topic, event bus ------+-> Host.call -> a pool of instances -> worker process -> handler
    HTTP trigger, InvokeFunction -+

What comes in over HTTP is in `app.py`.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from local.account import Account
from local.activity import Activity
from local.host.instances.function import Function
from local.host.instances.invocation import SYNCHRONOUS_LIMIT, Call, Invocation, refuse
from local.host.instances.launch import Launch
from local.host.instances.outputs import LogSink, log_to_logger
from local.host.instances.pool import IDLE_SECONDS, Pool
from local.host.model import (
    EventBridgeTrigger,
    FunctionSpec,
    HttpTrigger,
    QueueTrigger,
    Template,
    TimerTrigger,
    TopicTrigger,
    Unsimulated,
)
from local.host.tasks import together
from local.host.template.unsimulated import other_runtimes
from local.host.triggers.envelopes import Origin
from local.host.triggers.repeater import Repeater
from local.host.triggers.retries import push_pauses
from local.host.triggers.streams import Stream, StreamOptions
from local.host.triggers.timers import run_timer
from local.host.triggers.topics import subscriber
from local.twins.smq.broker import Broker


class HostError(Exception):
    """Functions cannot be made ready; the text says which and why."""


class Host:
    """Runs the functions, and what triggers them.

    Args:
        template: the functions and triggers.
        code_root: the folder that is `/code` in the cloud.
        broker: the queues that triggers read.
        account: issues each instance's temporary key.
        activity: told of `function.started`, `function.invoked`, `function.killed`,
            `trigger.dead_lettered` and `trigger.blocked`.
        environment: environment variables that win over the template's, in every function.
        instances: how many instances a function may have.
        time_scale: what the platform's waiting times (batch windows, pauses between repeats) are
            multiplied with; a function's own time-out is not.
        python: the interpreter of the workers.
        log: takes each line that a function prints, with the function's name.
        lease_seconds: how long a message that a stream took stays invisible before it is
            extended; so long it takes until it comes back when the host is killed.
        idle_seconds: after this long without a request an instance is taken back.
    """

    def __init__(  # noqa: PLR0913  # the composition root hands in each part by name
        self,
        template: Template,
        *,
        code_root: Path,
        broker: Broker,
        account: Account,
        activity: Activity,
        environment: Mapping[str, str],
        instances: int = 2,
        time_scale: float = 1.0,
        python: Path | str = sys.executable,
        log: LogSink = log_to_logger,
        lease_seconds: int = 30,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self.template = template
        self.account = account
        self._own_python = Path(python) == Path(sys.executable)
        self._repeater = Repeater(self.call, time_scale)
        self._functions = {
            spec.name: Function(
                Launch(
                    spec=spec,
                    python=Path(python),
                    code_root=code_root.resolve(),
                    account_id=account.id,
                    region=account.region,
                    overrides=environment,
                ),
                pool=partial(Pool, limit=instances, idle_seconds=idle_seconds),
                account=account,
                activity=activity,
                log=log,
            )
            for spec in template.functions
        }
        self._broker = broker
        self._origin = origin = Origin(account.id, account.region)
        options = StreamOptions(origin, instances, time_scale, lease_seconds)
        self.streams = [
            Stream(
                trigger,
                options,
                broker=broker,
                push=partial(self._push, trigger.function),
                activity=activity,
            )
            for trigger in template.triggers
            if isinstance(trigger, QueueTrigger) and trigger.enabled
        ]

    @property
    def unsimulated(self) -> list[Unsimulated]:
        """What the template says and this host does not do."""
        # A caller that has chosen an interpreter did so for the sake of the runtime.
        runtimes = other_runtimes(self.template.functions) if self._own_python else ()
        return [*runtimes, *self.template.unsimulated]

    @property
    def http_triggers(self) -> list[HttpTrigger]:
        """The template's HTTP triggers."""
        return [trigger for trigger in self.template.triggers if isinstance(trigger, HttpTrigger)]

    def find(self, function: str) -> FunctionSpec | None:
        """A function by its full name, logical id (`SendMail`) or module (`send_mail`)."""
        for spec in self.template.functions:
            if function in {spec.name, spec.logical_id, spec.module}:
                return spec
        return None

    async def invoke(self, function: str, payload: bytes) -> Invocation:
        """Run a function once, as InvokeFunction does, and wait for the outcome.

        Args:
            function: its full name, logical id or module.
            payload: the event.
        """
        if len(payload) > SYNCHRONOUS_LIMIT:
            return refuse("EntityTooLarge", SYNCHRONOUS_LIMIT)
        return await self.call(function, Call(payload))

    async def call(self, function: str, call: Call) -> Invocation:
        """Run a function once; every outcome, a refusal too, is an `Invocation`."""
        spec = self.find(function)
        if spec is None:
            return refuse("FunctionNotFound", function, call.request_id)
        return await self._functions[spec.name].run(call)

    def call_later(self, function: str, call: Call) -> None:
        """Run a function in the background; one that fails is run again, up to three times."""
        self._repeater.run_later(function, call)

    async def deliver_event(self, function: str, event_json: str) -> Invocation:
        """Push one event of the bus to a function, with its trigger's repeats; then drop it."""
        spec = self.find(function)
        retry = [
            trigger.retry
            for trigger in self.template.triggers
            if isinstance(trigger, EventBridgeTrigger) and spec and trigger.function == spec.name
        ]
        call = Call(event_json.encode(), trigger="eventbridge")
        return await self._repeater.run(function, call, push_pauses(retry[0] if retry else None))

    async def _push(self, function: str, event: bytes, messages: int) -> Invocation:
        call = Call(event, trigger="queue", messages=messages, wait_seconds=None)
        return await self.call(function, call)

    def _fire(self, function: str, event: bytes, trigger: str = "timer") -> None:
        self.call_later(function, Call(event, trigger=trigger))

    async def warm(self) -> None:
        """Have one instance of each function started and initialised.

        Raises:
            HostError: some cannot be; says which and why. The others are ready.
        """
        problems = await asyncio.gather(*(one.warm() for one in self._functions.values()))
        if any(problems):
            raise HostError("\n".join(text for text in problems if text))

    async def run(self) -> None:
        """Run the triggers (queue streams, topics and timers) until cancelled."""
        with ExitStack() as subscribed:
            for topic in [t for t in self.template.triggers if isinstance(t, TopicTrigger)]:
                fire = partial(self._fire, topic.function, trigger="topic")
                take = subscriber(topic, self._origin, fire)
                subscribed.enter_context(self._broker.watched(topic.topic, take))
            await self._run()

    async def _run(self) -> None:
        timers = [t for t in self.template.triggers if isinstance(t, TimerTrigger) and t.enabled]
        await together(
            [
                *(stream.run() for stream in self.streams),
                *(run_timer(timer, partial(self._fire, timer.function)) for timer in timers),
                asyncio.Event().wait(),  # without any trigger it runs all the same
            ]
        )

    async def close(self) -> None:
        """End everything; what is under way ends without an outcome."""
        await self._repeater.close()
        await asyncio.gather(*(function.close() for function in self._functions.values()))
