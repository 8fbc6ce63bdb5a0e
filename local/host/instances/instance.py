"""One instance of a function, seen from the host: a worker process, asked one request at a time.

    start -> initialize (once) -> invoke, invoke, ... -> stop

A time-out is SIGTERM, then SIGKILL, to the worker and whatever it started. An instance that timed
out, crashed or could not be loaded is never used again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import time
import uuid
from pathlib import Path
from typing import Any

from local.account import AccessKey
from local.host.instances.channel import Channel, Reply, WorkerLostError
from local.host.instances.launch import Launch
from local.host.instances.outputs import LogSink, Output

# How long a process may take from SIGTERM to its end before SIGKILL.
TERM_SECONDS = 0.5
# How long the interpreter itself may take to start, before any of the function's code.
START_SECONDS = 30.0
# An instance is given up long before the 36 hours of its temporary key are over.
MAXIMUM_AGE_SECONDS = 30 * 3600.0

# After these the instance goes on; any other outcome is its last.
_HARMLESS = ("ok", "error")
_REPOSITORY = Path(__file__).resolve().parents[3]
_EXITED = "Process exited unexpectedly before completing request"
_FAILED = "Unhandled function error"


class Instance:
    """A running worker. Made by `start`."""

    def __init__(self, launch: Launch, output: Output) -> None:
        self.id = f"c-{uuid.uuid4().hex[:24]}"
        self.output = output
        self._launch = launch
        self._channel = Channel()
        self._process = _Process(output)
        self._transport: asyncio.SubprocessTransport | None = None
        self._started = time.monotonic()
        self._unusable = False
        self._stopping: asyncio.Future[None] | None = None

    @classmethod
    async def start(cls, launch: Launch, key: AccessKey, sink: LogSink) -> Instance:
        """Start a worker and wait until its interpreter is up; nothing of the function is loaded.

        Raises:
            WorkerLostError: the process ended at once; what it printed is in the log.
            TimeoutError: it took longer than `START_SECONDS`.
        """
        instance = cls(launch, Output(launch.spec.name, sink))
        ours, theirs = socket.socketpair()
        try:
            await instance._spawn(theirs, key)
            theirs.close()
            loop = asyncio.get_running_loop()
            await loop.create_unix_connection(lambda: instance._channel, sock=ours)
            await instance._channel.ask(launch.settings(key), b"", START_SECONDS)
        except BaseException:
            theirs.close()
            try:
                await instance.stop()
            finally:
                ours.close()
            raise
        return instance

    async def _spawn(self, theirs: socket.socket, key: AccessKey) -> None:
        command = (str(self._launch.python), "-m", "local.host.worker")
        try:
            self._transport, _ = await asyncio.get_running_loop().subprocess_exec(
                lambda: self._process,
                *(*command, str(theirs.fileno()), str(os.getpid())),
                cwd=_REPOSITORY,
                env=self._launch.environment(self.id, key),
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # its own process group: ended as a whole, deaf to Ctrl-C
                stdin=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.STDOUT,
            )
        except OSError as error:
            self.output.say(f"{command[0]}: {error}")
            raise WorkerLostError from error

    @property
    def usable(self) -> bool:
        """Whether another request may be sent to it."""
        young = time.monotonic() - self._started < MAXIMUM_AGE_SECONDS
        return young and not self._unusable and not self._channel.lost

    async def initialize(self, request_id: str) -> Reply:
        """Run the function's initializer, where it has one."""
        hook = self._launch.spec.initializer
        if hook is None:
            return Reply("ok", b"")
        self.output.say(f"FC Initialize Start RequestId: {request_id}")
        reply = await self._run(
            {"op": "initialize", "request_id": request_id}, b"", hook.timeout_seconds
        )
        self._end("Initialize", request_id, reply)
        self._unusable |= reply.outcome != "ok"  # one that is not initialised is of no use
        return reply

    async def invoke(self, event: bytes, request_id: str, retry_count: int) -> Reply:
        """Run the handler once; every way it can end is a reply."""
        request = {"op": "invoke", "request_id": request_id, "retry_count": retry_count}
        self.output.say(f"FC Invoke Start RequestId: {request_id}")
        reply = await self._run(request, event, self._launch.spec.timeout_seconds)
        self._end("Invoke", request_id, reply)
        return reply

    async def _run(self, request: dict[str, Any], event: bytes, seconds: float) -> Reply:
        try:
            reply = await self._channel.ask(request, event, seconds)
        except WorkerLostError:
            reply = _ended(_EXITED)
        except TimeoutError:
            await self.stop()
            reply = _ended(f"Function time out after {seconds:g} seconds")
        except asyncio.CancelledError:
            # The host is going down, or the caller went away: what runs must not run on.
            await self.stop()
            raise
        self._unusable |= reply.outcome not in _HARMLESS
        return reply

    def _end(self, hook: str, request_id: str, reply: Reply) -> None:
        failed = "" if reply.outcome == "ok" else f", Error: {reply.reason or _FAILED}"
        self.output.say(f"FC {hook} End RequestId: {request_id}{failed}")

    async def stop(self) -> None:
        """End the worker and what it started: SIGTERM, and SIGKILL if that is not enough.

        However often it is called and cancelled, it is done once and to the end.
        """
        self._unusable = True
        if self._stopping is None:
            self._stopping = asyncio.ensure_future(self._end_process())
        await asyncio.shield(self._stopping)

    async def _end_process(self) -> None:
        if self._transport is None:
            return
        group = self._transport.get_pid()
        with contextlib.suppress(ProcessLookupError):
            if not self._process.exited.is_set():
                os.killpg(group, signal.SIGTERM)
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._process.exited.wait(), TERM_SECONDS)
            os.killpg(group, signal.SIGKILL)
        await self._process.exited.wait()
        self._channel.close()
        self._transport.close()
        self.output.flush()


def _ended(reason: str) -> Reply:
    """The platform's answer when the process is gone: a message and nothing else."""
    return Reply("ended", json.dumps({"errorMessage": reason}).encode(), reason)


class _Process(asyncio.SubprocessProtocol):
    """Takes a worker's output and notices its end."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self.exited = asyncio.Event()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Called by asyncio."""
        del fd
        self._output.feed(data)

    def process_exited(self) -> None:
        """Called by asyncio."""
        self.exited.set()
