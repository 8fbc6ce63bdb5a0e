"""The events that follow a mail: their form, the fates, and that none is lost."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from local.account import Account
from local.activity import Activity
from local.twins.directmail import wire
from local.twins.directmail.outbox import Outbox
from local.twins.directmail.reporter import MAX_TRIES
from local.twins.directmail.rules import DirectMailRules
from local.twins.directmail.service import DirectMail

RULES = DirectMailRules(senders=frozenset({"noreply@example.com"}), event_delay_seconds=0.02)
HEADERS = {
    "Message-ID": "<abc.local@example.com>",
    "X-User-Notify-UID": "42 of 42",
    "x-user-notify-Other": "a, b; c",
    "X-User-Private": "stays",
}
PARAMETERS = {
    "AccountName": "noreply@example.com",
    "AddressType": "1",
    "ReplyToAddress": "False",
    "Subject": "Hello",
    "TextBody": "Hello",
    "ToAddress": "ann@example.net",
}


def make_service(
    folder: Path, emit: Callable[[dict[str, Any]], object], rules: DirectMailRules = RULES
) -> DirectMail:
    """A twin without its HTTP doors, on the outbox in this folder."""
    return DirectMail(
        Outbox(folder),
        account=Account(),
        rules=rules,
        emit=emit,
        activity=Activity(),
        upload_port=None,
    )


def accept(service: DirectMail, **changes: str) -> str:
    """Let the twin accept a mail as if a rightly signed call had come; its EnvId."""
    values = {**PARAMETERS, **changes}
    return service._send(wire.Parameters(values, dict.fromkeys(values, 0)), "request")


def run_until(service: DirectMail, done: Callable[[], bool], seconds: float = 10) -> None:
    """Let the twin emit until `done`."""

    async def run() -> None:
        running = asyncio.create_task(service.run())
        deadline = time.monotonic() + seconds
        while not done() and time.monotonic() < deadline and not running.done():  # noqa: ASYNC110  # `done` is any condition
            await asyncio.sleep(0.005)
        running.cancel()
        await asyncio.wait([running])

    asyncio.run(run())
    assert done()


def test_a_delivery_event_has_the_documented_form(directmail: Any) -> None:
    """Every field of the documented envelope and data is there, with its documented type."""
    answer = directmail.send(headers=json.dumps(HEADERS), tag_name="welcome", ip_pool_id="pool")
    (event,) = directmail.events(1)
    data = event.pop("data")
    for name in ("send_time", "deliver_time"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", data.pop(name))
    assert data == {
        "header": {
            "X-User-Notify-UID": "42 of 42",
            "x-user-notify-Other": "a, b; c",
        },
        "env_id": answer.env_id,
        "account": "noreply@example.com",
        "from": "noreply@example.com",
        "rcpt": "ann@example.net",
        "msg_id": "abc.local@example.com",
        "channel_name": "bg:vip_local",
        "outbound_ip": "203.0.113.7",
        "status": "0",
        "event": "dm:Deliver:Succeed",
        "region": "cn-hangzhou",
        "err_code": "250",
        "err_msg": "250 Send Mail OK",
        "failed_type": "SendOk",
        "esp": "example.net",
        "ip_pool_id": "pool",
        "is_dedicated_ip": True,
        "tag": "welcome",
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+08:00", event.pop("time"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}PRC", event.pop("aliyunpublishtime"))
    assert re.fullmatch(r"[0-9a-f-]{36}", event.pop("id"))
    assert event == {
        "source": "acs:dm",
        "specversion": "1.0",
        "subject": "acs:dm:cn-hangzhou:1234567890123456:*",
        "type": "dm:Deliver:Succeed",
        "aliyunaccountid": "1234567890123456",
        "aliyuneventbusname": "default",
        "aliyunregionid": "cn-hangzhou",
        "aliyunpublishaddr": "127.0.0.1",
    }


NOTIFY = {"X-User-Notify-UID": "42 of 42", "x-user-notify-Other": "a, b; c"}


@pytest.mark.parametrize(
    ("style", "header"),
    [
        ("given", NOTIFY),
        ("lower", {name.lower(): value for name, value in NOTIFY.items()}),
        ("json", json.dumps(NOTIFY)),
        ("absent", None),
    ],
)
def test_the_notify_headers_come_back_in_each_style(
    tmp_path: Path, style: Any, header: object
) -> None:
    """The X-User-Notify-* headers, and only they, come back as the setting says."""
    emitted: list[dict[str, Any]] = []
    service = make_service(tmp_path, emitted.append, replace(RULES, header_style=style))
    accept(service, Headers=json.dumps(HEADERS))
    run_until(service, lambda: len(emitted) == 1)
    assert emitted[0]["data"].get("header") == header
    assert ("header" in emitted[0]["data"]) is (style != "absent")


def test_headers_past_the_tenth_do_not_come_back(tmp_path: Path) -> None:
    """What did not travel is not reported either."""
    emitted: list[dict[str, Any]] = []
    service = make_service(tmp_path, emitted.append)
    accept(service, Headers=json.dumps({f"X-User-Notify-{n}": str(n) for n in range(11)}))
    run_until(service, lambda: len(emitted) == 1)
    assert list(emitted[0]["data"]["header"]) == [f"X-User-Notify-{n}" for n in range(10)]


def test_a_mail_without_headers_has_an_empty_header_and_a_made_up_id(tmp_path: Path) -> None:
    """Without headers `header` is an empty object, and `msg_id` is the mail's own Message-ID."""
    emitted: list[dict[str, Any]] = []
    service = make_service(tmp_path, emitted.append)
    accept(service)
    run_until(service, lambda: len(emitted) == 1)
    data = emitted[0]["data"]
    assert data["header"] == {}
    (stored,) = Outbox(tmp_path).mails()
    assert f"\r\nMessage-ID: <{data['msg_id']}>\r\n".encode() in stored.eml_path.read_bytes()
    assert re.fullmatch(r"[0-9a-f]{32}@example\.com", data["msg_id"])


