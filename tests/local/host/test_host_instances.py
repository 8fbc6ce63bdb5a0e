"""Instances: how many, reused or new, and that none outlives the host."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from local.host.host import HostError
from local.host.instances.invocation import Call, Invocation
from local.host.instances.pool import BusyError, Pool
from local.host.model import Initializer
from tests.local.host.conftest import HANDLERS, Play, Stage, function, template

REPOSITORY = Path(__file__).parents[3]


def _pids(answers: list[Invocation]) -> set[int]:
    return {json.loads(answer.body)["pid"] for answer in answers}


def test_requests_in_turn_share_one_instance(play: Play) -> None:
    """A warm instance is reused."""

    async def scene(stage: Stage) -> list[Invocation]:
        return [await stage.host.invoke("basic", b"0") for _ in range(4)]

    assert len(_pids(play(scene, template(function("basic.who"))))) == 1


def test_requests_at_once_get_instances_of_their_own(play: Play) -> None:
    """One request at a time each, up to the limit; the others wait in line."""

    async def scene(stage: Stage) -> list[Invocation]:
        return list(await asyncio.gather(*(stage.host.invoke("basic", b"0.2") for _ in range(4))))

    answers = play(scene, template(function("basic.who")), instances=2)
    assert all(answer.ok for answer in answers)
    assert len(_pids(answers)) == 2


def test_who_waits_too_long_is_refused(play: Play) -> None:
    """429 ResourceExhausted, once the caller's patience is over."""

    async def scene(stage: Stage) -> Invocation:
        busy = asyncio.ensure_future(stage.host.invoke("basic", b"0.6"))
        await asyncio.sleep(0.1)
        refused = await stage.host.call("basic", Call(b"0", wait_seconds=0.1))
        assert (await busy).ok
        return refused

    refused = play(scene, template(function("basic.who")), instances=1)
    assert (refused.status, refused.error_type) == (429, "FcCommonError")
    assert json.loads(refused.body)["Code"] == "ResourceExhausted"


def test_a_caller_who_goes_away_ends_what_runs(play: Play) -> None:
    """A cancelled call leaves no instance busy and no process running."""

    async def scene(stage: Stage) -> Invocation:
        call = asyncio.ensure_future(stage.host.invoke("basic", b"30"))
        await stage.until(lambda: stage.happened("function.started"))
        await asyncio.sleep(0.1)
        call.cancel()
        await asyncio.wait([call])
        return await stage.host.invoke("basic", b"0")

    assert play(scene, template(function("basic.who")), instances=1).ok


def test_an_idle_instance_is_taken_back(play: Play) -> None:
    """After the platform's minutes; the next request starts a new one."""

    async def scene(stage: Stage) -> list[Invocation]:
        first = await stage.host.invoke("basic", b"0")
        pid = json.loads(first.body)["pid"]
        await stage.until(lambda: not Path(f"/proc/{pid}").exists())
        return [first, await stage.host.invoke("basic", b"0")]

    answers = play(scene, template(function("basic.who")), idle_seconds=0.1)
    assert len(_pids(answers)) == 2


def test_the_pool_serves_in_line(play: Play) -> None:
    """Who waits longest is next."""

    async def scene(stage: Stage) -> list[int]:
        order: list[int] = []

        async def ask(number: int) -> None:
            await stage.host.call("basic", Call(b"0.02", wait_seconds=None))
            order.append(number)

        await asyncio.gather(*(ask(number) for number in range(8)))
        return order

    assert play(scene, template(function("basic.who")), instances=1) == list(range(8))


def test_a_place_is_free_again_after_a_failed_start() -> None:
    """A start that fails does not use the pool up."""

    async def fail() -> Any:
        raise RuntimeError("no luck")

    async def run() -> None:
        pool = Pool(fail, limit=1)
        for _ in range(3):
            with pytest.raises(RuntimeError, match="no luck"):
                await pool.acquire(0.1)

    asyncio.run(run())


def test_a_busy_pool_says_so() -> None:
    """Within the time the caller gives."""

    class Stub:
        usable = True

        async def stop(self) -> None:
            """Nothing to end."""

    async def start() -> Any:
        return Stub()

    async def run() -> None:
        pool = Pool(start, limit=1)
        taken = await pool.acquire()
        with pytest.raises(BusyError):
            await pool.acquire(0.05)
        pool.release(taken)
        assert await pool.acquire(0.05) is taken
        pool.release(taken)
        await pool.close()

    asyncio.run(run())


def test_warm_starts_and_initialises_one_of_each(play: Play) -> None:
    """The first request then waits for nothing."""

    async def scene(stage: Stage) -> None:
        await stage.host.warm()
        assert {one.fields["function"] for one in stage.happened("function.started")} == {
            "basic-who",
            "basic-echo",
        }
        assert json.loads((await stage.host.invoke("basic-who", b"0")).body)["initialised"] == 1
        assert len(stage.happened("function.started")) == 2

    specs = [function(f"basic.{name}", initializer="basic.initialize") for name in ("who", "echo")]
    play(scene, template(*specs))


