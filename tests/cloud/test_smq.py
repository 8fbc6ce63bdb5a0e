"""SMQ's adapter against the twin: the official SDK, real HTTP and HTTPS, real signatures."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from local.account import OWNER, AccessKey, Account
from local.twins.smq.broker import QueueAttributes
from shared.cloud.queues import Queues
from shared.cloud.smq import Smq
from shared.errors import QueueUnavailable
from shared.schema.mail_request import parse_mail
from shared.sending.letters import Letter, Settlement
from shared.triggers.context import Credentials, Invocation

Call = Callable[..., Invocation]
TEXTS = {
    "ascii": '{"a": 1}',
    "unicode": '{"a": "é 世界 \U0001f600"}',
    "xml": "<a>&amp;]]></a>",
    "lines": "a\nb\tc",
    "long": "x" * 40_000,
}


@pytest.fixture
def smq(smq_twin: Any, call: Call) -> Smq:
    """The adapter, pointed at the twin and an empty queue, with the owner's key."""
    while smq_twin.take("q"):
        pass
    client = Smq(f"http://127.0.0.1:{smq_twin.port}")
    client.use(call())
    return client


@pytest.mark.parametrize("text", TEXTS)
def test_a_message_of_a_queue_arrives_in_base64(smq: Smq, smq_twin: Any, text: str) -> None:
    """Consumers of any language undo it; the id is the one that the queue gives."""
    identity = smq.send("q", TEXTS[text])
    (message,) = smq_twin.take("q")
    assert message.id == identity
    assert base64.b64decode(message.body).decode() == TEXTS[text]


@pytest.mark.parametrize("text", TEXTS)
def test_a_message_of_a_topic_arrives_as_it_is(smq: Smq, smq_twin: Any, text: str) -> None:
    """With its tag for filters, and its properties for those who do not read bodies."""
    properties = {"id": "1", "type": "postbus.mail.delivered", "odd": "<&>é"}
    identity = smq.publish("t", TEXTS[text], tag="delivered", properties=properties)
    message = smq_twin.published("t")[-1]
    assert (message.id, message.body, message.tag) == (identity, TEXTS[text], "delivered")
    assert {each.name: each.value for each in message.properties} == properties


def test_a_message_without_properties_can_be_published(smq: Smq, smq_twin: Any) -> None:
    """The SDK leaves the element out."""
    smq.publish("t", "body", tag="x", properties={})
    assert smq_twin.published("t")[-1].properties == ()


@pytest.mark.parametrize(
    ("tag", "sent"), [("a" * 16, "a" * 16), ("a" * 17, "a" * 16), ("unrecognised", "unrecognised")]
)
def test_a_tag_has_at_most_16_characters(smq: Smq, smq_twin: Any, tag: str, sent: str) -> None:
    """SMQ would refuse a longer one, and the event with it."""
    smq.publish("t", "body", tag=tag, properties={})
    assert smq_twin.published("t")[-1].tag == sent


@pytest.mark.parametrize(
    ("delay_ms", "seconds"),
    [(0, 0), (1, 1), (1_000, 1), (1_001, 2), (90_000, 90), (10**9, 604_800), (10**12, 604_800)],
)
def test_a_delay_is_rounded_up_to_seconds_and_kept_in_smqs_limit(
    *,
    script: Callable[..., Any],
    respond: Callable[..., bytes],
    call: Call,
    delay_ms: int,
    seconds: int,
) -> None:
    """A letter comes back when it is due or later, never sooner; a week is the longest."""
    sent = "<Message><MessageId>M</MessageId><MessageBodyMD5>D</MessageBodyMD5></Message>"
    server = script(respond(201, sent))
    smq = Smq(f"http://127.0.0.1:{server.port}")
    smq.use(call())
    smq.send("q", "{}", delay_ms=delay_ms)
    assert f"<DelaySeconds>{seconds}</DelaySeconds>".encode() in server.requests[0][1]


def test_a_delayed_message_is_not_there_yet(smq: Smq, smq_twin: Any) -> None:
    """The queue holds it back."""
    smq_twin.running.do(lambda: smq_twin.broker.ensure_queue("later", QueueAttributes()))
    smq.send("later", "{}", delay_ms=60_000)
    depth = smq_twin.running.do(lambda: smq_twin.broker.depth("later"))
    assert (depth.delayed, depth.visible) == (1, 0)


@pytest.mark.parametrize("slash", ["", "/"])
def test_https_is_spoken_where_the_certificate_is_trusted(
    smq_twin: Any, certificate: Any, call: Call, slash: str
) -> None:
    """The twin's own authority is named by its file, as the local stack does it."""
    smq = Smq(f"https://127.0.0.1:{smq_twin.tls_port}{slash}", str(certificate.ca_file))
    smq.use(call())
    identity = smq.send("q", "{}")
    assert [message.id for message in smq_twin.take("q")] == [identity]


def test_each_invocation_signs_with_its_own_credentials(
    smq: Smq, smq_twin: Any, call: Call, account: Account
) -> None:
    """Temporary keys change while the client lives on."""
    for _ in range(3):
        smq.use(call(account.assume("role")))
        smq.send("q", "{}")
    assert len(smq_twin.take("q")) == 3