@pytest.mark.parametrize(
    ("recipient", "kind", "status", "failed_type"),
    [
        ("bounce@example.net", "dm:Deliver:Fail", "2", "SmtpNxBox"),
        ("Bounce+7@example.net", "dm:Deliver:Fail", "2", "SmtpNxBox"),
        ("softbounce@example.net", "dm:Deliver:Fail", "4", "SysOutConnError"),
        ("spam+a+b@example.net", "dm:Deliver:Fail", "3", "SmtpContSpam"),
        ("ann@example.net", "dm:Deliver:Succeed", "0", "SendOk"),
        ("bounces@example.net", "dm:Deliver:Succeed", "0", "SendOk"),
        ("x+bounce@example.net", "dm:Deliver:Succeed", "0", "SendOk"),
        ("ann@bounce.example.net", "dm:Deliver:Succeed", "0", "SendOk"),
    ],
)
def test_the_local_part_chooses_the_fate(
    tmp_path: Path, recipient: str, kind: str, status: str, failed_type: str
) -> None:
    """The words bounce, softbounce and spam, with or without a label, fail; all else arrives."""
    emitted: list[dict[str, Any]] = []
    service = make_service(tmp_path, emitted.append)
    accept(service, ToAddress=recipient)
    run_until(service, lambda: len(emitted) == 1)
    data = emitted[0]["data"]
    assert (emitted[0]["type"], data["event"]) == (kind, kind)
    assert (data["status"], data["failed_type"], data["rcpt"]) == (status, failed_type, recipient)
    assert data["err_msg"].startswith(data["err_code"] + " ")


def test_a_complaint_follows_the_delivery(tmp_path: Path) -> None:
    """complaint@ is delivered, then reported in the words of a feedback loop."""
    emitted: list[dict[str, Any]] = []
    service = make_service(tmp_path, emitted.append)
    accept(service, ToAddress="complaint@example.net", Headers=json.dumps(HEADERS))
    run_until(service, lambda: len(emitted) == 2)
    assert [e["type"] for e in emitted] == ["dm:Deliver:Succeed", "dm:Feedback:FblReport"]
    data = emitted[1]["data"]
    assert abs(int(data.pop("send_time")) - time.time()) < 60
    assert abs(int(data.pop("block_time")) - time.time()) < 60
    assert data.pop("fingerprint").startswith("SMTPD_")
    assert data == {
        "send_email": "noreply@example.com",
        "block_email": "complaint@example.net",
        "subject": "Hello",
        "message_id": "<abc.local@example.com>",
        "fbl_isp": "outlook",
    }


