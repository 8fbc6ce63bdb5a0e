"""Mail requests of other programs: signed, checked like any other, and put on the queue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Protocol

import structlog

from shared.api.answers import invalid_mail
from shared.api.problems import problem
from shared.errors import QueueUnavailable
from shared.hooks.pushes import SOON, Refused
from shared.hooks.standard import verify
from shared.schema.problems import InvalidMail
from shared.sending.compose import Policy, check
from shared.sending.identity import mail_id_of
from shared.sending.letters import Letter, check_size, first_letter
from shared.triggers.context import Invocation
from shared.triggers.http import Request, Response
from shared.values import dataclass

log = structlog.get_logger("postbus.hooks")


class MailQueue(Protocol):
    """The queue of mails to send; raises `QueueUnavailable`."""

    def put_back(self, letter: Letter, delay: int) -> str:
        """Put a letter on the mail queue, due in `delay` ms."""
        ...


@dataclass(frozen=True)
class HookMails:
    """`POST /hooks/{source}`.

    Args:
        secrets: of each source, those that are valid now.
        policy: this environment's rules.
        queue: takes the mails.
    """

    secrets: Mapping[str, tuple[bytes, ...]] = field(repr=False)
    policy: Policy
    queue: MailQueue

    def answer(self, request: Request, source: str, call: Invocation) -> Response:
        """202 with the mail's id; 401, or what the API says about a request that is not right."""
        try:
            # A source that is not there is answered like a wrong signature.
            identity = verify(
                request.headers, request.body, self.secrets.get(source, ()), call.now()
            )
        except Refused as refusal:
            log.warning("hook.refused", why=str(refusal), known=source in self.secrets)
            return problem("not-signed", "no signature in webhook-signature is a valid one")
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type != "application/json":
            return problem("wrong-content-type", f"the content type is {content_type!r:.80}")
        try:
            return self._accept(request.body, f"hook:{source}:{identity}", source, call.now())
        except InvalidMail as invalid:
            return invalid_mail(invalid)
        except QueueUnavailable as error:
            return problem("queue-unavailable", str(error), retry_after_ms=SOON)

    def _accept(self, body: bytes, key: str, source: str, now: int) -> Response:
        """Put the mail on the queue. The same id comes again with a repeat, and is one mail."""
        letter = first_letter(body, key=key, now=now)
        check(letter.mail, self.policy)
        check_size(letter)
        self.queue.put_back(letter, 0)
        mail_id = mail_id_of(self.policy.environment, letter.key)
        log.info("mail.accepted", mail_id=mail_id, recipients=len(letter.mail.to), source=source)
        return Response(202, {"mail_id": mail_id, "key": letter.key, "state": "accepted"})
