"""What is said about a result: to the log, and to whoever asked for the mail."""

from __future__ import annotations

from typing import Any

import structlog

from shared.schema.mail_request import MailRequest
from shared.schema.problems import Problem
from shared.sending.answers import Rejected
from shared.sending.letters import Letter
from shared.sending.results import Result

log = structlog.get_logger("postbus.sending")


def refusal_of(result: Result) -> Problem:
    """The provider's refusal as a problem of the mail."""
    message = result.answer.message if isinstance(result.answer, Rejected) else ""
    return Problem(pointer="", type="refused-by-provider", detail=message[:500], given=result.code)


def other_payload(key: str) -> Problem:
    """The problem of a key that was used for another mail."""
    return Problem(
        pointer="/key",
        type="other-payload",
        detail="this key was used for a mail with other content; the first one stands",
        given=key[:80],
    )


def place_in_log(problem: Problem) -> str:
    """A problem as the log has it: the field of a mail request, and the rule that it breaks.

    What is further in, or no field at all, has a name of the sender's own, and that may be an
    address; the reject queue has all of it.
    """
    first = problem.pointer.split("/")[1:2]
    place = "".join(f"/{name if name in MailRequest.model_fields else '*'}" for name in first)
    return f"{place}: {problem.type}"


def log_result(result: Result, letter: Letter) -> None:
    """The one line that each mail has in the log."""
    fields: dict[str, Any] = {"mail_id": result.mail_id, "recipients": len(letter.mail.to)}
    if result.record is not None:
        fields["attempt"] = result.record.attempt
        fields["envelope_id"] = result.record.envelope_id
    if result.code:
        fields["code"] = result.code
    if result.taken_out:
        fields["suppressed"] = len(result.taken_out)
    write = log.info if result.kind in ("sent", "finished", "replaced") else log.warning
    write(f"mail.{result.kind}", **fields)
