"""What can go wrong with a call to DirectMail, each case made to happen by a real server.

The question behind every row is whether the mail may have been sent. `connect` and `upload` say
no; `read-timeout`, `reset` and `unparsable` say perhaps.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.cloud.directmail import DirectMail, Endpoint
from shared.schema.mail_request import Attachment
from shared.sending.answers import Accepted, Answer, Broken, Rejected
from shared.sending.compose import OutgoingMail
from shared.triggers.context import Invocation

Outgoing = Callable[..., OutgoingMail]
Call = Callable[..., Invocation]
Script = Callable[..., Any]
Respond = Callable[..., bytes]
# In ms: enough for a busy machine, and as long as a test wants to wait for what never comes.
AMPLE = 9_000
SHORT = 900
FILE = Attachment(name="a.txt", content="YQ==")
ACCEPTED = {"EnvId": "600", "RequestId": "R"}
HTML = "<html><body>Bad Gateway</body></html>"


def provider_at(port: int, scheme: str = "http", ca_file: str = "") -> DirectMail:
    """The adapter, pointed at a port of this machine."""
    host = f"127.0.0.1:{port}"
    return DirectMail(Endpoint("cn-hangzhou", f"{scheme}://{host}", host, ca_file))


def time_for(act: object) -> int:
    """The time of a call that meets with this act, in ms."""
    return SHORT if act == "hang" else AMPLE


def error(code: str | None = "Code", **more: Any) -> dict[str, Any]:
    """The service's JSON of an error."""
    body = {"Code": code, "Message": "Words.", "RequestId": "R", "HostId": "dm", **more}
    return {name: value for name, value in body.items() if value is not None}


# --- No answer --------------------------------------------------------------------------------


def test_nobody_listens(closed_port: int, outgoing: Outgoing, call: Call) -> None:
    """A refused connection is proof that nothing was sent."""
    answer = provider_at(closed_port).send(outgoing(), call(), AMPLE)
    assert isinstance(answer, Broken)
    assert answer.kind == "connect"


def test_a_name_that_does_not_exist(outgoing: Outgoing, call: Call) -> None:
    """So is a host that cannot be found."""
    provider = DirectMail(Endpoint("cn-hangzhou", "http://no-such-host.invalid"))
    answer = provider.send(outgoing(), call(), AMPLE)
    assert isinstance(answer, Broken)
    assert answer.kind == "connect"


@pytest.mark.parametrize(
    ("act", "kind"),
    [("hang", "read-timeout"), ("reset", "reset"), ("close", "reset"), ("half", "reset")],
)
def test_the_answer_is_lost(
    script: Script, outgoing: Outgoing, call: Call, act: Any, kind: str
) -> None:
    """The request was read and no answer came: the mail may have been sent, and once at most."""
    server = script(act)
    answer = provider_at(server.port).send(outgoing(), call(), time_for(act))
    assert isinstance(answer, Broken)
    assert answer.kind == kind
    assert len(server.requests) == 1


@pytest.mark.parametrize(("server", "kind"), [("full", "connect"), ("hang", "read-timeout")])
def test_a_call_ends_within_its_time(
    *, script: Script, full_port: int, outgoing: Outgoing, call: Call, server: str, kind: str
) -> None:
    """Connecting and waiting together take no longer than the time that was given."""
    port = full_port if server == "full" else script("hang").port
    provider = provider_at(port)
    began = time.monotonic()
    answer = provider.send(outgoing(), call(), 900)
    assert time.monotonic() - began < 1.8
    assert isinstance(answer, Broken)
    assert answer.kind == kind


# --- TLS --------------------------------------------------------------------------------------


@pytest.mark.parametrize("proof", ["stranger", "other_host"])
def test_a_server_that_cannot_prove_itself_gets_no_mail(
    *, script: Script, tls: Any, outgoing: Outgoing, call: Call, proof: str
) -> None:
    """A certificate of a stranger, or for another host, ends the connection before the request."""
    server = script(b"", tls=getattr(tls, proof))
    answer = provider_at(server.port, "https", tls.ca_file).send(outgoing(), call(), AMPLE)
    assert isinstance(answer, Broken)
    assert answer.kind == "connect"
    assert server.requests == []


