"""Somebody who watches a deployment: remembers what was told, and answers as told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from deploy.stack.stacks import Change, Event, Stack


@dataclass
class Watcher:
    """Fills a deployment's `Talk`.

    Attributes:
        answer: to every question.
        told: what was said and warned, in order.
        uploads: the names of what is being uploaded, once for each piece of news.
        shown: the changes that were shown.
        questions: as they were asked.
        events: of the stack.
        stack: at the end.
    """

    answer: bool = True
    told: list[str] = field(default_factory=list)
    uploads: list[str] = field(default_factory=list)
    shown: list[Change] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    progress: list[tuple[int, int]] = field(default_factory=list)
    stack: Stack | None = None

    def say(self, text: str) -> None:
        """A step."""
        self.told.append(text)

    def warn(self, text: str) -> None:
        """A warning."""
        self.told.append(text)

    def uploading(self, name: str, done: int, total: int) -> None:
        """An upload goes on."""
        assert 0 <= done <= total
        self.uploads.append(name)

    def changes(self, changes: Sequence[Change]) -> None:
        """What would change."""
        self.shown = list(changes)

    def agree(self, question: str) -> bool:
        """The answer."""
        self.questions.append(question)
        return self.answer

    def happened(self, event: Event, done: int, total: int) -> None:
        """An event."""
        self.events.append(event)
        self.progress.append((done, total))

    def ended(self, stack: Stack) -> None:
        """The end."""
        self.stack = stack

    @property
    def text(self) -> str:
        """All that was told."""
        return "\n".join([*self.told, *self.questions, *(e.reason for e in self.events)])
