"""Which mail an event belongs to, what becomes of those without one, and what comes again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from shared.delivery.forward import MAIL_PAUSES
from shared.sending.identity import MailToken
from shared.sending.letters import QUEUE_PAYLOAD_MAX
from shared.stores.ledger import Channel, DeliveryRecord, MailRecord

Document = Callable[..., dict[str, Any]]
NOW = 1_800_000_000_000
# What is left of an event that says neither header nor Message-ID nor EnvId of ours.
STRANGE = {"header": None, "msg_id": "x@y.example", "env_id": "6000"}


@pytest.mark.parametrize(
    ("changes", "joined"),
    [
        ({}, True),
        ({"header": None}, True),
        ({"header": None, "msg_id": "x@y"}, True),
        ({"env_id": None}, True),
        ({"header": None, "env_id": None}, True),
        ({"header": None, "env_id": "6000"}, True),
        ({"header": None, "msg_id": None, "env_id": None}, False),
        (STRANGE, False),
    ],
    ids=["all", "no header", "EnvId", "header alone", "Message-ID alone", "other EnvId", "nothing",
         "others"],
)  # fmt: skip
def test_the_mail_is_found_by_any_of_its_ids(
    way: Any, document: Document, changes: dict[str, Any], joined: bool
) -> None:
    """Packed header, DirectMail's id or Message-ID: each alone is enough, and none is no loss."""
    way.unmatched = "forward"
    assert way.run(document(**changes)) == {"delivered": 1}
    assert (way.post.messages[0].event["data"]["key"] == "order-4711") is joined


def test_a_complaint_is_joined_by_its_message_id(
    way: Any, document: Document, mail: MailRecord
) -> None:
    """It carries nothing else; and it proves the send as any event does."""
    way.ledger.mails[mail.mail_id] = replace(mail, state="unknown", envelope_id=None, evidence=None)
    event = {
        **document(),
        "type": "dm:Feedback:FblReport",
        "data": {
            "send_email": "noreply@mail.example.com",
            "block_email": "Ada@Example.net",
            "message_id": f"<{mail.mail_id}.local@mail.example.com>",
            "block_time": "1726821667",
        },
    }
    assert way.run(event) == {"complained": 1}
    assert way.ledger.mails[mail.mail_id].evidence == "event"
    assert way.ledger.states == [
        DeliveryRecord(mail.mail_id, "ada@example.net", 1, "complained", NOW)
    ]
    assert way.post.messages[0].event["data"]["key"] == "order-4711"


def test_an_event_before_its_sends_answer_proves_the_send(
    way: Any, document: Document, mail: MailRecord
) -> None:
    """The mail is claimed before the call; its row is there when the event is."""
    way.ledger.mails[mail.mail_id] = replace(mail, state="sending", envelope_id=None, evidence=None)
    assert way.run(document()) == {"delivered": 1}
    proven = way.ledger.mails[mail.mail_id]
    assert (proven.state, proven.envelope_id) == ("sent", "600000192837465010")


def test_the_attempt_is_that_of_the_row_as_it_was_proven(
    way: Any, document: Document, mail: MailRecord
) -> None:
    """Somebody claimed the mail again while the event was joined: one state, not two."""
    ledger = way.ledger

    class Racing:
        """Lets the mail be claimed between the join and the proof."""

        def __getattr__(self, name: str) -> Any:
            if name == "prove" and ledger.mails[mail.mail_id].attempt == 1:
                ledger.mails[mail.mail_id] = replace(mail, attempt=2)
            return getattr(ledger, name)

    way.ledger = Racing()
    event = document(header=None)
    assert way.run(event) == {"delivered": 1}
    assert way.run({**event, "id": "another"}) == {"repeated": 1}
    assert [record.attempt for record in ledger.states] == [2]


def test_an_event_of_ours_whose_mail_is_forgotten_goes_on(way: Any, document: Document) -> None:
    """It says itself whose it is: that is no event of others."""
    way.ledger.mails.clear()
    assert way.run(document()) == {"delivered": 1}
    (event,) = way.post.of("topic:mail-events")
    assert event["subject"]
    assert way.ledger.sightings == []


@pytest.mark.parametrize(
    ("unmatched", "end", "published"),
    [("drop", "unmatched", 0), ("forward", "delivered", 1)],
)
def test_what_becomes_of_events_of_no_mail_is_a_setting(
    way: Any, document: Document, unmatched: str, end: str, published: int
) -> None:
    """Dropped and counted, or told without a mail; in both cases somebody's mail was sighted."""
    way.unmatched = unmatched
    assert way.run(document(**STRANGE)) == {end: 1}
    assert len(way.post.messages) == published
    assert all(message.event["data"]["mail_id"] is None for message in way.post.messages)
    assert len(way.ledger.sightings) == 1
    assert way.ledger.states == []


