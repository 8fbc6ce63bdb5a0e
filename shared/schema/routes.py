"""The routing document: which mail events go to which topics and queues.

It is a setting, as JSON text or as a file in the code's package. It is read once in an instance's
life, and every mistake in it is told with its place.
"""

# No `from __future__ import annotations`: pydantic reads annotations faster as they are.

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from shared.schema.problems import Problem, problems_of, refuse, shown
from shared.schema.states import STATES

# What a rule may match beside the states: the tags of events that have none.
WORDS = (*STATES, "validated", "unrecognised")
# The topic of mail events that every environment has; what goes there is said by no other name.
EVENTS = "events"
# Letters, digits and hyphens, at most 120, as SMQ names its queues and topics; and where the
# environment's name belongs. https://www.alibabacloud.com/help/en/mns/product-overview/limits
_SINK = re.compile(r"(topic|queue):(?=[^:]{1,120}\Z)(?:[A-Za-z0-9-]|\{environment\})+", re.ASCII)
_SINK_SHAPE = r"^(events|(topic|queue):([A-Za-z0-9-]|\{environment\})+)$"
SINKS_MAX = 32
# Where one value may stand for a list of it; likewise each route and each value that has a name.
SHORT = frozenset({"state", "reason", "tag", "sender", "to", "default"})


def _check_sink(text: str) -> str:
    if text != EVENTS and not _SINK.fullmatch(text):
        raise refuse(
            "not-a-sink",
            "must be `events`, `topic:<name>` or `queue:<name>`; a name may hold {environment}",
            given=shown(text),
        )
    return text


def _check_word(text: str) -> str:
    if text not in WORDS:
        raise refuse("not-allowed", f"must be one of {', '.join(WORDS)}", given=shown(text))
    return text


Sink = Annotated[
    str, AfterValidator(_check_sink), Field(json_schema_extra={"pattern": _SINK_SHAPE})
]
Sinks = Annotated[list[Sink], Field(min_length=1, max_length=SINKS_MAX)]
Word = Annotated[str, AfterValidator(_check_word), Field(json_schema_extra={"enum": list(WORDS)})]
Text = Annotated[str, Field(min_length=1)]


class RoutingPart(BaseModel):
    """What all objects of a routing document have in common."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, hide_input_in_errors=True, defer_build=True
    )


class When(RoutingPart):
    """What an event must be for a rule to hold: every field given, by one of its values each."""

    state: list[Word] | None = Field(
        default=None,
        min_length=1,
        description="The event's state: one of those of docs/events.md, or `unrecognised`.",
    )
    reason: list[Text] | None = Field(
        default=None, min_length=1, description="Why, such as mailbox-full."
    )
    permanent: bool | None = Field(
        default=None, description="Of a bounce, whether it is for good; no other event has it."
    )
    matched: bool | None = Field(
        default=None, description="Whether the event belongs to a mail of this environment."
    )
    tag: list[Text] | None = Field(default=None, min_length=1, description="The mail's tag.")
    sender: list[Text] | None = Field(
        default=None,
        min_length=1,
        description="The sender's address, or `@` and its domain; case does not count.",
    )
    notify: dict[str, list[Text]] | None = Field(
        default=None,
        min_length=1,
        description=(
            "Values of the mail's `notify`, each by one of those listed; `*` is any. Names are "
            "compared without case."
        ),
    )


class Rule(RoutingPart):
    """Where the events go for which something holds."""

    name: str | None = Field(default=None, description="For people: what the rule is for.")
    when: When = Field(default=When(), description="What must hold; nothing given: always.")
    to: Sinks = Field(description="Where those events go.")


class RoutingDocument(RoutingPart):
    """Which mail events go to which SMQ topics and queues."""

    model_config = ConfigDict(defer_build=False)

    rules: list[Rule] = Field(
        default=[],
        description="An event goes to the sinks of every rule that holds, to each sink once.",
    )
    default: list[Sink] = Field(
        default=[EVENTS],
        max_length=SINKS_MAX,
        description="Where an event goes that no rule holds for; none: it is recorded only.",
    )
    named: dict[str, Sinks] = Field(
        default={},
        description=(
            "Routes that a mail may name itself, with `notify: {Topic: <name>}`; its events go "
            "there and nowhere else. A name that is not here names no route."
        ),
    )
    dead_letters: dict[Sink, str] = Field(
        default={},
        description=(
            "The queue for what a sink did not take for too long. For the others, the queue of "
            "dead delivery events, with the sink's name in each letter."
        ),
    )


class InvalidRoutes(ValueError):
    """The document breaks its contract.

    Attributes:
        problems: each with its place.
    """

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        super().__init__("; ".join(f"{each.pointer or '/'} {each.detail}" for each in problems))


def parse_routes(text: str) -> RoutingDocument:
    """Read a routing document.

    Args:
        text: JSON. Where a list is asked for, one value may stand for it.

    Raises:
        InvalidRoutes: with every problem found.
    """
    try:
        document = from_json(text.encode("utf-8", "surrogatepass"), allow_inf_nan=False)
    except ValueError as error:
        raise InvalidRoutes((Problem("", "not-json", f"is not JSON: {error}"),)) from None
    try:
        return RoutingDocument.model_validate(_with_lists(document))
    except ValidationError as error:
        raise InvalidRoutes(_worded(problems_of(error))) from None


def _worded(problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """The words for a mail request's problems, where they name one."""
    return tuple(
        Problem(each.pointer, each.type, f"{each.pointer.rpartition('/')[2]!r} is no field here")
        if each.type == "unknown-field"
        else each
        for each in problems
    )


def _with_lists(document: Any) -> Any:
    """The document with a list wherever one value stands for it."""
    if not isinstance(document, dict):
        return document
    rules = document.get("rules")
    whole = dict(document)
    if isinstance(rules, list):
        whole["rules"] = [_rule_with_lists(rule) for rule in rules]
    if isinstance(document.get("named"), dict):
        whole["named"] = {name: _list(value) for name, value in document["named"].items()}
    if "default" in document:
        whole["default"] = _list(document["default"])
    return whole


def _rule_with_lists(rule: Any) -> Any:
    if not isinstance(rule, dict):
        return rule
    whole = dict(rule)
    if "to" in rule:
        whole["to"] = _list(rule["to"])
    if isinstance(rule.get("when"), dict):
        whole["when"] = {name: _value_with_lists(name, v) for name, v in rule["when"].items()}
    return whole


def _value_with_lists(name: str, value: Any) -> Any:
    if name == "notify" and isinstance(value, Mapping):
        return {each: _list(given) for each, given in value.items()}
    return _list(value) if name in SHORT else value


def _list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value
