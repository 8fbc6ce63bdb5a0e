"""What the operations of queues and of topics share: the call, the answer, lists page by page."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from local.twins.smq import limits
from local.twins.smq.errors import schema_violation
from local.twins.smq.query import Query
from local.twins.smq.wire import document

_PAGE = (1, 1_000)


class ClientGone(Exception):
    """The client closed the connection before it got its answer."""


@dataclass(frozen=True)
class Call:
    """A request whose sender is known.

    Args:
        names: of the queue, or of the topic and its subscription, out of the path.
        query: the query string.
        headers: names in lower case.
        body: all of it.
        url: the address of this twin as the client wrote it, without a path.
        gone: returns when the client has closed the connection.
    """

    names: Sequence[str]
    query: Query
    headers: Mapping[str, str]
    body: bytes
    url: str
    gone: Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Answer:
    """A status, an XML document unless there is nothing to say, and headers of the operation."""

    status: int
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Operation:
    """What does a request of one method and path, and the query names it knows (lower case)."""

    run: Callable[[Call], Awaitable[Answer]]
    query: Collection[str] = ()


def created(call: Call, path: str, *, anew: bool) -> Answer:
    """The answer to a creation: 201, or 204 when it was there with the same attributes."""
    return Answer(201 if anew else 204, headers={"Location": f"{call.url}{path}"})


def listing(
    call: Call,
    kind: str,
    names: Sequence[str],
    describe: Callable[[str], Mapping[str, object]],
) -> Answer:
    """One page of names, chosen by the headers x-mns-prefix, x-mns-marker and x-mns-ret-number.

    Args:
        call: the request.
        kind: the element of one entry, such as `Queue`; the root is its plural.
        names: all there are, sorted.
        describe: the content of one entry.
    """
    matching = [name for name in names if name.startswith(call.headers.get("x-mns-prefix", ""))]
    matching = matching[bisect_right(matching, call.headers.get("x-mns-marker", "")) :]
    size = _page_size(call.headers.get("x-mns-ret-number"))
    content: list[tuple[str, object]] = [(kind, describe(name)) for name in matching[:size]]
    if len(matching) > size:
        content.append(("NextMarker", matching[size - 1]))
    return Answer(200, document(f"{kind}s", content))


def _page_size(header: str | None) -> int:
    if header is None:
        return _PAGE[1]
    if not (header.isascii() and header.isdigit() and len(header) <= len(str(_PAGE[1]))):
        raise schema_violation("x-mns-ret-number")
    limits.check_range("x-mns-ret-number", int(header), _PAGE)
    return int(header)
