"""Events on their way out: joined to their mail, written down, published, and never lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local.twins.directmail.headers import returned
from local.twins.directmail.rules import HeaderStyle
from shared.delivery.forward import LEDGER_PAUSE
from shared.errors import QueueUnavailable
from shared.schema.limits import QUEUE_BODY_MAX
from shared.sending.identity import MailToken
from shared.sending.letters import QUEUE_PAYLOAD_MAX
from shared.stores.ledger import Channel, DeliveryRecord, MailRecord

Document = Callable[..., dict[str, Any]]
Forward = Callable[[Any], dict[str, int]]
Sample = Callable[[str], bytes]
NOW = 1_800_000_000_000


@pytest.mark.parametrize("name", ["directmail-deliver-succeed.json", "eventbridge-via-queue.json"])
def test_a_delivery_is_published_as_one_clean_event(
    forward: Forward, topic: Any, mail: MailRecord, sample: Sample, name: str
) -> None:
    """By whichever trigger it came: one message, its tag the state, its ids in the properties."""
    assert forward(sample(name)) == {"delivered": 1}
    (message,) = topic.messages
    assert message.event == json.loads(sample("mail-event-delivered.json"))
    assert message.tag == "delivered"
    assert message.properties == {
        "id": message.event["id"],
        "type": "postbus.mail.delivered",
        "state": "delivered",
        "mail_id": mail.mail_id,
    }


def test_a_report_is_evidence_of_the_send(
    forward: Forward, ledger: Any, mail: MailRecord, sample: Sample
) -> None:
    """A mail whose outcome was unknown is proven to be sent, under DirectMail's id."""
    ledger.mails[mail.mail_id] = replace(mail, state="unknown", envelope_id=None, evidence=None)
    forward(sample("directmail-deliver-succeed.json"))
    proven = ledger.mails[mail.mail_id]
    assert (proven.state, proven.evidence) == ("sent", "event")
    assert proven.envelope_id == "600000192837465010"
    assert proven.updated_at == NOW
    assert ledger.states == [DeliveryRecord(mail.mail_id, "ada@example.net", 1, "delivered", NOW)]


@pytest.mark.parametrize("style", ["given", "lower", "json", "absent"])
def test_notify_comes_home_in_each_of_the_twins_header_styles(
    forward: Forward, topic: Any, document: Document, token: MailToken, style: HeaderStyle
) -> None:
    """The sender's names and values arrive downstream as the sender gave them."""
    given_headers = [
        ("Message-ID", "<m@x.example>"),
        ("X-User-Notify-OrderId", "4711"),
        ("X-User-Notify-Service", "shipping"),
        ("X-User-Notify-Postbus", str(token)),
    ]
    forward(document(header=returned(given_headers, style)))
    (message,) = topic.messages
    assert message.event["data"]["notify"] == {"OrderId": "4711", "Service": "shipping"}
    assert message.event["data"]["key"] == "order-4711"


@pytest.mark.parametrize("header", ["packed", "message id"])
def test_another_environments_event_is_dropped(
    *, forward: Forward, topic: Any, ledger: Any, document: Document, token: MailToken, header: str
) -> None:
    """All environments of an account see all events; each forwards its own only."""
    foreign = MailToken("staging", token.mail_id, 1)
    changes: dict[str, Any] = (
        {"header": {"x-user-notify-postbus": str(foreign)}}
        if header == "packed"
        else {"header": None, "msg_id": f"{token.mail_id}.staging@mail.example.com"}
    )
    assert forward(document(**changes)) == {"foreign": 1}
    assert topic.messages == []
    assert ledger.states == []


@pytest.mark.parametrize(
    ("event", "raw"),
    [
        (b"rubbish \xff", "rubbish \N{REPLACEMENT CHARACTER}"),
        ({"type": "dm:Trace:Open", "source": "acs:dm", "id": "1"}, ...),
        ({"type": "oss:ObjectCreated", "source": "acs:oss", "id": "1", "data": {}}, ...),
        ({"type": "dm:Deliver:Fail", "source": "acs:dm", "id": "1", "data": 7}, ...),
        ({}, ...),
        ([7], "7"),
    ],
)
def test_an_unrecognised_event_is_forwarded_whole(
    forward: Forward, topic: Any, event: Any, raw: Any
) -> None:
    """What this version cannot read goes on with the reason, the event and a tag of its own."""
    assert forward(event) == {"unrecognised": 1}
    (message,) = topic.messages
    assert message.tag == "unrecognised"
    assert message.event["type"] == "postbus.event.unrecognised"
    assert message.event["data"]["raw"] == (event if raw is ... else raw)
    assert message.event["data"]["reason"]
    assert message.event["data"]["state"] is None
    assert message.properties == {
        "id": message.event["id"],
        "type": "postbus.event.unrecognised",
    }


