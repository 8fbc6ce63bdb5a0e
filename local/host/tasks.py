"""Coroutines that live and end together."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any


async def together(works: Iterable[Coroutine[Any, Any, object]]) -> None:
    """Run all of them; when one fails, or this is cancelled, none is left running.

    (`asyncio.TaskGroup` does this from Python 3.11 on.)

    Raises:
        Exception: the first that one of them raised.
    """
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in tasks:
            task.cancel()  # once: a second one would interrupt what the first one tidies up
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
