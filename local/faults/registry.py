"""The rules in force, and the dice: who asks gets a fault or None."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

from local.activity import Activity
from local.faults.kinds import ANY
from local.faults.limits import DailyQuota, SlidingSecond
from local.faults.rules import Rule


@dataclass(frozen=True)
class Fault:
    """What is to go wrong with this one request.

    Attributes:
        kind: see `KINDS`.
        seconds: how long, where the kind takes it.
        times: how often, likewise.
        chance: a number of the rule's dice, 0 to 1, for kinds with a choice of their own.
    """

    kind: str
    seconds: float
    times: int
    chance: float


class _Armed:
    """A rule with its dice and counters."""

    def __init__(self, rule: Rule, place: int, now: float) -> None:
        self.rule = rule
        self.asked = 0
        self.hits = 0
        # By its place as well: two rules with one seed must not hit the same requests.
        self.dice = random.Random(f"{rule.seed}/{place}/{rule.target}/{rule.kind}")  # noqa: S311  # repeatable is the point
        seconds = rule.option("seconds")
        self.until = now + seconds if rule.kind == "down" and seconds else None
        self.rate = SlidingSecond(rule.option("per_second")) if rule.per_second else None
        self.quota = (
            DailyQuota(int(rule.option("recipients")), rule.option("day_seconds"))
            if rule.recipients
            else None
        )

    def concerns(self, action: str, detail: str, now: float) -> bool:
        """Whether it is in force for this request."""
        rule = self.rule
        return (
            rule.action in {ANY, action}
            and (not rule.about.actions or action in rule.about.actions)
            and (rule.match is None or rule.match in detail)
            and (rule.count is None or self.hits < rule.count)
            and (self.until is None or now < self.until)
        )

    def strikes(self, recipients: int, now: float) -> bool:
        """Decide about one request that it concerns."""
        self.asked += 1
        hit = self.dice.random() < self.rule.probability
        if self.rate is not None:
            hit = hit and not self.rate.admit(now)
        if self.quota is not None:
            hit = hit and self.quota.over(recipients, now)
        self.hits += hit
        return hit


class Faults:
    """The rules of one stack; nothing goes wrong until there is one.

    It has no threads and no locks: like the twins, it lives in the event loop's thread. For the
    same rules and the same order of requests the decisions are the same.

    Args:
        activity: told of each fault; None: nobody is.
        clock: seconds since 1970.
    """

    def __init__(
        self, *, activity: Activity | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._activity = activity
        self._clock = clock
        self._armed: list[_Armed] = []
        self._targets: frozenset[str] = frozenset()

    def set(self, rules: Iterable[Rule]) -> None:
        """Put these rules in force, in this order, instead of those before.

        A rule that was in force already goes on with its dice, its counters and its time.
        """
        now, before = self._clock(), list(self._armed)
        self._armed = []
        for place, rule in enumerate(rules):
            known = next((armed for armed in before if armed.rule == rule), None)
            if known is not None:
                before.remove(known)
            self._armed.append(known or _Armed(rule, place, now))
        self._targets = frozenset(armed.rule.target for armed in self._armed)

    def clear(self) -> None:
        """Let everything go well again."""
        self.set(())

    def list(self) -> list[dict[str, Any]]:
        """The rules in order, each with how many requests it was `asked` about and its `hits`."""
        return [
            {**armed.rule.as_json(), "asked": armed.asked, "hits": armed.hits}
            for armed in self._armed
        ]

    def concern(self, target: str) -> bool:
        """Whether there is any rule for this twin: without one, its requests are not looked at."""
        return target in self._targets

    def choose(
        self,
        target: str,
        action: str,
        detail: str = "",
        *,
        kinds: Collection[str] | None = None,
        recipients: int = 0,
    ) -> Fault | None:
        """Decide about one request: the first rule that hits, or None.

        Args:
            target: the twin.
            action: the operation.
            detail: the request as text, for the rules' `match`.
            kinds: only these; None: all.
            recipients: of a mail, for the daily quota.
        """
        if target not in self._targets:
            return None
        now = self._clock()
        for armed in self._armed:
            rule = armed.rule
            if rule.target != target or (kinds is not None and rule.kind not in kinds):
                continue
            if armed.concerns(action, detail, now) and armed.strikes(recipients, now):
                if self._activity is not None:
                    self._activity.record(
                        "fault.injected", target=target, action=action, kind=rule.kind
                    )
                return Fault(
                    rule.kind,
                    rule.option("seconds"),
                    int(rule.option("times")),
                    armed.dice.random(),
                )
        return None

    def down(self, target: str, action: str, detail: str = "") -> bool:
        """Whether a twin is down altogether; asking rolls no dice and counts nothing."""
        now = self._clock()
        return any(
            armed.rule.target == target
            and armed.rule.kind == "down"
            and armed.rule.probability == 1
            and armed.rule.count is None
            and armed.concerns(action, detail, now)
            for armed in self._armed
        )

    def accepted(self, action: str, detail: str, recipients: int) -> None:
        """Count a mail that the DirectMail twin has accepted."""
        now = self._clock()
        for armed in self._armed:
            if armed.quota is not None and armed.concerns(action, detail, now):
                armed.quota.take(recipients, now)
