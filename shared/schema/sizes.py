"""How large a text is where it counts: form-encoded on the wire, or decoded from base64.

Both are counted at C speed and without making the thing that is counted: encoding 8 MB only to
measure it would take seconds and its memory three times over.
"""

from __future__ import annotations

from shared.schema.problems import refuse

# What a form leaves as it is; a space becomes one "+", every other byte three characters.
# https://url.spec.whatwg.org/#application/x-www-form-urlencoded, as urllib.parse.quote_plus does.
_ONE_BYTE = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~ "

_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def form_encoded_size(text: str) -> int:
    """Bytes of the text in an application/x-www-form-urlencoded body.

    Raises:
        Refused: `not-unicode`, for half a surrogate pair, which UTF-8 cannot carry.
    """
    try:
        raw = text.encode("utf-8")
    except UnicodeEncodeError:
        raise refuse("not-unicode", "holds half a surrogate pair") from None
    return len(raw) + 2 * len(raw.translate(None, _ONE_BYTE))


def base64_decoded_size(content: str) -> int:
    """Bytes that the base64 text stands for; it must be strict: padded, and nothing but base64.

    Unused bits of the last character may be set, as RFC 4648 leaves to the reader.
    See https://www.rfc-editor.org/rfc/rfc4648#section-4

    Raises:
        Refused: `base64`.
    """
    raw = content.encode("utf-8", "replace")
    padding = raw.translate(None, _BASE64)
    if len(raw) % 4 or padding not in (b"", b"=", b"==") or not raw.endswith(padding):
        raise refuse(
            "base64",
            "must be base64 in the standard alphabet, padded with = and without line breaks",
            given=len(content),
        )
    return len(raw) // 4 * 3 - len(padding)
