"""Every fault as the official SDKs see it, and whether the twin had accepted."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from alibabacloud_dm20151123 import models
from alibabacloud_dm20151123.client import Client
from alibabacloud_tea_openapi.exceptions import (
    ClientException,
    ServerException,
    ThrottlingException,
)
from alibabacloud_tea_openapi.utils_models import Config
from darabonba.core import DaraCore
from darabonba.exceptions import UnretryableException
from darabonba.runtime import RuntimeOptions
from mns.account import Account as MnsAccount
from mns.mns_exception import MNSClientNetworkException, MNSServerException
from mns.queue import Message
from mns.topic import TopicMessage

from local.account import OWNER, Account
from local.activity import Activity
from local.faults import KINDS, Faults, Rule
from local.faults.directmail import DirectMailEdge
from local.faults.events import FaultyDirectMail, faulty_bus
from local.faults.protocol import ResettableProtocol
from local.faults.smq import FaultyBroker, SmqEdge
from local.twins.directmail import app as directmail_app
from local.twins.directmail.outbox import Outbox
from local.twins.directmail.rules import DirectMailRules
from local.twins.smq import app as smq_app
from local.twins.smq.broker import QueueAttributes

SENDER = "noreply@example.com"
HEADERS = '{"X-User-Notify-Id": "7", "Message-ID": "<own@example.com>"}'


@dataclass
class Twins:
    """Both twins on one port, and what can go wrong with them."""

    port: int
    faults: Faults
    outbox: Outbox
    broker: FaultyBroker
    emitted: list[dict[str, Any]]
    loop: asyncio.AbstractEventLoop
    accounts: list[Any] = field(default_factory=list)

    def do(self, work: Any) -> Any:
        """Run a coroutine in the twins' thread."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    def set(self, *rules: Rule) -> None:
        """Put these rules in force, anew."""
        self.faults.clear()
        self.faults.set(rules)

    def send(self, *, read_seconds: float = 5, **changes: Any) -> Any:
        """Send a mail through the official SDK."""
        client = Client(
            Config(
                protocol="http",
                endpoint=f"127.0.0.1:{self.port}",
                region_id="cn-hangzhou",
                access_key_id=OWNER.id,
                access_key_secret=OWNER.secret,
            )
        )
        plain = {
            "account_name": SENDER,
            "address_type": 1,
            "reply_to_address": "false",
            "to_address": "ann@example.net",
            "subject": "Hello",
            "text_body": "Hello, Ann.",
            "headers": HEADERS,
        }
        request = models.SingleSendMailRequest(**{**plain, **changes})
        options = RuntimeOptions(read_timeout=int(read_seconds * 1000), connect_timeout=5000)
        return client.single_send_mail_with_options(request, options).body

    def accepted(self) -> int:
        """How many mails the twin has."""
        return self.outbox.count()

    def events(self, count: int) -> list[dict[str, Any]]:
        """The next `count` events, waited for."""
        deadline = time.monotonic() + 10
        while len(self.emitted) < count and time.monotonic() < deadline:
            time.sleep(0.005)
        return list(self.emitted)

    def smq(self) -> MnsAccount:
        """The official SDK of SMQ."""
        account = MnsAccount(f"http://127.0.0.1:{self.port}", OWNER.id, OWNER.secret, "")
        self.accounts.append(account)
        return account

    def queue(self) -> Any:
        """The queue, whose bodies travel as they are."""
        queue = self.smq().get_queue("q")
        queue.set_encoding(False)
        return queue

    def received(self, queue: Any) -> list[str]:
        """Receive and delete what is there."""
        bodies = []
        with contextlib.suppress(MNSServerException):
            while True:
                message = queue.receive_message(0)
                bodies.append(message.message_body)
                queue.delete_message(message.receipt_handle)
        return bodies


