"""What a caller is told: each result of an attempt as one answer. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shared.api.problems import problem
from shared.delivery.states import MARKS, state_of
from shared.schema.problems import InvalidMail, Problem
from shared.sending.letters import Letter
from shared.sending.reports import other_payload, refusal_of
from shared.sending.results import Result
from shared.stores.ledger import DeliveryRecord, MailRecord
from shared.times import rfc3339
from shared.triggers.http import Response

# Where a caller is told to come back and nothing says when. In ms.
SOON = 2_000

# Problems that the same request would meet again.
_ENDS = frozenset({"refused", "other-payload", "misconfigured", "expired", "suppressed"})
# result -> (type of the problem, what to do)
_PROBLEMS: dict[str, tuple[str, str]] = {
    "refused": (
        "refused-by-provider",
        "change the mail; sent again as it is, it will be refused again",
    ),
    "other-payload": ("other-payload", "use a new key for a new mail"),
    "throttled": ("throttled", "the mail was not sent; repeat the request with the same key"),
    "quota": ("quota", "the mail was not sent; repeat the request with the same key"),
    "unavailable": ("unavailable", "the mail was not sent; repeat the request with the same key"),
    "misconfigured": (
        "misconfigured",
        "the mail was not sent; an operator has to mend sender, permissions or clock",
    ),
    "expired": ("expired", "it was not sent and will not be"),
    "suppressed": (
        "suppressed",
        "every recipient in `to` is suppressed: it was not sent and will not be",
    ),
    "in-progress": ("in-progress", "come back for its result"),
    "no-time": ("ledger-unavailable", "no attempt was made: too little time was left"),
    "ledger-down": ("ledger-unavailable", "no attempt was made"),
    "race": ("ledger-unavailable", "no attempt was made: others were quicker, again and again"),
}


def answer_of(result: Result, letter: Letter, *, wait: int, state: str | None) -> Response:
    """The answer to a mail that was to be sent now.

    Args:
        result: what the attempt ended in.
        letter: the mail.
        wait: in how many ms to come back, where that is asked for.
        state: the mail's state where the ledger does not have it yet.
    """
    kind: str = result.kind
    if kind == "finished" and result.record is not None:
        # A repeat is told what the first one was told.
        kind = result.record.state
    if kind == "no-permit":
        kind = result.denied
    if kind == "sent":
        return Response(201, describe_result(result, letter), _location(result))
    if kind in _PROBLEMS:
        return _problem(kind, result, letter, wait)
    told = describe_result(result, letter)
    return Response(202, {**told, "state": state or told["state"]}, _location(result))


def invalid_mail(invalid: InvalidMail) -> Response:
    """The answer to a request that breaks the contract: 400, 413 or 422, by what is wrong."""
    types = {each.type for each in invalid.problems}
    kind = "invalid-mail"
    if types & {"too-large", "too-big-for-the-queue"}:
        kind = "too-big"
    elif types & {"not-json", "not-an-object"}:
        kind = "bad-request"
    elif types == {"other-payload"}:
        kind = "other-payload"
    count = len(invalid.problems)
    detail = f"{count} {'thing is' if count == 1 else 'things are'} wrong; `errors` tells each"
    return problem(kind, detail, problems=invalid.problems)


def describe(record: MailRecord) -> dict[str, Any]:
    """A mail as the API shows it."""
    return {
        "mail_id": record.mail_id,
        "key": record.key,
        "state": record.state,
        "env_id": record.envelope_id,
        "request_id": record.request_id,
        "attempt": record.attempt,
        "reason": record.reason,
        "tag": record.tag,
        "created_at": rfc3339(record.created_at),
        "updated_at": rfc3339(record.updated_at),
    }


def describe_result(result: Result, letter: Letter) -> dict[str, Any]:
    """What a caller is told about a mail that was just asked for."""
    record = result.record
    state = (
        record.state
        if record is not None and result.kind not in ("sent", "unknown")
        else result.kind
    )
    told: dict[str, Any] = {
        "mail_id": result.mail_id,
        "key": letter.key,
        "state": state,
        "env_id": record.envelope_id if record else None,
        "request_id": record.request_id if record else None,
    }
    if result.taken_out:
        told["suppressed"] = [
            {"recipient": out.recipient, "reason": out.reason or None} for out in result.taken_out
        ]
    return told


def _problem(kind: str, result: Result, letter: Letter, wait: int) -> Response:
    name, detail = _PROBLEMS[kind]
    record = result.record
    problems: tuple[Problem, ...] = ()
    if kind == "refused":
        problems = (refusal_of(result),)
    elif kind == "other-payload":
        problems = (other_payload(letter.key),)
    elif kind == "suppressed":
        problems = _taken_out(result, letter)
    comes_back = kind not in _ENDS
    return problem(
        name,
        detail,
        problems=problems,
        retry_after_ms=(wait or SOON) if comes_back else None,
        code=result.code or (record.reason if record else None) or None,
        mail_id=result.mail_id,
    )


def _taken_out(result: Result, letter: Letter) -> tuple[Problem, ...]:
    """Each recipient whom the mail did not go to, as a problem of the mail."""
    reasons = {out.recipient: out.reason for out in result.taken_out}
    return tuple(
        Problem(f"/{field}/{index}", "suppressed", "is suppressed", given=reasons[address] or None)
        for field, addresses in (("to", letter.mail.to), ("bcc", letter.mail.bcc))
        for index, address in enumerate(addresses)
        if address in reasons
    )


def _location(result: Result) -> dict[str, str]:
    return {"Location": f"/v1/mails/{result.mail_id}"}


def recipients_of(deliveries: Sequence[DeliveryRecord]) -> list[dict[str, Any]]:
    """What became of each recipient of each attempt, and what they did with the mail."""
    known: dict[tuple[str, int], list[DeliveryRecord]] = {}
    for each in deliveries:
        known.setdefault((each.recipient, each.attempt), []).append(each)
    found = []
    for (recipient, attempt), records in known.items():
        words = {record.state for record in records}
        found.append(
            {
                "recipient": recipient,
                "state": state_of(words),
                "marks": [mark for mark in MARKS if mark in words],
                "attempt": attempt,
                "at": rfc3339(max(record.at for record in records)),
            }
        )
    return found
