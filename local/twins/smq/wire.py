"""SMQ's XML: read with care, written plainly.

Requests come from anybody: document types are refused (so no entity can expand), depth is bounded,
and text is UTF-8 whatever the declaration says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from local.twins.smq.errors import refusal, schema_violation

NAMESPACE = "http://mns.aliyuncs.com/doc/v1/"
# Several samples of the documentation leave the last slash out.
_NAMESPACES = (NAMESPACE, NAMESPACE.rstrip("/"))
# XML 1.0 has no way at all to carry these.
_CONTROLS = bytes(byte for byte in range(32) if byte not in b"\t\n\r")
_NO_CHARACTERS = ("\ufffe".encode(), "\uffff".encode())
_DEEPEST = 6

# Names with what is in them: a mapping or a list of pairs become elements, all else is text.
Content = Mapping[str, Any] | Iterable[tuple[str, Any]]
_ESCAPES = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\r", "&#13;"))


@dataclass
class Element:
    """An element that was read: its name without namespace, its text, its children."""

    name: str
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def fields(self, *allowed: str) -> dict[str, Element]:
        """The children by name; any other name, or one twice, violates the schema."""
        found: dict[str, Element] = {}
        for child in self.children:
            if child.name not in allowed or child.name in found:
                raise schema_violation(child.name)
            found[child.name] = child
        return found

    def items(self, name: str) -> list[Element]:
        """The children, which must all have that name."""
        for child in self.children:
            if child.name != name:
                raise schema_violation(child.name)
        return self.children


class _Reader:
    """Collects what expat reports into one tree."""

    def __init__(self) -> None:
        self.root: Element | None = None
        self._open: list[Element] = []
        self._parser = expat.ParserCreate("utf-8", " ")
        self._parser.buffer_text = True
        self._parser.buffer_size = 65_536
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        self._parser.StartDoctypeDeclHandler = self._doctype

    def read(self, data: bytes) -> None:
        self._parser.Parse(data, True)  # noqa: FBT003  # "this is all", by position in expat's interface

    def _start(self, name: str, _attributes: Any) -> None:
        namespace, _, local = name.rpartition(" ")
        if namespace not in _NAMESPACES or len(self._open) >= _DEEPEST:
            raise schema_violation(local)
        element = Element(local)
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)

    def _end(self, _name: str) -> None:
        self._open.pop()

    def _text(self, text: str) -> None:
        self._open[-1].text += text

    def _doctype(self, *_declaration: Any) -> None:
        raise refusal("MalformedXML", "Document types are not taken.")


def parse(data: bytes, *roots: str) -> Element:
    """Read a document whose root is one of `roots`.

    Raises:
        SmqError: `MalformedXML`, or `InvalidArgument` for another root or a foreign namespace.
    """
    reader = _Reader()
    try:
        reader.read(data)
    except expat.ExpatError as error:
        raise refusal("MalformedXML", str(error)) from error
    if reader.root is None or reader.root.name not in roots:
        raise schema_violation("" if reader.root is None else reader.root.name)
    return reader.root


def document(root: str, content: Content) -> str:
    """Write a document; an iterable of pairs is for names that repeat."""
    inside = _children(content)
    return f'<?xml version="1.0" encoding="utf-8"?><{root} xmlns="{NAMESPACE}">{inside}</{root}>'


def _children(content: Content) -> str:
    pairs = content.items() if isinstance(content, Mapping) else content
    return "".join(f"<{name}>{_inside(value)}</{name}>" for name, value in pairs)


def _inside(value: object) -> str:
    return _children(value) if isinstance(value, (Mapping, list)) else escape(str(value))


def escape(text: str) -> str:
    """Text as it stands in XML; a carriage return is escaped too, or readers would drop it."""
    for character, entity in _ESCAPES:
        text = text.replace(character, entity)
    return text


def carries(text: str) -> bool:
    """Whether XML can carry the text; asked of every body, so it works on bytes."""
    try:
        data = text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False
    plain = len(data.translate(None, _CONTROLS)) == len(data)
    return plain and not any(each in data for each in _NO_CHARACTERS)


def printable(text: str) -> str:
    """Text in which whatever XML cannot carry is replaced, for messages about odd input."""
    return "".join(each if carries(each) else "\N{REPLACEMENT CHARACTER}" for each in text)
