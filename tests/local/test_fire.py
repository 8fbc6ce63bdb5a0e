"""Firing: orders and their errors, the mail they mean, the ways, and the address."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from local.account import Account
from local.cli import fire as command
from local.fire import admin
from local.fire.carriers import Carriers, Ends
from local.fire.firing import Firing, NotFound
from local.fire.orders import Order
from local.fire.ways import WAYS
from local.twins.directmail.catalogue import TYPES
from local.twins.directmail.outbox import Outbox
from local.twins.directmail.reports import KNOWN
from local.twins.eventbridge import Target
from shared.sending.identity import mail_id_of
from tests.local.test_directmail_events import accept, make_service

NOW = 1_714_360_032.179
ENDS = Ends("events", "notices", "delivery_events", "http://127.0.0.1:1", "local-token")
FAIL = "Deliver:Fail"


@dataclass
class Recorder:
    """Stands for the bus, the broker and the host: what each was handed, in order."""

    taken: list[tuple[Any, ...]] = field(default_factory=list)

    def put(self, event: dict[str, Any]) -> None:
        """The event bus's."""
        self.taken.append(("put", event))

    def push(self, target: Target, text: str) -> None:
        """The push to a URL."""
        self.taken.append(("url", target, text))

    def send(self, queue: str, body: str) -> None:
        """The broker's."""
        self.taken.append(("send", queue, body))

    def ensure_topic(self, name: str) -> None:
        """The broker's."""
        self.taken.append(("topic", name))

    def ensure_subscription(self, topic: str, name: str, **more: str) -> None:
        """The broker's."""
        self.taken.append(("subscription", topic, name, more))

    def publish(self, topic: str, body: str) -> None:
        """The broker's."""
        self.taken.append(("publish", topic, body))

    async def deliver_event(self, function: str, text: str) -> None:
        """The host's."""
        self.taken.append(("push", function, text))

    def call_later(self, function: str, call: Any) -> None:
        """The host's."""
        self.taken.append(("call", function, call.trigger, call.payload))


@dataclass
class Range:
    """An outbox with a mail of key `one` and a foreign one after it, and what was fired."""

    firing: Firing
    recorder: Recorder
    env_ids: list[str]

    def fire(self, event: str, **changes: Any) -> Any:
        """Fire, and wait for what runs in the background."""

        async def run() -> Any:
            fired = self.firing.fire(Order(event, **changes))
            await asyncio.sleep(0.05)
            return fired

        return asyncio.run(run())

    def post(self, **request: Any) -> httpx.Response:
        """Post an order to the console's address."""

        async def run() -> httpx.Response:
            app = Starlette(routes=[admin.route(self.firing)])
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://local") as client:
                return await client.post("/_local/fire", **request)

        return asyncio.run(run())


MAIL_ID = mail_id_of("local", "one")


@pytest.fixture
def shots(tmp_path: Path) -> Range:
    """Two accepted mails and a recorder at the ends of all ways."""
    service = make_service(tmp_path, lambda _: None)
    headers = {
        "Message-ID": f"<{MAIL_ID}.local@example.com>",
        "X-User-Notify-Postbus": f"v1.local.{MAIL_ID}.1",
        "X-User-Notify-OrderId": "4711",
    }
    env_ids = [
        accept(
            service,
            ToAddress="ann@example.net,bob@example.net",
            BccAddress="eve@example.net",
            Headers=json.dumps(headers),
        ),
        accept(service, ToAddress="carl@example.net"),
    ]
    recorder: Any = Recorder()
    account = Account()
    carriers = Carriers(
        ENDS,
        put=recorder.put,
        push=recorder.push,
        broker=recorder,
        host=recorder,
        account=account,
    )
    firing = Firing(
        Outbox(tmp_path), carriers, account=account, environment="local", clock=lambda: NOW
    )
    return Range(firing, recorder, env_ids)


