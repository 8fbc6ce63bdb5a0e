"""What one attempt to send a mail can end in: a verdict of a call, or why there was none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shared.sending.answers import Answer, Broken, Rejected
from shared.sending.protocol import Situation
from shared.sending.suppress import TakenOut
from shared.sending.verdicts import Verdict
from shared.stores.ledger import MailRecord

Carrier = Literal["queue", "caller"]
ResultKind = (
    Verdict
    | Situation
    | Literal[
        "no-time",  # too little of the invocation is left for a call
        "no-permit",  # the account's rate or quota is used up for the moment
        "expired",  # the mail's own time was over before it could be sent
        "suppressed",  # nobody is left whom it may be sent to
        "ledger-down",
        "race",  # somebody else changed the row in between
    ]
)


@dataclass(frozen=True)
class Result:
    """What one attempt ended in.

    Attributes:
        kind: the verdict of the call; or why there was none.
        mail_id: the mail's id.
        record: the row as this attempt left it; None where the ledger did not say.
        answer: the provider's answer, where there was a call.
        wait: in how many ms to come back, where that is known.
        settled: False where the ledger could not be told that the mail was sent.
        denied: for `no-permit`, `throttled` or `quota`.
        news: whether this attempt found out that the mail's outcome is unknown.
        taken_out: the recipients whom it does not go to, because they are suppressed.
    """

    kind: ResultKind
    mail_id: str
    record: MailRecord | None = None
    answer: Answer | None = None
    wait: int = 0
    settled: bool = True
    denied: str = ""
    news: bool = False
    taken_out: tuple[TakenOut, ...] = ()

    @property
    def code(self) -> str:
        """The provider's code, or the kind of the break, for logs and histories."""
        if isinstance(self.answer, Rejected):
            return self.answer.code
        if self.denied:
            return self.denied
        if self.record is not None and self.record.state == "suppressed":
            return self.record.reason or ""
        return self.answer.kind if isinstance(self.answer, Broken) else ""
