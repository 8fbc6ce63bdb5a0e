"""DirectMail's events misbehave: in their time, and on their way to the bus.

What is decided about an event's time is decided when its mail is accepted and kept with it, so a
delayed event comes after a kill -9 too.
"""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from local.faults.registry import Faults
from local.twins.directmail import fates
from local.twins.directmail.outbox import Planned
from local.twins.directmail.parameters import Mail
from local.twins.directmail.service import DirectMail
from local.twins.directmail.wire import Parameters

Event = dict[str, Any]


class FaultyDirectMail(DirectMail):
    """The twin, whose events come late, early or in another order when a rule says so.

    Args:
        faults: decides.
        twin: what `DirectMail` takes.
    """

    def __init__(self, *twin: Any, faults: Faults, **more: Any) -> None:
        super().__init__(*twin, **more)
        self._faults = faults
        self._early: list[float] = []

    def _plan(self, mail: Mail, at: float) -> list[Planned]:
        return [self._moved(planned, at) for planned in super()._plan(mail, at)]

    def _moved(self, planned: Planned, at: float) -> Planned:
        report = fates.REPORTS.get(planned.kind)
        fault = self._faults.choose(
            "events",
            report.type if report else planned.kind,
            planned.recipient,
            kinds={"delayed", "early", "reordered"},
        )
        if fault is None:
            return planned
        if fault.kind == "early":
            self._early.append(at)
            return replace(planned, due_at=at)
        share = fault.chance if fault.kind == "reordered" else 1
        return replace(planned, due_at=planned.due_at + share * fault.seconds)

    def _send(self, given: Parameters, request_id: str) -> str:
        self._early.clear()
        env_id = super()._send(given, request_id)
        if self._early:
            self._reporter.emit_due(self._early[0])
        return env_id


def faulty_bus(put: Callable[[Event], object], faults: Faults) -> Callable[[Event], object]:
    """The event bus's `put`, before which events are lost, repeated or changed.

    Several rules can hit the same event.
    """

    def put_or_not(event: Event) -> object:
        if not faults.concern("events"):
            return put(event)

        def hit(kind: str) -> int:
            fault = faults.choose("events", event["type"], repr(event), kinds={kind})
            return fault.times or 1 if fault else 0

        if hit("lost"):
            return 0
        changed = copy.deepcopy(event)
        if hit("header-stripped"):
            changed["data"].pop("header", None)
        if hit("message-id-rewritten"):
            _rewrite_message_id(changed["data"])
        targets: list[object] = [put(changed) for _ in range(hit("duplicated") or 1)]
        return targets[0]

    return put_or_not


def _rewrite_message_id(data: dict[str, Any]) -> None:
    """Another id in the same notation, as a relay on the way would make it."""
    for name in ("msg_id", "message_id"):
        if name in data:
            brackets = str(data[name]).startswith("<")
            new = f"{uuid.uuid4().hex}@relay.example"
            data[name] = f"<{new}>" if brackets else new