@pytest.mark.parametrize("mail", ["one", MAIL_ID, 0])
def test_a_mail_is_found_by_its_key_its_id_and_its_env_id(shots: Range, mail: str | int) -> None:
    """Each of the three names the same mail, and its first recipient is the event's."""
    name = shots.env_ids[mail] if isinstance(mail, int) else mail
    fired = shots.fire("Trace:Open", mail=name)
    assert (fired["env_id"], fired["recipient"]) == (shots.env_ids[0], "ann@example.net")
    ((_, event),) = shots.recorder.taken
    assert event["data"]["env_id"] == shots.env_ids[0]
    assert event["data"]["msg_id"] == f"{MAIL_ID}.local@example.com"


def test_without_a_name_it_is_the_latest_mail(shots: Range) -> None:
    """Also one that is not Postbus's."""
    assert shots.fire(FAIL)["env_id"] == shots.env_ids[1]


def test_every_recipient_can_be_meant_blind_copies_included(shots: Range) -> None:
    """In any case of letters; the event has it as it was given."""
    assert shots.fire(FAIL, mail="one", recipient="Bob@example.net")["recipient"] == (
        "Bob@example.net"
    )
    assert shots.fire(FAIL, mail="one", recipient="eve@example.net")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"mail": "two"}, "no mail with EnvId, id or key 'two'"),
        ({"mail": "%"}, "no mail with EnvId"),
        ({"mail": "one", "recipient": "carl@example.net"}, "did not go to carl@example.net"),
    ],
)
def test_what_is_not_there_is_said(shots: Range, changes: dict[str, Any], why: str) -> None:
    """An unknown mail, or a recipient that it does not have: nothing is fired."""
    with pytest.raises(NotFound, match=why):
        shots.fire(FAIL, **changes)
    assert shots.recorder.taken == []


def test_an_empty_outbox_is_said(tmp_path: Path, shots: Range) -> None:
    """`latest` of nothing is no mail."""
    firing = Firing(
        Outbox(tmp_path / "empty"), shots.firing._carriers, account=Account(), environment="local"
    )
    with pytest.raises(NotFound, match="holds no mail yet"):
        firing.fire(Order(FAIL))


def test_times_repeats_the_same_event(shots: Range) -> None:
    """Three times one event, with one id; the next shot has another."""
    first = shots.fire("Trace:Click", times=3)
    second = shots.fire("Trace:Click", url="https://example.com/a")
    ids = [event["id"] for _, event in shots.recorder.taken]
    assert ids == [first["id"]] * 3 + [second["id"]]
    assert first["id"] != second["id"]
    assert shots.recorder.taken[3][1]["data"]["url"] == "https://example.com/a"
    assert shots.fire(FAIL, id="mine")["id"] == "mine"


def test_delay_waits(shots: Range) -> None:
    """The event comes after the delay, and says so in its time."""

    async def run() -> tuple[int, int]:
        fired = shots.firing.fire(Order(FAIL, delay=0.1))
        assert fired["event"]["time"] == "2024-04-29T11:07:12+08:00"
        before = len(shots.recorder.taken)
        await asyncio.sleep(0.3)
        return before, len(shots.recorder.taken)

    assert asyncio.run(run()) == (0, 1)


def _unwrapped(way: str, taken: list[tuple[Any, ...]]) -> Any:
    """What the last carrier was handed, out of its wrapping."""
    last = taken[-1]
    if way == "queue":
        return last[1]
    if way == "queue-plain":
        assert last[:2] == ("send", "events")
        return json.loads(last[2])
    if way.startswith("eventbridge"):
        assert last[:2] == ("push", "delivery_events")
        document = json.loads(last[2])
        return document[0] if way.endswith("array") else document
    assert last[:3] == ("call", "delivery_events", "topic")
    if way == "topic-stream":
        return json.loads(last[3])
    document = json.loads(last[3])
    inner = "Message" if way == "topic-json" else "body"
    assert way != "topic-attributes" or document["attrs"]
    return json.loads(document[inner])


@pytest.mark.parametrize("way", [way for way in WAYS if not way.startswith(("legacy", "push"))])
def test_each_way_carries_the_event(shots: Range, way: str) -> None:
    """The event arrives at the way's end in that way's wrapping, and nowhere else."""
    fired = shots.fire(FAIL, envelope=way)
    assert len(shots.recorder.taken) == 1
    assert _unwrapped(way, shots.recorder.taken) == fired["event"]


