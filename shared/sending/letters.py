"""A letter: a mail request on its way through the queue, and the envelope it travels in.

A producer puts a bare mail request on the queue. What Postbus puts back (a mail that is due later)
is the request in an envelope that remembers what the platform forgets: the key pinned at first
sight, which copy this is, and what happened so far. A queue trigger shows a function only a
message's body and id, so all of it is in the body.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pydantic_core import to_json

from shared.schema import limits
from shared.schema.problems import InvalidMail, Problem
from shared.sending.identity import PART_MARK, payload_hash
from shared.triggers.json_bytes import NotJson, read_json
from shared.triggers.queue import QueueMessage

if TYPE_CHECKING:
    from shared.schema.mail_request import MailRequest

ENVELOPE = "postbus"
ENVELOPE_VERSION = 1
HISTORY_KEPT = 8
NOTE_MAX = 64
# A mail's own key, or one that was made for it: of a timer, a message, a part of a `separate` mail.
PINNED_KEY_MAX = limits.KEY_MAX + 32
# Far beyond any number of copies or any time in ms, and within what every ledger can store.
COUNT_MAX = 2**53
# A buried letter's number is this much higher than its copy's. One more would not be enough: a
# process that died between putting a copy back and writing it down has left a stray one with it.
REDRIVE_STEP = 2

# Producers' SDKs send a body in base64, and SMQ counts what is sent: three quarters are left.
# https://www.alibabacloud.com/help/en/mns/product-overview/limits
QUEUE_PAYLOAD_MAX = limits.QUEUE_BODY_MAX * 3 // 4
MAIL_ON_QUEUE_MAX = QUEUE_PAYLOAD_MAX - limits.ENVELOPE_RESERVE


def parse_mail(fields: Any) -> MailRequest:
    """Check a mail request; functions that read none never build its models.

    Raises:
        InvalidMail: lists what is wrong with it.
    """
    from shared.schema import mail_request  # noqa: PLC0415  # see above

    return mail_request.parse_mail(fields)


@dataclass(frozen=True)
class Note:
    """One thing that happened to a letter: when (ms since 1970), what, and the code behind it."""

    at: int
    what: str
    code: str = ""


@dataclass(frozen=True)
class Letter:
    """A mail request with what its envelope says.

    Attributes:
        given: the request's fields as they were given.
        mail: the same, checked.
        key: the idempotency key, pinned at first sight.
        custody: 0 for the producer's own message, and one more for each time it was put back.
        first_seen: when it was first seen, in ms since 1970.
        history: the latest `HISTORY_KEPT` notes.
    """

    given: Mapping[str, Any]
    mail: MailRequest
    key: str
    custody: int = 0
    first_seen: int = 0
    history: tuple[Note, ...] = ()

    @cached_property
    def payload(self) -> str:
        """The fingerprint of what was asked for."""
        return payload_hash(self.given)

    @property
    def trace(self) -> dict[str, Any]:
        """The columns of a mail's row that tell its producer's trace; none where it has none."""
        trace = self.mail.trace
        if trace is None:
            return {}
        return {"traceparent": trace.traceparent, "tracestate": trace.tracestate}

    @property
    def goes_as_many(self) -> bool:
        """Whether each recipient gets a mail of its own."""
        return self.mail.separate and len(self.mail.to) > 1

    def next(self, note: Note, *, step: int = 1) -> Letter:
        """The copy that goes back on the queue; `REDRIVE_STEP` makes the one to bury."""
        history = (*self.history, note)[-HISTORY_KEPT:]
        return replace(self, custody=self.custody + step, history=history)

    def body(self) -> str:
        """The letter as a message body."""
        return compact(
            {
                ENVELOPE: ENVELOPE_VERSION,
                "key": self.key,
                "custody": self.custody,
                "first_seen": self.first_seen,
                "history": [[note.at, note.what, note.code[:NOTE_MAX]] for note in self.history],
                "mail": dict(self.given),
            }
        )


def read_letter(message: QueueMessage, now: int) -> Letter:
    """Read a message: a bare mail request, or one in its envelope.

    Args:
        message: its id is the key of a request that has none.
        now: ms since 1970.

    Raises:
        InvalidMail: with every problem that was found.
    """
    try:
        document = read_json(message.body)
    except NotJson:
        document = None
    if isinstance(document, dict) and ENVELOPE in document:
        return _read_envelope(document)
    # What is not an object goes on as it is: the schema's own reader says what is wrong with it.
    request = document if isinstance(document, dict) else message.body
    letter = first_letter(request, key=message.key or message.id, now=now)
    if message.key is not None and letter.key != message.key:
        raise InvalidMail(
            (
                Problem(
                    pointer="/key",
                    type="key-of-a-timer",
                    detail="a timer's mail has the trigger's name and time as its key, so that "
                    "every tick sends one mail; leave `key` out",
                ),
            )
        )
    return letter


def first_letter(request: bytes | dict[str, Any], *, key: str, now: int) -> Letter:
    """The letter of a request that was just seen; its own key wins over the one handed in."""
    if isinstance(request, bytes):
        mail = parse_mail(request)
        given = read_json(request)
    else:
        mail, given = parse_mail(request), request
    return Letter(given=given, mail=mail, key=mail.key or key, first_seen=now)


@dataclass(frozen=True)
class Settlement:
    """Proof of a send that could not be written down: the queue keeps it until it can be."""

    mail_id: str
    envelope_id: str
    request_id: str | None = None

    def body(self) -> str:
        """The settlement as a message body."""
        told = [self.mail_id, self.envelope_id, self.request_id]
        return compact({ENVELOPE: ENVELOPE_VERSION, "settle": told})


def read_settlement(message: QueueMessage) -> Settlement | None:
    """Read a message that carries proof of a send; None for every other message."""
    if b'"settle"' not in message.body:
        return None  # as nearly always, and without reading a mail twice
    try:
        document = read_json(message.body)
    except NotJson:
        return None
    if not isinstance(document, dict) or document.get(ENVELOPE) != ENVELOPE_VERSION:
        return None
    told = document.get("settle")
    if not isinstance(told, list) or len(told) != len(("mail", "envelope", "request")):
        return None
    mail_id, envelope_id, request_id = told
    if not isinstance(mail_id, str) or not isinstance(envelope_id, str):
        return None
    return Settlement(mail_id, envelope_id, request_id if isinstance(request_id, str) else None)


def fan_out(letter: Letter) -> list[Letter]:
    """A letter for each recipient of a `separate` mail, each with a key of its own."""
    shared_fields = {k: v for k, v in letter.given.items() if k not in ("to", "key", "separate")}
    letters = []
    for index, recipient in enumerate(letter.mail.to):
        given = {**shared_fields, "to": [recipient]}
        key = f"{letter.key}{PART_MARK}{index}"
        letters.append(replace(letter, given=given, mail=parse_mail(given), key=key))
    return letters


def check_size(letter: Letter) -> None:
    """Refuse a mail that its envelope would not bring through the queue.

    Raises:
        InvalidMail: `too-big-for-the-queue`, with the size.
    """
    size = len(to_json(letter.given))
    if size > MAIL_ON_QUEUE_MAX:
        raise InvalidMail(
            (
                Problem(
                    pointer="",
                    type="too-big-for-the-queue",
                    detail="a mail on its way through the queue has to fit into one message "
                    "(64 KB in base64, envelope included); leave bodies out by using a "
                    "template, or send it over HTTP without `Prefer: respond-async`",
                    limit=MAIL_ON_QUEUE_MAX,
                    given=size,
                ),
            )
        )


def compact(value: Any) -> str:
    """JSON in its shortest form, letters of any script as they are."""
    return to_json(value).decode()


def _read_envelope(document: dict[str, Any]) -> Letter:
    """Read an envelope. Only Postbus writes these, but the queue is open to other writers."""
    mail, history = document.get("mail"), document.get("history")
    key, custody = document.get("key"), document.get("custody")
    first_seen = document.get("first_seen")
    if (
        document[ENVELOPE] != ENVELOPE_VERSION
        or not isinstance(mail, dict)
        or not isinstance(key, str)
        or not 0 < len(key) <= PINNED_KEY_MAX
        or not _counts(custody)
        or not _counts(first_seen)
        or not isinstance(history, list)
        or not all(_is_note(note) for note in history)
    ):
        problem = Problem(
            pointer=f"/{ENVELOPE}",
            type="bad-envelope",
            detail="the message has a `postbus` field but is no envelope of version 1; "
            "a mail request has no such field",
        )
        raise InvalidMail((problem,))
    notes = tuple(Note(*note) for note in history)
    return Letter(mail, parse_mail(mail), key, custody, first_seen, notes[-HISTORY_KEPT:])  # type: ignore[arg-type]  # checked just above


def _counts(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= COUNT_MAX


def _is_note(note: Any) -> bool:
    return (
        isinstance(note, list)
        and len(note) == len(("at", "what", "code"))
        and _counts(note[0])
        and all(isinstance(text, str) and len(text) <= NOTE_MAX for text in note[1:])
    )
