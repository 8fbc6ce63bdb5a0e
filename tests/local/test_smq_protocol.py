"""The SMQ twin's protocol: the unmodified official SDK is the client, over real HTTP."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import http.client
import itertools
import queue as queue_module
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import formatdate
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import uvicorn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mns.account import Account as MnsAccount
from mns.message_property import MessagePropertyValue
from mns.mns_common import TopicHelper
from mns.mns_exception import MNSServerException
from mns.queue import Message, Queue, QueueMeta
from mns.subscription import Subscription, SubscriptionMeta
from mns.topic import Base64TopicMessage, TopicMessage, TopicMeta

from local.account import ACCOUNT_ID, OWNER, REGION, AccessKey, Account
from local.activity import Activity
from local.twins.smq.app import create_app
from local.twins.smq.broker import Broker, QueueAttributes, QueueDepth

NAMESPACE = "http://mns.aliyuncs.com/doc/v1/"
NAMES = (f"name-{number}" for number in itertools.count())


@dataclass
class Twin:
    """A running twin, and a way into its event loop."""

    port: int
    account: Account
    broker: Broker
    loop: asyncio.AbstractEventLoop
    ahead: list[float]
    server: uvicorn.Server

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def call(self, method: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Call the broker in the thread it belongs to."""

        async def run() -> Any:
            return method(*arguments, **options)

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(10)

    def depth(self, queue: Queue) -> QueueDepth:
        """The queue's messages by state; the SDK has deprecated its own way to ask."""
        depth: QueueDepth = self.call(self.broker.depth, queue.queue_name)
        return depth


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twin]:
    """One server for all tests here; each makes queues of its own."""
    ahead = [0.0]  # how much the account's clock runs ahead
    account = Account(clock=lambda: time.time() + ahead[0])
    path: Path = tmp_path_factory.mktemp("smq") / "smq.db"
    ready: queue_module.Queue[Twin] = queue_module.Queue()

    async def serve() -> None:
        broker = Broker(path, activity=Activity())
        config = uvicorn.Config(
            create_app(broker, account),
            log_level="critical",
            lifespan="off",
            ws="none",
            timeout_keep_alive=60,
        )
        server = uvicorn.Server(config)
        # Named as TCP, or asyncio leaves out TCP_NODELAY and every answer waits 40 ms.
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
            listening.bind(("127.0.0.1", 0))
            listening.listen()
            loop, port = asyncio.get_running_loop(), listening.getsockname()[1]
            ready.put(Twin(port, account, broker, loop, ahead, server))
            await server.serve([listening])
        broker.close()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    twin = ready.get(timeout=10)
    yield twin
    twin.server.should_exit = twin.server.force_exit = True
    thread.join(10)


Connect = Callable[..., MnsAccount]


@pytest.fixture
def connect(twin: Twin) -> Iterator[Connect]:
    """Makes SDK accounts, by default with the owner's key."""
    accounts: list[MnsAccount] = []

    def make(key: AccessKey = OWNER) -> MnsAccount:
        accounts.append(MnsAccount(twin.url, key.id, key.secret, key.token or ""))
        return accounts[-1]

    yield make
    for account in accounts:
        account.get_client().close_connection()


@pytest.fixture(scope="module")
def sdk(twin: Twin) -> Iterator[MnsAccount]:
    """The SDK with the owner's key, on one connection for all tests here."""
    account = MnsAccount(twin.url, OWNER.id, OWNER.secret)
    yield account
    account.get_client().close_connection()


@pytest.fixture
def queue(sdk: MnsAccount) -> Queue:
    """A fresh queue."""
    queue = sdk.get_queue(next(NAMES))
    queue.create(QueueMeta())
    return queue


def refused(action: Callable[[], Any]) -> str:
    """The code of the error that the SDK raises."""
    with pytest.raises(MNSServerException) as caught:
        action()
    assert len(caught.value.request_id) == 24
    code: str = caught.value.type
    return code


# Raw requests, signed independently of the SDK and of the twin.


@dataclass
class Reply:
    """An answer, with the error code when it is one."""

    status: int
    headers: dict[str, str]
    body: str

    @property
    def code(self) -> str:
        """The error's code."""
        root = ET.fromstring(self.body)  # noqa: S314  # the twin's own words
        assert root.tag == f"{{{NAMESPACE}}}Error"
        names = [child.tag.removeprefix(f"{{{NAMESPACE}}}") for child in root]
        assert names == ["Code", "Message", "RequestId", "HostId"]
        return root[0].text or ""


def raw(
    twin: Twin,
    method: str,
    target: str,
    body: bytes = b"",
    *,
    headers: dict[str, str] | None = None,
    without: tuple[str, ...] = (),
    key: AccessKey = OWNER,
    connection: http.client.HTTPConnection | None = None,
) -> Reply:
    """Send a request with a correct signature, except for what the arguments change."""
    sent = {
        "date": formatdate(usegmt=True),
        "x-mns-version": "2015-06-06",
        "content-type": "text/xml",
        **({} if key.token is None else {"security-token": key.token}),
        **(headers or {}),
    }
    sent = {name: value for name, value in sent.items() if name not in without}
    names = sorted(name for name in sent if name.startswith("x-mns-"))
    lines = [method, *(sent.get(n, "") for n in ("content-md5", "content-type"))]
    lines += [sent.get("date", sent.get("x-mns-date", ""))]
    lines += [f"{name}:{sent[name]}" for name in names]
    text = "\n".join([*lines, target])
    digest = hmac.new(key.secret.encode(), text.encode("latin-1"), hashlib.sha1).digest()
    if "authorization" not in without:
        signature = f"MNS {key.id}:{base64.b64encode(digest).decode()}"
        sent.setdefault("authorization", signature)
    own = connection or http.client.HTTPConnection("127.0.0.1", twin.port, timeout=10)
    try:
        own.request(method, target, body, sent)
        reply = own.getresponse()
        fields = {name.lower(): value for name, value in reply.getheaders()}
        return Reply(reply.status, fields, reply.read().decode())
    finally:
        if connection is None:
            own.close()