WRONG: dict[str, tuple[AccessKey | None, str]] = {
    "secret": (AccessKey(OWNER.id, "wrong"), "SignatureDoesNotMatch"),
    "id": (AccessKey("nobody", "x"), "InvalidAccessKeyId"),
    "token": (AccessKey(OWNER.id, OWNER.secret, "token"), "InvalidSecurityToken"),
    "none": (None, "InvalidAuthorizationHeader"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_key_is_refused(smq: Smq, smq_twin: Any, call: Call, wrong: str) -> None:
    """The twin verifies signatures as the service does; the code is kept for the operator."""
    key, code = WRONG[wrong]
    smq.use(call(key))
    actions: list[Callable[[], str]] = [
        lambda: smq.send("q", "{}"),
        lambda: smq.publish("t", "{}", tag="x", properties={}),
    ]
    for action in actions:
        with pytest.raises(QueueUnavailable) as caught:
            action()
        assert caught.value.code == code
        assert caught.value.request_id
    assert smq_twin.take("q") == []


def test_before_any_invocation_nothing_can_be_sent(smq_twin: Any) -> None:
    """A client that was never given credentials is refused, and does not crash."""
    with pytest.raises(QueueUnavailable):
        Smq(f"http://127.0.0.1:{smq_twin.port}").send("q", "{}")


@pytest.mark.parametrize(
    ("queue", "body", "code"),
    [
        ("absent", "{}", "QueueNotExist"),
        ("q", "x" * 50_000, "InvalidArgument"),
    ],
)
def test_a_refusal_has_smqs_code_and_request_id(smq: Smq, queue: str, body: str, code: str) -> None:
    """Trying again cannot help, so it is not tried; the message says what SMQ said."""
    with pytest.raises(QueueUnavailable, match=code) as caught:
        smq.send(queue, body)
    assert caught.value.code == code
    assert caught.value.request_id


@pytest.mark.parametrize(
    "endpoint", ["", "host", "ftp://host", "http://", "HTTP//host", "://host", "https:host"]
)
def test_an_endpoint_must_be_an_address(endpoint: str) -> None:
    """A setting that is wrong is told when the function starts, not at its first message."""
    with pytest.raises(ValueError, match="not an endpoint"):
        Smq(endpoint)


def test_threads_share_one_client(
    smq: Smq, smq_twin: Any, together: Callable[..., list[Any]]
) -> None:
    """Eight threads send and publish at once; the SDK's own transport would crash."""

    def work(number: int) -> list[str]:
        sent = [smq.send("q", json.dumps([number, n])) for n in range(10)]
        published = [smq.publish("t", f"{number}/{n}", tag="x", properties={}) for n in range(10)]
        return sent + published

    ids = [identity for several in together(8, work) for identity in several]
    assert len(set(ids)) == len(ids)
    messages = [message for _ in range(6) for message in smq_twin.take("q")]
    bodies = sorted(json.loads(base64.b64decode(message.body)) for message in messages)
    assert bodies == [[number, n] for number in range(8) for n in range(10)]
    topic = [message.body for message in smq_twin.published("t")[-80:]]
    assert sorted(topic) == sorted(f"{number}/{n}" for number in range(8) for n in range(10))


@pytest.fixture
def queues(smq: Smq, smq_twin: Any) -> Queues:
    """An environment's queues and topic, each by its purpose."""
    names = {"mails": "mails", "rejected": "rejected", "dead": "dead"}
    for name in names.values():
        smq_twin.running.do(lambda n=name: smq_twin.broker.ensure_queue(n, QueueAttributes()))
        while smq_twin.take(name):
            pass
    smq_twin.running.do(lambda: smq_twin.broker.ensure_queue("sink", QueueAttributes()))
    return Queues(smq, **names, events="mails", retries="rejected", dead_events="dead")


def test_each_purpose_has_its_queue(queues: Queues, smq_twin: Any) -> None:
    """Letters, rejects and buried letters do not mix, and events go to the topic."""
    given = {"to": ["ada@example.net"], "subject": "Hello", "text": "Hello, Ada."}
    letter = Letter(given, parse_mail(dict(given)), "key", custody=3)
    queues.put_back(letter, 0)
    queues.settle(Settlement("mail", "env-1"), 0)
    queues.reject("why")
    queues.bury(letter)
    queues.deliver("topic:t", "event", "sent", {"id": "1", "traceparent": "00-1"})
    queues.deliver("queue:sink", "event", "sent", {"id": "1", "traceparent": "00-1"})
    queues.retry("retried", 0)
    queues.lay_aside("aside", "")
    queues.lay_aside("of its own", "sink")

    def bodies(queue: str) -> list[str]:
        return [base64.b64decode(message.body).decode() for message in smq_twin.take(queue)]

    back, proof = (json.loads(body) for body in bodies("mails"))
    assert (back["custody"], back["key"], back["mail"]) == (3, "key", given)
    assert proof["settle"] == ["mail", "env-1", None]
    assert bodies("rejected") == ["why", "retried"]
    buried, aside = bodies("dead")
    assert (json.loads(buried)["custody"], aside) == (3, "aside")
    assert smq_twin.published("t")[-1].body == "event"
    event, own = smq_twin.take("sink")
    assert [base64.b64decode(each.body) for each in (event, own)] == [b"event", b"of its own"]
    told = {each.name: each.value for each in event.properties}
    assert told == {"id": "1", "traceparent": "00-1"}
    assert [each.name for each in event.system_properties] == ["traceparent"]


def test_credentials_of_the_invocation_are_not_kept_by_the_client(smq: Smq, call: Call) -> None:
    """What the client prints of itself holds no secret."""
    smq.use(call())
    assert OWNER.secret not in f"{vars(smq)} {Credentials(OWNER.id, OWNER.secret)!r}"