@pytest.mark.parametrize("content_format", ["xml", "json", "simplified"])
def test_a_legacy_notification_goes_over_its_topic(shots: Range, content_format: str) -> None:
    """The topic's one subscription has the asked format and ends in the queue."""
    fired = shots.fire(FAIL, mail="one", envelope=f"legacy-{content_format}")
    assert shots.recorder.taken == [
        ("topic", "notices"),
        (
            *("subscription", "notices", "delivery-events"),
            {"queue": "events", "endpoint": None, "content_format": content_format.upper()},
        ),
        ("publish", "notices", fired["event"]),
    ]
    assert f"X-User-Notify-Postbus=v1.local.{MAIL_ID}.1&" in fired["event"]


@pytest.mark.parametrize("way", [way for way in WAYS if "push" in way])
def test_a_push_goes_to_its_url(shots: Range, way: str) -> None:
    """EventBridge's to one address in the asked version, a topic's to the other."""
    fired = shots.fire(FAIL, envelope=way)
    *_, (kind, to, text) = shots.recorder.taken
    if way.startswith("push-eventbridge"):
        assert (kind, to.name, to.token) == (
            *("url", "http://127.0.0.1:1/push/eventbridge"),
            "local-token",
        )
        assert (to.style.version, to.style.array) == (2 - way.endswith("v1"), "array" in way)
        assert json.loads(text) == fired["event"]
        return
    assert (kind, to) == ("publish", "notices")
    *_, options = shots.recorder.taken[1]
    assert (options["queue"], options["endpoint"]) == ("", "http://127.0.0.1:1/push/smq")
    assert options["content_format"] == ("JSON" if way == "push-smq" else way[12:].upper())
    assert fired["event"] == (json.loads(text) if way == "push-smq" else text)


@pytest.mark.parametrize("way", ["legacy-topic-stream", "legacy-topic-json"])
def test_a_legacy_notification_invokes_the_function_by_its_trigger(shots: Range, way: str) -> None:
    """STREAM is the bare text, JSON has it in `Message`."""
    fired = shots.fire(FAIL, mail="one", envelope=way)
    ((*start, payload),) = shots.recorder.taken
    assert start == ["call", "delivery_events", "topic"]
    text = payload.decode()
    assert (json.loads(text)["Message"] if way.endswith("json") else text) == fired["event"]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"event": "Deliver:Lost"}, "unknown event: 'Deliver:Lost'; known: dm:Deliver:Succeed"),
    ({"event": 7}, "event is a text"),
    ({"event": FAIL, "envelope": "pigeon"}, "unknown envelope: 'pigeon'; known: queue"),
    ({"event": FAIL, "header": "lost"}, "unknown header"),
    ({"event": FAIL, "dialect": ["2023"]}, "unknown dialect: '2023'; known: 2024"),
    ({"event": FAIL, "dialect": ["naive", "epoch"]}, "naive and epoch cannot both"),
    ({"event": FAIL, "dialect": "2024"}, "dialect is a list of words"),
    ({"event": FAIL, "times": 0}, "times is a whole number from 1"),
    ({"event": FAIL, "times": True}, "times is a whole number from 1"),
    ({"event": FAIL, "delay": -1}, "delay is 0 to 3600 seconds"),
    ({"event": FAIL, "status": "0"}, "unknown status: '0'"),
    ({"event": "Deliver:Succeed", "status": "2"}, "status of dm:Deliver:Succeed is 0"),
    ({"event": "Trace:Open", "failed_type": "SendOk"}, "failed_type belongs to a delivery"),
    ({"event": "Trace:Open", "url": "https://a.example"}, "url belongs to dm:Trace:Click"),
    ({"event": FAIL, "failed_type": ""}, "failed_type is a text"),
    ({"event": FAIL, "mail": None}, "mail is a text"),
    ({"event": FAIL, "failed_type": "SendOk"}, "has no failed_type 'SendOk'"),
    ({"event": FAIL, "recipients": "a@b"}, "unknown field: 'recipients'"),
    (
        {"event": "Validator:GrayListResult", "envelope": "legacy-xml"},
        "the legacy notification has no dm:Validator",
    ),
    ({"event": FAIL, "envelope": "legacy-xml", "dialect": ["2024"]}, "dialect of its own"),
    ({"mail": "one"}, "an order is a JSON object with an event"),
]


