"""The objects inside of a mail request: sender, template, reply address, attachment.

The descriptions of the fields are the users' reference: they are exported with the JSON Schema.
"""

# No `from __future__ import annotations`: pydantic reads annotations faster as they are.

from binascii import a2b_base64
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from shared.schema.fields import (
    Address,
    Alias,
    Base64,
    Domain,
    FileName,
    Identifier,
    TraceParent,
    TraceState,
    Values,
)
from shared.schema.limits import FIELDS_MAX
from shared.schema.problems import REPLY_TO_ADDRESS, REPLY_TO_WORD, refuse, shown
from shared.schema.sizes import base64_decoded_size


class Part(BaseModel):
    """What all objects of a mail request have in common."""

    # hide_input_in_errors keeps bodies and addresses out of pydantic's own messages. The parts are
    # built as parts of the whole; to build each by itself too would lengthen every cold start.
    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, hide_input_in_errors=True, defer_build=True
    )

    @model_validator(mode="before")
    @classmethod
    def _few_fields(cls, data: Any) -> Any:
        if isinstance(data, dict) and len(data) > FIELDS_MAX:
            raise refuse(
                "too-many",
                f"has at most {FIELDS_MAX} fields",
                limit=FIELDS_MAX,
                given=len(data),
            )
        return data

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Only the names of what was given: a repr may end up in a log."""
        return ((None, name) for name in sorted(self.model_fields_set))


class Sender(Part):
    """Who the mail comes from: an address, or a domain that may send from any address."""

    address: Address | None = Field(
        default=None,
        description=(
            "A sender address that is verified in DirectMail's console; with `domain_auth`, any "
            "address of the authenticated domain. Exactly one of `address` and `domain` is given."
        ),
    )
    domain: Domain | None = Field(
        default=None,
        description=(
            "An authenticated domain, only with `domain_auth`. Recipients see the address "
            "domain-auth-created-by-system of that domain."
        ),
    )
    alias: Alias | None = Field(
        default=None,
        description=(
            "The name that recipients see before the address, at most 14 characters, without "
            'any of " \\ < >.'
        ),
    )

    @model_validator(mode="after")
    def _address_or_domain(self) -> "Sender":
        if (self.address is None) == (self.domain is None):
            raise refuse("address-or-domain", "needs exactly one of address and domain")
        return self


class Template(Part):
    """A template that is kept in DirectMail's console, and the values for its variables."""

    id: Identifier = Field(description="The template's id in DirectMail's console.")
    data: Values = Field(
        default={},
        description="The value of each variable; numbers and dates are written as strings.",
    )


class ReplyAddress(Part):
    """Where answers to the mail go."""

    address: Address = Field(description="The address that answers go to.")
    alias: Alias | None = Field(
        default=None,
        description=(
            "The name that stands before the address, at most 14 characters, without any of "
            '" \\ < >.'
        ),
    )


class Attachment(Part):
    """One file that travels with the mail."""

    name: FileName = Field(
        description="The file's name as the recipient sees it, at most 255 characters and no path."
    )
    content: Base64 = Field(
        description=(
            "The file itself in base64 (RFC 4648, standard alphabet, padded, no line breaks). All "
            "files of a mail together have at most 8,000,000 bytes before base64."
        )
    )

    @property
    def data(self) -> bytes:
        """The file itself; decoded at each call, so that it is not kept in memory twice."""
        return a2b_base64(self.content)

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return base64_decoded_size(self.content)


class Trace(Part):
    """The trace that the mail's producer is in (W3C Trace Context)."""

    traceparent: TraceParent = Field(
        description="Version 00, such as 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01."
    )
    tracestate: TraceState | None = Field(
        default=None, description="What tracing systems add, at most 512 printable characters."
    )


def _reply_to_branch(value: Any) -> str | None:
    """Which form of `reply_to` this is; by its type, so that one mistake is one problem."""
    if isinstance(value, str):
        return REPLY_TO_WORD
    return REPLY_TO_ADDRESS if isinstance(value, dict | ReplyAddress) else None


def _check_word(value: Any) -> Any:
    # The likely mistake is a bare address.
    if value not in {"none", "console"}:
        raise refuse(
            "not-allowed",
            'must be "none", "console", or an object {"address": ..., "alias": ...}',
            limit="none, console",
            given=shown(value),
        )
    return value


ReplyTo = Annotated[
    Annotated[Literal["none", "console"], BeforeValidator(_check_word), Tag(REPLY_TO_WORD)]
    | Annotated[ReplyAddress, Tag(REPLY_TO_ADDRESS)],
    Discriminator(_reply_to_branch),
]
