"""Pushes and hooks through the real function: twin -> HTTP push -> function -> topic."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from mns.account import Account
from mns.subscription import SubscriptionMeta
from mns.topic import TopicMessage, TopicMeta

from local.account import OWNER
from local.pytest_plugin import ROOT, Postbus
from local.stack import HOOK_SECRET
from shared.hooks.standard import ID, SIGNATURE, TIMESTAMP, sign
from tests.hooks.malformed import MALFORMED

pytestmark = pytest.mark.stack

EVENT = json.loads((ROOT / "events" / "directmail-deliver-succeed.json").read_text())


def post(stack: Postbus, path: str, body: bytes | str, headers: dict[str, str]) -> httpx.Response:
    """A request, as somebody outside makes it."""
    return httpx.post(stack.url + path, content=body, headers=headers, trust_env=False, timeout=20)


def send(stack: Postbus, mail: dict[str, Any], key: str) -> str:
    """Send a mail; its id."""
    given = {"Content-Type": "application/json", "Idempotency-Key": key}
    answer = post(stack, "/v1/mails", json.dumps(mail), given)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["mail_id"])


def delivered(mail_id: str, number: int) -> dict[str, Any]:
    """What DirectMail reports about that mail."""
    header = {"X-User-Notify-Postbus": f"v1.local.{mail_id}.1"}
    return {**EVENT, "id": f"push-{number}", "data": {**EVENT["data"], "header": header}}


@pytest.fixture
def make_pushed(tmp_path: Path) -> Any:
    """Starts stacks whose bus pushes DirectMail's events to `webhooks`, and ends them."""
    made: list[Postbus] = []

    def make(metadata: str) -> Postbus:
        stack = Postbus(tmp_path / f"pushed-{len(made)}")
        text = (ROOT / "template.yml").read_text()
        head, rule, rest = text.partition(
            "  DirectMailRule:\n    Type: ALIYUN::EventBridge::Rule\n"
        )
        before, targets, after = rest.partition("      Targets:\n")
        # What stands in the place of the queue: the next line of the rule's own depth ends it.
        lines = after.splitlines(keepends=True)
        end = next(i for i, line in enumerate(lines) if line.strip() and line[:6] != "      ")
        target = f"""\
        - Id: push
          Type: http
          Endpoint: {stack.url}/push/eventbridge
          ParamList:
            - {{ResourceKey: token, Form: CONSTANT, Value: local-push-token}}
            - {{ResourceKey: Body, Form: ORIGINAL, Value: ''}}
"""
        template = tmp_path / "pushed.yml"
        template.write_text(
            head
            + rule
            + f"    Metadata: {{LocalPush: {metadata}}}\n"
            + before
            + targets
            + target
            + "".join(lines[end:])
        )
        stack.options = ("--template", str(template), "--event-delay", "0")
        made.append(stack)
        stack.start()
        return stack

    yield make
    for each in made:
        each.kill()


@pytest.mark.parametrize(
    "style", ["{Version: 2}", "{Version: 1, Newline: true, Array: true, Seconds: true}"]
)
def test_eventbridge_pushes_a_mails_event(
    make_pushed: Callable[[str], Postbus], mail: dict[str, Any], style: str
) -> None:
    """In both versions: signed by the bus, fetched certificate, verified, on the topic."""
    stack = make_pushed(style)
    mail_id = send(stack, mail, "by-eventbridge")
    (event,) = stack.events(1)
    assert (event["type"], event["subject"]) == ("postbus.mail.delivered", mail_id)
    assert event["data"]["notify"] == mail["notify"]
    forged = {"x-eventbridge-signature-token": "local-push-token"}
    answer = post(stack, "/push/eventbridge", json.dumps(delivered(mail_id, 1)), forged)
    assert answer.status_code == 401


def publish(stack: Postbus, topic: str, content_format: str, body: str) -> None:
    """Publish on a topic of SMQ's whose only subscriber is `webhooks`."""
    account = Account(stack.url, OWNER.id, OWNER.secret, "")
    account.get_topic(topic).create(TopicMeta())
    meta = SubscriptionMeta(f"{stack.url}/push/smq", "BACKOFF_RETRY", content_format)
    account.get_subscription(topic, "webhooks").subscribe(meta)
    account.get_topic(topic).publish_message(TopicMessage(body))
    account.mns_client.close_connection()


