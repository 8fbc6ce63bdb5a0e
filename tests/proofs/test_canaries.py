"""Nothing that a mail says is in any log line, whatever way it goes; and each mail has its one.

What counts as a log: everything that the functions print, as the host captures it, with Postbus's
own level at debug and every logger of the SDKs turned on (`loud/sitecustomize.py`).
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from local.faults.kinds import KINDS
from local.faults.rules import Rule
from local.fire.orders import Order, OrderError
from local.fire.ways import WAYS
from local.stack import PUSH_TOKEN
from local.twins.directmail.catalogue import TYPES
from shared.delivery.outgoing import Outgoing
from shared.delivery.sink_letters import ReplayedEvent
from shared.hooks.standard import sign
from shared.sending.identity import mail_id_of
from tests.proofs.canaries import (
    HOOK_SECRET,
    PROVEN,
    WORD,
    Aviary,
    aviary,
    disguises,
)

pytestmark = pytest.mark.stack

# Kinds of failures that need a number of their own; `throttled` and `quota` are the same to a mail.
COUNTED = {"rate-limit", "daily-quota"}
SENT, LATER = "mail.sent", ("mail.sent", PROVEN)
# How a mail ends whose first call failed so, where it is not sent by another. A used-up quota keeps
# it until tomorrow; a mail that DirectMail has taken is proven by its event. A parked one is sent
# when its letter is redriven.
ENDS: Mapping[str, tuple[str, ...]] = {
    "quota": (),
    **dict.fromkeys(
        ("internal-error-after", "empty", "html", "reset-after", "timeout-after"), LATER
    ),
}
# Letters that wait for a person: held, and parked for two reasons.
PARKED = 3
ATTACHMENT = {
    "name": f"{WORD}.txt",
    "content": base64.b64encode(f"{WORD} content".encode()).decode(),
}


async def queue(at: Aviary) -> None:
    """Mails on the queue: plain, with a file, a mail for each recipient, twice."""
    at.put(at.mail("plain", SENT))
    at.put(at.mail("file", SENT, attachments=[ATTACHMENT]))
    twice = at.mail("twice", SENT)
    at.put(twice)
    at.put(twice)
    several = [f"{WORD}-{number}@example.net" for number in range(3)]
    at.put(at.mail("separate", to=several, bcc=[], separate=True))


async def rejected(at: Aviary) -> None:
    """Messages that are no mails, and mails that no mail can be."""
    at.put(f"{WORD} is no JSON")
    at.put({WORD: WORD})
    at.put(at.mail("nobody", to=[f"{WORD} at example.net"]))
    at.put(at.mail("unknown field", **{WORD: WORD}))
    at.put(at.mail("too many headers", headers={f"X-User-{n}": WORD for n in range(20)}))
    at.put({"postbus": 1, "mail": {"to": [WORD]}})
    # Twice the key with another content: the first one stands.
    at.put(at.mail("key", SENT))
    await at.ended("key")
    at.put({**at.mail("key"), "subject": f"{WORD} again"})
    await at.until(lambda: len(at.said("mail.rejected")) >= 6, "rejections")


async def http(at: Aviary) -> None:
    """The API: sent now, accepted for later, repeated, invalid, looked up."""
    now = at.mail("now", SENT)
    statuses = [
        (await at.post("/v1/mails", now)).status_code,
        (await at.post("/v1/mails", now)).status_code,
        (await at.post("/v1/mails", {**now, "text": f"{WORD} other"})).status_code,
        (await at.post("/v1/mails", at.mail("later", SENT), Prefer="respond-async")).status_code,
        (await at.post("/v1/mails", at.mail("no", to=[WORD]))).status_code,
        (await at.post("/v1/mails", f"{WORD} no JSON".encode())).status_code,
        (await at.client.get("/v1/mails", params={"key": now["key"]})).status_code,
        (await at.client.get(f"/v1/{WORD}")).status_code,
    ]
    assert statuses == [201, 201, 422, 202, 422, 400, 200, 404], statuses


async def timer(at: Aviary) -> None:
    """A timer's own mail, a payload that is none, and a sweep."""
    tick = {"triggerTime": "2026-11-22T04:00:00Z", "triggerName": "canary"}
    mail = at.mail("timer")
    del mail["key"]
    await at.invoke("clock", {**tick, "payload": json.dumps(mail)})
    await at.invoke("clock", {**tick, "payload": f"{WORD} no JSON"})
    await at.invoke("clock", f"{WORD} no event".encode())
    await at.invoke("clock", {**tick, "payload": '{"task": "sweep"}'})


