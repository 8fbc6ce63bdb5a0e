"""What the twin's console would hold: senders, domains, tags, templates, and how events look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# How the X-User-Notify-* headers come back. The documentation shows an object and says that names
# are compared without case; what the service does with their case is not documented, so a
# receiver has to live with all of these.
# https://www.alibabacloud.com/help/en/eventbridge/user-guide/events-of-the-direct-mail-type
HeaderStyle = Literal["given", "lower", "json", "absent"]


@dataclass(frozen=True)
class DirectMailRules:
    """The settings of one twin.

    Attributes:
        senders: sender addresses that exist; compared without case.
        domains: verified domains: any address of theirs may send, and DomainAuth works.
        tags: tags that exist; None lets every well-formed tag exist.
        header_style: the event's `header` with names as given, in lower case, as JSON text, or
            left out.
        event_delay_seconds: from accepting a mail to its delivery event; feedback follows after
            the same time again.
        templates: template ids that exist; None lets every id exist.
        unverified: domains that were added and whose DNS records are not right yet.
        frozen: sender addresses that DirectMail has frozen.
        sends_events: whether its console was told to send events to EventBridge.
        daily_quota: recipients a day, as the account's summary has it.
        user_status: of the account: 0 well, 1 frozen, 2 overdue, 4 restricted, 8 deleted.
    """

    senders: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()
    tags: frozenset[str] | None = None
    header_style: HeaderStyle = "given"
    event_delay_seconds: float = 0.2
    templates: frozenset[str] | None = None
    unverified: frozenset[str] = frozenset()
    frozen: frozenset[str] = frozenset()
    sends_events: bool = True
    daily_quota: int = 2000
    user_status: int = 0

    def knows_sender(self, address: str) -> bool:
        """Whether mail may come from this address."""
        return address.lower() in {sender.lower() for sender in self.senders} or self.knows_domain(
            address.rpartition("@")[2]
        )

    def knows_domain(self, domain: str) -> bool:
        """Whether this domain is verified."""
        return domain.lower() in {known.lower() for known in self.domains}
