"""What can go wrong with a call to SMQ, each case made to happen by a real server.

Everything ends in `QueueUnavailable`: the message may or may not have been taken, and whoever
holds it keeps it. A message that is put twice is harmless here, so one failure is tried again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.cloud.smq import Smq
from shared.errors import QueueUnavailable
from shared.triggers.context import Invocation

Call = Callable[..., Invocation]
Script = Callable[..., Any]
Respond = Callable[..., bytes]

NAMESPACE = 'xmlns="http://mns.aliyuncs.com/doc/v1/"'
SENT = f"<Message {NAMESPACE}><MessageId>M</MessageId><MessageBodyMD5>D</MessageBodyMD5></Message>"
HTML = "<html><body><p>Bad Gateway</body></html>"


def error(code: str) -> str:
    """SMQ's XML of an error."""
    return (
        f"<Error {NAMESPACE}><Code>{code}</Code><Message>Words.</Message>"
        "<RequestId>R</RequestId><HostId>H</HostId></Error>"
    )


@pytest.fixture
def client(call: Call) -> Callable[..., Smq]:
    """Makes a client for a port, in an invocation with so much time left."""

    def make(port: int, scheme: str = "http", left_ms: int = 20_000, **options: Any) -> Smq:
        smq = Smq(f"{scheme}://127.0.0.1:{port}", **options)
        smq.use(call(left_ms=left_ms))
        return smq

    return make


# --- Tried again ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "act",
    [
        "reset",
        "close",
        "half",
        (500, error("InternalError")),
        (500, error("InternalServerError")),
        (400, error("QpsLimitExceeded")),
        (502, HTML),
        (503, ""),
    ],
    ids=str,
)
def test_one_failure_is_tried_again(
    *, script: Script, respond: Respond, client: Callable[..., Smq], act: Any
) -> None:
    """A broken connection, a server's fault and too much haste are over at the second try."""
    server = script(respond(*act) if isinstance(act, tuple) else act, respond(201, SENT))
    assert client(server.port).send("q", "{}") == "M"
    assert len(server.requests) == 2


@pytest.mark.parametrize("operation", ["send", "publish"])
def test_two_failures_are_told(
    *, script: Script, client: Callable[..., Smq], operation: str
) -> None:
    """There is no third try: the invocation's time is short, and its messages come again."""
    server = script("reset")
    smq = client(server.port)
    actions: dict[str, Callable[[], str]] = {
        "send": lambda: smq.send("q", "{}"),
        "publish": lambda: smq.publish("t", "{}", tag="x", properties={}),
    }
    with pytest.raises(QueueUnavailable, match="did not answer") as caught:
        actions[operation]()
    assert (caught.value.code, caught.value.request_id) == (None, None)
    assert len(server.requests) == 2


def test_a_fault_that_stays_is_told_with_its_code(
    script: Script, respond: Respond, client: Callable[..., Smq]
) -> None:
    """The second answer of the same kind is SMQ's last word."""
    server = script(respond(500, error("InternalError")))
    with pytest.raises(QueueUnavailable) as caught:
        client(server.port).send("q", "{}")
    assert (caught.value.code, caught.value.request_id) == ("InternalError", "R")
    assert len(server.requests) == 2


@pytest.mark.parametrize("code", ["QueueNotExist", "AccessDenied", "InvalidArgument"])
def test_a_refusal_is_not_tried_again(
    *, script: Script, respond: Respond, client: Callable[..., Smq], code: str
) -> None:
    """What is the caller's or the operator's fault stays one."""
    server = script(respond(400, error(code)))
    with pytest.raises(QueueUnavailable) as caught:
        client(server.port).send("q", "{}")
    assert caught.value.code == code
    assert len(server.requests) == 1


# --- Time -------------------------------------------------------------------------------------


