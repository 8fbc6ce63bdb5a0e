"""A resource's evaluated properties: typed reading, and a memory of what was read.

What nobody reads is what the host does not simulate; `unread()` names it, so that a property that
is new in the template is reported by itself and never ignored in silence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from local.host.template.scope import DeployTime
from local.host.template.yaml_reader import TemplateError

_Word = TypeVar("_Word", bound=str)


class Properties:
    """The properties under one path of the template."""

    def __init__(self, values: Any, path: str) -> None:
        if not isinstance(values, Mapping):
            raise TemplateError(path, "is not a mapping")
        self.path = path
        self._values = values
        self._read: set[str] = set()
        self._sections: dict[str, Properties] = {}

    def where(self, key: str) -> str:
        """The path of a key, for error messages."""
        return f"{self.path}.{key}"

    def has(self, key: str) -> bool:
        """Whether the key is there."""
        return key in self._values

    def raw(self, key: str, default: Any = None) -> Any:
        """The value as it is; without a default it must be there.

        Raises:
            TemplateError: it is missing, or known only after a deployment.
        """
        self._read.add(key)
        value = self._values.get(key, default)
        if value is None:
            raise TemplateError(self.where(key), "is missing")
        if isinstance(value, DeployTime):
            raise TemplateError(self.where(key), f"only a deployment knows this: {value}")
        return value

    def known(self, key: str) -> None:
        """Only that the key is there; its value may be known after a deployment only.

        Raises:
            TemplateError: it is missing.
        """
        self._read.add(key)
        if not self.has(key):
            raise TemplateError(self.where(key), "is missing")

    def text(self, key: str, default: str | None = None) -> str:
        """A text."""
        value = self.raw(key, default)
        if not isinstance(value, str):
            raise TemplateError(self.where(key), f"{value!r} is not a text")
        return value

    def word(self, key: str, allowed: tuple[_Word, ...], default: _Word) -> _Word:
        """One of the allowed words."""
        value = self.text(key, default)
        for word in allowed:
            if value == word:
                return word
        raise TemplateError(self.where(key), f"{value!r} is none of {', '.join(allowed)}")

    def integer(
        self, key: str, default: int | None = None, within: tuple[int, int] | None = None
    ) -> int:
        """A whole number, in a range if one is given; ROS takes digits in a text as well."""
        value = self.raw(key, default)
        if isinstance(value, str) and value.isascii() and value.isdigit():
            value = int(value)
        if type(value) is not int:
            raise TemplateError(self.where(key), f"{value!r} is not a whole number")
        if within is not None and not within[0] <= value <= within[1]:
            raise TemplateError(self.where(key), f"{value} is not from {within[0]} to {within[1]}")
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        """True or false; ROS takes the words in a text as well."""
        value = self.raw(key, default)
        if isinstance(value, bool):
            return value
        if value in ("true", "false"):
            return bool(value == "true")
        raise TemplateError(self.where(key), f"{value!r} is neither true nor false")

    def texts(self, key: str, default: list[str] | None = None) -> tuple[str, ...]:
        """A list of texts."""
        value = self.raw(key, default)
        if not (isinstance(value, list) and all(type(item) is str for item in value)):
            raise TemplateError(self.where(key), "is not a list of texts")
        return tuple(value)

    def mapping(self, key: str) -> dict[str, Any]:
        """A mapping as it is, for what has a language of its own."""
        value = self.raw(key)
        if not isinstance(value, dict):
            raise TemplateError(self.where(key), "is not a mapping")
        return value

    def section(self, key: str) -> Properties:
        """A mapping inside; a missing one reads as empty. Its unread keys count too."""
        self._read.add(key)
        if key not in self._sections:
            self._sections[key] = Properties(self._values.get(key, {}), self.where(key))
        return self._sections[key]

    def sections(self, key: str) -> list[Properties]:
        """A list of mappings."""
        value = self.raw(key, [])
        if not isinstance(value, list):
            raise TemplateError(self.where(key), "is not a list")
        for number, item in enumerate(value):
            name = f"{key}[{number}]"
            self._sections[name] = Properties(item, self.where(name))
        return [self._sections[f"{key}[{number}]"] for number in range(len(value))]

    def unread(self) -> list[str]:
        """The dotted names of what nobody has read, list positions left out."""
        names = [key for key in self._values if key not in self._read]
        for key, section in self._sections.items():
            plain = key.partition("[")[0]
            names += [f"{plain}.{name}" for name in section.unread()]
        return sorted(set(names))
