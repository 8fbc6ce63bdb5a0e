# ruff: noqa: INP001  # programs, not a package: nobody imports them
"""DirectMail's twin in a process of its own, with the account's limits kept exactly.

The twin itself takes whatever comes; the service does not. In front of it stands a gate that keeps
a sliding second and a daily quota, and counts: what is over one of them is refused with the
provider's own codes. `GET /-/counts` tells the counts, `POST /-/limits` sets new ones.

    python bench/twin.py FOLDER [SCALE ORIGIN_MS EPOCH_MS]

It prints its port as one line. With SCALE, the quota's days are simulated: at the real time
ORIGIN_MS it is EPOCH_MS, and time runs SCALE times as fast.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs

import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from local.account import Account
from local.activity import Activity
from local.twins.directmail.app import create_app
from local.twins.directmail.errors import ERRORS, refusal
from local.twins.directmail.outbox import Outbox
from local.twins.directmail.rules import DirectMailRules
from local.twins.directmail.service import DirectMail

DAY = 86_400_000
CHINA = 8 * 3_600_000
SENDER = "noreply@mail.example.com"


class Gate:
    """Keeps an account's limits in front of the twin.

    Args:
        app: the twin's application.
        clock: simulated ms since 1970, for the quota's days.
    """

    def __init__(self, app: ASGIApp, clock: Callable[[], int]) -> None:
        self._app = app
        self._clock = clock
        self._set(0, 0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        # The second is that of the arrival: before the body is read, let alone written down.
        arrived = time.monotonic()
        request = Request(scope, receive)
        body = await request.body()
        answer: ASGIApp | None
        if request.url.path == "/-/limits":
            self._set(**json.loads(body))
            answer = JSONResponse({})
        elif request.url.path == "/-/counts":
            answer = JSONResponse({**self._counts, "days": self._days, "times": self._times})
        else:
            answer = self._refusal(arrived, body)
        if answer is not None:
            await answer(scope, receive, send)
            return
        parts = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def replay() -> Message:
            return next(parts, None) or await receive()

        await self._app(scope, replay, send)

    def _set(self, calls: int, recipients: int) -> None:
        self._calls, self._recipients = calls, recipients
        self._window: deque[float] = deque()
        self._counts: Counter[str] = Counter()
        self._days: Counter[int] = Counter()
        self._times: list[float] = []

    def _refusal(self, arrived: float, body: bytes) -> Response | None:
        while self._window and self._window[0] <= arrived - 1:
            self._window.popleft()
        if self._calls and len(self._window) >= self._calls:
            return self._refused("Throttling.User")
        given = parse_qs(body.decode())
        recipients = sum(
            len(text.split(","))
            for name in ("ToAddress", "BccAddress")
            for text in given.get(name, ())
        )
        day = (self._clock() + CHINA) // DAY
        if self._recipients and self._days[day] + recipients > self._recipients:
            return self._refused("InvalidSendMail.Spam")
        self._window.append(arrived)
        self._times.append(arrived)
        self._days[day] += recipients
        self._counts["admitted"] += 1
        return None

    def _refused(self, code: str) -> Response:
        self._counts[code] += 1
        status, sentence = ERRORS[code]
        request_id = f"GATE-{sum(self._counts.values())}"
        headers = {"x-acs-request-id": request_id}
        return JSONResponse(refusal(code, sentence, request_id, "127.0.0.1"), status, headers)


async def main(folder: Path, scale: int, origin: int, epoch: int) -> None:
    """Serve until killed."""

    def clock() -> int:
        return epoch + (time.time_ns() // 1_000_000 - origin) * scale

    outbox = Outbox(folder)
    service = DirectMail(
        outbox,
        account=Account(),
        rules=DirectMailRules(senders=frozenset({SENDER})),
        emit=lambda _event: None,
        activity=Activity(),
        upload_port=None,
    )
    # asyncio sends answers without delay only over a socket that says that it is TCP.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as door:
        door.bind(("127.0.0.1", 0))
        door.listen(256)
        sys.stdout.write(f"{door.getsockname()[1]}\n")
        sys.stdout.flush()
        config = uvicorn.Config(
            Gate(create_app(service), clock), log_level="error", lifespan="off", access_log=False
        )
        await uvicorn.Server(config).serve([door])


if __name__ == "__main__":
    numbers = [int(text) for text in sys.argv[2:5]] or [1, 0, 0]
    asyncio.run(main(Path(sys.argv[1]), *numbers))