async def failures(at: Aviary) -> None:
    """Every way in which DirectMail can fail, by queue and by HTTP."""
    kinds = [kind for kind in KINDS["directmail"] if kind not in COUNTED]
    holding = Rule("directmail", "SingleSendMail", "reset-before", match="holding", count=1)
    each = [
        Rule(
            target="directmail",
            action="SingleSendMail",
            kind=kind,
            match=f"failing-{kind}-{door}",
            count=1,
            seconds=1 if "seconds" in KINDS["directmail"][kind].options else None,
        )
        for kind in kinds
        for door in ("queue", "http")
    ]
    at.stack.faults.set([holding, *each])
    for kind in kinds:
        at.put(at.mail(f"failing-{kind}-queue", *ENDS.get(kind, (SENT,))))
    await asyncio.gather(*(at.post("/v1/mails", at.mail(f"failing-{kind}-http")) for kind in kinds))
    unknown = {"address": f"{WORD}@unknown.example"}
    at.put(at.mail("sender", sender=unknown))
    at.put(at.mail("holding", SENT, on_unknown="hold"))


async def events(at: Aviary) -> None:
    """Every type of event by every way, a remote host that quotes the mail, rubbish."""
    at.put(at.mail("told", SENT))
    await at.ended("told")
    for kind in TYPES:
        for way in WAYS:
            try:
                Order(kind, envelope=way)
            except OrderError:
                continue  # the older notification has no such type
            at.fire(kind, "told", envelope=way)
    quoted = f"550 <{WORD}@example.net> {WORD} subject"
    for way in ("queue", "legacy-xml", "eventbridge"):
        at.fire("Deliver:Fail", "told", envelope=way, failed_type=WORD, err_msg=quoted)
        at.fire("Trace:Click", "told", envelope=way, url=f"https://example.com/?{WORD}")
    other = {"X-User-Notify-Postbus": f"v1.production.{'a' * 26}.1"}
    different: list[dict[str, Any]] = [
        {"type": f"{WORD}@example.net"},
        {"data": WORD},
        {"data": {"header": other}},
        {},
    ]
    for changes in different:
        event = {"source": "acs.dm", "type": "dm:Deliver:Fail", "data": {"rcpt": WORD}}
        at.put({"id": "1", **event, **changes}, "delivery-events")
    at.put(f"{WORD} is no event", "delivery-events")
    await at.invoke("delivery_events", f"{WORD} is no event".encode())
    await at.until(lambda: len(at.said("event.unrecognised")) >= 3, "events")


async def webhooks(at: Aviary) -> None:
    """Mails from other programs, signed, unsigned and malformed; pushes that nobody has signed."""
    body = json.dumps(at.mail("hook", SENT)).encode()
    stamp = str(int(time.time()))
    good = f"v1,{sign(HOOK_SECRET, WORD, stamp, body).decode()}"
    signed = {"webhook-id": WORD, "webhook-timestamp": stamp, "webhook-signature": good}
    statuses = [
        (await at.post("/hooks/crm", body, **signed)).status_code,
        (await at.post("/hooks/crm", body)).status_code,
        (await at.post(f"/hooks/{WORD}", body, **signed)).status_code,
        (await at.post("/hooks/crm", body + b" ", **signed)).status_code,
    ]
    statuses += [
        (await at.post("/hooks/crm", body, **{**signed, name: f"v1,{WORD}"})).status_code
        for name in signed
    ]
    statuses += [
        (await at.post(f"/push/{sender}", WORD.encode(), **_forged(sender))).status_code
        for sender in ("smq", "eventbridge")
    ]
    assert statuses == [202, *[401] * 8], statuses


def _forged(sender: str) -> dict[str, str]:
    """The headers of a push whose certificate, signature and token say the word."""
    where = f"https://{WORD}.example/{WORD}.pem"
    if sender == "smq":
        told = base64.b64encode(where.encode()).decode()
        return {"authorization": WORD, "x-mns-signing-cert-url": told, "x-mns-message-id": WORD}
    names = ("signature-v2", "signature-token", "signature-secret", "signature-timestamp")
    return {**{f"x-eventbridge-{n}": WORD for n in names}, "x-eventbridge-signature-url": where}


async def unsubscribes(at: Aviary) -> None:
    """The page, the one click, a link that is none; the link's token is a secret too."""
    at.put(at.mail("leaving", SENT, unsubscribe=True, bcc=[]))
    await at.ended("leaving")
    posted = at.stack.outbox.find(told=mail_id_of("local", f"{WORD}-leaving"))
    assert posted is not None
    headers = {name.lower(): value for name, value in posted.facts["headers"]}
    token = headers["list-unsubscribe"].strip("<>").rpartition("/")[2]
    at.secrets.add(token)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    click = b"List-Unsubscribe=One-Click"
    statuses = [
        (await at.client.get(f"/unsubscribe/{token}")).status_code,
        (await at.post(f"/unsubscribe/{token}", WORD.encode(), **form)).status_code,
        (await at.post(f"/unsubscribe/{token}", click, **form)).status_code,
        (await at.post(f"/unsubscribe/{WORD}", click, **form)).status_code,
    ]
    assert statuses == [200, 400, 200, 404], statuses
    again = at.mail("left", "mail.suppressed", bcc=[])
    at.put({**again, "to": [f"{WORD}-leaving@example.net"]})