def message_xml(inside: str, root: str = "Message") -> bytes:
    """A document as SDKs send it."""
    return f'<?xml version="1.0"?><{root} xmlns="{NAMESPACE}">{inside}</{root}>'.encode()


# Queues.


def test_a_queue_has_the_attributes_it_was_created_with(sdk: MnsAccount, twin: Twin) -> None:
    """Create answers with the queue's address, get with every attribute and the counts."""
    name = next(NAMES)
    queue = sdk.get_queue(name)
    meta = QueueMeta(
        vis_timeout=60,
        max_msg_size=2048,
        msg_ttl=600,
        delay_sec=3,
        polling_wait_sec=1,
        logging_enabled=True,
    )
    assert queue.create(meta) == f"{twin.url}/queues/{name}"
    got = queue.get_attributes()
    assert (got.visibility_timeout, got.maximum_message_size) == (60, 2048)
    assert (got.message_retention_period, got.delay_seconds) == (600, 3)
    assert (got.polling_wait_seconds, got.logging_enabled) == (1, True)
    assert got.queue_name == name
    assert abs(got.create_time - time.time()) < 60


def test_an_omitted_attribute_has_the_services_default(queue: Queue) -> None:
    """30 seconds, 64 KB, 4 days, no delay, no waiting, no logs."""
    got = queue.get_attributes()
    assert (got.visibility_timeout, got.maximum_message_size) == (30, 65_536)
    assert (got.message_retention_period, got.delay_seconds) == (345_600, 0)
    assert (got.polling_wait_seconds, got.logging_enabled) == (0, False)


def test_attributes_are_set_one_by_one(queue: Queue) -> None:
    """What the request leaves out stays as it was."""
    queue.set_attributes(QueueMeta(vis_timeout=5))
    queue.set_attributes(QueueMeta(delay_sec=2))
    got = queue.get_attributes()
    assert (got.visibility_timeout, got.delay_seconds, got.maximum_message_size) == (5, 2, 65_536)


def test_creating_a_queue_again_needs_the_same_attributes(queue: Queue) -> None:
    """The same is no error; another is a conflict."""
    assert queue.create(QueueMeta()).endswith(queue.queue_name)
    assert refused(lambda: queue.create(QueueMeta(vis_timeout=77))) == "QueueAlreadyExist"


def test_the_queues_counts_follow_its_messages(twin: Twin, queue: Queue) -> None:
    """Active, inactive and delayed."""
    for delay in (0, 0, 60):
        queue.send_message(Message("x", delay_seconds=delay))
    queue.receive_message()
    shown = raw(twin, "GET", f"/queues/{queue.queue_name}").body
    for name in ("ActiveMessages", "InactiveMessages", "DelayMessages"):
        assert f"<{name}>1</{name}>" in shown


def test_a_deleted_queue_is_gone(queue: Queue) -> None:
    """Every operation on it says so; deleting again does not."""
    queue.delete()
    queue.delete()
    for action in (
        queue.get_attributes,
        queue.receive_message,
        queue.peek_message,
        lambda: queue.send_message(Message("x")),
        lambda: queue.batch_send_message([Message("x")]),
        lambda: queue.set_attributes(QueueMeta(vis_timeout=5)),
        lambda: queue.delete_message("1-0000000000000000"),
        lambda: queue.batch_delete_message(["1-0000000000000000"]),
        lambda: queue.change_message_visibility("1-0000000000000000", 5),
    ):
        assert refused(action) == "QueueNotExist"


def test_queues_are_listed_by_prefix_and_page_by_page(sdk: MnsAccount, twin: Twin) -> None:
    """The marker of one page begins the next; the last has none."""
    names = [f"listed-{letter}" for letter in "abcde"]
    for name in names:
        sdk.get_queue(name).create(QueueMeta())
    urls, marker, pages = [], "", 0
    while pages == 0 or marker:
        page, marker = sdk.list_queue(prefix="listed-", ret_number=2, marker=marker)
        urls += page
        pages += 1
    assert urls == [f"{twin.url}/queues/{name}" for name in names]
    assert pages == 3
    assert len(sdk.list_queue()[0]) >= 5


# Messages.


@pytest.mark.parametrize("encoding", [True, False])
def test_a_message_is_sent_received_and_deleted(twin: Twin, queue: Queue, encoding: bool) -> None:
    """With and without the SDK's base64 the consumer reads what the producer wrote."""
    queue.set_encoding(encoding)
    body = 'é😀 <a href="x">&amp;</a> ]]> \n\t end'
    sent = queue.send_message(Message(body, priority=3))
    wire = base64.b64encode(body.encode()).decode() if encoding else body
    assert sent.message_body_md5 == hashlib.md5(wire.encode()).hexdigest().upper()  # noqa: S324  # as the service does
    got = queue.receive_message_with_str_body()
    assert (got.message_id, got.message_body) == (sent.message_id, body)
    assert got.message_body_md5 == sent.message_body_md5
    assert (got.dequeue_count, got.priority) == (1, 3)
    assert got.enqueue_time <= got.first_dequeue_time < got.next_visible_time
    assert abs(got.next_visible_time / 1000 - time.time() - 30) < 5
    queue.delete_message(got.receipt_handle)
    assert twin.depth(queue).in_flight == 0


def test_line_ends_survive_when_the_sender_escapes_them(twin: Twin, queue: Queue) -> None:
    """XML turns a bare carriage return into a line feed (and the SDK does not escape it)."""
    queue.set_encoding(False)
    target = f"/queues/{queue.queue_name}/messages"
    raw(twin, "POST", target, message_xml("<MessageBody>a&#13;&#10;b\r\nc</MessageBody>"))
    assert queue.receive_message().message_body == "a\r\nb\nc"


def test_an_empty_queue_is_404_message_not_exist(queue: Queue) -> None:
    """For receive, batch receive, peek and batch peek."""
    for action in (
        queue.receive_message,
        lambda: queue.batch_receive_message(16),
        queue.peek_message,
        lambda: queue.batch_peek_message(16),
    ):
        assert refused(action) == "MessageNotExist"


