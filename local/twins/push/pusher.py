"""Makes pushes until they are answered well, or the strategy gives up.

What is under way is gone with the process, unlike in the service; whoever wants to see that a push
survives a kill asks the queue behind it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from local.activity import Activity

# SMQ's documents name 5 s; EventBridge's name none.
# https://www.alibabacloud.com/help/en/mns/user-guide/notifystrategy
ANSWER_SECONDS = 5.0


@dataclass(frozen=True)
class PushRequest:
    """One attempt, signed at its own time."""

    headers: Mapping[str, str]
    body: bytes


@dataclass
class Pusher:
    """Makes pushes in the background, of one event loop.

    Args:
        activity: told of `push.answered` for each attempt and of `push.given_up`.
        pauses: the pauses between the attempts of a strategy, in seconds.
        time_scale: what they are multiplied with.
        ca_file: whom to trust at https endpoints.
        answer_seconds: how long an answer may take.
    """

    activity: Activity
    pauses: Callable[[str], Iterator[float]]
    time_scale: float = 1.0
    ca_file: Path | None = None
    answer_seconds: float = ANSWER_SECONDS
    _client: httpx.AsyncClient | None = None
    _background: set[asyncio.Task[bool]] = field(default_factory=set)

    def push(self, url: str, strategy: str, make: Callable[[], PushRequest]) -> None:
        """Push in the background.

        Args:
            url: the endpoint.
            strategy: `BACKOFF_RETRY` or `EXPONENTIAL_DECAY_RETRY`.
            make: gives each attempt's request.
        """
        task = asyncio.ensure_future(self.run(url, strategy, make))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def run(self, url: str, strategy: str, make: Callable[[], PushRequest]) -> bool:
        """Push, and say whether it was answered well in the end."""
        pauses = self.pauses(strategy)
        while not await self._attempt(url, make()):
            pause = next(pauses, None)
            if pause is None:
                self.activity.record("push.given_up", url=url)
                return False
            await asyncio.sleep(pause * self.time_scale)
        return True

    async def _attempt(self, url: str, request: PushRequest) -> bool:
        try:
            # The client's time-out is one for each step; the service has one for everything.
            answer = await asyncio.wait_for(
                self._http().post(url, content=request.body, headers=dict(request.headers)),
                self.answer_seconds,
            )
        except (httpx.HTTPError, httpx.InvalidURL, asyncio.TimeoutError) as error:
            self.activity.record("push.answered", url=url, status=0, error=type(error).__name__)
            return False
        self.activity.record("push.answered", url=url, status=answer.status_code)
        return answer.is_success

    def _http(self) -> httpx.AsyncClient:
        if self._client is None:
            trusted = ssl.create_default_context(cafile=str(self.ca_file) if self.ca_file else None)
            self._client = httpx.AsyncClient(
                verify=trusted,
                trust_env=False,
                timeout=self.answer_seconds,
                follow_redirects=False,
            )
        return self._client

    async def serve(self) -> None:
        """Until cancelled; what is under way then ends."""
        try:
            await asyncio.Event().wait()
        finally:
            await self.close()

    async def close(self) -> None:
        """End what is under way."""
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()