@pytest.mark.parametrize(("document", "why"), WRONG)
def test_a_wrong_order_is_refused_with_what_would_be_right(
    shots: Range, document: dict[str, Any], why: str
) -> None:
    """At the address each is a 400 with the reason, and nothing is fired."""
    answer = shots.post(json=document)
    assert answer.status_code == 400
    assert why in answer.json()["error"]
    assert shots.recorder.taken == []


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000, b"[]", b"\xff", b"null"])
def test_what_is_no_order_is_refused(shots: Range, body: bytes) -> None:
    """Rubbish is a 400 with a reason, and no crash."""
    answer = shots.post(content=body)
    assert (answer.status_code, list(answer.json())) == (400, ["error"])


def test_the_address_fires(shots: Range) -> None:
    """200 with what was fired; 404 for a mail that is not there."""
    fired = shots.post(json={"event": "feedback:fblreport"})
    missing = shots.post(json={"event": FAIL, "mail": "two"})
    assert fired.json().items() >= {"type": "dm:Feedback:FblReport", "times": 1}.items()
    assert (missing.status_code, list(missing.json())) == (404, ["error"])
    assert len(shots.recorder.taken) == 1


def test_an_order_survives_json() -> None:
    """What the command sends is what the address reads."""
    order = Order(FAIL, dialect=("2024", "dot"), err_code="452", times=2, delay=0.5)
    assert Order.from_json(json.loads(json.dumps(order.as_json()))) == order


def test_the_list_has_everything_that_can_be_ordered(capsys: pytest.CaptureFixture[str]) -> None:
    """Every type, way, word and failure once, with a sentence; each can be ordered."""
    told = command.tables()
    assert [f"dm:{name}" for name in told["events"]] == list(TYPES)
    for name in told["events"]:
        assert Order(name).type == f"dm:{name}"
    for word in told["dialects"]:
        Order(FAIL, dialect=(word,))
    for way in told["envelopes"]:
        Order(FAIL, envelope=way)
    for failed_type in told["failed types"]:
        assert Order(FAIL, failed_type=failed_type).report() == KNOWN[failed_type]
    command._list(as_json=True)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == sum(len(rows) for rows in told.values())
    assert all(line["sentence"] for line in lines)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ("2", "554", "554 RCPT ann@example.net dosn't exist", "SmtpNxBox")),
        ({"failed_type": "SmtpMfLimit"}, ("4", "452", "452 Limit of MAIL FROM reached", None)),
        ({"failed_type": "New", "status": "3"}, ("3", "550", "550 5.7.1 Message refused", None)),
        ({"err_code": "450"}, ("2", "450", "450 RCPT ann@example.net dosn't exist", None)),
        ({"err_msg": "a=b&c"}, ("2", "554", "a=b&c", None)),
        ({"err_code": "none", "err_msg": "{x}"}, ("2", "none", "{x}", None)),
    ],
)
def test_a_failure_says_what_was_asked_for(
    shots: Range, changes: dict[str, str], expected: tuple[str, ...]
) -> None:
    """Any classification, code and text; what is not given is usual for the classification."""
    data = shots.fire(FAIL, mail="one", **changes)["event"]["data"]
    told = (data["status"], data["err_code"], data["err_msg"])
    assert told == expected[:3]
    assert data["failed_type"] == changes.get("failed_type", "SmtpNxBox")


def test_help_is_quick_because_the_stack_stays_out(run_python: Callable[[str], str]) -> None:
    """The command's own module imports neither the host nor the broker."""
    found = run_python(
        "import sys, local.cli.fire; print([m for m in sys.modules if m.startswith("
        "('local.host', 'local.stack', 'local.twins.smq', 'starlette'))])"
    )
    assert found.strip() == "[]"


@pytest.fixture
def run_python() -> Callable[[str], str]:
    """Runs a program in an interpreter of its own; its output."""
    import subprocess  # noqa: PLC0415  # for this fixture alone
    import sys  # noqa: PLC0415  # likewise

    def run(program: str) -> str:
        done = subprocess.run(  # noqa: S603  # our own program
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        return done.stdout

    return run