def test_an_unsubscription_follows_the_delivery(tmp_path: Path) -> None:
    """unsubscribe@ is delivered, then leaves; that event spells the EnvId without underscore."""
    emitted: list[dict[str, Any]] = []
    service = make_service(tmp_path, emitted.append)
    env_id = accept(service, ToAddress="unsubscribe+9@example.net")
    run_until(service, lambda: len(emitted) == 2)
    assert [e["type"] for e in emitted] == ["dm:Deliver:Succeed", "dm:Feedback:UnSubscribe"]
    data = emitted[1]["data"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", data.pop("operate_time"))
    assert data == {
        "envid": env_id,
        "from": "noreply@example.com",
        "rcpt": "unsubscribe+9@example.net",
        "client_ip": "198.51.100.7",
    }


def test_blind_copies_have_delivery_events_and_no_feedback(tmp_path: Path) -> None:
    """A BCC copy is delivered or bounces like others; nothing more is reported of it."""
    emitted: list[dict[str, Any]] = []
    service = make_service(tmp_path, emitted.append)
    accept(service, BccAddress="complaint@example.org,bounce@example.org")
    run_until(service, lambda: service._outbox.next_due_at() is None)
    assert [(e["type"], e["data"]["rcpt"]) for e in emitted] == [
        ("dm:Deliver:Succeed", "ann@example.net"),
        ("dm:Deliver:Succeed", "complaint@example.org"),
        ("dm:Deliver:Fail", "bounce@example.org"),
    ]


def test_an_event_waits_for_its_delay(tmp_path: Path) -> None:
    """No event comes before its delay is over, and a sleeping twin wakes for a new mail."""
    emitted: list[tuple[float, str]] = []
    service = make_service(
        tmp_path,
        lambda event: emitted.append((time.time(), event["type"])),
        replace(RULES, event_delay_seconds=0.3),
    )
    accepted: list[float] = []

    async def run() -> None:
        running = asyncio.create_task(service.run())
        await asyncio.sleep(0.05)  # nothing is due: it sleeps without an end
        accepted.append(time.time())
        accept(service, ToAddress="unsubscribe@example.net")
        await asyncio.sleep(1.0)
        running.cancel()

    asyncio.run(run())
    assert [kind for _, kind in emitted] == ["dm:Deliver:Succeed", "dm:Feedback:UnSubscribe"]
    waited = [at - accepted[0] for at, _ in emitted]
    assert waited[0] >= 0.3
    assert waited[1] >= 0.6


def test_events_to_come_survive_a_restart(start_directmail: Callable[..., Any]) -> None:
    """A restarted twin emits what the one before it had not, and nothing else again."""
    first = start_directmail()
    done = first.send(to_address="early@example.net").env_id
    first.events(1)
    while first.outbox.next_due_at() is not None:
        time.sleep(0.005)
    slow = start_directmail(replace(RULES, event_delay_seconds=3600))
    late = slow.send(to_address="late@example.net").env_id
    later = start_directmail(clock=lambda: time.time() + 3601)
    (event,) = later.events(1)
    time.sleep(0.05)
    assert [e["data"]["env_id"] for e in later.emitted] == [late] != [done]
    assert slow.emitted == []
    assert event["data"]["rcpt"] == "late@example.net"


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_directmail_events import accept, make_service
service = make_service(Path(sys.argv[2]), print)
print(accept(service, ToAddress="ann@example.net,complaint@example.net"), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_events_to_come_survive_a_kill(tmp_path: Path) -> None:
    """A process killed right after it answered loses neither the mail nor one of its events."""
    process = subprocess.run(  # noqa: S603  # our own interpreter, our own script
        [sys.executable, "-c", KILLED, os.fspath(Path(__file__).parent), os.fspath(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == -signal.SIGKILL, process.stderr
    emitted: list[dict[str, Any]] = []
    service = make_service(tmp_path, emitted.append)
    (stored,) = service._outbox.mails()
    assert stored.env_id == process.stdout.strip()
    assert stored.eml_path.read_bytes().endswith(b"\r\n")
    run_until(service, lambda: len(emitted) == 3)
    assert [event["type"] for event in emitted] == [
        "dm:Deliver:Succeed",
        "dm:Deliver:Succeed",
        "dm:Feedback:FblReport",
    ]


def test_an_event_killed_while_it_was_emitted_comes_again_with_its_id(tmp_path: Path) -> None:
    """An event counts as emitted only after `emit` returned; its repeat has the same id."""
    emitted: list[dict[str, Any]] = []

    def die(event: dict[str, Any]) -> None:
        emitted.append(event)
        raise KeyboardInterrupt

    service = make_service(tmp_path, die)
    accept(service)
    with pytest.raises(KeyboardInterrupt):
        run_until(service, lambda: False)
    run_until(make_service(tmp_path, emitted.append), lambda: len(emitted) == 2)
    assert emitted[0]["id"] == emitted[1]["id"]


def test_an_event_that_fails_is_tried_again_and_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the bus refuses is tried as often as EventBridge would, then dropped and recorded."""
    monkeypatch.setattr("local.twins.directmail.reporter.RETRY_SECONDS", 0.01)
    tried: list[str] = []

    def emit(event: dict[str, Any]) -> None:
        tried.append(event["data"]["rcpt"])
        if tried[-1] == "bad@example.net":
            raise ValueError("too large")

    service = make_service(tmp_path, emit)
    accept(service, ToAddress="bad@example.net,good@example.net")
    run_until(service, lambda: service._outbox.next_due_at() is None)
    assert tried.count("bad@example.net") == MAX_TRIES
    assert tried.count("good@example.net") == 1
    names = [happening.name for happening in service._activity.kept()]
    assert names.count("directmail.event_failed") == MAX_TRIES
    assert names.count("directmail.event") == 1


def test_thousands_of_events_are_emitted_in_seconds(tmp_path: Path) -> None:
    """Twenty mails to a hundred recipients each: 2,000 events, each once, in order per mail."""
    emitted: list[dict[str, Any]] = []
    service = make_service(tmp_path, emitted.append)
    everybody = ",".join(f"u{number}@example.net" for number in range(100))
    for _ in range(20):
        accept(service, ToAddress=everybody)
    started = time.process_time()
    run_until(service, lambda: len(emitted) >= 2000, seconds=30)
    assert len({event["id"] for event in emitted}) == len(emitted) == 2000
    assert time.process_time() - started < 5  # about 0.1 s on an idle machine
