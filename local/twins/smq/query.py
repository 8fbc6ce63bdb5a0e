"""The query string of a request."""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import unquote

from local.twins.smq.errors import refusal

_INTEGER = re.compile(r"-?[0-9]{1,12}\Z")


class Query:
    """A query string. Names are taken in any case: the documentation itself is of two minds.

    Args:
        raw: as it was sent.

    Raises:
        SmqError: `InvalidQueryString` for a name that the operation does not know, or one twice.
    """

    def __init__(self, raw: str, allowed: Collection[str]) -> None:
        self._values: dict[str, str] = {}
        for part in filter(None, raw.split("&")):
            name, _, value = part.partition("=")
            key = name.lower()
            if key not in allowed or key in self._values:
                raise refusal("InvalidQueryString", f'Item "{name[:100]}".')
            self._values[key] = unquote(value)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str, otherwise: str = "") -> str:
        """The value of that name."""
        return self._values.get(name, otherwise)

    def flag(self, name: str) -> bool:
        """Whether the value of that name is `true`."""
        return self.text(name).lower() == "true"

    def integer(self, name: str, otherwise: int) -> int:
        """The value of that name, which must be a whole number."""
        if name not in self._values:
            return otherwise
        if not _INTEGER.match(self._values[name]):
            raise refusal("InvalidQueryString", f'Item "{name}".')
        return int(self._values[name])