@pytest.fixture
def twins(tmp_path: Path) -> Iterator[Twins]:
    """Both twins behind their faulty edges, served as the stack serves them."""
    faults, account, activity = Faults(), Account(), Activity()
    emitted: list[dict[str, Any]] = []
    outbox = Outbox(tmp_path / "outbox")
    ready: Future[tuple[Any, Any]] = Future()
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as door:
        door.bind(("127.0.0.1", 0))
        door.listen(64)
        over = threading.Event()

        async def serve() -> None:
            service = FaultyDirectMail(
                outbox,
                account=account,
                rules=DirectMailRules(senders=frozenset({SENDER}), event_delay_seconds=0.02),
                emit=faulty_bus(emitted.append, faults),
                activity=activity,
                upload_port=None,
                faults=faults,
            )
            broker = FaultyBroker(tmp_path / "smq.db", faults=faults, activity=activity)
            broker.ensure_queue("q", QueueAttributes())
            broker.ensure_topic("t")
            broker.ensure_subscription("t", "s", queue="q")
            mails = DirectMailEdge(directmail_app.create_app(service), faults)
            queues = SmqEdge(smq_app.create_app(broker, account), faults)

            async def front(scope: Any, receive: Any, send: Any) -> None:
                await (queues if scope["path"] != "/" else mails)(scope, receive, send)

            server = uvicorn.Server(
                uvicorn.Config(
                    front,
                    http=ResettableProtocol,
                    log_level="error",
                    lifespan="off",
                    timeout_graceful_shutdown=1,
                )
            )
            serving = asyncio.ensure_future(server.serve([door]))
            reporting = asyncio.ensure_future(service.run())
            # The door is open already: who comes before the server accepts waits in its queue.
            ready.set_result((broker, asyncio.get_running_loop()))
            await asyncio.to_thread(over.wait)
            server.should_exit = True
            await serving
            reporting.cancel()
            await asyncio.wait([reporting])
            broker.close()

        thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
        thread.start()
        broker, loop = ready.result(10)
        made = Twins(door.getsockname()[1], faults, outbox, broker, emitted, loop)
        yield made
        for smq in made.accounts:
            smq.mns_client.close_connection()
        for session in DaraCore._sessions.values():
            session.close()
        DaraCore._sessions.clear()
        over.set()
        thread.join(10)
        outbox.close()


def directmail(kind: str, **options: Any) -> Rule:
    """A rule for SingleSendMail."""
    return Rule("directmail", "SingleSendMail", kind, **options)


# --- DirectMail -------------------------------------------------------------------------------

# kind: the exception and what it says, and the mails that the twin has afterwards.
REFUSED: dict[str, tuple[type[Exception], str, int]] = {
    "throttled": (ClientException, "Throttling.User", 0),
    "internal-error": (ServerException, "InternalError", 0),
    "internal-error-after": (ServerException, "InternalError", 1),
    "unavailable": (ServerException, "ServiceUnavailable", 0),
    "unavailable-html": (UnretryableException, "503 Service Temporarily Unavailable", 0),
    "empty": (UnretryableException, 'Value: ""', 1),
    "html": (UnretryableException, "<title>Welcome</title>", 1),
    "reset-before": (UnretryableException, "Connection reset by peer", 0),
    "reset-after": (UnretryableException, "Connection reset by peer", 1),
    "timeout-before": (UnretryableException, "Read timed out", 0),
    "timeout-after": (UnretryableException, "Read timed out", 1),
    "quota": (ClientException, "InvalidSendMail.Spam", 0),
    "expired-token": (ClientException, "InvalidSecurityToken.Expired", 0),
}
ANSWERED = {"daily-quota", "rate-limit", "slow", "trickle"}


def test_every_kind_of_directmail_is_tested() -> None:
    """The tables of this file and the table of kinds name the same."""
    assert {*REFUSED, *ANSWERED} == set(KINDS["directmail"])


@pytest.mark.parametrize("kind", REFUSED)
def test_what_the_sdk_raises(twins: Twins, kind: str) -> None:
    """The exception is what a real failure raises; afterwards everything goes well again."""
    error, told, accepted = REFUSED[kind]
    twins.set(directmail(kind, count=1))
    with pytest.raises(error) as raised:
        twins.send(read_seconds=0.5)
    assert told in str(raised.value)
    assert twins.accepted() == accepted
    assert twins.send().env_id
    assert twins.accepted() == accepted + 1


def test_throttling_may_say_when_to_come_back(twins: Twins) -> None:
    """With seconds, x-acs-retry-after is there, in ms, and the SDK reads it."""
    twins.set(directmail("throttled", seconds=1.5))
    with pytest.raises(ThrottlingException) as raised:
        twins.send()
    assert raised.value.retry_after == 1500