def test_long_polling_is_answered_by_a_send(connect: Connect, queue: Queue) -> None:
    """The waiting client gets the message while the other's send is hardly over."""
    got: list[Any] = []
    other = connect().get_queue(queue.queue_name)
    thread = threading.Thread(target=lambda: got.append(other.receive_message(10)))
    thread.start()
    time.sleep(0.3)
    start = time.monotonic()
    queue.send_message(Message("x"))
    thread.join(5)
    assert time.monotonic() - start < 1
    assert got[0].message_body == b"x"


def test_long_polling_ends_with_message_not_exist(sdk: MnsAccount) -> None:
    """After waitseconds, or after the queue's own time when the request names none."""
    queue = sdk.get_queue(next(NAMES))
    queue.create(QueueMeta(polling_wait_sec=1))
    for action in (queue.receive_message, lambda: queue.batch_receive_message(2, 1)):
        start = time.monotonic()
        assert refused(action) == "MessageNotExist"
        assert 0.9 < time.monotonic() - start < 5
    start = time.monotonic()
    assert refused(lambda: queue.receive_message(0)) == "MessageNotExist"
    assert time.monotonic() - start < 0.9


def test_a_client_that_hangs_up_takes_no_message(twin: Twin, queue: Queue) -> None:
    """Its long poll ends with it: the next message stays visible for others."""
    target = f"/queues/{queue.queue_name}/messages?waitseconds=20"
    impatient = http.client.HTTPConnection("127.0.0.1", twin.port, timeout=0.3)
    with pytest.raises(TimeoutError):
        raw(twin, "GET", target, connection=impatient)
    impatient.close()
    time.sleep(0.1)
    queue.send_message(Message("x"))
    assert twin.depth(queue).visible == 1


def test_a_batch_is_sent_received_and_deleted(twin: Twin, queue: Queue) -> None:
    """16 at once, each with its own answer."""
    sent = queue.batch_send_message([Message(f"m{number}") for number in range(16)])
    assert len({each.message_id for each in sent}) == 16
    got = queue.batch_receive_message_with_str_body(16)
    assert [each.message_id for each in got] == [each.message_id for each in sent]
    assert [each.message_body for each in got] == [f"m{number}" for number in range(16)]
    queue.batch_delete_message([each.receipt_handle for each in got])
    assert twin.depth(queue).in_flight == 0


def test_a_batch_has_at_most_16_messages(twin: Twin, queue: Queue) -> None:
    """17 are refused whole, to send, to receive, to peek and to delete."""
    for action in (
        lambda: queue.batch_send_message([Message("x")] * 17),
        lambda: queue.batch_receive_message(17),
        lambda: queue.batch_peek_message(17),
        lambda: queue.batch_delete_message(["1-0000000000000000"] * 17),
        lambda: queue.batch_send_message([]),
        lambda: queue.batch_receive_message(0),
        lambda: queue.batch_delete_message([]),
    ):
        assert refused(action) == "InvalidArgument"
    assert twin.depth(queue).visible == 0


def test_a_batch_has_at_most_64_kb(twin: Twin, queue: Queue) -> None:
    """Counted over all bodies as sent."""
    queue.set_encoding(False)
    queue.batch_send_message([Message("x" * 32_768)] * 2)
    batch = [Message("x" * 32_768), Message("x" * 32_769)]
    assert refused(lambda: queue.batch_send_message(batch)) == "InvalidArgument"
    assert twin.depth(queue).visible == 2


def test_a_batch_can_fail_in_part_when_sent(twin: Twin, queue: Queue) -> None:
    """The good messages are sent, each bad one has its error, and the SDK shows both."""
    batch = [Message("good"), Message("bad", priority=17), Message("good too")]
    with pytest.raises(MNSServerException) as caught:
        queue.batch_send_message(batch)
    assert caught.value.type == "InvalidArgument"
    assert [sorted(each) for each in caught.value.sub_errors] == [
        ["MessageBodyMD5", "MessageId"],
        ["ErrorCode", "ErrorMessage"],
        ["MessageBodyMD5", "MessageId"],
    ]
    assert twin.depth(queue).visible == 2


def test_a_batch_can_fail_in_part_when_deleted(twin: Twin, queue: Queue) -> None:
    """What can be deleted is; the error names each handle that could not."""
    queue.send_message(Message("x"))
    handle = queue.receive_message().receipt_handle
    with pytest.raises(MNSServerException) as caught:
        queue.batch_delete_message([handle, "1-0000000000000000", "nonsense"])
    assert [(each["ErrorCode"], each["ReceiptHandle"]) for each in caught.value.sub_errors] == [
        ("MessageNotExist", "1-0000000000000000"),
        ("ReceiptHandleError", "nonsense"),
    ]
    assert twin.depth(queue).in_flight == 0


def test_peeking_shows_and_does_not_take(queue: Queue) -> None:
    """One or several, and the message is still there for a receive."""
    queue.batch_send_message([Message("a"), Message("b")])
    assert queue.peek_message_with_str_body().message_body == "a"
    peeked = queue.batch_peek_message_with_str_body(16)
    assert [(each.message_body, each.dequeue_count) for each in peeked] == [("a", 0), ("b", 0)]
    assert queue.receive_message().dequeue_count == 1


def test_changing_the_visibility_gives_a_new_handle(queue: Queue) -> None:
    """The old one is dead, the new one deletes; the SDK's own limits are the twin's."""
    queue.send_message(Message("x"))
    got = queue.receive_message()
    changed = queue.change_message_visibility(got.receipt_handle, 60)
    assert abs(int(changed.next_visible_time) / 1000 - time.time() - 60) < 5
    assert refused(lambda: queue.delete_message(got.receipt_handle)) == "MessageNotExist"
    given_back = queue.change_message_visibility(changed.receipt_handle, 0)
    assert refused(lambda: queue.delete_message(given_back.receipt_handle)) == "MessageNotExist"
    again = queue.receive_message()
    queue.delete_message(again.receipt_handle)