async def suppressions(at: Aviary) -> None:
    """Set by hand, looked up, listed, in the way of a mail, lifted, forgotten."""
    address = f"{WORD}-by-hand@example.net"
    where = f"/v1/suppressions/account/{address}"
    statuses = [
        (await at.client.put(where, json={"detail": f"{WORD} asked"})).status_code,
        (await at.client.put(where, content=WORD)).status_code,
        (await at.client.get(where)).status_code,
        (await at.client.get("/v1/suppressions", params={"address": address})).status_code,
        (await at.client.get(f"/v1/suppressions/{WORD}/{WORD}")).status_code,
    ]
    assert statuses[0] < 300 <= statuses[1], statuses
    at.put(at.mail("stopped", "mail.suppressed", to=[address], bcc=[]))
    at.put(at.mail("partly", SENT, to=[address, f"{WORD}-other@example.net"]))
    await at.ended("stopped", "partly")
    assert (await at.client.delete(where)).is_success
    assert (await at.client.delete(f"/v1/recipients/{address}")).is_success


async def replay(at: Aviary) -> None:
    """Every event that went out goes out once more."""
    topic = "postbus-local-mail-events"
    sent = at.stack.broker.published(topic, limit=10_000)
    for message in sent:
        letter = ReplayedEvent(Outgoing.of_document(json.loads(message.body)))
        at.put(letter.body(), "delivery-retries")
    await at.until(lambda: at.stack.broker.topic(topic).published >= 2 * len(sent), "replay")


async def dead_letters(at: Aviary) -> None:
    """What was parked and held goes back; a topic and a ledger that do not answer; bad letters."""
    # The held one, and those of the two settings that were wrong, by queue; none is there twice.
    await at.until(lambda: len(at.letters("mails-dead")) >= PARKED, "parked letters")
    for letter in at.letters("mails-dead"):
        at.stack.broker.send("postbus-local-mails", letter.body)
    await at.ended("holding", "failing-expired-token-queue")
    at.stack.faults.set(
        [
            Rule("smq", "PublishMessage", "publish-fails", count=3),
            Rule("tablestore", "PutRow", "lost-answer", count=3),
            Rule("tablestore", "UpdateRow", "busy", count=3),
        ]
    )
    at.put(at.mail("weather", SENT))
    at.put({"postbus": 1, "forward": {"sink": WORD, "event": {"id": WORD}}}, "delivery-retries")
    at.put({"postbus": 1, WORD: WORD}, "delivery-events")
    await at.until(lambda: not at.missing())
    at.stack.faults.clear()


PATHS: tuple[Callable[[Aviary], Awaitable[None]], ...] = (
    *(queue, rejected, http, timer, failures, events),
    *(webhooks, unsubscribes, suppressions, replay, dead_letters),
)


def test_the_search_finds_the_word_in_its_disguises() -> None:
    """In base64 at every place, in hex and in capitals; and nowhere else."""
    for before in ("", "a", "ab", "abc"):
        hidden = base64.b64encode(f"{before}{WORD}{before}".encode()).decode()
        assert any(each in hidden for each in disguises(WORD)), (before, hidden)
    assert WORD.encode().hex() in disguises(WORD)
    assert not any(each in base64.b64encode(b"canary" * 9).decode() for each in disguises(WORD))


@pytest.mark.timeout(300)
def test_no_log_line_holds_what_a_mail_says(tmp_path: Path) -> None:
    """By every path: 0 lines with the word or a secret; one line with the outcome of each mail."""

    async def run() -> Aviary:
        async with aviary(tmp_path) as at:
            at.secrets.add(PUSH_TOKEN)
            for path in PATHS:
                before = len(at.lines)
                await path(at)
                print(f"canaries: {path.__name__}: {len(at.lines) - before} lines")
            # Nobody is at work any more: a second line would be there.
            await at.until(lambda: not at.missing() and at.idle())
            return at

    at = asyncio.run(run())
    loggers = Counter(line.partition("[DEBUG]")[1] for _, line in at.lines)
    print(
        f"canaries: {len(PATHS)} paths, {len(at.lines)} lines of {len({f for f, _ in at.lines})} "
        f"functions ({loggers['[DEBUG]']} of SDKs at debug), {len(at.hits())} hits; "
        f"{len(at.expected)} mails with a line each"
    )
    assert at.hits() == []
    assert loggers["[DEBUG]"] > 0
    assert at.endings() == ({}, {})
