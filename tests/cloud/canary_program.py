"""Sends, refuses and loses a mail full of canaries, and forwards its events; see test_canaries.py.

Reads what it needs as JSON from standard input and ends with one line of JSON about what happened.
"""

from __future__ import annotations

import base64
import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

import structlog

from shared import logs
from shared.cloud.directmail import DirectMail, Endpoint
from shared.cloud.queues import Queues
from shared.cloud.smq import Smq
from shared.concurrency import AtOnce
from shared.delivery.forward import Forwarder
from shared.delivery.outlet import Outlet
from shared.delivery.routing import Routing
from shared.errors import QueueUnavailable
from shared.schema.mail_request import Attachment, ReplyAddress, Sender
from shared.sending.compose import OutgoingMail
from shared.stores.sqlite.events import SqliteEventLog
from shared.stores.sqlite.ledger import SqliteLedger
from shared.triggers.context import Credentials, Invocation
from shared.triggers.events import read_events

GIVEN = json.loads(sys.stdin.read())
CANARY: dict[str, str] = GIVEN["canaries"]


def loggers_on() -> None:
    """Turn on every logger that anybody has made."""
    for name in list(logging.Logger.manager.loggerDict):
        logging.getLogger(name).setLevel(logging.DEBUG)


def mail(**changes: Any) -> OutgoingMail:
    """A mail that says something in every place."""
    values: dict[str, Any] = {
        "sender": Sender(address="noreply@mail.example.com", alias=CANARY["alias"]),
        "address_type": "sender",
        "domain_auth": False,
        "ip_pool_id": None,
        "to": (CANARY["to"],),
        "bcc": (CANARY["bcc"],),
        "subject": CANARY["subject"],
        "html": CANARY["html"],
        "text": CANARY["text"],
        "template": None,
        "reply_to_console": False,
        "reply_address": ReplyAddress(address=CANARY["reply"]),
        "tag": "t",
        "track_clicks": False,
        "unsubscribe_link": None,
        "unsubscribe_filter": None,
        "headers": (("X-User-Notify-N", CANARY["notify"]),),
        "attachments": (),
    }
    return OutgoingMail(**{**values, **changes})


def invocation(**changes: str) -> Invocation:
    """An invocation with the key that was given, and `changes` to it."""
    credentials = Credentials(**{**GIVEN["key"], **changes})
    now = time.time_ns() // 1_000_000
    return Invocation("r", "f", now + 60_000, credentials, lambda: time.time_ns() // 1_000_000)


def send_all() -> list[str]:
    """Accepted, with a file, signed wrongly, refused, and lost: what each ended in."""
    content = base64.b64encode(CANARY["content"].encode()).decode()
    with_file = mail(attachments=(Attachment(name=CANARY["file"], content=content),))
    host = f"127.0.0.1:{GIVEN['directmail']}"
    good = DirectMail(Endpoint("cn-hangzhou", f"http://{host}", host, GIVEN["ca"]))
    dead = DirectMail(Endpoint("cn-hangzhou", f"http://127.0.0.1:{GIVEN['closed']}"))
    loggers_on()
    wrong = invocation(access_key_secret=CANARY["wrong"])
    answers = [
        good.send(mail(), invocation(), 9_000),
        good.send(with_file, invocation(), 9_000),
        good.send(mail(), wrong, 9_000),
        good.send(mail(subject=CANARY["subject"] * 40), invocation(), 9_000),
        dead.send(mail(), invocation(), 1_000),
        dead.send(with_file, invocation(), 1_000),
    ]
    return [type(answer).__name__ for answer in answers]


def forward_all() -> dict[str, int]:
    """Forward a bounce, events of other types and rubbish, all of them with canaries."""
    smq = Smq(f"http://127.0.0.1:{GIVEN['smq']}")
    smq.use(invocation())
    queues = Queues(smq, mails="q", rejected="q", dead="q", events="q", dead_events="q")
    queues.reject(CANARY["text"])
    ledger = SqliteLedger(Path(GIVEN["ledger"]))
    log = SqliteEventLog(ledger.database, 86_400_000)
    routing = Routing(("topic:t", "queue:q", "topic:missing"))
    at_once, clock = AtOnce(4), invocation().clock
    outlet = Outlet(queues, routing, log, at_once, lambda: 0.5, clock, 86_400_000)
    forwarder = Forwarder(ledger, outlet, queues, "local", "postbus/local", "forward")
    data = {
        "rcpt": CANARY["to"],
        "from": CANARY["reply"],
        "err_msg": CANARY["text"],
        "header": {"X-User-Notify-N": CANARY["notify"]},
        "env_id": "1",
    }
    event = {"id": "1", "source": "acs:dm", "type": "dm:Deliver:Fail", "data": data}
    opened = {**event, "id": "2", "type": "dm:Trace:Open"}
    batch = [event, opened, {**event, "data": CANARY["text"]}]
    ends = forwarder.forward_all(read_events(json.dumps(batch).encode()), invocation())
    ends += forwarder.forward_all(read_events(CANARY["text"].encode()), invocation())
    smq.use(invocation(access_key_secret=CANARY["wrong"]))
    try:
        queues.deliver("topic:t", CANARY["text"], "t", {})
    except QueueUnavailable as error:
        structlog.get_logger("postbus").error("smq.failed", error=str(error))
    ledger.close()
    return dict(ends)


if __name__ == "__main__":
    logging.basicConfig(level=logging.DEBUG)
    loggers_on()
    logs.configure("debug")
    logs.bind(request_id="r")
    print(json.dumps({"answers": send_all(), "ends": forward_all()}))