def test_a_message_is_visible_again_after_its_time_out(sdk: MnsAccount) -> None:
    """A waiting receive gets it as soon as it is; its old handle is worthless."""
    queue = sdk.get_queue(next(NAMES))
    queue.create(QueueMeta(vis_timeout=1))
    queue.send_message(Message("x"))
    first = queue.receive_message()
    second = queue.receive_message(5)
    assert (second.message_id, second.dequeue_count) == (first.message_id, 2)
    assert second.first_dequeue_time == first.first_dequeue_time
    assert refused(lambda: queue.delete_message(first.receipt_handle)) == "MessageNotExist"


def test_a_delayed_message_comes_when_its_delay_is_over(queue: Queue) -> None:
    """The answer holds a handle for it."""
    assert queue.send_message(Message("x", delay_seconds=1)).receipt_handle
    assert refused(queue.receive_message) == "MessageNotExist"
    assert queue.receive_message(5).message_body == b"x"


def test_a_body_may_have_64_kb_as_it_is_sent(queue: Queue) -> None:
    """Base64 counts: 49,152 bytes are the most that fit, without it 65,536."""
    queue.send_message(Message("x" * 49_152))
    assert len(queue.receive_message().message_body) == 49_152
    assert refused(lambda: queue.send_message(Message("x" * 49_153))) == "InvalidArgument"
    queue.set_encoding(False)
    queue.send_message(Message("&" * 65_536))
    assert len(queue.receive_message().message_body) == 65_536
    assert refused(lambda: queue.send_message(Message("&" * 65_537))) == "InvalidArgument"


@pytest.mark.parametrize(
    "meta",
    [
        {"max_msg_size": 1023},
        {"max_msg_size": 65_537},
        {"vis_timeout": 43_201},
        {"msg_ttl": 59},
        {"msg_ttl": 604_801},
        {"delay_sec": 604_801},
        {"polling_wait_sec": 31},
    ],
)
def test_an_attribute_beyond_its_limit_is_invalid(sdk: MnsAccount, meta: dict[str, int]) -> None:
    """The queue is not made."""
    queue = sdk.get_queue(next(NAMES))
    assert refused(lambda: queue.create(QueueMeta(**meta))) == "InvalidArgument"
    assert refused(queue.get_attributes) == "QueueNotExist"


def test_a_message_beyond_a_limit_is_invalid(queue: Queue) -> None:
    """Delay, priority, waiting."""
    for action in (
        lambda: queue.send_message(Message("x", delay_seconds=604_801)),
        lambda: queue.send_message(Message("x", priority=17)),
        lambda: queue.send_message(Message("x", priority=0)),
        lambda: queue.receive_message(31),
    ):
        assert refused(action) == "InvalidArgument"


def test_properties_of_every_type_come_back(queue: Queue) -> None:
    """User properties and system properties, through send, batch, receive and peek."""
    message = Message("x")
    message.add_user_property("text", MessagePropertyValue.create_string("é <&>"))
    message.add_user_property("number", MessagePropertyValue.create_number(-1.5))
    message.add_user_property("flag", MessagePropertyValue.create_boolean(True))  # noqa: FBT003  # the SDK's interface
    message.add_user_property("bytes", MessagePropertyValue.create_binary(b"\x00\xff"))
    queue.send_message(message)
    queue.batch_send_message([message])
    for got in (queue.peek_message(), *queue.batch_receive_message(16)):
        values = {name: value.get_raw_value() for name, value in got.get_user_properties().items()}
        expected = {"text": "é <&>", "number": "-1.5", "flag": "true", "bytes": b"\x00\xff"}
        assert values == expected


# Topics.


def queue_endpoint(queue: Queue) -> str:
    """The queue's address, by the SDK's own helper."""
    endpoint: str = TopicHelper.generate_queue_endpoint(REGION, ACCOUNT_ID, queue.queue_name)
    return endpoint


def subscribe(
    sdk: MnsAccount, topic: str, queue: Queue, content_format: str = "SIMPLIFIED", tag: str = ""
) -> Subscription:
    """Subscribe a queue to a topic."""
    subscription = sdk.get_subscription(topic, next(NAMES))
    endpoint = queue_endpoint(queue)
    meta = SubscriptionMeta(endpoint, notify_content_format=content_format, filter_tag=tag)
    subscription.subscribe(meta)
    return subscription


@pytest.fixture
def topic(sdk: MnsAccount) -> str:
    """A fresh topic's name."""
    name = next(NAMES)
    sdk.get_topic(name).create(TopicMeta())
    return name


def test_a_topic_is_created_changed_listed_and_deleted(sdk: MnsAccount, twin: Twin) -> None:
    """As a queue is."""
    name = next(NAMES)
    topic = sdk.get_topic(name)
    assert topic.create(TopicMeta(2048)) == f"{twin.url}/topics/{name}"
    assert topic.create(TopicMeta(2048)) == f"{twin.url}/topics/{name}"
    assert refused(lambda: topic.create(TopicMeta(4096))) == "TopicAlreadyExist"
    topic.set_attributes(TopicMeta(logging_enabled=True))
    got = topic.get_attributes()
    assert (got.maximum_message_size, got.logging_enabled) == (2048, True)
    assert (got.topic_name, got.message_retention_period) == (name, 86_400)
    assert sdk.list_topic(prefix=name)[0] == [f"{twin.url}/topics/{name}"]
    topic.delete()
    assert refused(topic.get_attributes) == "TopicNotExist"
    assert refused(lambda: topic.publish_message(TopicMessage("x"))) == "TopicNotExist"


def test_a_publication_reaches_the_queues_whose_tag_it_has(
    sdk: MnsAccount, topic: str, queue: Queue
) -> None:
    """With its properties; the filter is the subscription's."""
    queue.set_encoding(False)
    subscribe(sdk, topic, queue, tag="wanted")
    message = TopicMessage('{"é": 1}', "wanted")
    message.add_user_property("id", MessagePropertyValue.create_string("7"))
    sdk.get_topic(topic).publish_message(TopicMessage("no", "other"))
    sdk.get_topic(topic).publish_message(TopicMessage("no"))
    sdk.get_topic(topic).publish_message(message)
    (got,) = queue.batch_receive_message(16)
    assert got.message_body == '{"é": 1}'
    assert got.get_user_properties()["id"].get_raw_value() == "7"


