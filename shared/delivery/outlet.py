"""The way out: each event to each of its sinks, none of which waits for another.

    event ─► its sinks ─► taken
                │ not taken
                ▼
             a letter for that sink alone, on the queue of retries, due later each time
                │ not taken for too long
                ▼
             the dead-letter queue

Each sink has a lane: its events go one after the other, the lanes beside each other. A sink that
fails is left alone for a while: it costs one time-out and not one for every event.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import field, replace

import structlog

from shared.delivery.outgoing import Outgoing, for_a_queue
from shared.delivery.post import Post
from shared.delivery.routing import Routing
from shared.delivery.sink_letters import SinkLetter
from shared.errors import LedgerUnavailable, QueueUnavailable
from shared.sending.backoff import jittered
from shared.stores.events import EventLog, RecordedEvent
from shared.triggers.context import Clock
from shared.values import dataclass

log = structlog.get_logger("postbus.delivery")

# So long a sink that failed is not tried again by this instance. In ms.
REST = 5_000
# The longest wait between two tries of one event. In ms.
LONGEST_WAIT = 10 * 60_000
# What is left of an invocation for putting back what was not taken in time. In ms.
RESERVE = 5_000
# How long the events of the sending side may take: somebody waits for an answer there. In ms.
BUDGET = 10_000
# The sink refuses this one event and is well itself.
# https://www.alibabacloud.com/help/en/mns/error-codes
EVENTS_OWN_FAULT = frozenset({"InvalidArgument", "MalformedXML", "InvalidDegist"})

AtOnce = Callable[[Callable[["_Lane"], None], Sequence["_Lane"], int], Collection["_Lane"]]


@dataclass
class _Lane:
    """The events of one sink; those that are safe, with the sink or in a letter, are ticked off.

    Once its time is over, it begins no more of them.
    """

    sink: str
    until: int
    letters: list[SinkLetter] = field(default_factory=list)
    safe: int = 0


@dataclass(frozen=True)
class Outlet:
    """Publishes events.

    Args:
        post: queues and topics.
        routing: says where an event goes.
        events: the log of what went out.
        at_once: runs lanes beside each other for so many ms; returns those that did not end.
        chance: gives random numbers from 0 to 1.
        clock: the time, in ms since 1970.
        patience: how long a sink is tried before an event of its is laid aside, in ms.
    """

    post: Post
    routing: Routing
    events: EventLog
    at_once: AtOnce
    chance: Callable[[], float]
    clock: Clock
    patience: int
    _resting: dict[str, int] = field(default_factory=dict)

    def publish(self, body: str, tag: str, properties: Mapping[str, str]) -> None:
        """Publish one event of Postbus's own.

        Raises:
            QueueUnavailable: neither a sink nor the queue of retries took it.
        """
        event = Outgoing(properties["id"], body, tag, properties)
        recipient = event.data.get("recipient")
        self.send([replace(event, recipient=recipient or "")], BUDGET)

    def send(
        self, events: Sequence[Outgoing], budget: int, letters: Sequence[SinkLetter] = ()
    ) -> None:
        """Publish events, each to all of its sinks, and try again what letters ask for.

        Args:
            events: new ones; they are recorded once they are safe.
            budget: how long it may take, in ms.
            letters: for one sink each.

        Raises:
            QueueUnavailable: some are neither with their sinks nor in a letter. The others are
                safe, and those that are not must come again.
        """
        until = self.clock() + budget
        lanes: dict[str, _Lane] = {}
        routes = [(event, self.routing.sinks_of(event)) for event in events]
        for event, sinks in routes:
            for sink in sinks:
                lanes.setdefault(sink, _Lane(sink, until)).letters.append(SinkLetter(sink, event))
        for letter in letters:
            lanes.setdefault(letter.sink, _Lane(letter.sink, until)).letters.append(letter)
        unsafe = self._run(list(lanes.values()), budget)
        lost = {letter.event.id for letter in unsafe}
        for event, _ in routes:
            if event.id not in lost:
                self._record(event)
        if unsafe:
            names = ", ".join(sorted({letter.sink for letter in unsafe}))
            raise QueueUnavailable(f"{len(unsafe)} events are not safe yet: {names}")

    def _run(self, lanes: Sequence[_Lane], budget: int) -> list[SinkLetter]:
        """Serve the lanes; returns what is neither delivered nor put back."""
        if len(lanes) > 1:
            self.at_once(self._serve, lanes, budget)
        elif lanes:
            self._serve(lanes[0])
        unsafe: list[SinkLetter] = []
        for lane in lanes:
            # A lane that is late is left to itself; what it still brings away comes twice. It may
            # still tick off what it brings away, so what is put back here is counted apart.
            rest = lane.letters[lane.safe :]
            while rest and self._put_back(rest[0], "late"):
                del rest[0]
            unsafe += rest
        return unsafe

    def _serve(self, lane: _Lane) -> None:
        """Deliver a lane's events in their order; stops where one is not safe, or it is late."""
        for letter in lane.letters:
            if self.clock() >= lane.until or not self._deliver(letter):
                return
            lane.safe += 1

    def _deliver(self, letter: SinkLetter) -> bool:
        """Bring one event to its sink or into a letter; whether it is safe there."""
        event = letter.event
        if not self.routing.knows(letter.sink):
            return self._lay_aside(letter.next(self.clock(), "no route leads to this sink"))
        if self._resting.get(letter.sink, 0) > self.clock():
            return self._put_back(letter, letter.why or "resting", tried=False)
        try:
            body = event.body if letter.sink.startswith("topic:") else for_a_queue(event.body)
            self.post.deliver(letter.sink, body, event.tag, event.properties)
        except QueueUnavailable as error:
            why = error.code or str(error)
            if error.code not in EVENTS_OWN_FAULT:
                self._resting[letter.sink] = self.clock() + REST
            log.warning("event.unpublished", id=event.id, sink=letter.sink, error=why)
            return self._put_back(letter, why)
        if letter.attempt:
            log.info("event.caught-up", id=event.id, sink=letter.sink, attempt=letter.attempt)
        return True

    def _put_back(self, letter: SinkLetter, why: str, *, tried: bool = True) -> bool:
        after = letter.next(self.clock(), why)
        age = self.clock() - after.first_seen
        if tried and age >= self.patience:
            return self._lay_aside(after)
        # No longer than it has waited already: a sink that is up again has its backlog within the
        # time that it was down.
        longest = min(LONGEST_WAIT, max(2 * REST, age))
        wait = jittered(after.attempt, self.chance(), longest)
        try:
            self.post.retry(after.body(), wait)
        except QueueUnavailable as error:
            log.warning("event.not-put-back", id=letter.event.id, error=str(error))
            return False
        return True

    def _lay_aside(self, letter: SinkLetter) -> bool:
        try:
            self.post.lay_aside(letter.body(), self.routing.dead_letters.get(letter.sink, ""))
        except QueueUnavailable as error:
            log.warning("event.not-laid-aside", id=letter.event.id, error=str(error))
            return False
        log.error("event.dead", id=letter.event.id, sink=letter.sink, why=letter.why)
        return True

    def _record(self, event: Outgoing) -> None:
        """Write down that it went out; where that fails, a repeat goes out again, as itself."""
        row = RecordedEvent(event.id, self.clock(), event.tag, event.recipient, event.body)
        try:
            self.events.record(row)
        except LedgerUnavailable as error:
            log.warning("event.unrecorded", id=event.id, error=str(error))
