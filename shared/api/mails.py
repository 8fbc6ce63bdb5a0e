"""Mails over HTTP: send one now, accept one for later, look one up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Protocol

import structlog

from shared.api.answers import SOON, answer_of, describe, invalid_mail, recipients_of
from shared.api.problems import problem
from shared.api.wishes import KEY_HEADER, KeysDiffer, wants_later, with_header_key, with_trace
from shared.errors import LedgerUnavailable, QueueUnavailable
from shared.schema.problems import InvalidMail
from shared.sending.announce import Announcer
from shared.sending.backoff import delay_after
from shared.sending.compose import check
from shared.sending.consumer import RACES_MAX
from shared.sending.custody import COMES_BACK
from shared.sending.identity import payload_hash
from shared.sending.letters import Letter, Note, Settlement, check_size, fan_out, first_letter
from shared.sending.mailer import Mailer
from shared.sending.protocol import FINAL
from shared.sending.reports import log_result, other_payload
from shared.sending.results import Result
from shared.stores.ledger import Ledger, MailRecord
from shared.triggers.context import Invocation
from shared.triggers.http import Request, Response
from shared.values import dataclass

log = structlog.get_logger("postbus.api")

# States in which a mail that was never put back may have nobody but its caller to carry it.
_WITH_THE_CALLER = frozenset({"waiting", "sending", "unknown"})


class MailQueue(Protocol):
    """The queue of mails to send; raises `QueueUnavailable`."""

    def put_back(self, letter: Letter, delay: int) -> str:
        """Put a letter on the mail queue, due in `delay` ms."""
        ...

    def settle(self, settlement: Settlement, delay: int) -> str:
        """Put proof of a send on the mail queue, due in `delay` ms."""
        ...


@dataclass(frozen=True)
class Mails:
    """The `/v1/mails` resource.

    Args:
        mailer: sends.
        ledger: knows mails.
        queue: takes mails for later.
        announcer: publishes states.
        new_key: makes a key for a request that has none.
        chance: gives random numbers from 0 to 1.
        at_most: runs a call; gives None when it has not ended after so many ms.
    """

    mailer: Mailer
    ledger: Ledger
    queue: MailQueue
    announcer: Announcer
    new_key: Callable[[], str]
    chance: Callable[[], float]
    at_most: Callable[[Callable[[], Result], int], Result | None]

    def post(self, request: Request, call: Invocation) -> Response:
        """`POST /v1/mails`: 201 sent, 202 accepted for later, or a problem."""
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type != "application/json":
            return problem("wrong-content-type", f"the content type is {content_type!r:.80}")
        try:
            letter = first_letter(request.body, key=self.new_key(), now=call.now())
            letter = with_header_key(letter, request.headers.get(KEY_HEADER))
            letter = with_trace(letter, request.headers)
            check(letter.mail, self.mailer.policy)
            if letter.mail.separate and len(letter.mail.to) > 1:
                return self._accept_parts(letter, call)
            if wants_later(request):
                return self._accept([letter], call)
            return self._send(letter, call)
        except KeysDiffer:
            return problem(
                "key-given-twice",
                "the Idempotency-Key header and the mail's `key` say different things; "
                "give one of them",
            )
        except InvalidMail as invalid:
            return invalid_mail(invalid)
        except QueueUnavailable as error:
            return problem("queue-unavailable", str(error), retry_after_ms=SOON)
        except LedgerUnavailable as error:
            return problem("ledger-unavailable", str(error), retry_after_ms=SOON)

    def get(self, mail_id: str) -> Response:
        """`GET /v1/mails/{id}`."""
        try:
            record = self.ledger.get(mail_id)
            if record is None:
                return problem("not-found", "no mail with that id is known in this environment")
            deliveries = self.ledger.deliveries(mail_id)
        except LedgerUnavailable as error:
            return problem("ledger-unavailable", str(error), retry_after_ms=SOON)
        return Response(200, {**describe(record), "recipients": recipients_of(deliveries)})

    def find(self, query: Mapping[str, str]) -> Response:
        """`GET /v1/mails?key=`."""
        key = query.get("key")
        if not key:
            return problem("bad-request", "say which mail: /v1/mails/{id} or /v1/mails?key=KEY")
        return self.get(self.mailer.mail_id(key))

    def _send(self, letter: Letter, call: Invocation) -> Response:
        """Send now, within the invocation's time."""
        budget = call.remaining() - SOON
        result = self.at_most(lambda: self._attempt(letter, call), budget)
        if result is None:
            result = self._overdue(self.mailer.mail_id(letter.key))
        response = self._answer(result, letter, call)
        log_result(result, letter)
        return response

    def _overdue(self, mail_id: str) -> Result:
        """The attempt is still out there when the time is up: what the ledger says about it."""
        try:
            record = self.ledger.get(mail_id)
        except LedgerUnavailable:
            return Result("unknown", mail_id)
        if record is None or record.state in ("accepted", "waiting"):
            # Not claimed yet; and a claim that comes so late makes no call.
            return Result("no-time", mail_id)
        return Result("finished" if record.state in FINAL else "unknown", mail_id, record)

    def _attempt(self, letter: Letter, call: Invocation) -> Result:
        result = self.mailer.attempt(letter, call, "caller")
        for _ in range(RACES_MAX):
            if result.kind != "race":
                break
            result = self.mailer.attempt(letter, call, "caller")
        return result

    def _answer(self, result: Result, letter: Letter, call: Invocation) -> Response:
        """Where the mail stays, and what the caller is told."""
        kind, now, state = result.kind, call.now(), None
        wait = result.wait
        if kind == "sent":
            self._finish(result, now)
        elif kind == "refused" and result.record is not None and result.record.resent:
            # The first of its calls may have been accepted: "refused" would be said too soon.
            self._announce(result, "held", now)
            self._release(result, "held", now)
            result, state = replace(result, kind="held"), "held"
        elif kind in ("refused", "expired", "suppressed"):
            self._announce(result, kind, now)
            if kind == "refused":
                self._release(result, kind, now)
        elif kind in ("throttled", "quota", "unavailable", "misconfigured"):
            # It was not sent and stays with the caller, whose repeat claims it again.
            if kind in ("misconfigured", "quota"):
                self.mailer.notes.alarm(kind, result, now)
            self._release(result, "waiting", now)
            wait = delay_after(
                kind,
                result.answer,
                attempt=1,
                now=now,
                chance=self.chance(),
                zone_offset=self.mailer.quota_zone,
            )
        elif kind in ("unknown", "unknown-early", "unknown-late"):
            state = self._hand_over(result, letter, now)
        self._announce_taken_out(result, now)
        return answer_of(result, letter, wait=wait, state=state)

    def _hand_over(self, result: Result, letter: Letter, now: int) -> str:
        """An unknown outcome that no queue carries yet: now one does, or a person.

        Returns:
            The mail's state: `unknown`, or `held` where it could not be put on the queue.
        """
        record, after = result.record, letter.next(Note(now, "unknown", result.code))
        state, carrier = "unknown", after
        try:
            check_size(letter)
            self.queue.put_back(after, self.mailer.grace if result.kind == state else result.wait)
        except (InvalidMail, QueueUnavailable):
            state, carrier = "held", letter
        if state == "held":
            log.error("mail.held", mail_id=result.mail_id, why="unknown and not on the queue")
        if record is None:
            return "unknown"
        if record.state in ("sending", "unknown") or record.carrier == "caller":
            self._announce(result, state, now)
            self.mailer.settling.release(
                record,
                state,
                custody=carrier.custody,
                reason=result.code,
                now=now,
                carrier="queue" if state == "unknown" else "caller",
            )
        return state

    def _finish(self, result: Result, now: int) -> None:
        """A mail that is sent: its proof is safe in the ledger, or goes on the queue.

        An error here must not make the caller repeat a mail that is sent.
        """
        record = result.record
        if record is None:
            return
        try:
            if not result.settled and record.envelope_id:
                proof = Settlement(record.mail_id, record.envelope_id, record.request_id)
                self.queue.settle(proof, SOON)
            self._announce(result, "sent", now)
        except QueueUnavailable as error:
            log.warning("mail.unsettled", mail_id=record.mail_id, error=str(error))

    def _announce(self, result: Result, state: str, now: int) -> None:
        """Publish a state; the caller is told it in any case, topic or no topic."""
        if result.record is None:
            return
        try:
            self.announcer.announce(result.record, state, result.code or None, now)
        except QueueUnavailable as error:
            log.warning("event.unpublished", mail_id=result.mail_id, state=state, error=str(error))

    def _announce_taken_out(self, result: Result, now: int) -> None:
        """Publish whom the mail does not go to; the caller is told that, too."""
        if result.record is None or result.kind in COMES_BACK:
            return
        try:
            for out in result.taken_out:
                self.announcer.announce_taken_out(result.record, out, now)
        except QueueUnavailable as error:
            log.warning("event.unpublished", mail_id=result.mail_id, state="suppressed",
                        error=str(error))  # fmt: skip

    def _accept_parts(self, letter: Letter, call: Invocation) -> Response:
        """Put the parts of a `separate` mail on the queue, under the key that stands for them."""
        parts = fan_out(letter)
        for part in parts:
            check_size(part)
        if not self.mailer.notes.register(letter, call.now()):
            raise InvalidMail((other_payload(letter.key),))
        return self._accept(parts, call)

    def _accept(self, letters: list[Letter], call: Invocation) -> Response:
        """Put mails on the queue and say so."""
        for letter in letters:
            check_size(letter)
        accepted = [self._accept_one(letter, call) for letter in letters]
        if len(accepted) == 1:
            location = {"Location": f"/v1/mails/{accepted[0]['mail_id']}"}
            return Response(202, accepted[0], {**location, "Preference-Applied": "respond-async"})
        return Response(202, {"state": "accepted", "mails": accepted})

    def _accept_one(self, letter: Letter, call: Invocation) -> dict[str, Any]:
        mail_id, now = self.mailer.mail_id(letter.key), call.now()
        known = self.ledger.get(mail_id)
        if known is not None and known.payload != payload_hash(letter.given):
            raise InvalidMail((other_payload(letter.key),))
        # The queue first: a row without a message would be a promise that nobody keeps. A row
        # that an earlier `POST` has left may be without one, too.
        if known is None or (known.custody == 0 and known.state in _WITH_THE_CALLER):
            self.queue.put_back(letter, 0)
        if known is None:
            known = MailRecord(
                mail_id=mail_id,
                key=letter.key,
                state="accepted",
                payload=payload_hash(letter.given),
                notify=letter.mail.notify,
                **letter.trace,
                tag=letter.mail.tag,
                created_at=now,
                updated_at=now,
            )
            # The queue has it: an error now would make the caller repeat a mail that is sent.
            with suppress(LedgerUnavailable):
                self.ledger.create(known)
            log.info("mail.accepted", mail_id=mail_id, recipients=len(letter.mail.to))
        return {"mail_id": mail_id, "key": letter.key, "state": known.state}

    def _release(self, result: Result, state: str, now: int) -> None:
        if result.record is not None:
            self.mailer.settling.release(
                result.record, state, custody=0, reason=result.code, now=now
            )