def test_a_base64_publication_is_read_by_the_queues_default(
    sdk: MnsAccount, topic: str, queue: Queue
) -> None:
    """The SDK's Base64TopicMessage and its queue speak the same way; MessageId is the topic's."""
    subscribe(sdk, topic, queue)
    sent = sdk.get_topic(topic).publish_message(Base64TopicMessage("héllo"))
    assert len(sent.message_id) == 32
    assert queue.receive_message_with_str_body().message_body == "héllo"


@pytest.mark.parametrize("content_format", ["JSON", "XML"])
def test_a_notification_wraps_the_publication(
    sdk: MnsAccount, topic: str, queue: Queue, content_format: str
) -> None:
    """The queue's message holds the publication's id and body in the chosen format."""
    queue.set_encoding(False)
    subscribe(sdk, topic, queue, content_format)
    sent = sdk.get_topic(topic).publish_message(TopicMessage("body"))
    body = queue.receive_message().message_body
    assert sent.message_id in body
    assert body.startswith("{" if content_format == "JSON" else "<?xml")


def test_a_subscription_shows_what_it_is(sdk: MnsAccount, topic: str, queue: Queue) -> None:
    """Every attribute; the strategy can be changed; it is listed, and gone when unsubscribed."""
    subscription = subscribe(sdk, topic, queue, "JSON", "tag")
    endpoint = queue_endpoint(queue)
    got = subscription.get_attributes()
    assert (got.endpoint, got.filter_tag, got.notify_content_format) == (endpoint, "tag", "JSON")
    assert (got.topic_name, got.topic_owner) == (topic, ACCOUNT_ID)
    assert got.notify_strategy == "BACKOFF_RETRY"
    subscription.set_attributes(SubscriptionMeta(notify_strategy="EXPONENTIAL_DECAY_RETRY"))
    got = subscription.get_attributes()
    assert (got.notify_strategy, got.filter_tag) == ("EXPONENTIAL_DECAY_RETRY", "tag")
    (url,) = sdk.get_topic(topic).list_subscription()[0]
    assert url.endswith(f"/topics/{topic}/subscriptions/{subscription.subscription_name}")
    subscription.unsubscribe()
    assert refused(subscription.get_attributes) == "SubscriptionNotExist"


def test_subscribing_again_needs_the_same_wish(sdk: MnsAccount, topic: str, queue: Queue) -> None:
    """The same is no error; another is a conflict."""
    subscription = subscribe(sdk, topic, queue)
    meta = SubscriptionMeta(queue_endpoint(queue), notify_content_format="SIMPLIFIED")
    subscription.subscribe(meta)
    meta.set_filter_tag("x")
    assert refused(lambda: subscription.subscribe(meta)) == "SubscriptionAlreadyExist"


def test_only_queues_and_urls_can_be_subscribed(sdk: MnsAccount, topic: str) -> None:
    """What this twin would silently never push to is refused."""
    subscription = sdk.get_subscription(topic, next(NAMES))
    for endpoint in ("ftp://127.0.0.1/x", "mail:directmail:a@b.c", "acs:mns:x:y:queues/q"):
        meta = SubscriptionMeta(endpoint)
        assert refused(partial(subscription.subscribe, meta)) == "EndpointInvalid"


def test_a_tag_has_at_most_16_characters(twin: Twin, topic: str) -> None:
    """The SDK checks it too, so this is asked without it."""
    target = f"/topics/{topic}/messages"
    for length, status in ((16, 201), (17, 400)):
        inside = f"<MessageBody>x</MessageBody><MessageTag>{'t' * length}</MessageTag>"
        assert raw(twin, "POST", target, message_xml(inside)).status == status


def test_a_publication_may_have_64_kb(sdk: MnsAccount, topic: str) -> None:
    """And not one byte more."""
    sdk.get_topic(topic).publish_message(TopicMessage("x" * 65_536))
    message = TopicMessage("x" * 65_537)
    assert refused(lambda: sdk.get_topic(topic).publish_message(message)) == "InvalidArgument"


# Who asks.


def test_temporary_credentials_work_with_their_token(twin: Twin, connect: Connect) -> None:
    """As Function Compute hands them to an instance."""
    queue = connect(twin.account.assume("role")).get_queue(next(NAMES))
    queue.create(QueueMeta())
    queue.send_message(Message("x"))
    assert queue.receive_message().message_body == b"x"


def test_a_request_without_a_good_key_is_refused(twin: Twin, connect: Connect) -> None:
    """Unknown key, wrong secret, missing, wrong or needless token: 403, each with its code."""
    role = twin.account.assume("role")
    for key, code in (
        (AccessKey("nobody", OWNER.secret), "InvalidAccessKeyId"),
        (AccessKey(OWNER.id, "wrong"), "SignatureDoesNotMatch"),
        (AccessKey(role.id, "wrong", role.token), "SignatureDoesNotMatch"),
        (AccessKey(role.id, role.secret), "InvalidSecurityToken"),
        (AccessKey(role.id, role.secret, "wrong"), "InvalidSecurityToken"),
        (AccessKey(OWNER.id, OWNER.secret, "needless"), "InvalidSecurityToken"),
    ):
        assert refused(connect(key).list_queue) == code
        assert raw(twin, "GET", "/queues", key=key).status == 403