def test_nobody_listens(closed_port: int, client: Callable[..., Smq]) -> None:
    """A refused connection is told at once."""
    began = time.monotonic()
    with pytest.raises(QueueUnavailable):
        client(closed_port).send("q", "{}")
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("server", ["http", "https", "no handshake", "full"])
def test_a_server_that_never_answers_is_given_up_in_time(
    *, script: Script, tls: Any, full_port: int, client: Callable[..., Smq], server: str
) -> None:
    """Over HTTPS too (the SDK's own transport waits for ever), and whatever phase it hangs in."""
    port = full_port
    if server != "full":
        port = script("hang", tls=tls.good if server == "https" else None).port
    scheme = "https" if server in {"https", "no handshake"} else "http"
    smq = client(port, scheme, left_ms=700, ca_file=tls.ca_file)
    began = time.monotonic()
    with pytest.raises(QueueUnavailable):
        smq.send("q", "{}")
    assert 0.3 < time.monotonic() - began < 3


@pytest.mark.parametrize("operation", ["send", "publish"])
def test_a_brief_call_is_over_soon_and_is_not_tried_again(
    *, script: Script, client: Callable[..., Smq], operation: str
) -> None:
    """Silence costs one short time-out, where others wait; a broken connection is tried twice."""
    server = script("hang")
    smq = client(server.port)
    actions: dict[str, Callable[[], str]] = {
        "send": lambda: smq.send("q", "{}", brief=True),
        "publish": lambda: smq.publish("t", "{}", tag="x", properties={}, brief=True),
    }
    began = time.monotonic()
    with pytest.raises(QueueUnavailable):
        actions[operation]()
    assert 1.5 < time.monotonic() - began < 3.5
    assert len(server.requests) == 1
    assert smq._transport._timeout().total == pytest.approx(7.0, abs=0.2)


def test_a_brief_call_over_a_broken_connection_is_tried_again(
    script: Script, respond: Respond, client: Callable[..., Smq]
) -> None:
    """That is over at the second try, and costs no time."""
    server = script("reset", respond(201, SENT))
    assert client(server.port).send("q", "{}", brief=True) == "M"
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("left_ms", "total"), [(60_000, 7.0), (3_000, 3.0), (500, 0.5), (0, 0.1), (-5, 0.1)]
)
def test_connecting_and_reading_share_the_time_that_is_left(
    client: Callable[..., Smq], left_ms: int, total: float
) -> None:
    """Two bounds of 2 and 5 s would otherwise add up to more than an invocation has."""
    timeout = client(1, left_ms=left_ms)._transport._timeout()
    assert timeout.total == pytest.approx(total, abs=0.2)


def test_without_an_invocation_there_is_a_bound_too() -> None:
    """Nothing waits for ever."""
    assert Smq("http://127.0.0.1:1")._transport._timeout().total == pytest.approx(5.0)


# --- Proof ------------------------------------------------------------------------------------


@pytest.mark.parametrize("proof", ["stranger", "other_host"])
def test_a_server_that_cannot_prove_itself_gets_no_message(
    *, script: Script, tls: Any, client: Callable[..., Smq], proof: str
) -> None:
    """A certificate of a stranger, or for another host, ends the connection before the request."""
    server = script(b"", tls=getattr(tls, proof))
    with pytest.raises(QueueUnavailable, match="certificate"):
        client(server.port, "https", ca_file=tls.ca_file).send("q", "{}")
    assert server.requests == []


def test_without_a_file_of_our_own_only_public_authorities_are_trusted(
    script: Script, tls: Any, client: Callable[..., Smq]
) -> None:
    """The local authority means nothing where it was not named."""
    server = script(b"", tls=tls.good)
    with pytest.raises(QueueUnavailable, match="certificate"):
        client(server.port, "https").send("q", "{}")
    assert server.requests == []


# --- Answers that are not SMQ's ----------------------------------------------------------------

