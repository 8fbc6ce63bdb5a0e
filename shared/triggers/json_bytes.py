"""JSON from outside: read whatever comes, and know for sure when it cannot be read."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from pydantic_core import from_json


class NotJson(ValueError):
    """The bytes are not JSON (or not UTF-8, or nested too deeply). The text says where."""


def read_json(data: bytes | str) -> Any:
    """Read one JSON document.

    Refuses, beside what is not JSON: invalid UTF-8, lone surrogates, NaN and Infinity, and
    nesting of over 200 levels.

    Raises:
        NotJson: and nothing else.
    """
    try:
        # Text is encoded first: a lone surrogate in it would be a TypeError.
        encoded = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
        return from_json(encoded, allow_inf_nan=False)
    except ValueError as error:
        raise NotJson(str(error)) from None


def decode_body(text: str) -> bytes:
    """A message body as its producer wrote it: base64 is undone where it is base64.

    Whether a body arrives encoded depends on the producer's SDK and on the trigger's
    `IsBase64Decode` (https://www.alibabacloud.com/help/en/functioncompute/fc/mns-queue-triggers).
    JSON never looks like base64, so looking is safe for what we take; a word like `TEST` does,
    and stays as it is unless text comes out of it.
    """
    stripped = text.strip()
    if not stripped.startswith(("{", "[")):
        try:
            decoded = base64.b64decode("".join(stripped.split()), validate=True)
        except (binascii.Error, ValueError):
            decoded = b""
        if _is_text(decoded):
            return decoded
    return text.encode("utf-8", "surrogatepass")


def _is_text(data: bytes) -> bool:
    """Whether a producer may have meant this: JSON, if only badly encoded, or UTF-8."""
    if data.lstrip().startswith((b"{", b"[")):
        return True
    try:
        return bool(data.decode())
    except UnicodeDecodeError:
        return False
