"""The mail event: what became of a mail, as Postbus tells it downstream.

A CloudEvents 1.0 object in JSON. Every member of `data` is always there, null where nothing is
known, so that a consumer never has to ask whether a name exists.

See https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
"""

# No `from __future__ import annotations`: pydantic reads annotations faster as they are.

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from shared.schema.fields import Time
from shared.schema.problems import refuse
from shared.schema.states import STATES

MAIL_TYPE_PREFIX = "postbus.mail."
UNRECOGNISED = "postbus.event.unrecognised"
VALIDATED = "postbus.address.validated"

TYPES = (*(MAIL_TYPE_PREFIX + state for state in STATES), UNRECOGNISED, VALIDATED)


def _check_type(text: str) -> str:
    if text not in TYPES:
        raise refuse("not-allowed", "must be one of the event types of states.py", given=text)
    return text


def _check_state(text: str) -> str:
    if text not in STATES:
        raise refuse("not-allowed", "must be one of the states of states.py", given=text)
    return text


EventType = Annotated[
    str, AfterValidator(_check_type), Field(json_schema_extra={"enum": list(TYPES)})
]
State = Annotated[
    str, AfterValidator(_check_state), Field(json_schema_extra={"enum": list(STATES)})
]


class EventPart(BaseModel):
    """What all objects of a mail event have in common."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        defer_build=True,
        json_schema_serialization_defaults_required=True,
    )


class Smtp(EventPart):
    """What the recipient's mail host said."""

    code: int | None = Field(default=None, description="The reply code, such as 250 or 554.")
    message: str | None = Field(
        default=None, description="The host's own words, for people; nothing to match on."
    )


class Times(EventPart):
    """When things happened, in RFC 3339 and UTC."""

    sent_at: Time | None = Field(
        default=None, description="When DirectMail took the mail on for sending."
    )
    delivered_at: Time | None = Field(
        default=None,
        description="When the recipient's host took the mail; null for a bounce.",
    )
    occurred_at: Time | None = Field(
        default=None,
        description=(
            "When the reported thing happened: the delivery, the bounce, the open, the click, the "
            "complaint, the unsubscription."
        ),
    )


class MailEventData(EventPart):
    """What happened to which mail and recipient."""

    mail_id: str | None = Field(
        default=None,
        description="Postbus's id of the mail, derived from the environment and the key.",
    )
    key: str | None = Field(default=None, description="The mail's idempotency key.")
    env_id: str | None = Field(
        default=None,
        description="DirectMail's id of the call (EnvId); all recipients of one call share it.",
    )
    recipient: str | None = Field(
        default=None,
        description="The recipient's address; null when the event is about the mail as a whole.",
    )
    state: State | None = Field(
        default=None,
        description=(
            "What became of the mail, or of this recipient's copy of it; null when the event is "
            "not about a mail."
        ),
    )
    reason: str | None = Field(
        default=None,
        description="Why, in DirectMail's classification (such as SmtpNxBox) or Postbus's own.",
    )
    permanent: bool | None = Field(
        default=None,
        description=(
            "Of a bounce: true if sending to this recipient again is useless, false if it may "
            "succeed later. Null for everything else."
        ),
    )
    smtp: Smtp = Field(
        default=Smtp(), description="The answer of the recipient's mail host, where there is one."
    )
    tag: str | None = Field(default=None, description="The mail's tag.")
    sender: str | None = Field(default=None, description="The address the mail was sent from.")
    notify: dict[str, str] = Field(
        default={}, description="The mail's `notify`, as its sender gave it."
    )
    times: Times = Field(
        default=Times(), description="When it was sent, delivered, and what is reported happened."
    )
    raw: Any = Field(
        default=None,
        description="The event as DirectMail sent it; null for events of Postbus's own.",
    )

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Only what may stand in a log: no address, nobody's own words."""
        yield "mail_id", self.mail_id
        yield "state", self.state


class MailEvent(EventPart):
    """What became of a mail or of an address: a CloudEvents 1.0 object in JSON."""

    model_config = ConfigDict(defer_build=False)

    specversion: Literal["1.0"] = Field(default="1.0", description="The version of CloudEvents.")
    id: str = Field(
        min_length=1,
        description=(
            "Derived from what the event reports, so that a repeated event has the same id: drop "
            "what you have seen."
        ),
    )
    source: str = Field(
        min_length=1, description="The Postbus environment that tells it, as a URI reference."
    )
    type: EventType = Field(
        description=(
            "`postbus.mail.` and the state; `postbus.address.validated` for the result of an "
            "address check; `postbus.event.unrecognised` for what Postbus could not read."
        )
    )
    subject: str | None = Field(
        default=None, description="The mail's id; absent when the event belongs to no mail."
    )
    time: Time = Field(description="When it happened, in RFC 3339 and UTC.")
    datacontenttype: Literal["application/json"] = Field(
        default="application/json", description="The format of `data`."
    )
    data: MailEventData = Field(
        description="What happened, to which mail and recipient; every member is always there."
    )

    @model_validator(mode="after")
    def _type_tells_the_state(self) -> "MailEvent":
        state = self.data.state
        expected = MAIL_TYPE_PREFIX + state if state else None
        if expected not in {self.type, None} or (
            expected is None and self.type.startswith(MAIL_TYPE_PREFIX)
        ):
            raise refuse("type-and-state", "type must be postbus.mail. and the state of data")
        return self

    def to_json(self) -> str:
        """The event as one JSON object.

        `raw` may hold whatever `pydantic_core.from_json` reads; a number beyond what a double can
        hold becomes null. CloudEvents wants an unknown `subject` left out, not null.
        """
        return self.model_dump_json(exclude={"subject"} if self.subject is None else None)