STRANGE: dict[str, tuple[int, Any]] = {
    "200 html": (200, HTML),
    "200 well-formed html": (200, "<html><body>Hello</body></html>"),
    "201 empty": (201, ""),
    "201 not utf-8": (201, SENT.encode().replace(b">M<", b">\xff<").replace(b"MessageId", b"X")),
    "201 without an id": (201, f"<Message {NAMESPACE}></Message>"),
    "201 with an element for an id": (201, SENT.replace(">M<", "><b/><")),
    "201 half": (201, SENT[:40]),
    "204": (204, ""),
    "302": (302, ""),
    "404 html": (404, HTML),
    "404 in another alphabet": (404, "<html>\xe9</html>".encode("latin-1")),
    "502 html": (502, HTML),
    "502 in another alphabet": (502, "<html>错误</html>".encode("gbk")),
    "500 error without parts": (500, f"<Error {NAMESPACE}></Error>"),
    "500 error with elements": (500, error("<b/>")),
    "403 error without an id": (403, error("X").replace("<RequestId>R</RequestId>", "")),
    "700": (700, ""),
}


@pytest.mark.parametrize("case", STRANGE)
def test_an_answer_that_is_not_smqs_own_is_no_answer(
    *, script: Script, respond: Respond, client: Callable[..., Smq], case: str
) -> None:
    """Whoever answered was not SMQ: the message counts as not taken."""
    server = script(respond(*STRANGE[case]))
    with pytest.raises(QueueUnavailable, match="did not answer"):
        client(server.port).send("q", "{}")


# Of these, answers are made that look almost like SMQ's.
NAMES = ("Error", "Code", "Message", "MessageId")
PARTS = [
    *[f"<{slash}{name}>" for name in NAMES for slash in ("", "/")],
    *["<RequestId/>", "<HostId/>", "x", "&amp;", "<!---->", "<![CDATA[x]]>", error("x"), SENT],
]


@pytest.fixture
def server(script: Script) -> Any:
    """One server for all examples of a property, which write its script."""
    return script(b"")


@settings(
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(
    status=st.sampled_from([200, 201, 400, 403, 404, 500, 503]),
    body=st.binary(max_size=30)
    | st.lists(st.sampled_from(PARTS)).map(lambda parts: "".join(parts).encode()),
)
def test_any_answer_is_an_id_or_the_one_error(
    *, server: Any, respond: Respond, client: Callable[..., Smq], status: int, body: bytes
) -> None:
    """Whatever a server answers, nothing else is raised."""
    server.script[:] = [respond(status, body)]
    try:
        identity = client(server.port).send("q", "{}")
    except QueueUnavailable:
        return
    assert isinstance(identity, str)
    assert identity


# --- Connections --------------------------------------------------------------------------------


def test_connections_are_kept(script: Script, respond: Respond, client: Callable[..., Smq]) -> None:
    """One after the other, messages share one connection."""
    server = script(respond(201, SENT))
    smq = client(server.port)
    assert [smq.send("q", "{}") for _ in range(5)] == ["M"] * 5
    assert server.connections == 1


def test_a_connection_that_the_server_closed_is_opened_anew(
    script: Script, respond: Respond, client: Callable[..., Smq]
) -> None:
    """With the SDK's own transport every second message would fail."""
    server = script(respond(201, SENT, Connection="close"))
    smq = client(server.port)
    assert [smq.send("q", "{}") for _ in range(10)] == ["M"] * 10


@pytest.mark.parametrize(("idle", "connections"), [(20.0, 1), (20.1, 2)])
def test_a_connection_idle_for_long_is_not_trusted(
    *,
    script: Script,
    respond: Respond,
    client: Callable[..., Smq],
    idle: float,
    connections: int,
) -> None:
    """After 20 s without a call the next one connects anew."""
    server = script(respond(201, SENT))
    now = [1_800_000_000.0]
    smq = client(server.port, clock=lambda: now[0])
    smq.send("q", "{}")
    now[0] += idle
    smq.send("q", "{}")
    assert server.connections == connections


def test_dropping_idle_connections_disturbs_no_call(
    script: Script,
    respond: Respond,
    client: Callable[..., Smq],
    together: Callable[..., list[Any]],
) -> None:
    """Threads that all find the instance idle for long still send every message, once."""
    server = script(respond(201, SENT))
    now = [1_800_000_000.0]
    smq = client(server.port, clock=lambda: now[0])
    for _ in range(5):
        now[0] += 60
        assert together(8, lambda _: smq.send("q", "{}")) == ["M"] * 8
    assert len(server.requests) == 40
