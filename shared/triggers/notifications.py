"""A topic's notification: what SMQ puts around a message for a queue or an HTTP endpoint.

https://help.aliyun.com/document_detail/27482.html

XML from outside is a stranger's until its signature was checked, so it may not declare anything: a
document type is refused, and with it every entity that could grow or reach out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.parsers import expat

ROOT = "Notification"
_FIELD_DEPTH = 2


def is_notification(document: Mapping[str, Any]) -> bool:
    """Whether an object is a notification in JSON.

    A function's topic trigger puts the message's attributes beside its fields, whatever they are
    called: even `type`, which else only an event has.
    """
    return "Message" in document and ("TopicName" in document or "type" not in document)


class NotNotification(ValueError):
    """The text is not a notification in XML. The message says why."""


class _Fields:
    """Collects the text of the root's children; what is further in is not looked at."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}
        self._open: list[str] = []

    def start(self, name: str, _: dict[str, str]) -> None:
        """An element begins."""
        self._open.append(name)
        if self._open[0] != ROOT:
            raise NotNotification("the XML is no Notification")
        if len(self._open) == _FIELD_DEPTH:
            self.found[name] = ""

    def end(self, _: str) -> None:
        """An element ends."""
        self._open.pop()

    def text(self, data: str) -> None:
        """Characters, in as many pieces as the parser likes."""
        if len(self._open) == _FIELD_DEPTH:
            self.found[self._open[-1]] += data


def read_notification(text: str) -> dict[str, str]:
    """The notification's fields, by the names that its JSON form has too.

    Raises:
        NotNotification: and nothing else.
    """
    fields = _Fields()
    # The text is decoded already: whatever encoding it declares, it is read as UTF-8.
    parser = expat.ParserCreate("utf-8")
    parser.StartDoctypeDeclHandler = _refuse
    parser.StartElementHandler = fields.start
    parser.EndElementHandler = fields.end
    parser.CharacterDataHandler = fields.text
    try:
        parser.Parse(text.encode("utf-8", "surrogatepass"), True)  # noqa: FBT003  # expat takes no keyword
    except expat.ExpatError as error:
        raise NotNotification(f"not XML: {error}") from None
    if "Message" not in fields.found:
        raise NotNotification("the Notification has no Message")
    return fields.found


def _refuse(*_: object) -> None:
    raise NotNotification("the XML declares a document type")