def test_an_address_check_is_of_no_mail(way: Any, document: Document) -> None:
    """It is told, where others' events are, under a type of its own and without a state."""
    event = {
        **document(**STRANGE),
        "type": "dm:Validator:GrayListResult",
        "data": {"rcpt": "ada@example.net"},
    }
    assert way.run(event) == {"unmatched": 1}
    way.unmatched = "forward"
    assert way.run(event) == {"validated": 1}
    (message,) = way.post.messages
    assert (message.tag, message.event["type"]) == ("validated", "postbus.address.validated")
    assert message.event["data"]["state"] is None


@pytest.mark.parametrize("changes", [{}, STRANGE], ids=["of a mail's ids", "of none"])
def test_an_address_check_proves_nothing(
    way: Any, document: Document, changes: dict[str, Any]
) -> None:
    """Nobody was written to: it is no evidence of a mail, and no sight of another's."""
    before = dict(way.ledger.mails)
    way.unmatched = "forward"
    assert way.run({**document(**changes), "type": "dm:Validator:GrayListResult"}) == {
        "validated": 1
    }
    assert (way.ledger.mails, way.ledger.states, way.ledger.sightings) == (before, [], [])
    assert way.post.messages[0].event["data"]["mail_id"] is None


@pytest.mark.parametrize("changes", [{}, STRANGE], ids=["ours", "of others"])
def test_what_is_too_long_for_an_address_is_no_key_of_the_ledger(
    way: Any, document: Document, changes: dict[str, Any]
) -> None:
    """Tablestore takes keys of 1 KB at most, and would refuse it each time it came again."""
    way.unmatched = "forward"
    long = "\u4e16" * 2_000 + "@example.net"
    assert way.run(document(rcpt=long, **{**changes, "from": long})) == {"delivered": 1}
    keys = [state.recipient for state in way.ledger.states]
    keys += [part for *seen, _ in way.ledger.sightings for part in seen]
    assert keys
    assert all(len(key.encode()) <= 1_024 for key in (*keys, *way.ledger.asked))
    assert way.post.messages[0].event["data"]["recipient"] == long


# --- An event that comes before anything leads to its mail ---------------------------------------


@pytest.fixture
def early(way: Any, document: Document, mail: MailRecord) -> dict[str, Any]:
    """An event that only the EnvId leads home, of a sender of ours, before that is known."""
    way.ledger.mails[mail.mail_id] = replace(mail, state="sending", envelope_id=None, evidence=None)
    way.ledger.senders["noreply@mail.example.com"] = Channel(sent_at=NOW - 1)
    return document(header=None, msg_id="x@y", **{"from": "noreply@mail.example.com"})


def test_an_event_waits_for_the_answer_that_tells_its_mail(
    way: Any, early: dict[str, Any], mail: MailRecord
) -> None:
    """It is looked at again later, and then it is an event like any other."""
    assert way.run(early) == {"waiting": 1}
    ((letter, delay),) = way.post.letters
    assert (letter["again"]["event"], delay) == (early, MAIL_PAUSES[0])
    way.ledger.mails[mail.mail_id] = mail
    assert way.run(letter) == {"delivered": 1}
    (event,) = way.post.of("topic:mail-events")
    assert (event["data"]["key"], event["data"]["raw"]) == ("order-4711", early)


@pytest.mark.parametrize(
    ("configured", "told"),
    [
        ("noreply@mail.example.com", "NoReply@mail.example.com"),
        ("mail.example.com", "bounce-7@mail.example.com"),
    ],
    ids=["in another case", "a domain sends"],
)
def test_a_sender_of_ours_is_known_however_it_is_told(
    way: Any, early: dict[str, Any], configured: str, told: str
) -> None:
    """A mail may be sent from a domain alone, and DirectMail spells addresses as it likes."""
    way.ledger.senders = {configured: Channel(sent_at=NOW - 1)}
    early["data"]["from"] = told
    assert way.run(early) == {"waiting": 1}


def test_a_long_event_waits_as_well(way: Any, early: dict[str, Any], mail: MailRecord) -> None:
    """As long as its letter fits into a message: refused, it would hold up its batch for ever."""
    early["data"] |= {"channel_name": "x" * 60_000, "err_msg": "y" * 60_000}
    assert way.run(early) == {"waiting": 1}
    ((letter, _),) = way.post.letters
    assert len(json.dumps(letter)) <= QUEUE_PAYLOAD_MAX
    way.ledger.mails[mail.mail_id] = mail
    assert way.run(letter) == {"delivered": 1}
    (event,) = way.post.of("topic:mail-events")
    assert (event["data"]["key"], event["data"]["state"]) == ("order-4711", "delivered")