def test_tags_fit_smq(forward: Forward, topic: Any, document: Document) -> None:
    """SMQ takes tags of at most 16 characters."""
    forward([document(), {**document(), "type": "dm:Deliver:Fail"}, {**document(), "type": "x"}])
    assert [message.tag for message in topic.messages] == ["delivered", "bounced", "unrecognised"]
    assert all(len(message.tag) <= 16 for message in topic.messages)


def test_a_batch_is_counted_by_its_ends(
    forward: Forward, topic: Any, document: Document, token: MailToken
) -> None:
    """Every event of a batch is settled, whatever the others are."""
    foreign = document(header={"X-User-Notify-Postbus": f"v1.other.{token.mail_id}.1"})
    batch = [document(), foreign, {"type": "x"}, {**document(), "type": "dm:Deliver:Fail"}]
    assert forward(batch) == {"delivered": 1, "foreign": 1, "unrecognised": 1, "bounced": 1}
    assert len(topic.messages) == 3


def test_a_batch_that_is_safe_nowhere_comes_again_under_the_same_ids(
    forward: Forward, topic: Any, document: Document, way: Any
) -> None:
    """The platform brings the whole batch again; what was published already is not repeated."""
    batch = [document(rcpt=f"{n}@example.net") for n in range(3)]
    topic.takes, topic.down = 2, {"retries"}
    with pytest.raises(QueueUnavailable):
        forward(batch)
    topic.takes, topic.down = 100, set()
    way.clock.now += 60_000
    assert forward(batch) == {"repeated": 2, "delivered": 1}
    assert len({message.event["id"] for message in topic.messages}) == len(batch)


def test_what_was_written_down_before_the_topic_failed_is_still_published(
    forward: Forward, topic: Any, ledger: Any, document: Document, way: Any
) -> None:
    """The ledger's memory of a state never stands in the way of telling it."""
    topic.down = {"topic:mail-events", "retries"}
    with pytest.raises(QueueUnavailable):
        forward(document())
    assert len(ledger.states) == 1
    topic.down = set()
    way.clock.now += 60_000
    assert forward(document()) == {"delivered": 1}
    assert len(topic.messages) == 1


@pytest.mark.parametrize(
    "down", ["get", "find_by_envelope_id", "prove", "record_delivery", "note_channel", "sight"]
)
def test_an_event_waits_for_a_ledger_that_is_down(
    way: Any, topic: Any, ledger: Any, document: Document, down: str
) -> None:
    """It is evidence: it goes back on its queue as it was, and out once it is written down."""
    changes: dict[str, dict[str, Any]] = {
        "find_by_envelope_id": {"header": None, "msg_id": "x@y"},
        "sight": {"header": None, "msg_id": "x@y", "env_id": "6000"},
    }
    event = document(**changes.get(down, {}))
    way.unmatched = "forward"
    ledger.down = frozenset({down})
    assert way.run(event) == {"deferred": 1}
    ((body, delay),) = topic.deferred
    assert (json.loads(body), delay, topic.messages) == (event, LEDGER_PAUSE, [])
    ledger.down = frozenset()
    assert way.run(body.encode()) == {"delivered": 1}
    (message,) = topic.messages
    assert message.event["data"]["raw"] == event


def test_a_ledger_that_is_down_stops_no_foreign_and_no_unread_event(
    forward: Forward, topic: Any, ledger: Any, document: Document, token: MailToken
) -> None:
    """What nobody has to write down does not wait."""
    ledger.down = frozenset({"get", "find_by_envelope_id", "prove", "record_delivery", "sight"})
    foreign = document(header={"X-User-Notify-Postbus": f"v1.other.{token.mail_id}.1"})
    assert forward([foreign, {"type": "x"}, document()]) == {
        "foreign": 1,
        "unrecognised": 1,
        "deferred": 1,
    }
    assert len(topic.messages) == 1


def test_an_event_that_cannot_even_be_deferred_fails_its_batch(
    forward: Forward, topic: Any, ledger: Any, document: Document
) -> None:
    """With ledger and queue down together the platform keeps it."""
    ledger.down, topic.down = frozenset({"get"}), {"events"}
    with pytest.raises(QueueUnavailable):
        forward(document())


def test_an_event_that_cannot_be_deferred_stops_no_other(
    way: Any, topic: Any, ledger: Any, document: Document
) -> None:
    """The batch comes again for its sake, and the others are out and recorded by then."""
    ledger.down, topic.down = frozenset({"find_by_envelope_id"}), {"events"}
    stuck = document(header=None, msg_id="x@y")
    with pytest.raises(QueueUnavailable):
        way.run([stuck, document(rcpt="b@example.net")])
    assert len(topic.messages) == len(way.log.events) == 1
    ledger.down, topic.down = frozenset(), set()
    assert way.run([stuck, document(rcpt="b@example.net")]) == {"delivered": 1, "repeated": 1}


