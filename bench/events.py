# ruff: noqa: INP001  # programs, not a package: nobody imports them
"""What reading costs: CPU per delivery event over reading the same bytes without Postbus.

    python bench/events.py [--events N] [--json]

The bare way is what one would write for this very event: `json.loads`, and a pydantic model with
the types of its fields. The full way is everything from the trigger's bytes to a clean event that
is ready to be published: every layer peeled, the dialect read, the reason looked up, the clean
event made, checked and written as JSON. Both see the same events of all eight types, in turns.

EventBridge's own object, and batches of ten through a queue (which is how the template has it).
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from shared.delivery.clean import clean_event  # noqa: E402  # `bench` is no package: its root first
from shared.delivery.facts import DeliveryFact  # noqa: E402
from shared.delivery.read import read_event  # noqa: E402
from shared.triggers.events import read_events  # noqa: E402

SEED = 7
SAMPLES = ROOT / "events" / "directmail"
TYPES = (
    *("delivered", "bounced", "complained", "unsubscribed", "resubscribed"),
    *("opened", "clicked", "validated"),
)
# Most events are deliveries.
WEIGHTS = (60, 10, 1, 1, 1, 15, 10, 2)
BATCH = 10
# Short rounds, many of them: other work on the machine only ever adds to one, so the lowest counts.
ROUNDS = 60
NOW = 1_800_000_000_000


@dataclass(frozen=True)
class Figures:
    """CPU per event in µs, and the full way's over the bare way's."""

    name: str
    bare_us: float
    full_us: float
    ratio: float


# --- Without Postbus -----------------------------------------------------------------------------


class Delivery(BaseModel):
    """`data` of a delivery or a bounce."""

    header: dict[str, str] = {}
    env_id: str
    account: str
    sender: str = Field(alias="from")
    rcpt: str
    msg_id: str
    send_time: datetime
    deliver_time: datetime
    status: int
    event: str
    region: str
    err_code: int
    err_msg: str
    failed_type: str
    channel_name: str
    outbound_ip: str
    esp: str
    ip_pool_id: str
    is_dedicated_ip: bool
    tag: str


class Complaint(BaseModel):
    """`data` of a complaint."""

    send_time: datetime
    block_time: datetime
    send_email: str
    block_email: str
    subject: str
    message_id: str
    fbl_isp: str
    fingerprint: str


class Operation(BaseModel):
    """`data` of an open, a click, or a subscription's change."""

    operate_time: datetime
    client_ip: str
    sender: str = Field(alias="from")
    rcpt: str
    env_id: str | None = None
    envid: str | None = None
    msg_id: str | None = None
    user_agent: str | None = None
    tag: str | None = None
    url: str | None = None


class Check(BaseModel):
    """`data` of an address check."""

    email: str
    status: str
    sub_status: str


class Event(BaseModel):
    """The envelope."""

    data: Delivery | Complaint | Operation | Check
    id: str
    source: str
    specversion: str
    subject: str
    time: datetime
    type: str
    aliyunaccountid: str
    aliyunpublishtime: str
    aliyuneventbusname: str
    aliyunregionid: str
    aliyunpublishaddr: str


class OfDelivery(Event):
    """A delivery's event."""

    data: Delivery


class OfComplaint(Event):
    """A complaint's event."""

    data: Complaint


class OfOperation(Event):
    """A person's event."""

    data: Operation


class OfCheck(Event):
    """An address check's event."""

    data: Check


class Body(BaseModel):
    """`data` of a queue's message."""

    request_id: str = Field(alias="requestId")
    message_id: str = Field(alias="messageId")
    message_body: str = Field(alias="messageBody")


class Message(BaseModel):
    """The platform's event around a queue's message."""

    id: str
    source: str
    specversion: str
    type: str
    datacontenttype: str
    subject: str
    time: datetime
    data: Body


