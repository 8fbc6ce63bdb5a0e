# ruff: noqa: INP001  # programs, not a package: nobody imports them
"""One instance of `send_mail`, run by the runtime's Python from its package: what its calls cost.

    python calls_program.py PLAN

PLAN is JSON: {"do": "latency" | "connections" | "memory" | "megabyte", ...}. It prints JSON.
Everything here comes from the package and the standard library.
"""

from __future__ import annotations

import http.client
import json
import ssl
import sys
import time
from typing import Any
from urllib.parse import urlsplit

SENDER = "noreply@mail.example.com"
MEGABYTE = "<p>Grüße und Küsse, 1 + 1 = 2 &amp; mehr.</p>\n"


def event_of(prefix: str, numbers: range) -> bytes:
    """A queue trigger's event with these mails."""
    mails = [
        {
            "key": f"{prefix}-{number}",
            "sender": {"address": SENDER},
            "to": ["ada@example.net"],
            "subject": f"Your order {number}",
            "html": "<p>Thank you for your order, it is on its way.</p>" * 40,
            "notify": {"OrderId": str(number)},
        }
        for number in numbers
    ]
    return json.dumps(
        [
            {
                "id": mail["key"],
                "source": "MNS",
                "type": "mns:Queue:SendMessage",
                "data": {"messageId": mail["key"], "messageBody": json.dumps(mail)},
            }
            for mail in mails
        ]
    ).encode()


def latency(plan: dict[str, Any], send: Any) -> Any:
    """The time of each of the first mails, in ms."""
    times = []
    for number in range(plan["mails"]):
        event = event_of(plan["prefix"], range(number, number + 1))
        begun = time.perf_counter()
        send(event)
        times.append(1000 * (time.perf_counter() - begun))
    return times


def connections(plan: dict[str, Any], send: Any) -> Any:
    """How many connections the mails have opened."""
    before = _taken(plan)
    for start in range(0, plan["mails"], plan["batch"]):
        send(event_of(plan["prefix"], range(start, start + plan["batch"])))
    # The connection that asks the second time counts as well, in place of the one opened ahead.
    return _taken(plan) - before


def memory(plan: dict[str, Any], send: Any) -> Any:
    """The memory in MB after each of the steps."""
    told, sent = [], 0
    for until in plan["steps"]:
        while sent < until:
            send(event_of(plan["prefix"], range(sent, sent + plan["batch"])))
            sent += plan["batch"]
        told.append(_rss())
    return told


def megabyte(plan: dict[str, Any], _send: Any) -> Any:
    """CPU of a mail of 1 MB: by the SDK alone, and by Postbus's adapter; and what went out."""
    from alibabacloud_dm20151123 import models  # noqa: PLC0415  # from the package
    from alibabacloud_dm20151123.client import Client  # noqa: PLC0415  # likewise
    from alibabacloud_tea_openapi.utils_models import Config  # noqa: PLC0415  # likewise
    from darabonba.runtime import RuntimeOptions  # noqa: PLC0415  # likewise

    from functions import send_mail  # noqa: PLC0415  # likewise
    from shared.cloud.directmail_parameters import parameters  # noqa: PLC0415  # likewise
    from shared.schema.mail_request import parse_mail  # noqa: PLC0415  # likewise
    from shared.sending.compose import compose  # noqa: PLC0415  # likewise
    from shared.sending.identity import MailToken  # noqa: PLC0415  # likewise

    app = send_mail._instance.app()  # noqa: SLF001  # the instance as it is
    mailer = app.use.mailer
    mail = parse_mail(
        {"sender": {"address": SENDER}, "to": ["ada@example.net"], "subject": "1 MB", "html": "x"}
    )
    outgoing = compose(mail, mailer.policy, MailToken("production", "a" * 26, 1))
    outgoing = _with_html(outgoing, MEGABYTE * (1_000_000 // len(MEGABYTE.encode())))
    call = app.begin(None)
    client = Client(
        Config(
            access_key_id="a",
            access_key_secret="b",  # noqa: S106  # of nobody
            region_id="cn-hangzhou",
            endpoint=plan["sink"],
            protocol="http",
        )
    )
    fields = parameters(outgoing)

    def plain() -> None:
        client.single_send_mail_with_options(
            models.SingleSendMailRequest().from_map(fields), RuntimeOptions()
        )

    def ours() -> None:
        mailer.provider.send(outgoing, call, 60_000)

    spent: dict[Any, list[float]] = {plain: [], ours: []}
    bodies = []
    for turn in range(plan["turns"] + 1):
        for way in (plain, ours):
            before = time.process_time()
            way()
            if turn:
                spent[way].append(1000 * (time.process_time() - before))
            else:
                bodies.append(_last(plan["sink"]))
    return {"plain": spent[plain], "ours": spent[ours], "bodies": bodies}


def _with_html(outgoing: Any, html: str) -> Any:
    from dataclasses import replace  # noqa: PLC0415  # for this alone

    return replace(outgoing, html=html)


def _last(sink: str) -> str:
    connection = http.client.HTTPConnection(sink)
    connection.request("GET", "/")
    return connection.getresponse().read().decode()


def _taken(plan: dict[str, Any]) -> int:
    context = ssl.create_default_context(cafile=plan["authority"])
    connection = http.client.HTTPSConnection(urlsplit(plan["directmail"]).netloc, context=context)
    connection.request("GET", "/-/connections")
    return int(connection.getresponse().read())


def _rss() -> float:
    with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123  # as short as it gets
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024


def main() -> None:
    """Make an instance ready, do what the plan says, tell the result."""
    plan = json.loads(sys.argv[1])
    from functions import send_mail  # noqa: PLC0415  # only now: a cold start

    send_mail.initialize(None)

    def send(event: bytes) -> None:
        send_mail.handler(event, None)

    told = {f.__name__: f for f in (latency, connections, memory, megabyte)}[plan["do"]](plan, send)
    sys.stdout.write("\n" + json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
