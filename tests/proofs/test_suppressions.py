"""Line 5: from the suppression's acknowledged write on, nothing is sent to that recipient."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from local.pytest_plugin import MakePostbus, Postbus
from tests.proofs.conftest import MAIL

pytestmark = pytest.mark.stack

SEED = 20261122
NEWS, SHOP, OTHER = (
    {"address": "news@mail.example.com"},
    {"address": "shop@mail.example.com"},
    {"address": "shop@mail.example.org"},
)
SENDERS = (NEWS, SHOP, OTHER)
# What becomes of the first mail -> which senders then send nothing to that recipient.
FATES: dict[str, tuple[dict[str, str], ...]] = {
    "bounce": SENDERS,
    "complaint": SENDERS,
    "unsubscribe": (NEWS,),
    "one-click": (NEWS,),
}
SECONDS = 60


@dataclass
class Producer:
    """Sends mails over HTTP, and counts what DirectMail's twin was asked to send.

    Attributes:
        stack: the running stack.
        keys: the keys given so far.
    """

    stack: Postbus
    keys: int = 0

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=self.stack.url, trust_env=False, timeout=60)

    def send(self, to: str, sender: dict[str, str] = NEWS, **fields: Any) -> httpx.Response:
        """Post one mail."""
        self.keys += 1
        mail = {**MAIL, "subject": "News", "key": f"{to}-{self.keys}-{threading.get_ident()}"}
        return self.http.post("/v1/mails", json={**mail, "to": [to], "sender": sender, **fields})

    def is_suppressed(self, to: str) -> bool:
        """Whether the list has the recipient, in any scope."""
        page = self.http.get("/v1/suppressions", params={"address": to}).json()
        return bool(page["suppressions"])

    def wait(self, recipients: Iterable[str], *, suppressed: bool = True) -> None:
        """Wait until all are on the list, or none."""
        deadline = time.monotonic() + SECONDS
        for to in recipients:
            while self.is_suppressed(to) is not suppressed:
                assert time.monotonic() < deadline, f"{to} is not as it should be"
                time.sleep(0.05)

    def calls(self) -> Counter[tuple[str, str]]:
        """How many mails the provider took for each recipient, from each sender."""
        return Counter(
            (to, mail.parameters["AccountName"])
            for mail in self.stack.outbox().mails(limit=100_000)
            for to in mail.recipients
        )


@pytest.fixture
def producer(make_postbus: MakePostbus) -> Iterator[Callable[..., Producer]]:
    """Makes producers, each with a stack that has these options of `postbus up`."""
    made: list[Producer] = []

    def make(*options: str) -> Producer:
        made.append(Producer(make_postbus(*options)))
        return made[-1]

    yield make
    for each in made:
        each.http.close()


def fated(fate: str, number: int) -> str:
    """A recipient with that fate."""
    return f"reader+{number}@example.net" if fate == "one-click" else f"{fate}+{number}@example.net"


def click(producer: Producer, to: str) -> None:
    """Unsubscribe as a mail program does, with the link in the header of the latest mail."""
    mail = next(m for m in reversed(producer.stack.outbox().mails()) if to in m.recipients)
    headers = httpx.Response(200, text=mail.parameters["Headers"]).json()
    answer = producer.http.post(
        headers["List-Unsubscribe"].strip("<>"), data={"List-Unsubscribe": "One-Click"}
    )
    assert answer.status_code == httpx.codes.OK


@pytest.mark.timeout(900)
@pytest.mark.parametrize("ledger", ["sqlite", "tablestore"])
def test_nothing_is_sent_to_a_suppressed_recipient(
    producer: Callable[..., Producer], proving: bool, ledger: str
) -> None:
    """After a bounce, a complaint, an unsubscription: 0 calls in scope; lifted, they resume."""
    if ledger == "tablestore" and not proving:
        people, mails = 1, 2
    else:
        people, mails = (25, 10) if proving else (1, 5)
    maker = producer(
        *("--ledger", ledger, "--domain", "mail.example.com", "--domain", "mail.example.org")
    )
    recipients = {fate: [fated(fate, n) for n in range(people)] for fate in FATES}
    everybody = [to for each in recipients.values() for to in each]
    for to in everybody:
        assert maker.send(to, unsubscribe=True).status_code == httpx.codes.CREATED
    for to in recipients["one-click"]:
        click(maker, to)
    maker.wait(everybody)

    before = maker.calls()
    told = Counter[tuple[str, int]]()
    with ThreadPoolExecutor(4) as pool:
        # Who unsubscribes from each mail would soon be on the list for every sender.
        asked = [(fate, to, sender) for fate, to, sender in set_of(recipients)
                 if fate != "unsubscribe" or sender is NEWS for _ in range(mails)]  # fmt: skip
        random.Random(SEED).shuffle(asked)
        for (fate, _, sender), answer in zip(
            asked, pool.map(lambda each: maker.send(each[1], each[2]), asked), strict=True
        ):
            told[("in" if sender in FATES[fate] else "out", answer.status_code)] += 1
    calls = maker.calls() - before
    in_scope = sum(calls[(to, sender["address"])] for fate, to, sender in set_of(recipients)
                   if sender in FATES[fate])  # fmt: skip
    out_of_scope = sum(calls.values()) - in_scope
    assert in_scope == 0
    assert set(told) == {("in", 422), ("out", 201)}
    assert out_of_scope == told[("out", 201)]

    if ledger == "tablestore":
        send_without_the_list(maker)
    resumed = resume(maker, recipients, maker.calls())
    assert resumed == len(everybody)
    print(f"\nsuppressed ({ledger}): seed {SEED}: {len(everybody)} recipients, {told[('in', 422)]} "
          f"mails in scope: {in_scope} calls; {told[('out', 201)]} out of scope: {out_of_scope} "
          f"calls; lifted: {resumed} of {len(everybody)} resume")  # fmt: skip


def send_without_the_list(producer: Producer) -> None:
    """While the list does not answer, nothing is sent; when it does, the mail goes, or does not."""
    before = producer.calls()
    producer.stack.faults.set("tablestore", "BatchGetRow", "down")
    for to in (fated("bounce", 0), "bob@example.net"):
        assert producer.send(to).status_code == httpx.codes.SERVICE_UNAVAILABLE
    assert producer.calls() == before
    producer.stack.faults.clear()
    assert producer.send(fated("bounce", 0)).status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert producer.send("bob@example.net").status_code == httpx.codes.CREATED


def set_of(recipients: dict[str, list[str]]) -> list[tuple[str, str, dict[str, str]]]:
    """Each recipient with each sender, once."""
    return [(fate, to, sender) for fate, each in recipients.items() for to in each
            for sender in SENDERS]  # fmt: skip


def resume(
    producer: Producer, recipients: dict[str, list[str]], before: Counter[tuple[str, str]]
) -> int:
    """Resubscribe at DirectMail, or lift by hand; how many get mails again."""
    for fate, each in recipients.items():
        for to in each:
            if FATES[fate] == (NEWS,):
                key = next(m for m in producer.stack.outbox().mails(limit=100_000)
                           if to in m.recipients).env_id  # fmt: skip
                fired = producer.stack.command("fire", "Feedback:Subscribe", "--mail", key)
                assert fired.returncode == 0, fired.stderr
            else:
                lifted = producer.http.delete(f"/v1/suppressions/account/{to}")
                assert lifted.status_code == httpx.codes.NO_CONTENT
    everybody = [to for each in recipients.values() for to in each]
    producer.wait(everybody, suppressed=False)
    for to in everybody:
        assert producer.send(to).status_code == httpx.codes.CREATED
    again = producer.calls() - before
    return sum(again[(to, NEWS["address"])] == 1 for to in everybody)


@pytest.mark.timeout(900)
def test_at_most_one_mail_is_past_the_check(
    producer: Callable[..., Producer], proving: bool
) -> None:
    """A recipient who is suppressed in the midst of a stream of mails gets at most one more."""
    people = 60 if proving else 6
    maker, dice = producer(), random.Random(SEED)
    acknowledged: dict[str, float] = {}
    pauses = {f"reader+{number}@example.net": dice.uniform(0.05, 0.4) for number in range(people)}

    def stream(to: str) -> None:
        """One mail after the other, until one is refused."""
        deadline = time.monotonic() + SECONDS
        while maker.send(to).status_code != httpx.codes.UNPROCESSABLE_ENTITY:
            assert time.monotonic() < deadline

    def suppress(to: str) -> None:
        time.sleep(pauses[to])
        answer = maker.http.put(f"/v1/suppressions/account/{to}")
        acknowledged[to] = time.time()
        assert answer.status_code == httpx.codes.CREATED

    with ThreadPoolExecutor(4) as pool:
        for to in pauses:
            ends = [pool.submit(stream, to), pool.submit(suppress, to)]
            for end in ends:
                end.result()
    late = Counter(
        to
        for mail in maker.stack.outbox().mails(limit=100_000)
        for to in mail.recipients
        if mail.at > acknowledged[to]
    )
    sent = sum(maker.calls().values())
    assert sent > people  # the streams were running
    assert max(late.values(), default=0) <= 1
    print(f"\nin mid-stream: seed {SEED}: {people} recipients, {sent} mails before their "
          f"suppression was acknowledged or past the check; {sum(late.values())} of them after "
          "it, at most 1 each")  # fmt: skip