def test_without_a_file_of_our_own_only_public_authorities_are_trusted(
    script: Script, tls: Any, outgoing: Outgoing, call: Call
) -> None:
    """The local authority means nothing where it was not named."""
    server = script(b"", tls=tls.good)
    answer = provider_at(server.port, "https").send(outgoing(), call(), AMPLE)
    assert isinstance(answer, Broken)
    assert answer.kind == "connect"
    assert server.requests == []


def test_a_handshake_that_hangs_ends_as_perhaps_sent(
    script: Script, tls: Any, outgoing: Outgoing, call: Call
) -> None:
    """The SDK's error does not tell a handshake that hangs from an answer that does."""
    provider = provider_at(script("hang").port, "https", tls.ca_file)
    answer = provider.send(outgoing(), call(), SHORT)
    assert isinstance(answer, Broken)
    assert answer.kind == "read-timeout"


# --- Answers that are not the service's ---------------------------------------------------------

STRANGE: dict[str, tuple[int, Any]] = {
    "200 html": (200, HTML),
    "200 empty": (200, b""),
    "200 half json": (200, b'{"EnvId": "6'),
    "200 not utf-8": (200, b'{"EnvId": "\xff"}'),
    "200 without EnvId": (200, {"RequestId": "R"}),
    "200 with EnvId null": (200, {"EnvId": None}),
    "200 with EnvId empty": (200, {"EnvId": ""}),
    "200 with EnvId object": (200, {"EnvId": {"a": 1}}),
    "200 null": (200, None),
    "200 array": (200, []),
    "200 array of objects": (200, [ACCEPTED]),
    "200 text": (200, b'"EnvId"'),
    "200 number": (200, 7),
    "204": (204, b""),
    "400 html": (400, HTML),
    "404 html": (404, HTML),
    "500 html": (500, HTML),
    "502 html": (502, HTML),
    "503 html": (503, HTML),
    "503 empty": (503, b""),
    "503 json without a code": (503, {"message": "upstream connect error"}),
    "504 json without a code": (504, {"RequestId": "R"}),
    "400 json without a code": (400, {"error": "bad request"}),
    "503 array": (503, []),
    "503 null": (503, None),
}


@pytest.mark.parametrize("case", STRANGE)
def test_an_answer_that_is_not_the_services_own_says_perhaps(
    *, script: Script, respond: Respond, outgoing: Outgoing, call: Call, case: str
) -> None:
    """Whoever answered was not DirectMail, so nobody knows what DirectMail did with the mail."""
    server = script(respond(*STRANGE[case]))
    answer = provider_at(server.port).send(outgoing(), call(), AMPLE)
    assert isinstance(answer, Broken)
    assert answer.kind == "unparsable"
    assert len(server.requests) == 1


def test_an_id_that_is_a_number_is_an_id(
    script: Script, respond: Respond, outgoing: Outgoing, call: Call
) -> None:
    """The mail was accepted; that its id is no text in JSON is no reason to doubt it."""
    server = script(respond(200, {"EnvId": 600, "RequestId": 7}))
    assert provider_at(server.port).send(outgoing(), call(), AMPLE) == Accepted("600", "7")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["Code", "EnvId", "RequestId", "Message", "a"]), inner)
    ),
    max_leaves=5,
)


@pytest.fixture
def server(script: Script) -> Any:
    """One server for all examples of a property, which write its script."""
    return script(b"")


@settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(
    status=st.sampled_from([200, 204, 400, 403, 404, 429, 500, 503]),
    body=JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=40),
)
def test_any_answer_becomes_one_of_the_three(
    *,
    server: Any,
    respond: Respond,
    outgoing: Outgoing,
    call: Call,
    status: int,
    body: bytes,
) -> None:
    """Whatever a server answers, the adapter raises nothing, and asked once."""
    server.script[:] = [respond(status, body if status != 204 else b"")]
    before = len(server.requests)
    answer = provider_at(server.port).send(outgoing(), call(), AMPLE)
    assert isinstance(answer, Answer)
    if isinstance(answer, Accepted):
        assert isinstance(answer.envelope_id, str)
        assert status == 200
    assert len(server.requests) == before + 1