def test_warm_says_which_function_is_not_ready(play: Play) -> None:
    """By name and with the reason; the others are ready."""

    async def scene(stage: Stage) -> None:
        with pytest.raises(HostError, match=r"failing-handler .*not ready yet"):
            await stage.host.warm()
        assert (await stage.host.invoke("basic", b"x")).body == b"x"

    nowhere = {"READY": "/nonexistent"}
    broken = function("failing.handler", initializer="failing.initialize", environment=nowhere)
    play(scene, template(broken, function()))


def test_invocations_are_recorded(play: Play) -> None:
    """With all that the journey and the console show."""

    async def scene(stage: Stage) -> dict[str, Any]:
        answer = await stage.host.invoke("basic", b"x")
        (one,) = stage.happened("function.invoked")
        assert one.fields["request_id"] == answer.request_id
        return one.fields

    fields = play(scene, template(function()))
    assert 0 < fields.pop("duration_ms") < 5000
    del fields["request_id"]
    expected = {"function": "basic-echo", "error_type": None, "trigger": "invoke", "messages": 0}
    assert fields == expected


def test_closing_the_host_ends_its_workers(play: Play) -> None:
    """Idle ones, and busy ones, whose callers learn that the process ended."""

    async def scene(stage: Stage) -> list[int]:
        busy = asyncio.ensure_future(stage.host.invoke("basic", b"30"))
        await asyncio.sleep(0)  # it takes the first place
        idle = await stage.host.invoke("basic", b"0")
        await stage.until(lambda: len(stage.happened("function.started")) == 2)
        await asyncio.sleep(0.1)
        await stage.host.close()
        assert b"Process exited unexpectedly" in (await busy).body
        return list(_pids([idle]))

    for pid in play(scene, template(function("basic.who")), instances=2):
        assert not _exists(pid)


def test_closing_while_an_instance_starts_leaves_nothing(play: Play) -> None:
    """Who waits for it is cancelled; its process ends."""

    async def scene(stage: Stage) -> bool:
        call = asyncio.ensure_future(stage.host.invoke("failing", b"wrong"))
        await stage.until(lambda: stage.happened("function.started"))
        await stage.host.close()
        await asyncio.wait([call])
        return call.cancelled()

    hook = Initializer("failing.initialize_slowly", 60)
    assert play(scene, template(function("failing.handler", initializer=hook)))


@asynccontextmanager
async def _killed_host(event: str) -> AsyncIterator[int]:
    """A host in a process of its own, killed while a worker is busy; gives the worker's pid."""
    code = f"""
        import asyncio
        from pathlib import Path
        from local.account import Account
        from local.activity import Activity
        from local.host.host import Host
        from local.host.model import FunctionSpec, Template
        spec = FunctionSpec("S", "s", "basic.who", "python3.12", 60, 128, {{}})
        async def main():
            host = Host(Template(functions=(spec,)), code_root=Path({str(HANDLERS)!r}),
                        broker=None, account=Account(), activity=Activity(), environment={{}})
            print((await host.invoke("s", b"0")).body.decode().replace(chr(10), ""), flush=True)
            await host.invoke("s", b"{event}")
            await asyncio.sleep(60)
        asyncio.run(main())
    """
    process = subprocess.Popen(  # noqa: ASYNC220, S603  # our own interpreter
        [sys.executable, "-c", textwrap.dedent(code)], cwd=REPOSITORY, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())["pid"]
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()  # it was killed
        process.stdout.close()


@pytest.mark.parametrize("event", ["0", "30"], ids=["idle", "busy"])
def test_workers_die_with_a_killed_host(event: str) -> None:
    """SIGKILL of the host ends them, whatever they are doing."""

    async def run() -> int:
        async with _killed_host(event) as pid:
            await asyncio.sleep(0.3)
            assert _exists(pid)
        return pid

    pid = asyncio.run(run())
    end = time.monotonic() + 5
    while _exists(pid):
        assert time.monotonic() < end
        time.sleep(0.01)


def _exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_a_worker_whose_host_is_gone_ends_at_once() -> None:
    """Also when the host died before the worker could ask to be told."""
    # It is told of another parent than it has: the one it was started by is gone.
    somebody_else = os.getpid() + 1
    worker = subprocess.run(  # noqa: S603  # our own interpreter
        [sys.executable, "-m", "local.host.worker", "0", str(somebody_else)],
        cwd=REPOSITORY,
        check=False,
        timeout=10,
    )
    assert worker.returncode == 1
