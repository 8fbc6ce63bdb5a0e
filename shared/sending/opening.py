"""A message of the mail queue, opened: what is in it, and whether it may be sent at all.

A batch is opened as a whole before any of it is sent. That is the same work in another order, and
costs a third: code and tables that read a mail stay in the processor's caches from one to the next.
So is the ledger asked for all of its mails together, and only for what cannot mislead: a mail that
had no row then is claimed by inserting one, which fails where somebody was quicker. Every row that
was there is read again before anything is made of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from shared.schema.problems import InvalidMail, Problem
from shared.sending.compose import OutgoingMail, check
from shared.sending.letters import (
    Letter,
    Settlement,
    check_size,
    read_letter,
    read_settlement,
)
from shared.sending.mailer import Mailer
from shared.triggers.context import Invocation
from shared.triggers.queue import QueueMessage
from shared.values import dataclass

# With less time than this nothing is looked up ahead: a ledger that does not answer would take too
# much of it from those who put the mails back. In ms.
LOOKUP_MINIMUM = 15_000


@dataclass(frozen=True)
class Opened:
    """What is in a message: a letter, or proof of a send, or what is wrong with it.

    Attributes:
        message: the message.
        letter: the mail; it may be there beside `problems`, where it could be read.
        outgoing: the content of the mail's first call.
        settlement: proof of a send.
        reason: why it is rejected, in kebab-case; empty for a good one.
        problems: likewise, in detail.
        error: what opening it raised and should not have: for who settles it to raise again.
        new: whether the ledger had no row of the mail, and no message before this one has it.
    """

    message: QueueMessage
    letter: Letter | None = None
    outgoing: OutgoingMail | None = None
    settlement: Settlement | None = None
    reason: str = ""
    problems: Sequence[Problem] = ()
    error: Exception | None = None
    new: bool = False


def open_batch(messages: Sequence[QueueMessage], mailer: Mailer, call: Invocation) -> list[Opened]:
    """Open messages, and look up which of their mails are new. Total, as `open_message` is."""
    now = call.now()
    batch = [open_message(message, mailer, now) for message in messages]
    # The first message of each mail: a copy behind it will meet the row that it makes.
    first: dict[str, int] = {}
    for place, each in enumerate(batch):
        if each.outgoing is not None and each.letter is not None:
            first.setdefault(mailer.mail_id(each.letter.key), place)
    if len(first) == 1 or call.remaining() < LOOKUP_MINIMUM:
        return batch  # one row is read as well by whoever sends the mail
    try:
        known = mailer.ledger.get_many(first)
    except Exception:  # noqa: BLE001  # whoever sends one of them reads its row, and says what is wrong
        return batch
    for mail_id, place in first.items():
        if mail_id not in known:
            batch[place] = replace(batch[place], new=True)
    return batch


def open_message(message: QueueMessage, mailer: Mailer, now: int) -> Opened:
    """Open one message. Total: a message that meets a bug stops no other.

    Args:
        message: the message.
        mailer: whose rules hold, and who will send.
        now: ms since 1970.
    """
    if message.broken:
        problem = Problem(pointer="", type="bad-trigger-event", detail=message.broken)
        return Opened(message, reason="bad-trigger-event", problems=(problem,))
    try:
        settlement = read_settlement(message)
        if settlement is not None:
            return Opened(message, settlement=settlement)
        return _open_mail(message, mailer, now)
    except Exception as error:  # noqa: BLE001  # raised again where only this message is settled
        return Opened(message, error=error)


def _open_mail(message: QueueMessage, mailer: Mailer, now: int) -> Opened:
    letter = None
    try:
        letter = read_letter(message, now)
        check_size(letter)
        check(letter.mail, mailer.policy)
    except InvalidMail as invalid:
        return Opened(message, letter, reason="invalid-mail", problems=invalid.problems)
    if letter.goes_as_many:
        return Opened(message, letter)
    _ = letter.payload  # the letter keeps it
    return Opened(message, letter, mailer.compose(letter))
