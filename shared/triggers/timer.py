"""A timer trigger's event. https://help.aliyun.com/document_detail/2513615.html"""  # noqa: D415  # ends in the page's address

from __future__ import annotations

from shared.triggers.json_bytes import NotJson, read_json
from shared.values import dataclass


@dataclass(frozen=True)
class TimerEvent:
    """One tick: the trigger's name, its time as the platform wrote it, and its payload text."""

    trigger: str
    time: str
    payload: bytes

    @property
    def key(self) -> str:
        """The idempotency key of what this tick sends: the platform's retries have the same."""
        return f"timer:{self.trigger}:{self.time}"


class BadTimerEvent(ValueError):
    """The event is not a timer's. The text says what is missing."""


def read_timer_event(event: bytes) -> TimerEvent:
    """Peel a timer's event.

    Raises:
        BadTimerEvent: and nothing else.
    """
    try:
        document = read_json(event)
    except NotJson as error:
        raise BadTimerEvent(f"the timer's event is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise BadTimerEvent("the timer's event is not an object")
    values = [document.get(name) for name in ("triggerName", "triggerTime", "payload")]
    if not all(isinstance(value, str) for value in values):
        raise BadTimerEvent("the timer's event needs triggerName, triggerTime and payload as text")
    name, time, payload = (str(value) for value in values)
    return TimerEvent(name, time, payload.encode("utf-8", "surrogatepass"))