# --- The service's own errors -------------------------------------------------------------------

ERRORS: dict[str, tuple[tuple[int, Any], dict[str, str], Rejected]] = {
    "400": ((400, error("InvalidBody")), {}, Rejected("InvalidBody", 400)),
    "404": (
        (404, error("InvalidTemplate.NotFound")),
        {},
        Rejected("InvalidTemplate.NotFound", 404),
    ),
    "403": ((403, error("Forbidden.RAM")), {}, Rejected("Forbidden.RAM", 403)),
    "500": ((500, error("InternalError")), {}, Rejected("InternalError", 500)),
    "503": ((503, error("ServiceUnavailable")), {}, Rejected("ServiceUnavailable", 503)),
    "lower case": (
        (400, {"code": "InvalidBody", "message": "Words.", "requestId": "R"}),
        {},
        Rejected("InvalidBody", 400),
    ),
    "throttled, no wish": ((400, error("Throttling.User")), {}, Rejected("Throttling.User", 400)),
    "throttled, a wish": (
        (400, error("Throttling.User")),
        {"x_acs_retry_after": "1500"},
        Rejected("Throttling.User", 400, retry_after_ms=1500),
    ),
    "throttled with 429": (
        (429, error("Throttling")),
        {"X_Acs_Retry_After": "1"},
        Rejected("Throttling", 429, retry_after_ms=1),
    ),
    "throttled, no time": (
        (400, error("Throttling.User")),
        {"x_acs_retry_after": "0"},
        Rejected("Throttling.User", 400),
    ),
    "throttled, rubbish": (
        (400, error("Throttling.User")),
        {"x_acs_retry_after": "soon"},
        Rejected("Throttling.User", 400),
    ),
    "503 with a wish": (
        (503, error("ServiceUnavailable")),
        {"x_acs_retry_after": "2000"},
        Rejected("ServiceUnavailable", 503, retry_after_ms=2000),
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_the_services_error_keeps_its_code_and_status(
    *, script: Script, respond: Respond, outgoing: Outgoing, call: Call, case: str
) -> None:
    """Code, status, words, request id and the wished delay are what verdicts are made of."""
    answered, headers, expected = ERRORS[case]
    server = script(respond(*answered, **headers))
    answer = provider_at(server.port).send(outgoing(), call(), AMPLE)
    assert isinstance(answer, Rejected)
    assert (answer.code, answer.status) == (expected.code, expected.status)
    assert answer.retry_after_ms == expected.retry_after_ms
    assert answer.request_id == "R"
    assert "Words." in answer.message
    assert len(server.requests) == 1


# --- Attachments --------------------------------------------------------------------------------


def permission(port: int) -> dict[str, Any]:
    """AuthorizeFileUpload's answer that leads the upload to a port of this machine."""
    return {
        "AccessKeyId": "id",
        "Bucket": "127",
        "EncodedPolicy": "policy",
        "Endpoint": f"0.0.1:{port}",
        "ObjectKey": "key",
        "Signature": "signature",
        "UseAccelerate": False,
        "RequestId": "R",
    }


OSS_ERROR = (
    "<Error><Code>AccessDenied</Code><Message>Policy expired.</Message>"
    "<RequestId>R</RequestId><HostId>oss</HostId></Error>"
)
CREATED = "<PostResponse><Key>key</Key></PostResponse>"

# How the permission is answered -> what the adapter says
PERMISSIONS: dict[str, tuple[Any, Answer]] = {
    "hang": ("hang", Broken("upload")),
    "reset": ("reset", Broken("upload")),
    "html": ((503, HTML), Broken("upload")),
    "200 html": ((200, HTML), Broken("upload")),
    "500": ((500, error("InternalError")), Broken("upload")),
    "503": ((503, error("ServiceUnavailable")), Broken("upload")),
    "no code": ((400, {"error": "x"}), Broken("upload")),
    "forbidden": ((403, error("Forbidden.RAM")), Rejected("Forbidden.RAM", 403)),
    "throttled": ((400, error("Throttling.User")), Rejected("Throttling.User", 400)),
}


@pytest.mark.parametrize("case", PERMISSIONS)
def test_an_upload_that_is_not_permitted_is_not_a_send(
    *, script: Script, respond: Respond, outgoing: Outgoing, call: Call, case: str
) -> None:
    """Nothing was sent, and an error of the service's own keeps its code."""
    act, expected = PERMISSIONS[case]
    server = script(respond(*act) if isinstance(act, tuple) else act)
    answer = provider_at(server.port).send(outgoing(attachments=(FILE,)), call(), time_for(act))
    assert type(answer) is type(expected)
    if isinstance(answer, Rejected) and isinstance(expected, Rejected):
        assert (answer.code, answer.status) == (expected.code, expected.status)
    if isinstance(answer, Broken):
        assert answer.kind == "upload"
    assert b"SingleSendMail" not in b"".join(request for _, request in server.requests)


# How the upload is answered
UPLOADS: dict[str, Any] = {
    "hang": "hang",
    "reset": "reset",
    "half": "half",
    "refused": (403, OSS_ERROR),
    "refused, too large": (400, OSS_ERROR.replace("AccessDenied", "EntityTooLarge")),
    "broken": (500, OSS_ERROR.replace("AccessDenied", "InternalError")),
    "html": (502, HTML),
    "empty": (503, b""),
}


@pytest.mark.parametrize("case", UPLOADS)
def test_an_upload_that_fails_is_not_a_send(
    *, script: Script, tls: Any, respond: Respond, outgoing: Outgoing, call: Call, case: str
) -> None:
    """Whatever the object store answers, DirectMail was not asked to send."""
    act = UPLOADS[case]
    store = script(respond(*act) if isinstance(act, tuple) else act, tls=tls.good)
    server = script(respond(200, permission(store.port)), respond(200, ACCEPTED))
    provider = DirectMail(
        Endpoint(
            "cn-hangzhou",
            f"http://127.0.0.1:{server.port}",
            f"127.0.0.1:{server.port}",
            tls.ca_file,
        )
    )
    answer = provider.send(outgoing(attachments=(FILE, FILE)), call(), time_for(act))
    assert isinstance(answer, Broken)
    assert answer.kind == "upload"
    assert len(server.requests) == 1


@pytest.mark.parametrize("store", ["closed", "stranger"])
def test_an_object_store_that_cannot_be_reached_is_not_a_send(
    *,
    script: Script,
    tls: Any,
    respond: Respond,
    outgoing: Outgoing,
    call: Call,
    closed_port: int,
    store: str,
) -> None:
    """The connection of the upload is as good a proof as that of the send."""
    port = script(b"", tls=tls.stranger).port if store == "stranger" else closed_port
    server = script(respond(200, permission(port)), respond(200, ACCEPTED))
    answer = provider_at(server.port, ca_file=tls.ca_file).send(
        outgoing(attachments=(FILE,)), call(), AMPLE
    )
    assert isinstance(answer, Broken)
    assert answer.kind in {"connect", "upload"}
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("act", "kind"), [("hang", "read-timeout"), ("reset", "reset"), (b"rubbish\r\n\r\n", "reset")]
)
def test_after_the_uploads_a_lost_answer_says_perhaps(
    *,
    script: Script,
    tls: Any,
    respond: Respond,
    outgoing: Outgoing,
    call: Call,
    act: Any,
    kind: str,
) -> None:
    """Once the send itself was begun, attachments are proof of nothing."""
    store = script(respond(201, CREATED), tls=tls.good)
    server = script(respond(200, permission(store.port)), act)
    answer = provider_at(server.port, ca_file=tls.ca_file).send(
        outgoing(attachments=(FILE,)), call(), time_for(act)
    )
    assert isinstance(answer, Broken)
    assert answer.kind == kind
    assert len(store.requests) == 1
    assert len(server.requests) == 2


# --- Connections --------------------------------------------------------------------------------


def test_connections_are_kept(
    script: Script, respond: Respond, outgoing: Outgoing, call: Call
) -> None:
    """One after the other, mails share one connection, whoever signs them."""
    server = script(respond(200, ACCEPTED))
    provider = provider_at(server.port)
    answers = [provider.send(outgoing(), call(), AMPLE) for _ in range(5)]
    assert answers == [Accepted("600", "R")] * 5
    assert server.connections == 1


def test_a_connection_that_the_server_closed_is_opened_anew(
    script: Script, respond: Respond, outgoing: Outgoing, call: Call
) -> None:
    """A server that closes after each answer gets every mail once."""
    server = script(respond(200, ACCEPTED, Connection="close"))
    provider = provider_at(server.port)
    for _ in range(5):
        assert provider.send(outgoing(), call(), AMPLE) == Accepted("600", "R")
        time.sleep(0.01)
    assert len(server.requests) == 5


@pytest.mark.parametrize(("idle", "connections"), [(19.9, 1), (20.0, 1), (20.1, 2), (3600.0, 2)])
def test_a_connection_idle_for_long_is_not_trusted(
    *,
    script: Script,
    respond: Respond,
    outgoing: Outgoing,
    call: Call,
    idle: float,
    connections: int,
) -> None:
    """After 20 s without a call (an instance may have been frozen) the next one connects anew."""
    server = script(respond(200, ACCEPTED))
    now = [1_800_000_000.0]
    host = f"127.0.0.1:{server.port}"
    provider = DirectMail(Endpoint("cn-hangzhou", f"http://{host}"), lambda: now[0])
    provider.send(outgoing(), call(), AMPLE)
    now[0] += idle
    assert provider.send(outgoing(), call(), AMPLE) == Accepted("600", "R")
    assert server.connections == connections


def test_a_connection_that_died_while_idle_costs_no_mail(
    script: Script, respond: Respond, outgoing: Outgoing, call: Call
) -> None:
    """Without the guard the second mail would go into a connection that nobody reads any more."""
    server = script(respond(200, ACCEPTED), "reset", respond(200, ACCEPTED))
    now = [1_800_000_000.0]
    host = f"127.0.0.1:{server.port}"
    provider = DirectMail(Endpoint("cn-hangzhou", f"http://{host}"), lambda: now[0])
    provider.send(outgoing(), call(), AMPLE)
    soon = provider.send(outgoing(), call(), AMPLE)
    assert isinstance(soon, Broken)
    assert soon.kind == "reset"
    now[0] += 60
    assert provider.send(outgoing(), call(), AMPLE) == Accepted("600", "R")


def test_threads_that_start_together_wait_for_the_first_call_only(
    script: Script,
    respond: Respond,
    outgoing: Outgoing,
    call: Call,
    together: Callable[..., list[Any]],
) -> None:
    """The SDK's first call is made alone, since its session is made in it; then all go at once."""
    server = script(respond(200, ACCEPTED), delay_seconds=0.3)
    provider = provider_at(server.port)
    began = time.monotonic()
    answers = together(8, lambda _: provider.send(outgoing(), call(), AMPLE))
    assert answers == [Accepted("600", "R")] * 8
    assert time.monotonic() - began < 8 * 0.3
    assert server.connections <= 8


def test_dropping_idle_connections_disturbs_no_call(
    script: Script,
    respond: Respond,
    outgoing: Outgoing,
    call: Call,
    together: Callable[..., list[Any]],
) -> None:
    """Threads that all find the instance idle for long still send every mail."""
    server = script(respond(200, ACCEPTED))
    now = [1_800_000_000.0]
    host = f"127.0.0.1:{server.port}"
    provider = DirectMail(Endpoint("cn-hangzhou", f"http://{host}"), lambda: now[0])
    for _ in range(5):
        now[0] += 60
        answers = together(8, lambda _: provider.send(outgoing(), call(), AMPLE))
        assert answers == [Accepted("600", "R")] * 8
