"""The clean event: what goes downstream for a fact, with and without its mail in the ledger."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from shared.delivery.clean import clean_event
from shared.delivery.facts import DeliveryFact
from shared.schema.mail_event import MailEvent
from shared.stores.ledger import MailRecord

Document = Callable[..., dict[str, Any]]
ReadOne = Callable[[Any], Any]
Sample = Callable[[str], bytes]
NOW = 1_800_000_000_000


def clean(fact: DeliveryFact, mail: MailRecord | None) -> MailEvent:
    """The event of environment `local`, at `NOW`."""
    return clean_event(fact, mail, source="postbus/local", now=NOW)


@pytest.fixture
def fact(read_one: ReadOne, sample: Sample) -> DeliveryFact:
    """The delivered sample as a fact."""
    read: DeliveryFact = read_one(sample("directmail-deliver-succeed.json"))
    return read


def test_the_sample_becomes_the_sample(
    fact: DeliveryFact, mail: MailRecord, sample: Sample
) -> None:
    """`mail-event-delivered.json` is what comes of `directmail-deliver-succeed.json`."""
    assert json.loads(clean(fact, mail).to_json()) == json.loads(
        sample("mail-event-delivered.json")
    )


def test_the_sample_keeps_the_contract(sample: Sample) -> None:
    """The published sample is a mail event by the schema's own reading."""
    event = json.loads(sample("mail-event-delivered.json"))
    assert MailEvent.model_validate(event).data.state == "delivered"


def test_what_the_event_does_not_say_comes_from_the_ledger(
    fact: DeliveryFact, mail: MailRecord
) -> None:
    """Key, tag, sender and lost notify headers are the mail's."""
    bare = replace(fact, tag=None, sender=None, notify={}, token=None)
    data = clean(bare, mail).data
    assert (data.key, data.mail_id) == ("order-4711", mail.mail_id)
    assert (data.tag, data.sender) == ("order-shipped", "noreply@mail.example.com")
    assert data.notify == {"OrderId": "4711", "Service": "shipping"}


def test_without_the_mail_the_event_speaks_for_itself(fact: DeliveryFact) -> None:
    """The token still names the mail; the key is not known."""
    event = clean(fact, None)
    assert fact.token is not None
    assert event.subject == event.data.mail_id == fact.token.mail_id
    assert event.data.key is None
    assert event.data.notify == fact.notify


def test_nobodys_event_has_no_subject(fact: DeliveryFact) -> None:
    """An event that belongs to no mail of ours is still a delivery, and is told as one."""
    event = clean(replace(fact, token=None), None)
    assert (event.subject, event.data.mail_id) == (None, None)
    assert event.type == "postbus.mail.delivered"
    assert "subject" not in json.loads(event.to_json())


@pytest.mark.parametrize(
    ("came_back", "restored"),
    [
        ({"orderid": "1", "service": "2"}, {"OrderId": "1", "Service": "2"}),
        ({"ORDERID": "1"}, {"OrderId": "1", "Service": "shipping"}),
        ({"OrderId": "1", "Unheard": "3"}, {"OrderId": "1", "Service": "shipping", "Unheard": "3"}),
        ({}, {"OrderId": "4711", "Service": "shipping"}),
    ],
)
def test_notify_names_are_spelled_as_the_sender_spelled_them(
    fact: DeliveryFact, mail: MailRecord, came_back: dict[str, str], restored: dict[str, str]
) -> None:
    """Whatever DirectMail does to their case; a value that came back wins over the ledger's."""
    assert clean(replace(fact, notify=came_back), mail).data.notify == restored


def test_a_repeat_has_the_same_id_by_whichever_way_it_came(
    fact: DeliveryFact, mail: MailRecord
) -> None:
    """The id is made of what is told, not of the envelope it came in or of the hour."""
    again = replace(fact, event_id="acs.dm/another", raw={}, smtp_message="other words")
    later = clean_event(again, mail, source="postbus/local", now=NOW + 1)
    assert later.id == clean(fact, mail).id == clean(fact, None).id


@pytest.mark.parametrize(
    "changes",
    [{"state": "bounced"}, {"recipient": "bob@example.net"}, {"recipient": None}],
    ids=["state", "recipient", "no recipient"],
)
def test_another_fact_has_another_id(
    fact: DeliveryFact, mail: MailRecord, changes: dict[str, Any]
) -> None:
    """Every recipient and every state of a mail is an event of its own."""
    assert clean(replace(fact, **changes), mail).id != clean(fact, mail).id


def test_another_attempt_has_another_id(fact: DeliveryFact, mail: MailRecord) -> None:
    """A mail that was sent again is told of again; without a token the ledger's attempt counts."""
    assert fact.token is not None
    second = replace(fact, token=replace(fact.token, attempt=2))
    by_message_id = replace(fact, token=replace(fact.token, attempt=None))
    assert clean(second, mail).id != clean(fact, mail).id
    assert clean(by_message_id, mail).id == clean(fact, mail).id
    assert clean(by_message_id, replace(mail, attempt=2)).id == clean(second, mail).id


def test_nobodys_events_are_told_apart_by_directmails_ids(fact: DeliveryFact) -> None:
    """Without a mail, the event's own source and id make the id."""
    nobodys = replace(fact, token=None)
    other = replace(nobodys, event_id="acs:dm/other")
    assert clean(nobodys, None).id == clean(replace(nobodys, recipient="x"), None).id
    assert clean(nobodys, None).id != clean(other, None).id


def test_a_bounce_is_told_with_its_reason_and_without_a_delivery_time(
    read_one: ReadOne, sample: Sample
) -> None:
    """The documented failure, as a program wants to read it."""
    event = json.loads(clean(read_one(sample("directmail-deliver-fail.json")), None).to_json())
    assert event["type"] == "postbus.mail.bounced"
    assert event["time"] == "2024-04-29T03:07:12Z"
    data = event["data"]
    assert (data["state"], data["reason"], data["permanent"]) == (
        "bounced",
        "mailbox-not-found",
        True,
    )
    assert data["smtp"] == {"code": 554, "message": "554 RCPT ... dosn't exist"}
    assert data["times"]["delivered_at"] is None
    assert data["raw"] == json.loads(sample("directmail-deliver-fail.json"))


def test_an_event_without_a_time_has_the_time_it_was_forwarded(
    read_one: ReadOne, document: Document
) -> None:
    """`time` is never missing; `occurred_at` says that nobody told."""
    event = document(deliver_time=None)
    del event["time"]
    cleaned = json.loads(clean(read_one(event), None).to_json())
    assert cleaned["time"] == "2027-01-15T08:00:00Z"
    assert cleaned["data"]["times"]["occurred_at"] is None
