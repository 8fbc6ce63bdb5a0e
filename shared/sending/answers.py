"""What a provider call can end in, in the words of the field; the edge translates into these."""

from __future__ import annotations

from typing import Literal

from shared.values import dataclass

BrokenKind = Literal[
    "connect",  # no connection was made: refused, DNS, TLS handshake, connect time-out
    "upload",  # an attachment's upload failed, before the send itself was begun
    "credentials",  # there were no credentials to sign with
    "read-timeout",  # the request went out, no answer came in time
    "reset",  # the connection broke after the request may have gone out
    "unparsable",  # an answer came that is not the provider's JSON
    "other",  # anything else that was raised while calling
]


@dataclass(frozen=True)
class Accepted:
    """The provider took the mail. `envelope_id` joins it to its delivery events."""

    envelope_id: str
    request_id: str | None = None


@dataclass(frozen=True)
class Rejected:
    """The provider answered with an error of its own.

    `retry_after_ms` is the provider's own wish, where it sent one.
    """

    code: str
    status: int | None = None
    message: str = ""
    request_id: str | None = None
    retry_after_ms: int | None = None


@dataclass(frozen=True)
class Broken:
    """The call ended without an answer of the provider's that could be read."""

    kind: BrokenKind
    detail: str = ""


Answer = Accepted | Rejected | Broken
