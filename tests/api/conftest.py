"""The API in a mail's world, and a caller who knows how to repeat."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest

from shared.api.mails import Mails
from shared.api.recipients import RecipientApi
from shared.api.routes import Api
from shared.api.suppressions import SuppressionApi
from shared.errors import QueueUnavailable
from shared.sending.claims import KEEP
from shared.sending.suppress import SuppressionList
from shared.stores.sqlite.events import SqliteEventLog
from shared.stores.sqlite.recipients import SqliteRecipients
from shared.stores.sqlite.suppressions import SqliteSuppressions
from shared.triggers.http import Request, Response
from tests.sending.conftest import Crash, World, quiet

__all__ = ["quiet"]  # pytest finds fixtures by their names here

Value = TypeVar("Value")

MAIL = {"to": ["ada@example.net"], "subject": "Hello", "text": "Hi."}
JSON = {"content-type": "application/json"}


def at_once(work: Callable[[], Value], _timeout: int) -> Value | None:
    """An `at_most` without threads: nothing is ever late."""
    return work()


@dataclass
class Service:
    """The API and its world."""

    world: World = field(default_factory=World)
    at_most: Callable[[Callable[[], Any], int], Any] = at_once

    def __post_init__(self) -> None:
        keys = iter(f"made-{number}" for number in range(1, 1000))
        world = self.world
        mails = Mails(
            world.mailer,
            world.ledger,
            world.queues,
            world.announcer,
            lambda: next(keys),
            lambda: 0.5,
            self.at_most,
        )
        database = world.ledger.inner.database
        self.suppressions = SuppressionList(SqliteSuppressions(database), b"k" * 32)
        recipients = RecipientApi(
            self.suppressions, SqliteRecipients(database), SqliteEventLog(database, KEEP)
        )
        self.api = Api(mails, SuppressionApi(self.suppressions), recipients, "test")

    def ask(self, method: str, path: str, *, body: bytes = b"", **fields: Any) -> Response:
        """One request of any kind."""
        request = Request(method, path, fields.get("headers", {}), fields.get("query", {}), body)
        return self.api.answer(request, self.world.clock.invocation())

    def post(self, mail: Any = None, /, *, headers: dict[str, str] | None = None) -> Response:
        """Post a mail, by default a good one without a key."""
        body = json.dumps(MAIL if mail is None else mail).encode()
        return self.ask("POST", "/v1/mails", body=body, headers={**JSON, **(headers or {})})

    def insist(self, headers: dict[str, str], *, times: int = 20) -> Response | None:
        """Post with key `k` until there is an answer that is neither "later" nor a crash."""
        for _ in range(times):
            try:
                answer = self.post(headers={"idempotency-key": "k", **headers})
            except (Crash, QueueUnavailable):
                self.world.clock.now += 90_000
                continue
            if "Retry-After" not in answer.headers:
                return answer
            self.world.clock.now += int(answer.headers["Retry-After"]) * 1000
        return None


@pytest.fixture
def service() -> Iterator[Service]:
    """A fresh service."""
    fresh = Service()
    yield fresh
    fresh.world.ledger.close()


@pytest.fixture
def new_service() -> Iterator[Callable[..., Service]]:
    """Makes services, for tests that need many."""
    made: list[Service] = []

    def make(**fields: Any) -> Service:
        made.append(Service(**fields))
        return made[-1]

    yield make
    for each in made:
        each.world.ledger.close()
