"""How the command talks to a running Postbus: its HTTP addresses, and SMQ through the SDK."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import httpx

from local.account import OWNER
from local.cli.exits import USAGE, CommandError
from shared.cloud.smq import Smq
from shared.stores.ledger import MailRecord
from shared.triggers.context import Credentials, Invocation

PATIENCE_SECONDS = 60.0


class Client:
    """A running Postbus on this machine.

    Args:
        url: e.g. `http://127.0.0.1:8025`.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.Client(base_url=self.url, timeout=PATIENCE_SECONDS, trust_env=False)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, **params: Any) -> Any:
        """Read one of the console's documents."""
        answer = self._http.get(path, params=params)
        answer.raise_for_status()
        return answer.json()

    def put(self, path: str, document: Any) -> Any:
        """Replace one of the console's documents.

        Raises:
            CommandError: it is not one that the console takes.
        """
        answer = self._http.put(path, json=document)
        if answer.status_code == httpx.codes.BAD_REQUEST:
            raise CommandError(answer.json()["error"], USAGE)
        answer.raise_for_status()
        return answer.json()

    def post(self, path: str, document: Any) -> Any:
        """Ask the console to do something.

        Raises:
            CommandError: it will not; for something that is not there the answer is no.
        """
        answer = self._http.post(path, json=document)
        if answer.status_code == httpx.codes.BAD_REQUEST:
            raise CommandError(answer.json()["error"], USAGE)
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise CommandError(answer.json()["error"])
        answer.raise_for_status()
        return answer.json()

    def delete(self, path: str) -> None:
        """Empty one of the console's documents."""
        self._http.delete(path).raise_for_status()

    def post_mail(self, body: bytes, headers: dict[str, str]) -> httpx.Response:
        """`POST /v1/mails`."""
        return self._http.post(
            "/v1/mails", content=body, headers={"Content-Type": "application/json", **headers}
        )

    def api(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Any request to the HTTP API, with httpx's options."""
        return self._http.request(method, path, **options)

    def invoke(self, function: str, event: bytes) -> httpx.Response:
        """Call a function with these event bytes, as InvokeFunction does."""
        return self._http.post(f"/2023-03-30/functions/{function}/invocations", content=event)

    def send(self, queue: str, body: str) -> str:
        """Put a message on a queue, through the official SDK; returns its id."""
        smq = Smq(self.url)
        smq.use(owner_invocation())
        return smq.send(queue, body)

    def statistics(self, record: MailRecord) -> list[dict[str, Any]]:
        """DirectMail's own list of what the mail's sender sent around its latest attempt.

        It has no ids and masks addresses: a hint for a person, and no proof.
        """
        from alibabacloud_dm20151123.client import Client as DmClient
        from alibabacloud_dm20151123.models import SenderStatisticsDetailByParamRequest
        from alibabacloud_tea_openapi.utils_models import Config

        scheme, _, host = self.url.partition("://")
        config = Config(
            access_key_id=OWNER.id, access_key_secret=OWNER.secret, protocol=scheme, endpoint=host
        )
        request = SenderStatisticsDetailByParamRequest(
            account_name=record.sender,
            start_time=_china(record.attempted_at - 60_000),
            end_time=_china(record.attempted_at + 600_000),
            length=100,
        )
        body = DmClient(config).sender_statistics_detail_by_param(request).body
        rows = body.data.mail_detail if body and body.data else None
        return [row.to_map() for row in rows or []]

    def name_of(self, kind: str, ending: str) -> str:
        """The full name of the queue or topic that ends so, e.g. `mails`."""
        names: list[str] = list(self.get("/_local/status")[kind])
        return next((name for name in names if name in (ending, f"postbus-local-{ending}")), ending)

    def published(self, topic: str, *, after: int, wait: int) -> Iterator[dict[str, Any]]:
        """A topic's mail events with a greater sequence number; waits so many seconds for one."""
        for message in self.get(f"/_local/topics/{topic}/messages", after=after, wait=wait):
            yield {"sequence": message["sequence"], "event": json.loads(message["body"])}


def _china(ms: int) -> str:
    """A time as DirectMail's statistics take it: China's zone, to the minute."""
    zone = timezone(timedelta(hours=8))
    return datetime.fromtimestamp(ms / 1000, zone).strftime("%Y-%m-%d %H:%M")


def owner_invocation() -> Invocation:
    """What the SDK adapters need to know, for a person at this machine."""
    return Invocation(
        request_id="postbus-command",
        function="postbus",
        deadline=int((time.time() + PATIENCE_SECONDS) * 1000),
        credentials=Credentials(OWNER.id, OWNER.secret),
        clock=lambda: time.time_ns() // 1_000_000,
    )
