"""Suppressions over HTTP: list them, look one up, suppress, lift."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog

from shared.api.paths import BadPath, scope_in, who_in
from shared.api.problems import problem
from shared.api.suppression_request import SuppressionRequest, read_request
from shared.errors import LedgerUnavailable
from shared.schema.problems import InvalidMail
from shared.sending.scopes import kind_of
from shared.sending.suppress import SuppressionList, Who
from shared.stores.suppressions import Cause, Suppression
from shared.times import rfc3339
from shared.triggers.context import Invocation
from shared.triggers.http import Request, Response
from shared.values import dataclass

log = structlog.get_logger("postbus.api")

PAGE, PAGE_MAX = 100, 1000
# Where a caller is told to come back. In ms.
SOON = 2_000


@dataclass(frozen=True)
class SuppressionApi:
    """The `/v1/suppressions` resource.

    Args:
        suppressions: the list.
    """

    suppressions: SuppressionList

    def page(self, query: Mapping[str, str], call: Invocation) -> Response:
        """`GET /v1/suppressions`: a page of them, or those of one address."""
        limit = query.get("limit", str(PAGE))
        if not limit.isascii() or not limit.isdecimal() or not 0 < int(limit[:9]) <= PAGE_MAX:
            return problem("bad-request", f"`limit` is a number from 1 to {PAGE_MAX}")
        try:
            address = query.get("address")
            if address is not None:
                return self._of(who_in(address, self.suppressions), query, call)
            return self._page(query, int(limit), call)
        except BadPath as bad:
            return problem("bad-request", str(bad))
        except LedgerUnavailable as error:
            return unavailable(error)

    def get(self, scope: str, address: str, call: Invocation) -> Response:
        """`GET /v1/suppressions/{scope}/{address}`."""
        try:
            who, where = self._which(scope, address)
            row = self.suppressions.get(who, where)
        except BadPath as bad:
            return problem("bad-request", str(bad))
        except LedgerUnavailable as error:
            return unavailable(error)
        if row is None or not row.active(call.now()):
            return problem("not-found", "this recipient is not suppressed in this scope")
        return Response(200, describe(row, call.now()))

    def put(self, scope: str, address: str, request: Request, call: Invocation) -> Response:
        """`PUT /v1/suppressions/{scope}/{address}`: 201 where it was not so before, else 200."""
        now = call.now()
        try:
            who, where = self._which(scope, address)
            wish = read_request(request, now)
            known = self.suppressions.get(who, where)
            row = self.suppressions.suppress(who, where, _cause(wish, known, now))
        except BadPath as bad:
            return problem("bad-request", str(bad))
        except InvalidMail as invalid:
            return problem(
                "invalid-suppression", "`errors` tells what is wrong", problems=invalid.problems
            )
        except LedgerUnavailable as error:
            return unavailable(error)
        was = known is not None and bool(known.active(now))
        log.info("recipient.suppressed", reason=wish.reason, scope=kind_of(where), new=not was)
        return Response(200 if was or not row.active(now) else 201, describe(row, now))

    def delete(
        self, scope: str, address: str, query: Mapping[str, str], call: Invocation
    ) -> Response:
        """`DELETE /v1/suppressions/{scope}/{address}`: lift all of it, or one reason."""
        now, reason = call.now(), query.get("reason")
        try:
            who, where = self._which(scope, address)
            row = self.suppressions.get(who, where)
            lifted = [
                self.suppressions.lift(who, where, cause.reason, max(now, cause.at + 1))
                for cause in (row.active(now) if row else ())
                if reason in (None, cause.reason)
            ]
        except BadPath as bad:
            return problem("bad-request", str(bad))
        except LedgerUnavailable as error:
            return unavailable(error)
        if not any(lifted):
            return problem("not-found", "this recipient is not suppressed in this scope")
        log.info("recipient.lifted", reason=reason, scope=kind_of(where))
        return Response(204)

    def _which(self, scope: str, address: str) -> tuple[Who, str]:
        return who_in(address, self.suppressions), scope_in(scope)

    def _of(self, who: Who, query: Mapping[str, str], call: Invocation) -> Response:
        rows = self.suppressions.of(who)
        return Response(200, {"suppressions": _shown(rows, query, call.now()), "next": None})

    def _page(self, query: Mapping[str, str], limit: int, call: Invocation) -> Response:
        recipient, _, scope = query.get("after", "").partition(":")
        after = (recipient, scope) if recipient else None
        rows = self.suppressions.store.page(after, limit)
        following = f"{rows[-1].recipient}:{rows[-1].scope}" if len(rows) == limit else None
        return Response(200, {"suppressions": _shown(rows, query, call.now()), "next": following})


def describe(row: Suppression, now: int) -> dict[str, Any]:
    """A suppression as the API shows it."""
    return {
        "recipient": row.recipient,
        "address": row.address,
        "scope": row.scope,
        "active": bool(row.active(now)),
        "causes": [
            {
                "reason": cause.reason,
                "at": rfc3339(cause.at),
                "expires_at": rfc3339(cause.expires_at) if cause.expires_at else None,
                "active": cause.active(now),
                "detail": cause.detail or None,
                "source": cause.source or None,
            }
            for cause in row.causes
        ],
    }


def unavailable(error: LedgerUnavailable) -> Response:
    """The answer when the store did not."""
    return problem("ledger-unavailable", str(error), retry_after_ms=SOON)


def _shown(rows: list[Suppression], query: Mapping[str, str], now: int) -> list[dict[str, Any]]:
    """Those that suppress; all of them, with the lifted and expired ones, where asked for."""
    everything = query.get("all") == "true"
    return [describe(row, now) for row in rows if everything or row.active(now)]


def _cause(wish: SuppressionRequest, known: Suppression | None, now: int) -> Cause:
    """What is asked for as a cause; as it is, where exactly that holds already."""
    same = (
        next((each for each in known.causes if each.reason == wish.reason), None) if known else None
    )
    if wish.at is not None:
        at = wish.at
    elif same is None:
        at = now
    elif same.active(now) and (same.expires_at, same.detail) == (wish.expires_at, wish.detail):
        return same
    else:
        # Said now, so it is later than what is known, whatever another machine's clock says.
        at = max(now, same.at)
    return Cause(wish.reason, at, wish.expires_at, detail=wish.detail, source="api")