def opened(mail_id: str, number: int) -> dict[str, Any]:
    """The same of an open, which the twin does not report by itself."""
    event = delivered(mail_id, number)
    data = {**event["data"], "event": "dm:Trace:Open", "open_time": "2024-04-29 12:00:00"}
    return {**event, "type": "dm:Trace:Open", "data": data}


def test_smq_pushes_a_mails_event(stack: Postbus, mail: dict[str, Any]) -> None:
    """In every format: signed by SMQ, verified, on the topic of mail events."""
    expected = set()
    for number, content_format in enumerate(("XML", "JSON", "SIMPLIFIED")):
        mail_id = send(stack, mail, f"by-smq-{number}")
        body = json.dumps(opened(mail_id, number))
        publish(stack, f"pushed-{content_format.lower()}", content_format, body)
        expected.add(mail_id)

    def opens(found: list[dict[str, Any]]) -> set[str]:
        return {e["subject"] for e in found if e["type"] == "postbus.mail.opened"}

    events = stack.take_events(lambda found: opens(found) >= expected, 30)
    assert opens(events) == expected


def test_a_push_that_smq_did_not_sign_is_refused(stack: Postbus) -> None:
    """Over real HTTP, with everything but the key."""
    headers = {
        "x-mns-topic-owner": "1234567890123456",
        "x-mns-signing-cert-url": base64.b64encode(b"https://evil.example/x.pem").decode(),
        "authorization": base64.b64encode(bytes(256)).decode(),
        "content-md5": "1B2M2Y8AsgTpgAmY7PhCfg==",
        "date": httpx.get(stack.url + "/healthz", trust_env=False).headers["date"],
    }
    assert post(stack, "/push/smq", b"", headers).status_code == 401


def signed(body: bytes, identity: str) -> dict[str, str]:
    """The headers of another program's request."""
    secret = base64.b64decode(HOOK_SECRET.removeprefix("whsec_"))
    seconds = str(int(time.time()))
    signature = "v1," + sign(secret, identity, seconds, body).decode()
    given = {ID: identity, TIMESTAMP: seconds, SIGNATURE: signature}
    return {"Content-Type": "application/json", **given}


def test_another_programs_mail_is_sent_once(stack: Postbus, mail: dict[str, Any]) -> None:
    """Signed, accepted, sent from the queue and delivered; its repeat changes nothing."""
    body = json.dumps({**mail, "subject": "by-hook"}).encode()
    answers = [post(stack, "/hooks/local", body, signed(body, "msg_1")) for _ in range(2)]
    assert {answer.status_code for answer in answers} == {202}
    (mail_id,) = {answer.json()["mail_id"] for answer in answers}
    assert answers[0].json()["key"] == "hook:local:msg_1"

    def mine(found: list[dict[str, Any]]) -> bool:
        return any(e["subject"] == mail_id for e in found if e["type"].endswith("delivered"))

    assert mine(stack.take_events(mine, 30))
    # The repeat has had its turn once the queue is empty again.
    status = f"{stack.url}/v1/mails/{mail_id}"
    assert httpx.get(status, trust_env=False).json()["state"] == "sent"
    time.sleep(1)
    subjects = [m.parameters["Subject"] for m in stack.outbox().mails(limit=100)]
    assert subjects.count("by-hook") == 1


def test_malformed_signatures_are_a_401_only(stack: Postbus, mail: dict[str, Any]) -> None:
    """Whatever of them HTTP can carry; the function lives on."""
    body = json.dumps(mail).encode()
    good = signed(body, "msg_2")
    seen = []
    for changed in MALFORMED:
        value = next(iter(changed.values()))
        if len(value) > 4_000 or not value.isascii() or not value.isprintable():
            continue  # no client or server lets it through
        given = {**good, **changed}
        if given == good or value.strip() != value or not value:
            continue  # HTTP itself takes space off, and what is left may be right
        seen.append(post(stack, "/hooks/local", body, given).status_code)
    assert len(seen) >= 30
    assert set(seen) == {401}
    invalid = post(stack, "/hooks/local", b"{}", signed(b"{}", "msg_3"))
    assert invalid.status_code == 422
    assert invalid.headers["content-type"] == "application/problem+json"


def test_the_documents_program_hands_in_a_mail(stack: Postbus) -> None:
    """As it is written there, on this stack's port."""
    text = (ROOT / "docs" / "webhooks.md").read_text()
    (program,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    done = subprocess.run(  # noqa: S603  # our own example
        [sys.executable, "-c", program.replace(":8025", f":{stack.port}")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["state"] == "accepted"
    assert answer["key"].startswith("hook:local:msg_")
