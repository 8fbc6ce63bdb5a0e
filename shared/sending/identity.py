"""The ids of a mail: made from the environment and its idempotency key, found again in events.

The mail id travels out in two headers and comes home with the delivery event. Both are made from
the key alone, so that every attempt, on whatever instance, has the same.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from shared.values import dataclass

# The one packed header that DirectMail gives back; a name that users may not take.
NOTIFY_NAME = "Postbus"
HEADER = f"X-User-Notify-{NOTIFY_NAME}"

# Between a `separate` mail's key and the number of its part: no key of a user's has it.
PART_MARK = "␟"

_canonical = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode
_TOKEN = re.compile(r"v1\.([a-z0-9][a-z0-9-]{0,31})\.([a-z2-7]{26})\.(\d{1,9})")
_MESSAGE_ID = re.compile(r"<?([a-z2-7]{26})\.([a-z0-9][a-z0-9-]{0,31})@[^<>@\s]+>?")


@dataclass(frozen=True)
class MailToken:
    """What the packed header says: which mail of which environment, and which attempt."""

    environment: str
    mail_id: str
    attempt: int | None

    def __str__(self) -> str:
        return f"v1.{self.environment}.{self.mail_id}.{self.attempt}"


@lru_cache(maxsize=256)  # an attempt asks several times
def mail_id_of(environment: str, key: str) -> str:
    """The mail id: 26 letters and digits derived from the environment and the key."""
    digest = hashlib.sha256(f"{environment}\0{key}".encode()).digest()
    return base64.b32encode(digest[:16]).decode().rstrip("=").lower()


def message_id_of(environment: str, mail_id: str, sender_domain: str) -> str:
    """The Message-ID (with its angle brackets), equal across attempts."""
    return f"<{mail_id}.{environment}@{sender_domain}>"


def read_token(value: str) -> MailToken | None:
    """Read the packed header's value; None where it is not one of ours."""
    match = _TOKEN.fullmatch(value.strip())
    return MailToken(match[1], match[2], int(match[3])) if match else None


def read_message_id(value: str) -> MailToken | None:
    """Read a Message-ID, with or without brackets; None where it is not one of ours."""
    match = _MESSAGE_ID.fullmatch(value.strip())
    return MailToken(match[2], match[1], None) if match else None


def payload_hash(given: Mapping[str, Any]) -> str:
    """A fingerprint of what was asked for, with the version of its recipe.

    Taken over the fields as they were given and not over the model, so that a deploy that adds a
    field with a default does not turn a repeat into "another payload". The key is left out: it may
    come in a header as well. So is the trace, which a repeat has anew.
    """
    fields = {name: value for name, value in given.items() if name not in ("key", "trace")}
    return "1:" + hashlib.sha256(_canonical(fields).encode()).hexdigest()
