"""What is wrong with a mail, said so that its sender can put it right.

A `Problem` points at the field (RFC 6901), names the rule, the limit and what was given. It never
repeats a body: of long or private things only the size is told.

    Exception
    ├── ValueError
    │   └── Refused       raised by one check; pydantic carries it, `problems_of` finds it again
    └── InvalidMail       raised by `parse_mail`: everything that is wrong, as problems
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from shared.schema.limits import PROBLEMS_MAX, SHOWN_MAX

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        pointer: JSON Pointer to the field; "" is the whole document.
        type: the rule that is broken, in kebab-case; stable, for programs.
        detail: one sentence for people, which repeats nothing of the value.
        limit: the most (or what) the rule allows, where it has such a figure.
        given: the size that was given, or a short value itself, cut to 80 characters.
    """

    pointer: str
    type: str
    detail: str
    limit: int | str | None = None
    given: int | str | None = None

    def as_dict(self) -> dict[str, int | str]:
        """The problem as a JSON object, without the members that do not apply."""
        return {name: value for name, value in asdict(self).items() if value is not None}


class Refused(ValueError):  # it is read as "the check refused this"
    """One or more problems found by a check, with pointers relative to what was checked."""

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems
        super().__init__("; ".join(problem.detail for problem in problems))

    def at(self, pointer: str) -> list[Problem]:
        """The problems as seen from further out, where `pointer` leads to what was checked."""
        return [replace(problem, pointer=pointer + problem.pointer) for problem in self.problems]


class InvalidMail(Exception):  # the name the house uses for it
    """A document that is not a mail request; `problems` says why, at least once."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{p.pointer or 'the mail'}: {p.detail}" for p in self.problems))


def refuse(
    type_: str, detail: str, *, limit: int | str | None = None, given: int | str | None = None
) -> Refused:
    """Make the error for one problem with the very value that is being checked."""
    return Refused(Problem("", type_, detail, limit, given))


def shown(value: object) -> str:
    """A short value as a problem may repeat it: one line, at most `SHOWN_MAX` characters.

    What does not print is escaped, so that no control character or half a surrogate pair gets from
    a hostile mail into a log or an answer.
    """
    if isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, str):
        text = value
    elif isinstance(value, int) and abs(value) < 1 << 64:  # Python refuses to write longer ones
        text = str(value)
    else:
        text = json_type(value)
    escaped = (
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii")
        for c in text[:SHOWN_MAX]
    )
    return "".join(escaped)[:SHOWN_MAX]


def json_type(value: object) -> str:
    """JSON's name for a value's type."""
    if value is None:
        return "null"
    # bool stands before int, of which it is a kind.
    for kinds, name in (
        (bool, "boolean"),
        ((int, float), "number"),
        (str, "string"),
        (list, "array"),
        (dict, "object"),
    ):
        if isinstance(value, kinds):
            return name
    return type(value).__name__


def pointer_to(parts: Iterable[str | int]) -> str:
    """A JSON Pointer; a name longer than `SHOWN_MAX` characters is cut.

    See https://www.rfc-editor.org/rfc/rfc6901
    """
    names = (str(part) for part in parts)
    return "".join(
        "/" + _storable(name[:SHOWN_MAX]).replace("~", "~0").replace("/", "~1") for name in names
    )


def _storable(name: str) -> str:
    """The name with lone surrogates escaped: UTF-8 cannot carry them."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


# The branches of a union are part of pydantic's location and of nobody else's. The only union of a
# mail request is `reply_to`, whose branch is its second part.
REPLY_TO_WORD = "word"
REPLY_TO_ADDRESS = "address"

# Every error type of pydantic that a mail request can meet, in our words:
# pydantic's type -> (our type, detail, the name of its context's limit, what is given).
# https://docs.pydantic.dev/latest/errors/validation_errors/
_WORDS: Mapping[str, tuple[str, str, str | None, str]] = {
    "missing": ("missing", "is required", None, "nothing"),
    "extra_forbidden": ("unknown-field", "is not a field of a mail request", None, "nothing"),
    # Types. Strict mode converts nothing: "1" is not a number, 1 is not true.
    "string_type": ("wrong-type", "must be a string", None, "json-type"),
    "bool_type": ("wrong-type", "must be true or false", None, "json-type"),
    "list_type": ("wrong-type", "must be an array", None, "json-type"),
    "dict_type": ("wrong-type", "must be an object", None, "json-type"),
    "model_type": ("wrong-type", "must be an object", None, "json-type"),
    "union_tag_not_found": ("wrong-type", "must be a string or an object", None, "json-type"),
    # Values.
    "literal_error": ("not-allowed", "must be {expected}", "expected", "value"),
    "string_too_long": ("too-long", "has at most {max_length} characters", "max_length", "size"),
    "string_too_short": ("empty", "must not be empty", None, "nothing"),
    "too_long": ("too-many", "has at most {max_length} entries", "max_length", "size"),
    "too_short": ("too-few", "has at least {min_length} entry", "min_length", "size"),
    # Only a dict from Python can bring these; JSON has none of them.
    "string_sub_type": ("wrong-type", "must be a plain string", None, "nothing"),
    "string_unicode": ("not-unicode", "holds half a surrogate pair", None, "nothing"),
    "invalid_key": ("wrong-type", "has a name that is not a string", None, "nothing"),
}

# Never met by a test: a pydantic that learnt a new error still gets an answer.
_OTHER = ("invalid", "is not valid", None, "nothing")


def problems_of(error: ValidationError) -> tuple[Problem, ...]:
    """Say a pydantic error in our words, at most `PROBLEMS_MAX` problems in the fields' order."""
    details = error.errors(include_url=False)
    return tuple(p for item in details[:PROBLEMS_MAX] for p in _translate(item))[:PROBLEMS_MAX]


def _translate(item: ErrorDetails) -> list[Problem]:
    pointer = pointer_to(_location(item["loc"]))
    context: dict[str, Any] = item.get("ctx", {})
    cause = context.get("error")
    if isinstance(cause, Refused):
        return cause.at(pointer)
    type_, detail, limit, given = _WORDS.get(item["type"], _OTHER)
    return [
        Problem(
            pointer,
            type_,
            detail.format_map(context),
            context.get(limit) if limit else None,
            _given(given, item["input"]),
        )
    ]


def _location(loc: tuple[int | str, ...]) -> tuple[int | str, ...]:
    if loc[:1] == ("reply_to",) and len(loc) > 1:
        return ("reply_to", *loc[2:])
    return loc


def _given(what: str, value: Any) -> int | str | None:
    if what == "size":
        return len(value)
    if what == "json-type":
        return json_type(value)
    return shown(value) if what == "value" else None
