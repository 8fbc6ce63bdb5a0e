"""Redrive dead events: what a sink did not take for too long, and what nobody could handle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress

from mns.account import Account
from mns.mns_exception import MNSServerException
from mns.queue import Message, Queue
from rich.progress import Progress

from local.account import OWNER
from local.cli import show
from local.cli.client import Client
from local.cli.exits import CommandError
from shared.delivery.redrive import Back, DeadEvent, read_dead_event
from shared.sending.letters import QUEUE_PAYLOAD_MAX

BATCH = 16
# The queues that events end on, and those that they go back to, by the ends of their names.
DEAD = ("delivery-events-dead", "directmail-dead")
BACK: dict[Back, str] = {"retries": "delivery-retries", "events": "delivery-events"}


def redrive_events(url: str, *, sink: str | None, dry_run: bool, as_json: bool) -> None:
    """Put dead events back.

    Args:
        url: where Postbus runs.
        sink: only what this one did not take.
        dry_run: say what would go back, and put nothing back.
        as_json: print a line of JSON for each.
    """
    counts: Counter[str] = Counter()
    for name in DEAD:
        with (
            closing(_DeadEvents(url, name)) as queue,
            Progress(console=show.err, transient=True) as bar,
        ):
            task = bar.add_task(name, total=queue.waiting)
            for handle, event in queue.events():
                bar.advance(task)
                decided = _decide(event, sink)
                counts[decided] += 1
                if decided == "put back" and not dry_run:
                    queue.put_back(handle, event)
                if as_json:
                    told = {"queue": name, "id": event.event_id, "sink": event.sink}
                    show.json_line({**told, "why": event.why, "decided": decided})
    if not as_json:
        would = "would be " if dry_run else ""
        line = ", ".join(f"{count} {would}{what}" for what, count in sorted(counts.items()))
        show.line(line or "no events")


def _decide(event: DeadEvent, sink: str | None) -> str:
    if event.back is None:
        return "left: no event"
    return "left: not asked for" if sink and event.sink != sink else "put back"


def _failed(error: MNSServerException) -> CommandError:
    return CommandError(f"SMQ: {error.type}: {error.message}")


class _DeadEvents:
    """One dead-letter queue of events.

    Args:
        url: SMQ's endpoint.
        name: the end of the queue's name.
    """

    def __init__(self, url: str, name: str) -> None:
        self._client = Client(url)
        self._account = Account(url, OWNER.id, OWNER.secret, "")
        self._dead: Queue = self._account.get_queue(self._client.name_of("queues", name))
        # EventBridge may leave base64 out, and does not say so in the message.
        self._dead.set_encoding(False)
        self._taken: list[str] = []
        status = self._client.get("/_local/status")
        self.waiting: int = status["queues"][self._dead.queue_name]["visible"]

    def events(self) -> Iterator[tuple[str, DeadEvent]]:
        """Take events until there are none; those that are not put back stay."""
        for _ in range(-(-self.waiting // BATCH) + 1):
            try:
                messages = self._dead.batch_receive_message(BATCH, 0)
            except MNSServerException as error:
                if error.type != "MessageNotExist":
                    raise _failed(error) from None
                return
            for message in messages:
                body = message.message_body
                raw = body.encode() if isinstance(body, str) else body
                self._taken.append(message.receipt_handle)
                yield message.receipt_handle, read_dead_event(raw)

    def put_back(self, handle: str, event: DeadEvent) -> None:
        """Put it on its queue first: dying between the two leaves a copy, not a loss."""
        if event.back is None:
            return
        queue = self._account.get_queue(self._client.name_of("queues", BACK[event.back]))
        # What came as plain text may be too long in base64; the function reads either.
        queue.set_encoding(len(event.body.encode()) <= QUEUE_PAYLOAD_MAX)
        try:
            queue.send_message(Message(event.body))
            self._dead.delete_message(handle)
        except MNSServerException as error:
            raise _failed(error) from None
        self._taken.remove(handle)

    def close(self) -> None:
        """Let the events that stay be seen again, and close the connection."""
        for handle in self._taken:
            with suppress(MNSServerException):  # it is to be seen again already
                self._dead.change_message_visibility(handle, 1)
        self._account.mns_client.close_connection()
