"""A rule: which requests go wrong, how, and how often. Read from JSON with errors that help."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from local.faults.kinds import ACTIONS, ANY, KINDS, Kind

# Where the console takes and gives rules.
PATH = "/_local/faults"
# What a listing adds to a rule; a rule that comes back with it is taken as well.
COUNTERS = ("asked", "hits")
_OPTIONS = ("day_seconds", "per_second", "recipients", "seconds", "times")


class RuleError(ValueError):
    """A rule that makes no sense; the message says what would."""


@dataclass(frozen=True)
class Rule:
    """When and how a twin misbehaves.

    Attributes:
        target: directmail, events, smq or tablestore.
        action: the operation or the event's type, such as SingleSendMail; `*` is all of them.
        kind: what goes wrong; see `KINDS`.
        probability: of each request that the rule is asked about, 0 to 1.
        count: after so many hits it is over; None: never.
        seed: of its dice: the same seed and the same order of requests hit the same ones.
        match: only requests that contain this text, e.g. a recipient or a queue's name.
        seconds: how long, where the kind takes it; None is the kind's own default.
        per_second: of rate-limit: calls admitted in any one second.
        recipients: of daily-quota: how many a day.
        day_seconds: of daily-quota: a day's length. Days begin as China's do: a simulated one
            where the seconds since 1970, plus 28,800, are a multiple of its length.
        times: of duplicated: how often the event comes.

    Raises:
        RuleError: one of them is not what it should be.
    """

    target: str
    action: str
    kind: str
    probability: float = 1.0
    count: int | None = None
    seed: int = 0
    match: str | None = None
    seconds: float | None = None
    per_second: float | None = None
    recipients: int | None = None
    day_seconds: float | None = None
    times: int | None = None

    def __post_init__(self) -> None:
        _one_of("target", self.target, tuple(KINDS))
        _one_of(f"kind of {self.target}", self.kind, tuple(KINDS[self.target]))
        _one_of(
            f"action of {self.target} {self.kind}",
            self.action,
            (ANY, *(self.about.actions or ACTIONS[self.target])),
        )
        _number("probability", self.probability, 0, 1)
        _whole("seed", self.seed, None)
        if self.count is not None:
            _whole("count", self.count, 1)
        if self.match is not None and not (isinstance(self.match, str) and self.match):
            raise RuleError("match must be a text that is not empty")
        self._check_options()

    @property
    def about(self) -> Kind:
        """The kind, as the table describes it."""
        return KINDS[self.target][self.kind]

    def option(self, name: str) -> float:
        """A field that the kind reads: as given, else the kind's default, else 0."""
        given = getattr(self, name)
        default = self.about.options.get(name)
        return float(given if given is not None else default or 0)

    def _check_options(self) -> None:
        for name in _OPTIONS:
            value = getattr(self, name)
            if name not in self.about.options:
                if value is not None:
                    raise RuleError(f"{self.kind} takes no {name}")
            elif value is None:
                if self.about.options[name] is None:
                    raise RuleError(f"{self.kind} needs {name}")
            elif name in {"recipients", "times"}:
                _whole(name, value, 1)
            else:
                _number(name, value, 0 if name == "seconds" else 0.001, 10**9)

    def as_json(self) -> dict[str, Any]:
        """What was given, for JSON."""
        return {name: value for name, value in vars(self).items() if value is not None}

    @classmethod
    def from_json(cls, value: Any) -> Rule:
        """A rule out of a JSON object.

        Raises:
            RuleError: it is not one, has a field that no rule has, or a wrong value.
        """
        if not isinstance(value, Mapping):
            raise RuleError("a rule is a JSON object")
        known = [each.name for each in fields(cls)]
        given = {name: each for name, each in value.items() if name not in COUNTERS}
        for name in given:
            _one_of("field", name, tuple(known))
        for name in ("target", "action", "kind"):
            if not isinstance(given.get(name), str):
                raise RuleError(f"a rule needs {name}, a text")
        return cls(**given)


def rules_of(document: Any) -> list[Rule]:
    """The rules of a document `{"rules": [...]}`, as the console takes and gives it.

    Raises:
        RuleError: it is not one; the message says which rule is wrong, counted from 1.
    """
    rules = document.get("rules") if isinstance(document, Mapping) else None
    if not isinstance(rules, list) or set(document) != {"rules"}:
        raise RuleError('faults are a JSON object {"rules": [...]}')
    found = []
    for number, each in enumerate(rules, start=1):
        try:
            found.append(Rule.from_json(each))
        except RuleError as error:
            raise RuleError(f"rule {number}: {error}") from None
    return found


def _one_of(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise RuleError(f"unknown {what}: {value!r}; known: {', '.join(known)}")


def _number(name: str, value: Any, low: float, high: float) -> None:
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not good or not low <= value <= high:
        raise RuleError(f"{name} must be a number from {low:g} to {high:g}, not {value!r}")


def _whole(name: str, value: Any, low: int | None) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or (low is not None and value < low):
        least = "" if low is None else f" of {low} or more"
        raise RuleError(f"{name} must be a whole number{least}, not {value!r}")