@pytest.mark.parametrize("kind", ["slow", "trickle"])
def test_a_late_answer_is_whole(twins: Twins, kind: str) -> None:
    """Late or byte by byte: the SDK, whose time-out is between two bytes, gets the EnvId."""
    twins.set(directmail(kind, seconds=0.6))
    began = time.monotonic()
    env_id = twins.send(read_seconds=5).env_id
    assert time.monotonic() - began > 0.55
    assert env_id == twins.outbox.mails()[0].env_id


def test_a_trickle_outlasts_a_read_time_out(twins: Twins) -> None:
    """No gap between two bytes is as long as the time-out, and the whole is longer."""
    twins.set(directmail("trickle", seconds=1.2))
    began = time.monotonic()
    assert twins.send(read_seconds=0.4).env_id
    assert time.monotonic() - began > 1.1


def test_rate_limit_and_quota_of_the_account(twins: Twins) -> None:
    """The call too many is throttled, the recipient too many is over the quota."""
    twins.set(directmail("rate-limit", per_second=1))
    twins.send()
    with pytest.raises(ClientException, match=r"Throttling\.User"):
        twins.send()
    twins.set(directmail("daily-quota", recipients=3))
    twins.send(to_address="a@example.net,b@example.net")
    with pytest.raises(ClientException, match=r"InvalidSendMail\.Spam"):
        twins.send(to_address="c@example.net", bcc_address="d@example.net")
    twins.send()


def test_only_the_mail_that_matches(twins: Twins) -> None:
    """`match` finds a recipient and a subject in the request as text."""
    twins.set(directmail("quota", match="bob@example.net"), directmail("empty", match="Grüße"))
    assert twins.send().env_id
    with pytest.raises(ClientException):
        twins.send(to_address="bob@example.net")
    with pytest.raises(UnretryableException):
        twins.send(subject="Grüße aus Köln")


def test_a_body_that_breaks_off_is_no_fault(twins: Twins) -> None:
    """A client that leaves in the middle of its request harms nothing."""
    twins.set(directmail("reset-after", match="never"))
    connection = http.client.HTTPConnection("127.0.0.1", twins.port)
    connection.putrequest("POST", "/")
    connection.putheader("Content-Length", "100")
    connection.endheaders(b"half")
    connection.close()
    assert twins.send().env_id


# --- Events -----------------------------------------------------------------------------------


def event_rule(kind: str, **options: Any) -> Rule:
    """A rule for all events."""
    return Rule("events", "*", kind, **options)


def test_an_event_is_delayed(twins: Twins) -> None:
    """It comes so many seconds later."""
    twins.set(event_rule("delayed", seconds=0.7, match="ann@"))
    began = time.monotonic()
    twins.send()
    twins.events(1)
    assert 0.65 < time.monotonic() - began < 5


def test_an_event_is_duplicated(twins: Twins) -> None:
    """It comes several times, with the same id."""
    twins.set(event_rule("duplicated", times=3))
    twins.send()
    assert len({event["id"] for event in twins.events(3)}) == 1
    assert len(twins.emitted) == 3


def test_events_are_reordered(twins: Twins) -> None:
    """The events of several recipients come in another order, the same for the same seed."""
    people = [f"p{number}@example.net" for number in range(12)]
    twins.set(event_rule("reordered", seconds=0.5, seed=3))
    twins.send(to_address=",".join(people))
    order = [event["data"]["rcpt"] for event in twins.events(12)]
    assert order != people
    assert sorted(order) == sorted(people)


def test_an_event_is_lost(twins: Twins) -> None:
    """It never comes; the one after it does."""
    twins.set(event_rule("lost", count=1))
    twins.send()
    twins.send(to_address="bob@example.net")
    assert [event["data"]["rcpt"] for event in twins.events(1)] == ["bob@example.net"]


def test_an_event_is_early(twins: Twins) -> None:
    """It is out before the answer of the send that caused it."""
    twins.set(event_rule("early"), directmail("slow", seconds=0.5))
    sending = threading.Thread(target=twins.send)
    sending.start()
    (event,) = twins.events(1)
    assert sending.is_alive()
    sending.join()
    assert event["data"]["env_id"] == twins.outbox.mails()[0].env_id


