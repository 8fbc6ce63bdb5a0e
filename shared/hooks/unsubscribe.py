"""One-click unsubscribe: what mail programs post to, and the page that people open.

A mail program posts `List-Unsubscribe=One-Click` to the link in the mail's header (RFC 8058), and
that is all it does. A person who opens the link gets a page with a button. Opening it changes
nothing: programs that scan mails open every link in them.
https://www.rfc-editor.org/rfc/rfc8058#section-3.2
"""

from __future__ import annotations

import re
from urllib.parse import parse_qs

import structlog

from shared.delivery.clean import clean_event
from shared.delivery.facts import DeliveryFact
from shared.delivery.joining import Joining
from shared.delivery.outgoing import Outgoing
from shared.delivery.outlet import Outlet
from shared.errors import LedgerUnavailable, QueueUnavailable
from shared.hooks import unsubscribe_page
from shared.sending.identity import MailToken
from shared.sending.scopes import kind_of
from shared.sending.suppress import UNSUBSCRIBE, SuppressionList
from shared.sending.unsubscribe import Unsubscribe, UnsubscribeLinks
from shared.stores.suppressions import Cause
from shared.times import rfc3339
from shared.triggers.context import Clock
from shared.triggers.http import Request, Response
from shared.values import dataclass

log = structlog.get_logger("postbus.hooks")

FIELD, VALUE = "List-Unsubscribe", "One-Click"
# The body of such a post has some thirty bytes; in a form of parts, some hundred.
BODY_MAX = 10_000
# How long publishing may take: a mail program waits for the answer. In ms.
PUBLISH_MS = 3_000

_PART = re.compile(
    r'name="?list-unsubscribe"?[^\r\n]*\r?\n(?:[^\r\n]+\r?\n)*\r?\n\s*one-click\s*\r?\n--',
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Unsubscribes:
    """The address `/unsubscribe/{token}`.

    Args:
        links: reads tokens.
        suppressions: the list that who unsubscribes gets on.
        joining: knows mails; that somebody has the link proves that the mail was sent.
        outlet: publishes the event.
        source: the CloudEvents `source` of it.
        clock: the time, in ms since 1970.
    """

    links: UnsubscribeLinks
    suppressions: SuppressionList
    joining: Joining
    outlet: Outlet
    source: str
    clock: Clock

    def answer(self, request: Request, token: str) -> Response:
        """`GET` shows the page, `POST` unsubscribes; 404 for a link that is not one of ours."""
        wish = self.links.read(token)
        if wish is None:
            return unsubscribe_page.unknown()
        if request.method != "POST":
            return unsubscribe_page.question(wish)
        if not asks_for_it(request):
            return unsubscribe_page.incomplete()
        try:
            self._unsubscribe(wish)
        except (LedgerUnavailable, QueueUnavailable) as error:
            log.warning("recipient.not-unsubscribed", mail_id=wish.mail_id, error=str(error))
            return unsubscribe_page.later()
        return unsubscribe_page.done(wish)

    def _unsubscribe(self, wish: Unsubscribe) -> None:
        """Suppress, then tell: who asks again after only the first was done is told of again."""
        at = self._suppress(wish)
        fact = DeliveryFact(
            event_id=f"one-click/{wish.mail_id}/{self.suppressions.who(wish.recipient).key}/{at}",
            state="unsubscribed",
            recipient=wish.recipient,
            token=MailToken(self.joining.environment, wish.mail_id, None),
            reason="unsubscribed",
            occurred_at=rfc3339(at),
        )
        mail = self.joining.find(fact)
        if mail is not None:
            mail = self.joining.write_down(fact, mail, at)
        event = clean_event(fact, mail, source=self.source, now=at)
        if not self.outlet.events.knows(event.id):
            self.outlet.send([Outgoing.of(event)], PUBLISH_MS)
        log.info("recipient.unsubscribed", mail_id=wish.mail_id, scope=kind_of(wish.scope))

    def _suppress(self, wish: Unsubscribe) -> int:
        """Suppress the recipient; since when it is, in ms."""
        who, now = self.suppressions.who(wish.recipient), self.clock()
        known = self.suppressions.get(who, wish.scope)
        for cause in known.active(now) if known else ():
            if cause.reason == UNSUBSCRIBE:
                return cause.at
        cause = Cause(UNSUBSCRIBE, now, detail="one-click", source=wish.mail_id)
        self.suppressions.suppress(who, wish.scope, cause)
        return now


def asks_for_it(request: Request) -> bool:
    """Whether a body says `List-Unsubscribe=One-Click`, in either of the forms of RFC 8058."""
    if len(request.body) > BODY_MAX:
        return False
    text = request.body.decode("latin-1")
    if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        return _PART.search(text) is not None
    fields = {name.lower(): values for name, values in parse_qs(text).items()}
    return any(value.strip().lower() == VALUE.lower() for value in fields.get(FIELD.lower(), ()))
