"""The body of `PUT /v1/suppressions/…`: all of it optional, checked like a mail request."""

# No `from __future__ import annotations`: pydantic reads annotations faster as they are.

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.schema.fields import Time
from shared.schema.problems import InvalidMail, Problem, problems_of
from shared.sending.suppress import MANUAL
from shared.triggers.http import Request
from shared.triggers.json_bytes import NotJson, read_json
from shared.values import dataclass

DETAIL_MAX = 200


class SuppressionBody(BaseModel):
    """Why a recipient is to be suppressed, and for how long."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, hide_input_in_errors=True, defer_build=True
    )

    reason: Literal["manual", "bounce", "complaint", "unsubscribe"] = Field(
        default="manual",
        description="A recipient may be suppressed for several reasons; each is lifted by itself.",
    )
    at: Time | None = Field(
        default=None,
        description="Since when, for lists brought along from elsewhere; otherwise since now.",
    )
    expires_at: Time | None = Field(
        default=None, description="Until when; without it, until it is lifted."
    )
    detail: str = Field(
        default="", max_length=DETAIL_MAX, description="A note of your own; no address, please."
    )


@dataclass(frozen=True)
class SuppressionRequest:
    """The same with its times in ms since 1970; `at` is None for now, `expires_at` 0 for never."""

    reason: str = MANUAL
    at: int | None = None
    expires_at: int = 0
    detail: str = ""


def read_request(request: Request, now: int) -> SuppressionRequest:
    """Read the body; none at all suppresses by hand, for good.

    Raises:
        InvalidMail: with every problem that was found.
    """
    if not request.body.strip():
        return SuppressionRequest()
    body = _validated(_object(request.body))
    at, expires_at = _ms(body.at), _ms(body.expires_at) or 0
    problems = []
    if at is not None and at > now:
        problems.append(Problem("/at", "in-the-future", "is still to come"))
    if body.expires_at is not None and expires_at <= now:
        problems.append(Problem("/expires_at", "in-the-past", "is over already"))
    if problems:
        raise InvalidMail(problems)
    return SuppressionRequest(body.reason, at, expires_at, body.detail)


def _object(body: bytes) -> dict[str, Any]:
    try:
        document = read_json(body)
    except NotJson as error:
        raise InvalidMail([Problem("", "not-json", f"is not JSON: {error}")]) from None
    if not isinstance(document, dict):
        raise InvalidMail([Problem("", "not-an-object", "must be a JSON object")])
    return document


def _validated(document: dict[str, Any]) -> SuppressionBody:
    try:
        return SuppressionBody.model_validate(document)
    except ValidationError as error:
        problems = problems_of(error)
    raise InvalidMail(problems)


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp() * 1000)