def test_an_expired_token_is_refused(twin: Twin, connect: Connect) -> None:
    """After 36 hours the credentials of a role end."""
    sdk = connect(twin.account.assume("role"))
    sdk.list_queue()
    twin.ahead[0] = 36 * 3600 + 1
    try:
        assert refused(sdk.list_queue) == "SecurityTokenExpired"
    finally:
        twin.ahead[0] = 0


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"without": ("authorization",)}, 400, "MissingAuthorizationHeader"),
        ({"headers": {"authorization": "Basic x"}}, 400, "InvalidAuthorizationHeader"),
        ({"headers": {"authorization": "MNS x"}}, 400, "InvalidAuthorizationHeader"),
        ({"without": ("date",)}, 400, "MissingDateHeader"),
        ({"headers": {"date": "yesterday"}}, 400, "InvalidDateHeader"),
        ({"headers": {"date": "Mon, 99 Foo 2026 25:61:61 GMT"}}, 400, "InvalidDateHeader"),
        ({"headers": {"date": formatdate(0, usegmt=True)}}, 408, "TimeExpired"),
        ({"without": ("x-mns-version",)}, 400, "MissingVersionHeader"),
        ({"headers": {"x-mns-version": "2014-07-08"}}, 400, "InvalidVersionHeader"),
        ({"headers": {"content-md5": "bm9uc2Vuc2U="}}, 400, "InvalidDegist"),
        ({"headers": {"content-md5": "no base64!"}}, 400, "InvalidDegist"),
    ],
)
def test_each_header_is_checked(twin: Twin, change: Any, status: int, code: str) -> None:
    """Missing, malformed or wrong: the documented answer."""
    reply = raw(twin, "GET", "/queues", **change)
    assert (reply.status, reply.code) == (status, code)


@pytest.mark.parametrize(("minutes", "status"), [(-14, 200), (14, 200), (-16, 408), (16, 408)])
def test_a_date_may_be_a_quarter_of_an_hour_off(twin: Twin, minutes: int, status: int) -> None:
    """Either way."""
    date = formatdate(time.time() + 60 * minutes, usegmt=True)
    assert raw(twin, "GET", "/queues", headers={"date": date}).status == status


def test_another_header_can_stand_in_for_the_date(twin: Twin) -> None:
    """x-mns-date, for clients that cannot set Date."""
    date = {"x-mns-date": formatdate(usegmt=True)}
    assert raw(twin, "GET", "/queues", headers=date, without=("date",)).status == 200


def test_the_digest_of_the_body_may_come_in_three_forms(twin: Twin, queue: Queue) -> None:
    """Base64 of the hexadecimal digest (the SDKs), base64 of the raw one, and hexadecimal."""
    body = message_xml("<MessageBody>x</MessageBody>")
    target = f"/queues/{queue.queue_name}/messages"
    digest = hashlib.md5(body)  # noqa: S324  # as the protocol asks
    for value in (
        base64.b64encode(digest.hexdigest().encode()).decode(),
        base64.b64encode(digest.digest()).decode(),
        digest.hexdigest(),
        digest.hexdigest().upper(),
    ):
        assert raw(twin, "POST", target, body, headers={"content-md5": value}).status == 201
    other = base64.b64encode(hashlib.md5(b"other").digest()).decode()  # noqa: S324  # likewise
    reply = raw(twin, "POST", target, body, headers={"content-md5": other})
    assert (reply.status, reply.code) == (400, "InvalidDegist")


@pytest.mark.parametrize(
    ("signed", "sent"),
    [
        ("/queues/q/messages?waitseconds=1", "/queues/q/messages?waitseconds=2"),
        ("/queues/q/messages", "/queues/q/messages?peekonly=true"),
        ("/queues/a", "/queues/b"),
    ],
)
def test_the_query_is_part_of_the_signature(twin: Twin, signed: str, sent: str) -> None:
    """A signature for one request does not open another."""
    headers = {"date": formatdate(usegmt=True), "x-mns-version": "2015-06-06"}
    text = f"GET\n\n\n{headers['date']}\nx-mns-version:2015-06-06\n{signed}"
    digest = hmac.new(OWNER.secret.encode(), text.encode(), hashlib.sha1).digest()
    signature = f"MNS {OWNER.id}:{base64.b64encode(digest).decode()}"
    headers["authorization"] = signature
    reply = raw(twin, "GET", sent, headers=headers, without=("content-type",))
    assert (reply.status, reply.code) == (403, "SignatureDoesNotMatch")


# The protocol itself.


def test_every_answer_has_the_services_headers(twin: Twin, queue: Queue) -> None:
    """A request id of its own and the version, also without a body and in errors."""
    target = f"/queues/{queue.queue_name}"
    attributes = message_xml("<DelaySeconds>0</DelaySeconds>", "Queue")
    replies = [
        raw(twin, "GET", target),
        raw(twin, "PUT", f"{target}?metaoverride=true", attributes),
        raw(twin, "GET", "/nonsense"),
        raw(twin, "GET", target, without=("authorization",)),
    ]
    assert [reply.status for reply in replies] == [200, 204, 400, 400]
    assert {reply.headers["x-mns-version"] for reply in replies} == {"2015-06-06"}
    assert len({reply.headers["x-mns-request-id"] for reply in replies}) == 4
    assert replies[0].headers["content-type"] == "text/xml;charset=utf-8"
    assert replies[2].headers["x-mns-request-id"] in replies[2].body


def test_a_connection_is_kept_alive(twin: Twin, queue: Queue) -> None:
    """Answers with and without body, good and bad, leave it open."""
    connection = http.client.HTTPConnection("127.0.0.1", twin.port, timeout=10)
    target = f"/queues/{queue.queue_name}/messages"
    raw(twin, "GET", target, connection=connection)
    first = connection.sock
    body = message_xml("<MessageBody>x</MessageBody>")
    for method, content in (("POST", body), ("GET", b""), ("POST", b"<"), ("PATCH", body)):
        raw(twin, method, target, content, connection=connection)
        assert connection.sock is first
    connection.close()


def test_names_in_the_query_are_taken_in_any_case(twin: Twin, queue: Queue) -> None:
    """The documentation writes receiptHandle and ReceiptHandle, metaoverride and metaOverride."""
    queue.send_message(Message("x"))
    handle = queue.receive_message().receipt_handle
    target = f"/queues/{queue.queue_name}/messages"
    changed = raw(twin, "PUT", f"{target}?receiptHandle={handle}&visibilityTimeout=0")
    assert changed.status == 200
    attributes = message_xml("<VisibilityTimeout>9</VisibilityTimeout>", "Queue")
    override = f"/queues/{queue.queue_name}?metaOverride=true"
    assert raw(twin, "PUT", override, attributes).status == 204
    assert queue.get_attributes().visibility_timeout == 9


