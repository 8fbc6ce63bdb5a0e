"""The parts of `docs/events.md` that are written from the code.

    python -m local.events_doc

A part stands between `<!-- begin NAME -->` and `<!-- end -->`; `make schema` writes them all anew,
and a test refuses a page that is not up to date.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from shared.delivery.causes import Cause
from shared.delivery.cloudevents import TYPES
from shared.delivery.reasons import CLASSIFICATIONS, REASONS, STATUSES
from shared.delivery.smtp_answers import CODES, ENHANCED, VAGUE, WORDS
from shared.delivery.states import MARKS, SENTENCES, STATES, VALIDATED
from shared.schema.mail_event import MAIL_TYPE_PREFIX
from shared.schema.mail_event import VALIDATED as VALIDATED_TYPE

PAGE = Path(__file__).parents[1] / "docs" / "events.md"
_PART = re.compile(r"(<!-- begin (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
BY_CLASS = "4xx temporary, 5xx permanent"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [tuple(head), ("---",) * len(tuple(head)), *(tuple(row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def lattice() -> str:
    """The states by their rank, and the marks beside them."""
    ranks = " < ".join(("(nothing)", *(f"`{state}`" for state in STATES)))
    rows = [
        *((f"`{state}`", f"state, rank {rank}") for rank, state in enumerate(STATES, 1)),
        *((f"`{mark}`", "mark") for mark in MARKS),
    ]
    named = [(name, kind, SENTENCES[name.strip("`")]) for name, kind in rows]
    return f"{ranks}\n\n{_table(('word', 'is a', 'means'), named)}"


def types() -> str:
    """DirectMail's types, and what they are downstream."""
    rows = [
        (f"`{name}`", f"`{VALIDATED_TYPE if state == VALIDATED else MAIL_TYPE_PREFIX + state}`")
        for name, state in TYPES.items()
    ]
    return _table(("DirectMail", "Postbus"), rows)


def reasons() -> str:
    """The vocabulary, and whom a bounce for each reason concerns."""
    rows = []
    for reason, sentence in REASONS.items():
        kinds = sorted({cause.bounce or BY_CLASS for cause in _causes() if cause.reason == reason})
        rows.append((f"`{reason}`", sentence, "; ".join(kinds)))
    return _table(("reason", "means", "bounce"), rows)


def classifications() -> str:
    """`failed_type` -> reason."""
    return _causes_table("`failed_type`", CLASSIFICATIONS)


def statuses() -> str:
    """`status` -> reason."""
    return _causes_table("`status`", STATUSES)


def answers() -> str:
    """The codes and words of a remote host's answer -> reason."""
    words = [
        (", ".join(f"`{word.replace('|', chr(92) + '|')}`" for word in patterns), *_told(cause))
        for cause, patterns in WORDS
    ]
    return "\n\n".join(
        (
            _causes_table("enhanced code", {f"x.{code}": row for code, row in ENHANCED.items()}),
            _table(("words (patterns)", "reason", "bounce"), words),
            _causes_table("code that says little", VAGUE),
            _causes_table("reply code", {str(code): row for code, row in CODES.items()}),
        )
    )


def _causes() -> list[Cause]:
    tables = (CLASSIFICATIONS, STATUSES, ENHANCED, VAGUE, CODES)
    return [cause for table in tables for cause in table.values()] + [row for row, _ in WORDS]


def _causes_table(name: str, causes: Mapping[str, Cause]) -> str:
    rows = [(f"`{key}`", *_told(cause)) for key, cause in causes.items()]
    return _table((name, "reason", "bounce"), rows)


def _told(cause: Cause) -> tuple[str, str]:
    return f"`{cause.reason}`", cause.bounce or BY_CLASS


PARTS: Mapping[str, Callable[[], str]] = {
    "lattice": lattice,
    "types": types,
    "reasons": reasons,
    "classifications": classifications,
    "statuses": statuses,
    "answers": answers,
}


def written(page: str) -> str:
    """The page with its parts as the code has them now."""

    def part(found: re.Match[str]) -> str:
        return f"{found[1]}{PARTS[found[2]]()}\n{found[3]}"

    return _PART.sub(part, page)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
