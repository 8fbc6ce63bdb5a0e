"""A multipart/form-data body taken apart (RFC 7578), as far as an object upload needs it."""

from __future__ import annotations

import re

_BOUNDARY = re.compile(r'boundary="?([^";,\s]{1,70})"?')
_NAME = re.compile(rb'[;\s]name="([^"]*)"')


class MalformedFormError(ValueError):
    """The body is not what its content type says."""


def parse(content_type: str, body: bytes) -> dict[str, bytes]:
    """The form's fields by name, a file like any other field.

    Raises:
        MalformedFormError: no boundary, a part without a name, or a body that does not end.
    """
    match = _BOUNDARY.search(content_type)
    if match is None or not content_type.lower().startswith("multipart/form-data"):
        raise MalformedFormError("not multipart/form-data with a boundary")
    # A boundary stands at the beginning of a line; the first line has no line break before it.
    pieces = (b"\r\n" + body).split(b"\r\n--" + match[1].encode("latin-1"))
    if len(pieces) < 3 or not pieces[-1].startswith(b"--"):  # noqa: PLR2004  # preamble, parts, end
        raise MalformedFormError("the form does not end with its boundary")
    return dict(_part(piece) for piece in pieces[1:-1])


def _part(piece: bytes) -> tuple[str, bytes]:
    head, blank, content = piece.partition(b"\r\n\r\n")
    name = _NAME.search(head)
    if not blank or name is None:
        raise MalformedFormError("a part has no name")
    return name[1].decode("utf-8", "replace"), content
