"""The addresses that need no access key: which method of which path does what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from shared.api.door import answer_by
from shared.triggers.context import Invocation
from shared.triggers.http import Request, Response
from shared.values import dataclass

EVENTBRIDGE, SMQ = "/push/eventbridge", "/push/smq"


class Pushes(Protocol):
    """Takes one sender's pushes."""

    def answer(self, request: Request, call: Invocation) -> Response:
        """Verify a push and forward what it brought."""
        ...


class Hooks(Protocol):
    """Takes mail requests of other programs."""

    def answer(self, request: Request, source: str, call: Invocation) -> Response:
        """Verify a mail request and put it on the queue."""
        ...


class Unsubscribes(Protocol):
    """Takes one-click unsubscribes (RFC 8058)."""

    def answer(self, request: Request, token: str) -> Response:
        """`GET` shows the person a page, `POST` unsubscribes."""
        ...


@dataclass(frozen=True)
class Webhooks:
    """Answers requests.

    Args:
        pushes: who takes `/push/…`, by path; one that is not set up is not there.
        hooks: takes `/hooks/{source}`.
        unsubscribes: takes `/unsubscribe/{token}`; None where there is nobody.
    """

    pushes: Mapping[str, Pushes]
    hooks: Hooks
    unsubscribes: Unsubscribes | None = None

    def answer(self, request: Request, call: Invocation) -> Response:
        """Answer one request; an address that is not there is a 404, a wrong method a 405."""
        return answer_by(self._methods(request, call), request, "there is nothing at this address")

    def _methods(
        self, request: Request, call: Invocation
    ) -> dict[str, Callable[[], Response]] | None:
        _, room, name = (*request.path.split("/", 2), "", "")[:3]
        pushes, unsubscribes = self.pushes.get(request.path), self.unsubscribes
        if pushes is not None:
            return {"POST": lambda: pushes.answer(request, call)}
        if room == "hooks" and name and "/" not in name:
            return {"POST": lambda: self.hooks.answer(request, name, call)}
        if room == "unsubscribe" and name and "/" not in name and unsubscribes is not None:
            return {
                "GET": lambda: unsubscribes.answer(request, name),
                "POST": lambda: unsubscribes.answer(request, name),
            }
        return None