def test_a_listing_can_describe_each_queue(twin: Twin, queue: Queue) -> None:
    """x-mns-with-meta, which this SDK has no argument for."""
    headers = {"x-mns-with-meta": "true", "x-mns-prefix": queue.queue_name}
    reply = raw(twin, "GET", "/queues", headers=headers)
    assert "<QueueURL>" in reply.body
    assert "<VisibilityTimeout>30</VisibilityTimeout>" in reply.body


def test_a_queue_with_a_dead_letter_policy_can_be_created_again(
    twin: Twin, sdk: MnsAccount
) -> None:
    """The XML of queues does not know the policy: it neither conflicts with it nor removes it."""
    name, dead = next(NAMES), next(NAMES)
    policy = QueueAttributes(dead_letter_queue=dead, max_receive_count=2)
    twin.call(twin.broker.ensure_queue, name, policy)
    sdk.get_queue(name).create(QueueMeta())
    sdk.get_queue(name).set_attributes(QueueMeta(vis_timeout=9))
    kept = twin.call(twin.broker.queue, name).attributes
    assert (kept.dead_letter_queue, kept.max_receive_count) == (dead, 2)


def test_a_dead_letter_tells_its_origin_to_the_sdk(twin: Twin, sdk: MnsAccount) -> None:
    """The system properties that SMQ names for it."""
    name, dead = sdk.get_queue(next(NAMES)), sdk.get_queue(next(NAMES))
    dead.create(QueueMeta())
    policy = QueueAttributes(dead_letter_queue=dead.queue_name, max_receive_count=1)
    twin.call(twin.broker.ensure_queue, name.queue_name, policy)
    sent = name.send_message(Message("x"))
    name.change_message_visibility(name.receive_message().receipt_handle, 0)
    properties = dead.receive_message().get_system_properties()
    assert properties["DLQOriginMessageId"].get_raw_value() == sent.message_id


TARGETS = {
    "queue": "/queues/{q}",
    "messages": "/queues/{q}/messages",
    "topic": "/topics/{t}",
    "publish": "/topics/{t}/messages",
    "subscription": "/topics/{t}/subscriptions/s",
}
ENTITIES = b'<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;">]>'
BAD_BODIES: list[tuple[str, bytes, str]] = [
    ("", b"", "MalformedXML"),
    ("", b"{}", "MalformedXML"),
    ("", b"<Message", "MalformedXML"),
    ("", b"\xff\xfe\x00", "MalformedXML"),
    ("", message_xml("<MessageBody>\x01</MessageBody>"), "MalformedXML"),
    ("", message_xml("<MessageBody>&unknown;</MessageBody>"), "MalformedXML"),
    ("", ENTITIES + message_xml("<MessageBody>&d;</MessageBody>"), "MalformedXML"),
    ("", message_xml("<MessageBody>\xe9</MessageBody>").decode().encode("latin-1"), "MalformedXML"),
    ("", b'<?xml version="1.0" encoding="utf-99"?>' + message_xml("")[21:], "InvalidArgument"),
    ("", b"<Message><MessageBody>x</MessageBody></Message>", "InvalidArgument"),
    ("", message_xml("").replace(b"aliyuncs", b"example"), "InvalidArgument"),
    ("", message_xml("x", "Other"), "InvalidArgument"),
    ("", message_xml(""), "InvalidArgument"),
    ("", message_xml("<MessageBody/>"), "InvalidArgument"),
    ("", message_xml("<MessageBody>x</MessageBody>" * 2), "InvalidArgument"),
    ("", message_xml("<MessageBody><a>x</a></MessageBody>"), "InvalidArgument"),
    ("", message_xml("<MessageBody>x</MessageBody><Unknown/>"), "InvalidArgument"),
    ("", message_xml("<MessageBody>x</MessageBody><MessageGroupId>g</MessageGroupId>"), "Invalid"),
    ("", b"<a>" * 50_000, "InvalidArgument"),
    ("", message_xml("<a>" * 100 + "</a>" * 100), "InvalidArgument"),
    ("", b" " * 2_000_000, "InvalidArgument"),
    ("", b"<" * 10_000_000, "InvalidArgument"),
    (
        "",
        message_xml("<MessageBody>x</MessageBody><UserProperties><Name/></UserProperties>"),
        "InvalidArgument",
    ),
    *(
        (
            "messages",
            message_xml(f"<MessageBody>x</MessageBody><{name}>{value}</{name}>"),
            "Invalid",
        )
        for name in ("DelaySeconds", "Priority")
        for value in ("", "x", "1.5", "-1", "9" * 30, "٣", "0x10", "1e3")
    ),
    ("messages", message_xml("<Message><Priority>1</Priority></Message>", "Messages"), "Invalid"),
    ("messages", message_xml("text", "Messages"), "InvalidArgument"),
    ("queue", message_xml("<LoggingEnabled>maybe</LoggingEnabled>", "Queue"), "InvalidArgument"),
    ("queue", message_xml("<DelaySeconds>many</DelaySeconds>", "Queue"), "InvalidArgument"),
    ("topic", message_xml("<MaximumMessageSize>1</MaximumMessageSize>", "Topic"), "Invalid"),
    ("subscription", message_xml("", "Subscription"), "InvalidArgument"),
]


@pytest.mark.parametrize("case", BAD_BODIES)
def test_a_body_that_is_not_as_documented_is_a_400(
    twin: Twin, queue: Queue, topic: str, case: tuple[str, bytes, str]
) -> None:
    """Malformed is MalformedXML; well-formed but wrong is InvalidArgument; and nothing is sent."""
    place, body, code = case
    for name in [place] if place else TARGETS:
        target = TARGETS[name].format(q=queue.queue_name, t=topic)
        method = "POST" if name in {"messages", "publish"} else "PUT"
        reply = raw(twin, method, target, body)
        assert reply.status == 400, (name, reply.body)
        assert reply.code.startswith(code)
    assert twin.depth(queue).visible == 0


