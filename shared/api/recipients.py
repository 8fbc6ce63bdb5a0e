"""One recipient over HTTP: what the ledger knows is erased on request."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import structlog

from shared.api.paths import BadPath, who_in
from shared.api.problems import problem
from shared.api.suppressions import unavailable
from shared.errors import LedgerUnavailable
from shared.sending.suppress import SuppressionList, Who
from shared.stores.events import EventLog
from shared.stores.recipients import Erased, Recipients
from shared.triggers.context import Invocation
from shared.triggers.http import Response
from shared.values import dataclass

log = structlog.get_logger("postbus.api")

# What an invocation keeps for itself: the answer. In ms.
RESERVE = 5_000
# What `next` begins with while the log of events is read; the tables' names begin otherwise.
EVENTS = "log:"


@dataclass(frozen=True)
class RecipientApi:
    """The `/v1/recipients` resource.

    Args:
        suppressions: whom not to write to.
        recipients: states and sightings.
        events: what went downstream.
    """

    suppressions: SuppressionList
    recipients: Recipients
    events: EventLog

    def delete(self, address: str, query: Mapping[str, str], call: Invocation) -> Response:
        """`DELETE /v1/recipients/{address}`: forget a person, as far as one call's time goes.

        The answer's `next` is to be given as `after` until it is null. The person stays suppressed,
        by the hash alone, unless `lift=true` is asked for.
        """
        start, lift = query.get("after", ""), query.get("lift") == "true"
        try:
            who = who_in(address, self.suppressions)
            if who.address is None:
                return problem("bad-request", "a hash does not tell which rows to erase")
            counts = {"addresses": 0, "events": 0}
            if not start:
                counts["addresses"] = self._first_part(who, lift=lift, now=call.now())
            erased = self._erase(who.address, start, counts, lambda: call.remaining() > RESERVE)
            left = [row for row in self.suppressions.of(who) if row.active(call.now())]
        except BadPath as bad:
            return problem("bad-request", str(bad))
        except LedgerUnavailable as error:
            return unavailable(error)
        log.info("recipient.erased", rows=erased.rows, complete=not erased.following, **counts)
        return Response(
            200,
            {
                "recipient": who.key,
                "erased": {"deliveries": erased.rows, **counts},
                "suppressed": [row.scope for row in left],
                "next": erased.following or None,
            },
        )

    def _erase(
        self, address: str, start: str, counts: dict[str, int], may_go_on: Callable[[], bool]
    ) -> Erased:
        """Read through the tables for as long as there is time: the log of events first."""
        if not start or start.startswith(EVENTS):
            events = self.events.forget(address, start.removeprefix(EVENTS), may_go_on)
            counts["events"] = events.rows
            if events.following:
                return Erased(0, EVENTS + events.following)
            start = ""
        return self.recipients.erase(address, start, may_go_on)

    def _first_part(self, who: Who, *, lift: bool, now: int) -> int:
        """Everything that takes no reading through tables; how many addresses are gone."""
        addresses = self.suppressions.forget_address(who)
        for row in self.suppressions.of(who) if lift else ():
            for cause in row.active(now):
                self.suppressions.lift(who, row.scope, cause.reason, max(now, cause.at + 1))
        return addresses
