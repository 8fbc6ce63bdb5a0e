"""Where an event goes: the rules of the routing document, met by what the event says. Pure.

A sink is a text, `topic:<name>` or `queue:<name>`: in settings, in letters and in logs alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any

from shared.delivery.outgoing import Outgoing
from shared.values import dataclass

if TYPE_CHECKING:  # who routes nothing does not pay for the model
    from shared.schema.routes import RoutingDocument, When

# The name in a mail's `notify` by which it names its route; compared without case.
TOPIC = "topic"
ANY = "*"


@dataclass(frozen=True)
class Condition:
    """What an event must be. Nothing given always holds.

    Attributes:
        equal: member of the event's `data` -> the values of which it must have one.
        senders: addresses or `@domain`, in lower case; empty: any.
        notify: name in lower case -> values, `*` for any.
        matched: whether the event must belong to a mail, or must not; None: either.
    """

    equal: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    senders: tuple[str, ...] = ()
    notify: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    matched: bool | None = None

    def holds(self, event: Outgoing) -> bool:
        """Whether it holds for an event."""
        data = event.data
        if any(_value(event, name) not in values for name, values in self.equal.items()):
            return False
        if self.senders and not _is_listed(str(data.get("sender") or ""), self.senders):
            return False
        if self.matched is not None and self.matched is (data.get("mail_id") is None):
            return False
        given = _notify_of(data)
        return all(
            name in given and (ANY in values or given[name] in values)
            for name, values in self.notify.items()
        )


@dataclass(frozen=True)
class Route:
    """One rule: when, and to where."""

    when: Condition
    to: tuple[str, ...]


@dataclass(frozen=True)
class Routing:
    """All the rules of an environment.

    Attributes:
        default: the sinks of an event that no rule holds for.
        routes: the rules.
        named: the routes that a mail may name.
        dead_letters: sink -> the queue of what it did not take.
    """

    default: tuple[str, ...]
    routes: tuple[Route, ...] = ()
    named: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    dead_letters: Mapping[str, str] = field(default_factory=dict)

    def sinks_of(self, event: Outgoing) -> tuple[str, ...]:
        """The sinks of an event, each once."""
        if not self.routes and not self.named:
            return self.default
        named = self.named.get(_notify_of(event.data).get(TOPIC, ""))
        if named is not None:
            return named
        found = [sink for route in self.routes if route.when.holds(event) for sink in route.to]
        return tuple(dict.fromkeys(found)) or self.default

    def knows(self, sink: str) -> bool:
        """Whether an event could go to that sink."""
        lists = (self.default, *(route.to for route in self.routes), *self.named.values())
        return any(sink in sinks for sinks in lists)


def compile_routing(document: RoutingDocument, *, environment: str, events: str) -> Routing:
    """Make the rules of a routing document.

    Args:
        document: the setting.
        environment: stands for `{environment}` in the names of sinks.
        events: the topic that `events` stands for.
    """

    def sink(text: str) -> str:
        return f"topic:{events}" if text == "events" else named(text)

    def named(text: str) -> str:
        return text.replace("{environment}", environment)

    def sinks(texts: Sequence[str]) -> tuple[str, ...]:
        return tuple(sink(text) for text in texts)

    return Routing(
        default=sinks(document.default),
        routes=tuple(Route(_condition(rule.when), sinks(rule.to)) for rule in document.rules),
        named={name: sinks(to) for name, to in document.named.items()},
        dead_letters={sink(of): named(queue) for of, queue in document.dead_letters.items()},
    )


def _condition(when: When) -> Condition:
    equal: dict[str, tuple[Any, ...]] = {
        name: tuple(values)
        for name in ("state", "reason", "tag")
        if (values := getattr(when, name)) is not None
    }
    if when.permanent is not None:
        equal["permanent"] = (when.permanent,)
    return Condition(
        equal=equal,
        senders=tuple(each.lower() for each in when.sender or ()),
        notify={name.lower(): tuple(values) for name, values in (when.notify or {}).items()},
        matched=when.matched,
    )


def _value(event: Outgoing, name: str) -> Any:
    """A member of `data`; where an event has no state, its tag stands for it."""
    value = event.data.get(name)
    return event.tag if value is None and name == "state" else value


def _is_listed(address: str, listed: tuple[str, ...]) -> bool:
    address = address.lower()
    return address in listed or "@" + address.rpartition("@")[2] in listed


def _notify_of(data: Mapping[str, Any]) -> dict[str, str]:
    notify = data.get("notify")
    return (
        {str(name).lower(): str(value) for name, value in notify.items()}
        if isinstance(notify, dict)
        else {}
    )
