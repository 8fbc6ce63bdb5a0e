"""The store of suppressions: whom not to write to, in which scope, and why.

A row is a recipient in a scope. The recipient is a keyed hash of the address, so that the table
alone tells nobody whom it holds; the address, where it is stored at all, is a column of its own.
A row has at most one cause for each reason, so that lifting an unsubscription leaves a bounce.

Events come repeatedly and in any order. So a cause has the time of what caused it, and the later
one of two with the same reason counts; a cause that was lifted stays for a while, lest a late
repeat of the event suppress the recipient again. Times are milliseconds since 1970.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import field, replace
from typing import Any, Protocol

from shared.triggers.context import Invocation
from shared.values import dataclass

# A lifted cause is kept for as long as a repeat of its event may come: DirectMail pushes events
# for 30 days after a mail. https://www.alibabacloud.com/help/en/direct-mail/eventbridge
LIFTED_KEPT_MS = 45 * 86_400_000


@dataclass(frozen=True)
class Cause:
    """Why a recipient is suppressed, or was.

    Attributes:
        reason: `bounce`, `complaint`, `unsubscribe` or `manual`.
        at: when that happened, in ms since 1970.
        expires_at: from when on it no longer suppresses; 0 for never.
        lifted: it was taken back at that time, and suppresses nobody.
        detail: more about it, e.g. `mailbox-not-found`; never an address.
        source: where it comes from, e.g. an event's id.
    """

    reason: str
    at: int
    expires_at: int = 0
    lifted: bool = False
    detail: str = ""
    source: str = ""

    def active(self, now: int) -> bool:
        """Whether it suppresses."""
        return not self.lifted and not 0 < self.expires_at <= now

    def kept_until(self) -> int:
        """From when on it need not be kept; 0 for never."""
        return self.at + LIFTED_KEPT_MS if self.lifted else self.expires_at


@dataclass(frozen=True)
class Suppression:
    """One recipient in one scope.

    Attributes:
        recipient: the keyed hash of the address.
        scope: `account`, `@` and a sender's domain, or a sender's address.
        causes: one for each reason, in the order of their names.
        address: in clear, where addresses are stored.
        stamp: which write the row is; empty for one that was not read from the store.
    """

    recipient: str
    scope: str
    causes: tuple[Cause, ...] = ()
    address: str | None = None
    stamp: str = field(default="", compare=False)

    def active(self, now: int) -> tuple[Cause, ...]:
        """The causes that suppress the recipient; none where nothing does."""
        return tuple(cause for cause in self.causes if cause.active(now))

    def with_cause(self, cause: Cause) -> Suppression:
        """The row with this cause, unless it knows a later one for the same reason.

        Of two at the same time the one that comes last counts: DirectMail tells whole seconds.
        """
        known = next((each for each in self.causes if each.reason == cause.reason), None)
        if known is not None and known.at > cause.at:
            return self
        others = [each for each in self.causes if each.reason != cause.reason]
        ordered = sorted([*others, cause], key=lambda each: each.reason)
        return replace(self, causes=tuple(ordered))

    def kept_until(self) -> int:
        """From when on the row need not be kept; 0 for never."""
        times = [cause.kept_until() for cause in self.causes]
        return 0 if 0 in times else max(times, default=1)


class Suppressions(Protocol):
    """What a store does. Every method raises `LedgerUnavailable` when it does not answer."""

    def use(self, invocation: Invocation) -> None:
        """Take this invocation's credentials and remaining time for the calls that follow."""
        ...

    def find(self, recipients: Collection[str], scopes: Collection[str]) -> list[Suppression]:
        """The rows of these recipients in these scopes, read by their keys; in no order."""
        ...

    def of(self, recipient: str) -> list[Suppression]:
        """The rows of one recipient, in every scope, in the scopes' order."""
        ...

    def page(self, after: tuple[str, str] | None, limit: int) -> list[Suppression]:
        """So many rows in the order of (recipient, scope), those after this one."""
        ...

    def swap(self, old: Suppression | None, new: Suppression) -> bool:
        """Write a row if it still is as it was read, or insert it where there was none.

        Returns:
            False where somebody else was quicker: read again.
        """
        ...

    def purge(self, now: int) -> int:
        """Delete rows whose every cause has expired or was lifted long ago; how many."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


def causes_to_json(causes: Iterable[Cause]) -> list[list[Any]]:
    """Causes as lists of plain values, for a column."""
    return [
        [each.reason, each.at, each.expires_at, each.lifted, each.detail, each.source]
        for each in causes
    ]


def causes_from_json(stored: Iterable[Iterable[Any]]) -> tuple[Cause, ...]:
    """The way back from `causes_to_json`."""
    return tuple(Cause(*each) for each in stored)
