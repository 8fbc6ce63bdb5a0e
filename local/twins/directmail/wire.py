"""A request's parameters as they travel: form-encoded UTF-8, in the query and in the body."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from local.twins.directmail.errors import ApiError

FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Parameters:
    """Decoded parameters, byte for byte what was encoded.

    Attributes:
        values: each parameter's text by its name.
        sizes: how many bytes each took on the wire, its name not counted.
    """

    values: dict[str, str]
    sizes: dict[str, int]

    def given(self, name: str) -> str | None:
        """A parameter's text; None where it is absent or empty, which are the same here."""
        return self.values.get(name) or None

    def required(self, name: str) -> str:
        """A parameter's text.

        Raises:
            ApiError: it is absent or empty.
        """
        value = self.given(name)
        if value is None:
            raise ApiError("MissingParameter", f"{name} is mandatory for this action.")
        return value


def decode(*encoded: bytes) -> Parameters:
    """Decode form-encoded texts into one set of parameters.

    Raises:
        ApiError: a text is not UTF-8, or a parameter comes twice. The service's own choice among
            repeats is not documented; a twin that chose one would hide the caller's mistake.
    """
    values: dict[str, str] = {}
    sizes: dict[str, int] = {}
    for text in encoded:
        for pair in text.split(b"&") if text else ():
            raw_name, _, raw_value = pair.partition(b"=")
            name = _decode(raw_name)
            if name in values:
                raise ApiError("InvalidParameter", "A parameter is given twice.")
            values[name] = _decode(raw_value)
            sizes[name] = len(raw_value)
    return Parameters(values, sizes)


def _decode(raw: bytes) -> str:
    try:
        return unquote_to_bytes(raw.replace(b"+", b" ")).decode()
    except UnicodeDecodeError:
        raise ApiError("InvalidParameter", "A parameter is not valid UTF-8.") from None