@pytest.mark.parametrize(
    "case",
    [
        ("GET", "/", 400, "InvalidRequestURL"),
        ("GET", "/queues/q/nonsense", 400, "InvalidRequestURL"),
        ("GET", "/queues/q/messages/more", 400, "InvalidRequestURL"),
        ("POST", "/queues", 400, "InvalidRequestURL"),
        ("PATCH", "/queues/q", 400, "InvalidRequestURL"),
        ("OPTIONS", "/queues/q", 400, "InvalidRequestURL"),
        ("GET", "/queues/q/messages?nonsense=1", 400, "InvalidQueryString"),
        ("GET", "/queues/q/messages?waitseconds=1&waitseconds=2", 400, "InvalidQueryString"),
        ("GET", "/queues/{q}/messages?waitseconds=x", 400, "InvalidQueryString"),
        ("GET", "/queues/{q}/messages?waitseconds=-1", 400, "InvalidArgument"),
        ("GET", "/queues/{q}/messages?numOfMessages=%D9%A3", 400, "InvalidQueryString"),
        ("GET", "/queues/{q}/messages?numOfMessages=17", 400, "InvalidArgument"),
        ("DELETE", "/queues/{q}/messages", 400, "MissingReceiptHandle"),
        ("DELETE", "/queues/{q}/messages?ReceiptHandle=", 400, "MissingReceiptHandle"),
        ("DELETE", "/queues/{q}/messages?ReceiptHandle=%FF%00", 400, "ReceiptHandleError"),
        ("PUT", "/queues/{q}/messages?VisibilityTimeout=1", 400, "MissingReceiptHandle"),
        ("PUT", "/queues/{q}/messages?ReceiptHandle=x", 400, "MissingVisibilityTimeout"),
        (
            "PUT",
            "/queues/{q}/messages?ReceiptHandle=x&VisibilityTimeout=",
            400,
            "InvalidQueryString",
        ),
        (
            "PUT",
            "/queues/{q}/messages?ReceiptHandle=x&VisibilityTimeout=43201",
            400,
            "InvalidArgument",
        ),
        ("GET", "/queues/%2e%2e/messages", 404, "QueueNotExist"),
        ("GET", "/queues/%FF%FE%00", 404, "QueueNotExist"),
        ("GET", "/queues/a%0Ab", 404, "QueueNotExist"),
        ("GET", "/topics/no", 404, "TopicNotExist"),
        ("GET", "/topics/no/subscriptions", 404, "TopicNotExist"),
    ],
)
def test_an_address_that_is_not_as_documented_is_a_4xx(
    twin: Twin, queue: Queue, case: tuple[str, str, int, str]
) -> None:
    """Path, method and query each have their code."""
    method, target, status, code = case
    reply = raw(twin, method, target.replace("{q}", queue.queue_name))
    assert (reply.status, reply.code) == (status, code)


@pytest.mark.parametrize("number", ["0", "1001", "x", "-1", "٣", "9" * 50])
def test_a_page_has_1_to_1000_entries(twin: Twin, number: str) -> None:
    """Anything else in x-mns-ret-number is InvalidArgument."""
    headers = {"x-mns-ret-number": number.encode().decode("latin-1")}
    assert raw(twin, "GET", "/queues", headers=headers).code == "InvalidArgument"


@pytest.mark.parametrize("name", ["a_b", "-a", "a.b", "%C3%A9", "a%20b", "a" * 121])
def test_a_bad_name_is_refused_at_creation(twin: Twin, topic: str, name: str) -> None:
    """For queues, topics and (which may be longer) subscriptions."""
    queue = raw(twin, "PUT", f"/queues/{name}", message_xml("", "Queue"))
    other = raw(twin, "PUT", f"/topics/{name}", message_xml("", "Topic"))
    assert (queue.status, other.status) == (400, 400)
    assert queue.code in {"InvalidQueueName", "QueueNameLengthError"}
    assert other.code in {"TopicNameInvalid", "TopicNameLengthError"}
    wish = message_xml(
        f"<Endpoint>acs:mns:{REGION}:{ACCOUNT_ID}:queues/q</Endpoint>", "Subscription"
    )
    many = name * 3
    subscription = raw(twin, "PUT", f"/topics/{topic}/subscriptions/{many}", wish)
    assert subscription.code in {"SubscriptionNameInvalid", "SubscriptionNameLengthError"}


PATHS = st.lists(
    st.sampled_from(
        ["queues", "topics", "messages", "subscriptions", "fuzz", "%00", "%", "..", ""]
    ),
    max_size=5,
)
QUERIES = st.lists(
    st.tuples(
        st.sampled_from(["waitseconds", "numOfMessages", "peekonly", "ReceiptHandle", "x", ""]),
        st.sampled_from(["0", "1", "true", "-1", "%FF", "9" * 30, "1-0000000000000000", ""]),
    ),
    max_size=3,
)
WORDS = st.sampled_from(
    ["Message", "Messages", "MessageBody", "Priority", "Queue", "Endpoint", "UserProperties", "x"]
)
TREES = st.recursive(
    st.one_of(st.text(max_size=5), st.integers().map(str)),
    lambda inside: st.lists(st.tuples(WORDS, inside), max_size=3).map(
        lambda pairs: "".join(f"<{name}>{text}</{name}>" for name, text in pairs)
    ),
    max_leaves=6,
)
BODIES = st.one_of(
    st.binary(max_size=60),
    st.tuples(TREES, WORDS).map(
        lambda pair: message_xml(pair[0].encode("utf-8", "replace").decode(), pair[1])
    ),
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH"]),
    path=PATHS,
    query=QUERIES,
    body=BODIES,
)
def test_garbage_is_never_a_500(
    twin: Twin, method: str, path: list[str], query: list[tuple[str, str]], body: bytes
) -> None:
    """Whatever comes, signed well, is done or refused with a documented error in XML."""
    target = "/" + "/".join(path)
    if query:
        target += "?" + "&".join(f"{name}={value}" for name, value in query)
    reply = raw(twin, method, target, body)
    assert reply.status < 500
    if reply.status >= 400 and method != "HEAD" and "<Errors" not in reply.body:
        assert reply.code != "InternalError"
