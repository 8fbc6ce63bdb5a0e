"""Dead letters, looked at: which of them may go back on the queue. Pure."""

from __future__ import annotations

from typing import Literal

from shared.schema.problems import InvalidMail
from shared.sending.letters import Letter, read_letter
from shared.triggers.queue import QueueMessage
from shared.values import dataclass

Fitness = Literal[
    "ready",  # it may go back
    "no-key",  # a bare request, known by its message's id only, which has changed on the way here
    "too-old",  # the ledger may have forgotten it: sending it again could send it twice
    "no-mail",  # it is no letter; nothing that goes back would change that
]


@dataclass(frozen=True)
class DeadLetter:
    """One letter of a dead-letter queue.

    Attributes:
        fitness: whether it may go back.
        key: the mail's key, where it is a mail.
        state: why it is here: `parked`, `held`, `failed`, or `received too often`.
        code: what DirectMail or the network said last.
        letter: the mail, where it is one.
    """

    fitness: Fitness
    key: str = ""
    state: str = ""
    code: str = ""
    letter: Letter | None = None


def read_dead_letter(body: bytes, *, message_id: str, now: int, keep: int) -> DeadLetter:
    """Look at one letter.

    Args:
        body: the message body, base64 undone.
        message_id: SMQ's id of it; the key of a bare request without one.
        now: ms since 1970.
        keep: how long the ledger keeps its records, in ms.
    """
    try:
        letter = read_letter(QueueMessage(message_id, body), now)
    except InvalidMail:
        return DeadLetter("no-mail")
    fitness: Fitness = "too-old" if now - letter.first_seen > keep else "ready"
    if letter.key == message_id:
        fitness = "no-key"
    last = letter.history[-1] if letter.history else None
    return DeadLetter(
        fitness=fitness,
        key=letter.key,
        state=last.what if last else "received too often",
        code=last.code if last else "",
        letter=letter,
    )
