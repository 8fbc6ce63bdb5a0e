"""One function on this machine: its instances, and how a call of it ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

from local.account import Account
from local.activity import Activity
from local.host.instances.channel import Reply, WorkerLostError
from local.host.instances.instance import Instance
from local.host.instances.invocation import (
    FUNCTION_ERROR,
    OK,
    Call,
    Invocation,
    new_request_id,
    refuse,
)
from local.host.instances.launch import Launch
from local.host.instances.outputs import LogSink
from local.host.instances.pool import BusyError, Pool

_NO_START = "the worker process does not start; the function's log says why"


class _NotInitialisedError(Exception):
    """An instance's initializer failed, and with it the invocation that needed the instance."""

    def __init__(self, reply: Reply, instance: Instance) -> None:
        super().__init__(reply.outcome)
        self.reply = reply
        self.instance = instance


class Function:
    """A function and its pool of instances.

    Args:
        launch: how its instances are started.
        pool: makes the pool, given what starts one instance.
        account: issues each instance's temporary key.
        activity: told of `function.started`, `function.invoked` and `function.killed`.
        log: takes each line that it prints.
    """

    def __init__(
        self,
        launch: Launch,
        *,
        pool: Callable[[Callable[[], Coroutine[Any, Any, Instance]]], Pool],
        account: Account,
        activity: Activity,
        log: LogSink,
    ) -> None:
        self.spec = launch.spec
        self._launch = launch
        self._account = account
        self._activity = activity
        self._log = log
        self._pool = pool(self._start)

    async def run(self, call: Call) -> Invocation:
        """Run the handler once and give the outcome, whatever it is."""
        try:
            instance = await self._pool.acquire(call.wait_seconds)
        except BusyError:
            return refuse("ResourceExhausted", self.spec.name, call.request_id)
        except (WorkerLostError, asyncio.TimeoutError, TimeoutError):
            return refuse("InternalServerError", _NO_START, call.request_id)
        except _NotInitialisedError as error:
            invocation = _outcome(call, error.reply, error.instance, 0.0)
        else:
            invocation = await self._run(call, instance)
        self._activity.record(
            "function.invoked",
            function=self.spec.name,
            request_id=call.request_id,
            duration_ms=round(invocation.duration_ms, 3),
            error_type=invocation.error_type,
            trigger=call.trigger,
            messages=call.messages,
        )
        return invocation

    async def _run(self, call: Call, instance: Instance) -> Invocation:
        instance.output.mark()
        started = time.perf_counter()
        try:
            reply = await instance.invoke(call.payload, call.request_id, call.retry_count)
        finally:
            self._pool.release(instance)
        self._note_end(reply)
        return _outcome(call, reply, instance, (time.perf_counter() - started) * 1000)

    async def _start(self) -> Instance:
        key = self._account.assume(self.spec.role or self.spec.name)
        instance = await Instance.start(self._launch, key, self._log)
        self._activity.record("function.started", function=self.spec.name, instance_id=instance.id)
        reply = None
        try:
            reply = await instance.initialize(new_request_id())
        finally:
            if reply is None or reply.outcome != "ok":
                await instance.stop()
        if reply.outcome != "ok":
            self._note_end(reply)
            raise _NotInitialisedError(reply, instance)
        return instance

    def _note_end(self, reply: Reply) -> None:
        if reply.reason:
            self._activity.record("function.killed", function=self.spec.name, reason=reply.reason)

    async def warm(self) -> str | None:
        """Have one instance started and initialised; gives why it cannot be, or None."""
        try:
            self._pool.release(await self._pool.acquire())
        except _NotInitialisedError as error:
            text = error.reply.body.decode("utf-8", "replace")
            return f"{self.spec.name} cannot be initialised: {text}"
        except (WorkerLostError, asyncio.TimeoutError, TimeoutError):
            return f"{self.spec.name}: {_NO_START}"
        return None

    async def close(self) -> None:
        """End its instances."""
        await self._pool.close()


def _outcome(call: Call, reply: Reply, instance: Instance, duration_ms: float) -> Invocation:
    return Invocation(
        request_id=call.request_id,
        status=OK,
        body=reply.body,
        error_type=None if reply.outcome == "ok" else FUNCTION_ERROR,
        duration_ms=duration_ms,
        instance_id=instance.id,
        log_tail=instance.output.tail,
    )
