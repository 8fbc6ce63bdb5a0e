"""One push: verified, forwarded, and never lost in between.

The sender waits a few seconds (SMQ: 5) and comes again when it hears nothing good, a few times. So
a push is answered well once its events are forwarded, or lie on the queue of delivery events; in
every other case the answer is a 5xx, and the sender keeps what it has.
https://www.alibabacloud.com/help/en/mns/user-guide/notifystrategy
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol

import structlog

from shared.api.problems import problem
from shared.errors import CertificateUnavailable, CertificateUntrusted, QueueUnavailable
from shared.sending.letters import QUEUE_PAYLOAD_MAX, compact
from shared.triggers.context import Invocation
from shared.triggers.events import ArrivedEvent, read_events
from shared.triggers.http import Request, Response
from shared.triggers.json_bytes import NotJson, read_json
from shared.values import dataclass

log = structlog.get_logger("postbus.hooks")

# When the sender is asked to come again. In ms.
SOON = 10_000


@dataclass(frozen=True)
class Times:
    """When each step has to be over, in ms after the request came in."""

    verified: int = 2_000
    forwarded: int = 3_300
    queued: int = 4_500


class Refused(Exception):
    """The request does not prove where it comes from. The text is a word for the log."""


class PublicKey(Protocol):
    """Whoever pushed holds the other half."""

    def verify(self, signature: bytes, data: bytes, digest: Literal["SHA1", "SHA256"]) -> bool:
        """Whether this is the key's signature of the data."""
        ...

    def recover(self, block: bytes) -> bytes | None:
        """What the private key wrapped; None if it was another one."""
        ...


class Certificates(Protocol):
    """Gives keys; raises `CertificateUntrusted` and `CertificateUnavailable`."""

    def key(self, sender: Literal["smq", "eventbridge"], url: str) -> PublicKey:
        """The key of the certificate at an address."""
        ...


class Forwarder(Protocol):
    """Forwards events, as the function `delivery_events` does."""

    def forward_all(self, arrived: Sequence[ArrivedEvent], call: Invocation) -> Mapping[str, int]:
        """Forward each event; how many ended in what."""
        ...


class EventQueue(Protocol):
    """The queue of delivery events; raises `QueueUnavailable`."""

    def defer(self, event: str, delay: int) -> str:
        """Put an event on the queue, due in `delay` ms."""
        ...


@dataclass(frozen=True)
class Pushes:
    """The address of one sender.

    Args:
        sender: whose pushes these are, for the log.
        read: the events' bytes out of a request at a time (ms); raises `Refused`,
            `CertificateUntrusted` and `CertificateUnavailable`.
        forwarder: where events go.
        queue: where they go when that takes too long.
        at_most: runs a call; gives None when it has not ended after so many ms.
        times: how long each step may take.
    """

    sender: str
    read: Callable[[Request, int], bytes]
    forwarder: Forwarder
    queue: EventQueue
    at_most: Callable[[Callable[[], Any], int], Any]
    times: Times = Times()

    def answer(self, request: Request, call: Invocation) -> Response:
        """Verify a push and forward what it brought: 204; 401 if it proves nothing; else 503."""
        began = call.now()
        try:
            body = self.at_most(lambda: self.read(request, began), self.times.verified)
        except (Refused, CertificateUntrusted) as refusal:
            log.warning("push.refused", sender=self.sender, why=str(refusal))
            return problem("not-signed", "this is not a push that its sender has signed for us")
        except CertificateUnavailable as error:
            return self._again("certificate-unavailable", str(error))
        if body is None:
            return self._again("certificate-unavailable", "verifying took too long")
        counts = self._forward(read_events(body), call, began)
        if counts is not None:
            log.info("push.forwarded", sender=self.sender, outcome=dict(counts))
            return Response(204)
        return self._enqueue(body, call, began)

    def _forward(
        self, events: list[ArrivedEvent], call: Invocation, began: int
    ) -> Mapping[str, int] | None:
        """How many events ended in what; None where that is not known for all of them."""
        left = began + self.times.forwarded - call.now()
        try:
            counts: Mapping[str, int] | None = self.at_most(
                lambda: self.forwarder.forward_all(events, call), left
            )
        except Exception as error:  # noqa: BLE001  # whatever it is, the queue and its dead letters are better than the sender's few repeats
            log.warning("push.unforwarded", sender=self.sender, error=type(error).__name__)
            return None
        return counts

    def _enqueue(self, body: bytes, call: Invocation, began: int) -> Response:
        """Leave a push to the queue. What of it was forwarded comes twice, with the same ids."""
        left = began + self.times.queued - call.now()
        try:
            queued = self.at_most(lambda: [self.queue.defer(m, 0) for m in messages(body)], left)
        except QueueUnavailable as error:
            return self._again("queue-unavailable", str(error))
        if queued is None:
            return self._again("queue-unavailable", "the queue did not answer in time")
        log.info("push.queued", sender=self.sender, messages=len(queued))
        return Response(202)

    def _again(self, kind: str, why: str) -> Response:
        log.warning("push.again", sender=self.sender, kind=kind, why=why)
        return problem(kind, "nothing was taken; push it again", retry_after_ms=SOON)


def messages(body: bytes) -> Iterator[str]:
    """A push as messages of the queue: whole, or if it is too big an array's elements each."""
    if len(body) > QUEUE_PAYLOAD_MAX:
        try:
            document = read_json(body)
        except NotJson:
            document = None
        if isinstance(document, list):
            yield from (compact(element) for element in document)
            return
    yield body.decode("utf-8", "replace")