def test_nobody_waits_for_ever(way: Any, early: dict[str, Any]) -> None:
    """After the last look it is an event of others; it was sighted once, at the first."""
    event: Any = early
    for pause in MAIL_PAUSES:
        assert way.run(event) == {"waiting": 1}
        event, delay = way.post.letters.pop()
        assert delay == pause
        way.clock.now += pause
    assert way.run(event) == {"unmatched": 1}
    assert [at for _, _, at in way.ledger.sightings] == [NOW]


def test_events_of_strange_senders_do_not_wait(way: Any, early: dict[str, Any]) -> None:
    """The account's other senders are noise from the start."""
    way.ledger.senders.clear()
    assert way.run(early) == {"unmatched": 1}
    assert way.post.letters == []


# --- What comes again ----------------------------------------------------------------------------


def test_a_repeat_goes_out_once(way: Any, document: Document) -> None:
    """In the same batch, in a later one, on another instance, or under another EventBridge id."""
    assert way.run([document(), document()]) == {"delivered": 1, "repeated": 1}
    assert way.run(document()) == {"repeated": 1}
    assert way.run({**document(), "id": "other"}) == {"repeated": 1}
    assert len(way.post.messages) == 1


def test_a_repeat_writes_nothing(way: Any, document: Document) -> None:
    """Its evidence was written down before it went out the first time."""
    way.run(document())
    before = list(way.ledger.states)
    way.ledger.down = frozenset({"prove", "record_delivery", "note_channel"})
    assert way.run(document()) == {"repeated": 1}
    assert way.ledger.states == before


def test_an_address_in_another_case_is_the_same_recipient(way: Any, document: Document) -> None:
    """Dialects differ in it; what goes out is spelled as it came."""
    way.run(document(rcpt="Ada@Example.NET"))
    assert way.run({**document(rcpt="ada@example.net"), "id": "2"}) == {"repeated": 1}
    assert way.post.messages[0].event["data"]["recipient"] == "Ada@Example.NET"
    assert [record.recipient for record in way.ledger.states] == ["ada@example.net"]


@pytest.mark.parametrize("kind", ["Trace:Open", "Trace:Click", "Feedback:UnSubscribe"])
def test_every_open_and_click_counts(way: Any, document: Document, kind: str) -> None:
    """Two that really happened have ids of their own; each one's repeat is dropped."""
    first, second = (
        {**document(operate_time="2026-11-22T12:00:00"), "type": f"dm:{kind}", "id": each}
        for each in "ab"
    )
    assert sum(way.run([first, second, first]).values()) == 3
    way.run([second, first])
    events = way.post.of("topic:mail-events")
    assert len(events) == len({event["id"] for event in events}) == 2


def test_a_crash_before_the_record_repeats_under_the_same_id(way: Any, document: Document) -> None:
    """Published and not recorded: told again rather than lost."""
    way.log.down = {"record"}
    way.run(document())
    way.log.down = set()
    assert way.run(document()) == {"delivered": 1}
    first, second = (event["id"] for event in way.post.of("topic:mail-events"))
    assert first == second


def test_a_log_that_does_not_answer_makes_the_event_wait(way: Any, document: Document) -> None:
    """Else every repeat would go out while it is down."""
    way.log.down = {"knows"}
    assert way.run(document()) == {"deferred": 1}
    assert way.post.messages == []


def test_what_cannot_be_read_is_told_once(way: Any) -> None:
    """By its own id; and at once, where the log does not answer: it is no evidence."""
    strange = {"type": "x", "source": "acs:oss", "id": "1"}
    assert way.run([strange, strange]) == {"unrecognised": 1, "repeated": 1}
    assert way.run(strange) == {"repeated": 1}
    way.log.down = {"knows"}
    assert way.run({**strange, "id": "2"}) == {"unrecognised": 1}


def test_events_are_recorded_whole(way: Any, document: Document) -> None:
    """With time, tag, recipient and the very text that went out."""
    way.run(document(rcpt="ada@example.net"))
    (recorded,) = way.log.events.values()
    (message,) = way.post.messages
    assert (recorded.at, recorded.tag, recorded.recipient, recorded.body) == (
        NOW,
        "delivered",
        "ada@example.net",
        message.body,
    )


def test_the_trace_of_the_producers_request_comes_home(
    way: Any, document: Document, mail: MailRecord, token: MailToken
) -> None:
    """In the event, as CloudEvents has it, and beside it, for who does not parse."""
    parent = f"00-{'a' * 32}-{'b' * 16}-01"
    way.ledger.mails[mail.mail_id] = replace(mail, traceparent=parent, tracestate="x=1")
    assert token.mail_id == mail.mail_id
    way.run(document())
    (message,) = way.post.messages
    assert (message.event["traceparent"], message.event["tracestate"]) == (parent, "x=1")
    assert (message.properties["traceparent"], message.properties["tracestate"]) == (parent, "x=1")