MODELS: dict[str, type[Event]] = {
    "dm:Deliver:Succeed": OfDelivery,
    "dm:Deliver:Fail": OfDelivery,
    "dm:Feedback:FblReport": OfComplaint,
    "dm:Validator:GrayListResult": OfCheck,
}


def bare_object(data: bytes) -> None:
    """Read EventBridge's object."""
    document = json.loads(data)
    MODELS.get(document["type"], OfOperation).model_validate(document)


def bare_queue(data: bytes) -> None:
    """Read a queue trigger's batch."""
    for element in json.loads(data):
        message = Message.model_validate(element)
        bare_object(message.data.message_body.encode())


# --- With Postbus --------------------------------------------------------------------------------


def full(data: bytes) -> None:
    """Everything from the trigger's bytes to the text that is published."""
    for arrived in read_events(data):
        fact = read_event(arrived)
        assert isinstance(fact, DeliveryFact)  # noqa: S101  # else the figure would be of rubbish
        clean_event(fact, None, source="postbus/bench", now=NOW).to_json()


# --- Both ----------------------------------------------------------------------------------------


def events(count: int) -> list[dict[str, Any]]:
    """Events of all types, each with times and ids of its own, over an hour."""
    dice = random.Random(SEED)  # noqa: S311  # the same events each time
    samples = [json.loads((SAMPLES / f"{name}-2025.json").read_bytes()) for name in TYPES]
    made = []
    for number, sample in enumerate(dice.choices(samples, WEIGHTS, k=count)):
        clock = f"11:{dice.randrange(60):02d}:{dice.randrange(60):02d}"
        data = {
            name: f"2024-04-29T{clock}" if "T" in str(value) and name.endswith("_time") else value
            for name, value in sample["data"].items()
        }
        made.append(
            {**sample, "data": data, "id": f"{number:036d}", "time": f"2024-04-29T{clock}+08:00"}
        )
    return made


def objects(given: Sequence[dict[str, Any]]) -> list[bytes]:
    """Each event as EventBridge hands it over."""
    return [json.dumps(event, separators=(",", ":")).encode() for event in given]


def batches(given: Sequence[dict[str, Any]]) -> list[bytes]:
    """The events as a queue trigger hands them over."""
    stream = json.loads((SAMPLES / "bounced-queue-stream.json").read_bytes())[0]
    elements = [
        {**stream, "data": {**stream["data"], "messageBody": text.decode()}}
        for text in objects(given)
    ]
    return [json.dumps(elements[n : n + BATCH]).encode() for n in range(0, len(elements), BATCH)]


def cost(way: Callable[[bytes], None], given: Sequence[bytes], count: int) -> float:
    """CPU per event, in µs."""
    begun = time.process_time()
    for data in given:
        way(data)
    return (time.process_time() - begun) / count * 1e6


def compare(name: str, bare: Callable[[bytes], None], given: list[bytes], count: int) -> Figures:
    """Both ways in turns; the lowest of the rounds of each."""
    cost(bare, given, count)
    cost(full, given, count)
    # The collector is on, but this program's own thousands of samples are none of its business.
    gc.collect()
    gc.freeze()
    rounds = [(cost(bare, given, count), cost(full, given, count)) for _ in range(ROUNDS)]
    bare_us, full_us = (min(each) for each in zip(*rounds, strict=True))
    return Figures(name, round(bare_us, 1), round(full_us, 1), round(full_us / bare_us, 2))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    made = events(given.events)
    for figures in (
        compare("EventBridge's object", bare_object, objects(made), len(made)),
        compare("through a queue", bare_queue, batches(made), len(made)),
    ):
        sys.stdout.write(
            json.dumps(asdict(figures)) + "\n"
            if given.json
            else f"events: {figures.name}: {figures.full_us} µs of CPU per event, json.loads and "
            f"pydantic {figures.bare_us} µs: ratio {figures.ratio} "
            f"({given.events} events of all types, {ROUNDS} rounds)\n"
        )


if __name__ == "__main__":
    main()
