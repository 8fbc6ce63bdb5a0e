"""The local event bus: EventBridge's rules and patterns, without its network.

Operators and their meaning: https://www.alibabacloud.com/help/en/eventbridge/user-guide/event-patterns
Limits: https://www.alibabacloud.com/help/en/eventbridge/product-overview/limits
"""

from __future__ import annotations

import base64
import ipaddress
import json
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

MAX_EVENT_BYTES = 64 * 1024
MAX_EXPRESSIONS = 5  # for one field

_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    ">": operator.gt,
    ">=": operator.ge,
}

Test = Callable[[Any], bool]


class InvalidPatternError(ValueError):
    """A rule's pattern is not one that EventBridge would take; the message says where."""


class EventTooLargeError(ValueError):
    """An event's JSON text has more than `MAX_EVENT_BYTES` bytes."""


@dataclass(frozen=True)
class PushStyle:
    """How a push to an HTTP(S) target is signed and what it looks like.

    The service chooses for itself, and its documents and its own code differ; so all of it is here.

    Attributes:
        version: 1 is HMAC-SHA1 with a wrapped secret, 2 is SHA256withRSA.
        newline: whether the signed text ends in a line break.
        array: whether the event is pushed as an array of one.
        seconds: whether the time is in seconds and not in ms.
    """

    version: Literal[1, 2] = 2
    newline: bool = False
    array: bool = False
    seconds: bool = False


@dataclass(frozen=True)
class Target:
    """Where a rule sends its events.

    Attributes:
        type: what it is, as a rule of the cloud names it.
        name: the queue, function or URL.
        base64: whether the text is sent in base64 (`IsBase64Encode` of the queue target).
        token: what a push to a URL carries along, for its receiver to know it by.
        style: of pushes to a URL.
    """

    type: Literal["acs.mns.queue", "acs.fc.function", "http", "https"]
    name: str
    base64: bool = False
    token: str = ""
    style: PushStyle = PushStyle()


@dataclass(frozen=True)
class Rule:
    """Events that match the pattern go to every target."""

    name: str
    pattern: dict[str, Any]
    targets: tuple[Target, ...]


class EventBus:
    """Matches events against rules and delivers them.

    Args:
        rules: the rules; their patterns are checked now.
        deliver: takes an event's text for a target. What it raises, `put` raises; a caller that
            puts the event again repeats it for the targets before, as EventBridge may too.

    Raises:
        InvalidPatternError: a rule's pattern is malformed.
    """

    def __init__(self, rules: Sequence[Rule], *, deliver: Callable[[Target, str], None]) -> None:
        self._rules = [(compile_pattern(rule.pattern, rule.name), rule) for rule in rules]
        self._deliver = deliver

    def put(self, event: Mapping[str, Any]) -> int:
        """Deliver one CloudEvent; how many targets it went to.

        Raises:
            EventTooLargeError: it is over the limit; nothing was delivered.
        """
        text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
        size = len(text.encode())
        if size > MAX_EVENT_BYTES:
            raise EventTooLargeError(f"an event may have {MAX_EVENT_BYTES} bytes, not {size}")
        targets = [target for test, rule in self._rules if test(event) for target in rule.targets]
        for target in targets:
            sent = base64.b64encode(text.encode()).decode() if target.base64 else text
            self._deliver(target, sent)
        return len(targets)


class _Missing:
    """What a field has that the event does not have."""


_MISSING = _Missing()


def compile_pattern(pattern: Any, where: str) -> Test:
    """The test that a pattern describes: every key must match, with one of its values.

    Args:
        pattern: an object of the event's shape, whose leaves are arrays of expressions.
        where: the rule's name and the path so far, for the message of an error.

    Raises:
        InvalidPatternError: the pattern is malformed.
    """
    if not isinstance(pattern, dict) or not pattern:
        raise InvalidPatternError(f"{where}: a pattern is an object with at least one key")
    fields = [
        (
            key,
            _any_of(below, f"{where}.{key}")
            if isinstance(below, list)
            else compile_pattern(below, f"{where}.{key}"),
        )
        for key, below in pattern.items()
    ]

    def test(value: Any) -> bool:
        found = value if isinstance(value, Mapping) else {}
        return all(matches(found.get(key, _MISSING)) for key, matches in fields)

    return test


def _any_of(expressions: list[Any], where: str) -> Test:
    if not 1 <= len(expressions) <= MAX_EXPRESSIONS:
        raise InvalidPatternError(f"{where}: a field takes 1 to {MAX_EXPRESSIONS} expressions")
    tests = [_expression(expression, where) for expression in expressions]

    def test(value: Any) -> bool:
        # An array in the event matches where one of its elements does.
        values = value if isinstance(value, list) and value else [value]
        return any(matches(each) for matches in tests for each in values)

    return test


def _expression(expression: Any, where: str) -> Test:
    if isinstance(expression, list):
        raise InvalidPatternError(f"{where}: an array cannot hold an array")
    if not isinstance(expression, dict):
        return lambda value: _equal(value, expression)
    if len(expression) != 1:
        raise InvalidPatternError(f"{where}: an expression has one operator")
    ((name, operand),) = expression.items()
    make = _OPERATORS.get(name)
    test = make(operand) if make else None
    if test is None:
        raise InvalidPatternError(f"{where}: {json.dumps(expression)} is not an expression")
    return test


def _equal(value: Any, wanted: Any) -> bool:
    # In Python True is 1; in JSON it is not.
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    return bool(value == wanted)


def _textual(test: Callable[[str, str], bool]) -> Callable[[Any], Test | None]:
    def make(operand: Any) -> Test | None:
        if not isinstance(operand, str):
            return None
        return lambda value: isinstance(value, str) and test(value, operand)

    return make


def _anything_but(operand: Any) -> Test | None:
    if isinstance(operand, dict):
        prefix = operand.get("prefix")
        if len(operand) != 1 or not isinstance(prefix, str):
            return None
        return lambda value: isinstance(value, str) and not value.startswith(prefix)
    unwanted = operand if isinstance(operand, list) else [operand]
    if not all(isinstance(each, (str, int, float)) for each in unwanted):
        return None
    # The event must contain every field of the pattern, so a missing one does not match.
    return lambda value: value is not _MISSING and not any(_equal(value, each) for each in unwanted)


def _numeric(operand: Any) -> Test | None:
    if not isinstance(operand, list) or not operand or len(operand) % 2:
        return None
    pairs = list(zip(operand[::2], operand[1::2], strict=True))
    if not all(isinstance(sign, str) and sign in _COMPARISONS for sign, _ in pairs):
        return None
    if not all(_is_number(limit) for _, limit in pairs):
        return None
    return lambda value: (
        _is_number(value) and all(_COMPARISONS[sign](value, limit) for sign, limit in pairs)
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _cidr(operand: Any) -> Test | None:
    if not isinstance(operand, str):
        return None
    try:
        network = ipaddress.IPv4Network(operand, strict=False)
    except ValueError:
        return None

    def test(value: Any) -> bool:
        try:
            return isinstance(value, str) and ipaddress.IPv4Address(value) in network
        except ValueError:
            return False

    return test


def _exists(operand: Any) -> Test | None:
    if not isinstance(operand, bool):
        return None
    return lambda value: (value is not _MISSING) is operand


_OPERATORS: dict[str, Callable[[Any], Test | None]] = {
    "anything-but": _anything_but,
    "cidr": _cidr,
    "contains": _textual(lambda value, part: part in value),
    "exists": _exists,
    "numeric": _numeric,
    "prefix": _textual(str.startswith),
    "suffix": _textual(str.endswith),
}
