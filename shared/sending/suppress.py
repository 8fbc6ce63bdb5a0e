"""Whom not to write to: recipients looked up before every send, and taken out of the mail.

A suppression holds in a scope, as DirectMail's own filter levels have it: for the mails of one
sender address, of its domain, or of the account. So a recipient is looked up in three scopes, all
recipients of a mail in one read by primary key.

The store sees a keyed hash (HMAC-SHA256) of the address: who reads the table, without the key,
can neither list the addresses nor try out whether one is in it. Addresses are compared without
case, unlike RFC 5321: two mailboxes that differ in it alone are rarer than an unsubscribe that did
not count because of it.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from shared.errors import LedgerUnavailable
from shared.sending.compose import OutgoingMail
from shared.sending.scopes import scopes_of
from shared.stores.suppressions import Cause, Suppression, Suppressions
from shared.values import dataclass

COMPLAINT, BOUNCE, UNSUBSCRIBE, MANUAL = "complaint", "bounce", "unsubscribe", "manual"
# The first of these that holds is the reason that is told.
REASONS = (COMPLAINT, BOUNCE, UNSUBSCRIBE, MANUAL)

# Bytes of a hash that are kept: 160 bits, beyond any chance of two addresses having the same.
KEY_BYTES = 20
# Others change a row between reading and writing it rarely, and never so often.
TRIES = 20


@dataclass(frozen=True)
class Who:
    """A recipient: the key, and the address where it is known."""

    key: str
    address: str | None = None


@dataclass(frozen=True)
class TakenOut:
    """A recipient who gets no mail: the address as the mail has it, why, and in which scope."""

    recipient: str
    reason: str
    scope: str


@dataclass(frozen=True)
class SuppressionList:
    """Suppressions of one account.

    Args:
        store: where they are kept.
        secret: the key of the hashes.
        store_addresses: whether the store also keeps addresses in clear.
    """

    store: Suppressions
    secret: bytes
    store_addresses: bool = True

    def who(self, address: str) -> Who:
        """The recipient with this address."""
        normal = address.strip().lower()
        return Who(hmac.digest(self.secret, normal.encode(), "sha256")[:KEY_BYTES].hex(), normal)

    def take_out(self, mail: OutgoingMail, now: int) -> tuple[OutgoingMail, tuple[TakenOut, ...]]:
        """Take those out of a mail to whom it may not go.

        A mail whose `unsubscribe_filter` is `disabled` goes to those as well who have unsubscribed;
        nothing sends to bounced addresses and complainers.

        Returns:
            The mail without them, perhaps with nobody left, and who they are.

        Raises:
            LedgerUnavailable: the store did not answer, so nobody may be written to.
        """
        ignored = (UNSUBSCRIBE,) if mail.unsubscribe_filter == "disabled" else ()
        out = self.check(mail.sender_address, (*mail.to, *mail.bcc), now, ignored)
        if not out:
            return mail, ()
        to = tuple(address for address in mail.to if address not in out)
        bcc = tuple(address for address in mail.bcc if address not in out)
        return replace(mail, to=to, bcc=bcc), tuple(out.values())

    def check(
        self, sender: str, recipients: Sequence[str], now: int, ignored: Collection[str] = ()
    ) -> Mapping[str, TakenOut]:
        """Which of these recipients a sender may not write to; see `take_out`."""
        keys: dict[str, str] = {self.who(address).key: address for address in recipients}
        rows = self.store.find(keys, scopes_of(sender))
        if not rows:
            return {}  # as nearly always
        found = [
            (_gravity(cause.reason), keys[row.recipient], cause.reason, row.scope)
            for row in rows
            for cause in row.active(now)
            if cause.reason not in ignored
        ]
        # The gravest comes last, and counts.
        out = {who: TakenOut(who, why, scope) for _, who, why, scope in sorted(found)}
        return {address: out[address] for address in recipients if address in out}

    def suppress(self, who: Who, scope: str, cause: Cause) -> Suppression:
        """Suppress a recipient, as of when it was caused; once this returns, it counts.

        A later lifting that is known already wins over it.

        Raises:
            LedgerUnavailable: the store did not answer; it may count or not.
        """
        return self._change(who, scope, cause)

    def lift(self, who: Who, scope: str, reason: str, at: int) -> bool:
        """Take back what was caused before this time; False where nothing was.

        Raises:
            LedgerUnavailable: the store did not answer.
        """
        known = self.get(who, scope)
        causes = known.causes if known else ()
        if not any(each.reason == reason and not each.lifted for each in causes):
            return False
        lifted = self._change(who, scope, Cause(reason, at, lifted=True))
        return all(each.lifted for each in lifted.causes if each.reason == reason)

    def note_lifted(self, who: Who, scope: str, reason: str, at: int, source: str) -> None:
        """Likewise, and remember it even where nothing was caused yet: its event may be late.

        Raises:
            LedgerUnavailable: the store did not answer.
        """
        self._change(who, scope, Cause(reason, at, lifted=True, source=source))

    def get(self, who: Who, scope: str) -> Suppression | None:
        """One recipient in one scope, whatever is known of it."""
        return next(iter(self.store.find([who.key], [scope])), None)

    def of(self, who: Who) -> list[Suppression]:
        """One recipient in every scope."""
        return self.store.of(who.key)

    def forget_address(self, who: Who) -> int:
        """Delete the address of a recipient, who stays suppressed by the hash; in how many rows.

        Raises:
            LedgerUnavailable: the store did not answer.
        """
        return sum(self._without_address(row) for row in self.of(who))

    def _without_address(self, row: Suppression) -> bool:
        for known in self._tries(row.recipient, row.scope):
            if known is None or known.address is None:
                return False
            if self.store.swap(known, replace(known, address=None)):
                return True
        raise _too_many_changes()

    def _change(self, who: Who, scope: str, cause: Cause) -> Suppression:
        for known in self._tries(who.key, scope):
            new = (known or Suppression(who.key, scope)).with_cause(cause)
            address = (who.address or new.address) if self.store_addresses else None
            # Nobody's address is kept who is not suppressed.
            suppressed = any(not each.lifted for each in new.causes)
            new = replace(new, address=address if suppressed else None)
            if new == known or self.store.swap(known, new):
                return new
        raise _too_many_changes()

    def _tries(self, key: str, scope: str) -> Iterator[Suppression | None]:
        for _ in range(TRIES):
            yield next(iter(self.store.find([key], [scope])), None)


def _gravity(reason: str) -> int:
    return -REASONS.index(reason) if reason in REASONS else -len(REASONS)


def _too_many_changes() -> LedgerUnavailable:
    return LedgerUnavailable("too many changes of one suppression at once")
