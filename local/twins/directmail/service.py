"""The DirectMail twin without HTTP: checks and keeps mails, reports what becomes of them."""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Callable
from typing import Any

from local.account import Account
from local.activity import Activity
from local.twins.directmail import (
    admin,
    bodies,
    events,
    fates,
    headers,
    mime,
    parameters,
    statistics,
    wire,
)
from local.twins.directmail.acs3 import SignedRequest, Verifier
from local.twins.directmail.dialects import Dialect
from local.twins.directmail.errors import ApiError, refusal
from local.twins.directmail.outbox import Outbox, Planned, StoredMail
from local.twins.directmail.reporter import Reporter
from local.twins.directmail.rules import DirectMailRules
from local.twins.directmail.uploads import Uploads

VERSIONS = {
    "AuthorizeFileUpload": "2019-12-19",
    "SingleSendMail": "2015-11-23",
    "SenderStatisticsDetailByParam": "2015-11-23",
    **dict.fromkeys(admin.ACTIONS, "2015-11-23"),
}
OK = 200

# Two bodies of 8 MB as they travel, and room for everything else.
MAX_REQUEST_BYTES = 24 * 1024 * 1024

# https://www.alibabacloud.com/help/en/direct-mail/user-guide/how-do-i-send-emails-with-attachments-through-the-sdk
MAX_MAIL_BYTES = 15 * 1024 * 1024


class DirectMail:
    """One account's DirectMail.

    It lives in one event loop: its methods and `run` share a database connection.

    Args:
        outbox: where accepted mails and events to come are kept.
        account: whose keys sign requests.
        rules: senders, tags, templates and the form of events.
        emit: takes each event, as the local event bus's `put` does. Where it raises, the event is
            tried again.
        activity: told what happens.
        upload_port: where `create_upload_app` is served over TLS; None: no attachments.
        clock: seconds since 1970.
    """

    def __init__(  # noqa: PLR0913  # the one place where the parts of the twin come together
        self,
        outbox: Outbox,
        *,
        account: Account,
        rules: DirectMailRules,
        emit: Callable[[dict[str, Any]], object],
        activity: Activity,
        upload_port: int | None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._outbox = outbox
        self._account = account
        self._rules = rules
        self._activity = activity
        self._clock = clock
        self._verifier = Verifier(account, clock)
        self._reporter = Reporter(
            outbox,
            emit=emit,
            activity=activity,
            render=lambda event: events.render(
                events.occurrence(event),
                account=account,
                dialect=Dialect(header=rules.header_style),
                now=clock(),
            ),
            clock=clock,
        )
        self.uploads = (
            Uploads(outbox.directory / "uploads", port=upload_port, clock=clock)
            if upload_port is not None
            else None
        )

    async def run(self) -> None:
        """Emit the events that are due, until cancelled."""
        await self._reporter.run()

    def answer(self, request: SignedRequest) -> tuple[int, dict[str, Any]]:
        """Serve one call of the API: the HTTP status and the JSON object of the answer."""
        request_id = str(uuid.uuid4()).upper()
        try:
            body = self._serve(request, request_id)
        except ApiError as error:
            self._activity.record("directmail.refused", code=error.code, request_id=request_id)
            host = request.headers.get("host", "")
            return error.status, refusal(error.code, error.message, request_id, host)
        return OK, {**body, "RequestId": request_id}

    def _serve(self, request: SignedRequest, request_id: str) -> dict[str, Any]:
        # The gateway looks for the operation before it looks at who is asking.
        action = request.headers.get("x-acs-action", "")
        if request.path != "/" or request.method not in ("GET", "POST") or action not in VERSIONS:
            raise ApiError("InvalidAction.NotFound", f"The twin serves {', '.join(VERSIONS)}.")
        if request.headers.get("x-acs-version") != VERSIONS[action]:
            raise ApiError("InvalidVersion", f"{action} is of {VERSIONS[action]}.")
        if len(request.body) > MAX_REQUEST_BYTES:
            raise ApiError("InvalidParameter", f"More than {MAX_REQUEST_BYTES} bytes.")
        self._verifier.verify(request)
        form = request.headers.get("content-type", "").lower().startswith(wire.FORM)
        given = wire.decode(request.query.encode("latin-1"), request.body if form else b"")
        if action == "AuthorizeFileUpload":
            return self._authorize_upload(given)
        if action == "SenderStatisticsDetailByParam":
            return statistics.details(given, self._outbox)
        if action in admin.ACTIONS:
            return admin.answer(action, given, self._rules)
        return {"EnvId": self._send(given, request_id)}

    def _send(self, given: wire.Parameters, request_id: str) -> str:
        mail = parameters.read(given, self._rules)
        at = self._clock()
        env_id = str(secrets.randbelow(10**17) + 6 * 10**17)
        message_id = self._message_id(mail)
        postmark = mime.Postmark(env_id, f"<{message_id}>", at)
        eml = mime.build(mail, postmark, self._attachments(mail))
        if len(eml) > MAX_MAIL_BYTES:
            raise ApiError("InvalidParameter", f"The mail takes more than {MAX_MAIL_BYTES} bytes.")
        path = self._outbox.eml_path(env_id)
        path.write_bytes(eml)
        self._outbox.add(
            StoredMail(0, env_id, request_id, at, mail.recipients, mail.bcc, given.values, path),
            bodies.facts(mail, message_id, at),
            self._plan(mail, at),
        )
        self._activity.record(
            "directmail.accepted",
            env_id=env_id,
            request_id=request_id,
            recipients=len(mail.recipients) + len(mail.bcc),
            eml=str(path),
        )
        self._reporter.wake(at + self._rules.event_delay_seconds)
        return env_id

    def _plan(self, mail: parameters.Mail, at: float) -> list[Planned]:
        everybody = [(address, False) for address in mail.recipients]
        everybody += [(address, True) for address in mail.bcc]
        return [
            Planned(address, kind, at + self._rules.event_delay_seconds * step)
            for address, blind in everybody
            for step, kind in enumerate(fates.kinds(address, blind=blind), start=1)
        ]

    @staticmethod
    def _message_id(mail: parameters.Mail) -> str:
        given = (headers.find(mail.headers, "Message-ID") or "").strip(" \t<>")
        return given or f"{uuid.uuid4().hex}@{mail.sender.rpartition('@')[2]}"

    def _attachments(self, mail: parameters.Mail) -> tuple[mime.Attachment, ...]:
        found = []
        for number, link in enumerate(mail.attachments, start=1):
            content = self.uploads.find(link.url) if self.uploads else None
            if content is None:
                raise ApiError(
                    "InvalidParameter", f"Attachments.{number}.AttachmentUrl was not uploaded here."
                )
            found.append(mime.Attachment(link.name, content))
        return tuple(found)

    def _authorize_upload(self, given: wire.Parameters) -> dict[str, Any]:
        if given.required("Product") != "Dm":
            raise ApiError("InvalidParameter", "Product must be Dm.")
        if self.uploads is None:
            raise ApiError("UnsupportedOperation", "This twin was started without uploads.")
        return self.uploads.authorize(self._account.id)