def test_a_long_event_can_be_deferred(
    way: Any, topic: Any, ledger: Any, document: Document
) -> None:
    """It came as plain text, goes back in base64, and loses what does not fit but no field."""
    ledger.down = frozenset({"get"})
    event = document(channel_name="x" * 60_000)
    assert way.run(event) == {"deferred": 1}
    ((body, _),) = topic.deferred
    assert len(body.encode()) <= QUEUE_PAYLOAD_MAX
    ledger.down = frozenset()
    assert way.run(body.encode()) == {"delivered": 1}
    (message,) = topic.messages
    assert message.event["data"]["env_id"] == event["data"]["env_id"]


# --- What it says about the channel --------------------------------------------------------------


def test_an_event_shows_that_its_senders_channel_is_alive(
    forward: Forward, ledger: Any, document: Document
) -> None:
    """Noted with the time of the call, and not for every event of a burst."""
    forward([document(rcpt=f"{n}@example.net") for n in range(5)])
    assert ledger.channels == [("noreply@mail.example.com", Channel(proven_at=NOW - 60_000))]
    assert ledger.sightings == []


def test_an_event_of_an_earlier_attempt_says_nothing_of_the_latest(
    forward: Forward, ledger: Any, document: Document, mail: MailRecord
) -> None:
    """The row knows when its latest attempt was made, and the event is not of that one."""
    ledger.mails[mail.mail_id] = replace(mail, attempt=2)
    forward(document())
    assert (ledger.channels, len(ledger.states)) == ([], 1)


def test_an_event_of_no_known_mail_is_remembered(
    forward: Forward, ledger: Any, document: Document
) -> None:
    """Somebody's mail to that recipient did go out; however the addresses are spelled."""
    strange = {"header": None, "msg_id": "x@y", "env_id": "6000"}
    event = document(rcpt="Ada@Example.NET", **strange)
    assert forward(event) == {"unmatched": 1}
    sender = event["data"]["from"].lower()
    assert ledger.sightings == [(sender, "ada@example.net", NOW)]
    assert ledger.channels == []


LONG = "\u4e16" * 30_000


@pytest.mark.parametrize(
    "changes",
    [
        {"channel_name": LONG},
        {"err_msg": LONG},
        {"err_msg": "\x00" * 12_000},
        {"failed_type": LONG, "tag": LONG, "from": LONG, "rcpt": LONG, "env_id": LONG},
        {"header": {f"X-User-Notify-{n}": "v" * 9_000 for n in range(10)}},
    ],
    ids=["raw", "smtp message", "escapes", "every text", "notify"],
)
def test_an_event_that_is_too_long_is_published_without_its_longest_parts(
    forward: Forward, topic: Any, document: Document, changes: dict[str, Any]
) -> None:
    """SMQ would refuse it each time it came again, and its batch with it."""
    assert forward(document(**changes)) == {"delivered": 1}
    (message,) = topic.messages
    assert len(message.body.encode()) <= QUEUE_BODY_MAX
    assert message.event["data"]["state"] == "delivered"
    assert message.event["data"]["raw"] == {"omitted": "too large"}


@pytest.mark.parametrize("event", [b"\xff" * 40_000, {"type": "x", "junk": LONG}])
def test_an_unrecognised_event_that_is_too_long_is_announced(
    forward: Forward, topic: Any, event: Any
) -> None:
    """Its text does not fit into a message, the news of it does."""
    assert forward(event) == {"unrecognised": 1}
    assert topic.messages[0].event["data"]["raw"] == {"omitted": "too large"}


def test_only_what_is_too_long_is_left_out(
    forward: Forward, topic: Any, document: Document
) -> None:
    """An event that fits without its raw form keeps everything else."""
    forward(document(channel_name=LONG, err_msg="short"))
    data = topic.messages[0].event["data"]
    assert data["smtp"] == {"code": 250, "message": "short"}
    assert data["notify"] == {"OrderId": "4711", "Service": "shipping"}
    assert data["recipient"] == "ada@example.net"


def test_what_xml_cannot_carry_is_escaped(forward: Forward, topic: Any, document: Document) -> None:
    """SMQ's protocol is XML; a remote server's text may hold any character."""
    words = "".join(map(chr, [*range(32), 0x7F, 0xFFFD, 0xFFFE, 0xFFFF, 0x1F600]))
    forward(document(err_msg=words))
    (message,) = topic.messages
    assert message.event["data"]["smtp"]["message"] == words
    assert not set(message.body) & {*map(chr, range(32)), "\ufffe", "\uffff"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)


@settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(kind=st.sampled_from(["dm:Deliver:Succeed", "dm:Deliver:Fail", "x"]), data=JSON, raw=JSON)
def test_every_event_is_published_once(
    way: Any, topic: Any, kind: str, data: Any, raw: Any
) -> None:
    """Whatever an event says, exactly one event goes out for it, and that one is JSON."""
    topic.messages.clear()
    way.log.events.clear()
    way.unmatched = "forward"
    event = {"type": kind, "source": "acs:dm", "data": data, "extra": raw}
    assert sum(way.run(event).values()) == 1
    (message,) = topic.messages
    assert message.event["specversion"] == "1.0"