def test_an_event_loses_its_header_or_its_message_id(twins: Twins) -> None:
    """Each alone, or both: several rules may hit one event."""
    twins.set(
        event_rule("header-stripped", match="ann@"), event_rule("message-id-rewritten", match="@")
    )
    twins.send()
    twins.send(to_address="bob@example.net")
    ann, bob = (event["data"] for event in twins.events(2))
    assert "header" not in ann
    assert bob["header"] == {"X-User-Notify-Id": "7"}
    assert all("own@example.com" not in event["msg_id"] for event in (ann, bob))


def test_every_kind_of_events_is_tested() -> None:
    """This file has a test for each of them."""
    assert set(KINDS["events"]) == {
        *("delayed", "duplicated", "early", "header-stripped", "lost"),
        *("message-id-rewritten", "reordered"),
    }


# --- SMQ --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "error", "accepted"),
    [
        ("publish-fails", MNSServerException, 0),
        ("publish-lost-answer", MNSClientNetworkException, 1),
        ("publish-hangs", MNSClientNetworkException, 0),
        ("down", MNSClientNetworkException, 0),
    ],
)
@pytest.mark.parametrize("what", ["queue", "topic"])
def test_a_send_that_fails(
    twins: Twins, kind: str, error: type[Exception], accepted: int, what: str
) -> None:
    """Refused, reset, or accepted and reset: to a queue and to a topic alike."""
    queue, topic = twins.queue(), twins.smq().get_topic("t")
    send: Callable[[], Any] = (
        (lambda: queue.send_message(Message("hello")))
        if what == "queue"
        else (lambda: topic.publish_message(TopicMessage("hello")))
    )
    seconds = {"publish-hangs": 0.1}.get(kind)  # then the connection is reset
    twins.set(Rule("smq", "*", kind, seconds=seconds))
    with pytest.raises(error):
        send()
    twins.faults.clear()
    assert len(twins.received(queue)) == accepted


def test_a_message_is_put_twice(twins: Twins) -> None:
    """One send, two messages; the SDK's own check of the answer holds."""
    queue = twins.queue()
    twins.set(Rule("smq", "SendMessage", "duplicate", match="order 7"))
    twins.smq().get_queue("q").send_message(Message("order 7"))  # found in its base64 too
    queue.send_message(Message("order 7"))
    queue.send_message(Message("order 8"))
    assert Counter(twins.received(queue)) == {"b3JkZXIgNw==": 2, "order 7": 2, "order 8": 1}


def test_a_message_is_delivered_again_while_in_work(twins: Twins) -> None:
    """A second consumer gets it at once; the first one's handle no longer deletes it."""
    queue = twins.queue()
    twins.set(Rule("smq", "ReceiveMessage", "redeliver", count=1))
    queue.send_message(Message("hello"))
    first, second = queue.receive_message(0), queue.receive_message(0)
    assert (first.message_id, first.dequeue_count) == (second.message_id, 1)
    assert second.dequeue_count == 2
    with pytest.raises(MNSServerException, match="MessageNotExist"):
        queue.delete_message(first.receipt_handle)
    queue.delete_message(second.receipt_handle)


def test_a_message_comes_again_after_a_while(twins: Twins) -> None:
    """With seconds it is deleted in time, or comes again after them."""
    queue = twins.queue()
    twins.set(Rule("smq", "ReceiveMessage", "redeliver", seconds=1))
    queue.send_message(Message("hello"))
    queue.receive_message(0)
    began = time.monotonic()
    again = queue.receive_message(5)
    assert 0.8 < time.monotonic() - began < 4
    queue.delete_message(again.receipt_handle)


def test_a_queue_trigger_gets_nothing_while_smq_is_down(twins: Twins) -> None:
    """A receive inside the stack waits until it is up again, and then gets the message."""
    queue = twins.queue()
    queue.send_message(Message("hello"))
    twins.set(Rule("smq", "*", "down", seconds=0.5))
    began = time.monotonic()
    assert twins.do(twins.broker.receive("q", wait_seconds=0.1)) == []
    (message,) = twins.do(twins.broker.receive("q", wait_seconds=5))
    assert 0.45 < time.monotonic() - began < 4
    assert message.dequeue_count == 1


def test_every_kind_of_smq_is_tested() -> None:
    """This file has a test for each of them."""
    assert set(KINDS["smq"]) == {
        *("down", "duplicate", "publish-fails", "publish-hangs", "publish-lost-answer"),
        "redeliver",
    }
