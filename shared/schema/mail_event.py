"""The mail event: what became of a mail, as Postbus tells it downstream.

A CloudEvents 1.0 object in JSON. Every member of `data` is always there, null where nothing is
known, so that a consumer never has to ask whether a name exists.

See https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md and, for the
trace, https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/extensions/distributed-tracing.md
"""

# No `from __future__ import annotations`: pydantic reads annotations faster as they are.

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.schema.fields import Time
from shared.schema.problems import refuse
from shared.schema.states import STATES

MAIL_TYPE_PREFIX = "postbus.mail."
UNRECOGNISED = "postbus.event.unrecognised"
VALIDATED = "postbus.address.validated"

# CloudEvents attributes that are left out, and never null, where there is nothing to say.
ABSENT = ("subject", "traceparent", "tracestate")

TYPES = (*(MAIL_TYPE_PREFIX + state for state in STATES), UNRECOGNISED, VALIDATED)


Bounce = Literal["permanent", "temporary", "sender-side"]
if TYPE_CHECKING:
    EventType = str
    State = str
else:
    # Of values that only the program knows; pydantic checks them without a call into Python.
    EventType = Literal[TYPES]
    State = Literal[STATES]


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
        description=(
            "Why, in Postbus's words, such as mailbox-not-found; docs/events.md lists them all. Of "
            "a mail that was not sent: the code of the refusal."
        ),
    )
    classification: str | None = Field(
        default=None,
        description="DirectMail's own classification (failed_type) as it came, such as SmtpNxBox.",
    )
    bounce: Bounce | None = Field(
        default=None,
        description=(
            "Of a bounce, whom it concerns: `permanent` is the address for good, `temporary` may "
            "succeed later, `sender-side` is the mail or its sender and not the address. Null for "
            "everything else."
        ),
    )
    permanent: bool | None = Field(
        default=None,
        description=(
            "Of a bounce: true if sending to this recipient again is useless, which is `bounce` "
            "being `permanent`; else false. Null for everything else."
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
    url: str | None = Field(default=None, description="Of a click: the link.")
    user_agent: str | None = Field(
        default=None, description="Of an open or a click: the program, as it names itself."
    )
    client_ip: str | None = Field(
        default=None, description="Of an open, a click or an unsubscription: where it came from."
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
    traceparent: str | None = Field(
        default=None,
        description="The trace of the producer's request (W3C Trace Context); absent without one.",
    )
    tracestate: str | None = Field(
        default=None, description="What tracing systems add to it; absent without any."
    )
    datacontenttype: Literal["application/json"] = Field(
        default="application/json", description="The format of `data`."
    )
    data: MailEventData = Field(
        description="What happened, to which mail and recipient; every member is always there."
    )

    @model_validator(mode="after")
    def _type_tells_the_state(self) -> "MailEvent":
        state = self.data.state
        if state and self.type == MAIL_TYPE_PREFIX + state:
            return self
        if state or self.type.startswith(MAIL_TYPE_PREFIX):
            raise refuse("type-and-state", "type must be postbus.mail. and the state of data")
        return self

    def to_json(self) -> str:
        """The event as one JSON object.

        `raw` may hold whatever `pydantic_core.from_json` reads; a number beyond what a double can
        hold becomes null. CloudEvents wants an attribute without a value left out, not null.
        """
        if self.subject and self.traceparent and self.tracestate:
            return self.model_dump_json()
        return self.model_dump_json(
            exclude={name for name in ABSENT if self.__dict__[name] is None}
        )
