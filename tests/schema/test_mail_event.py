"""The mail event as consumers get it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic_core import from_json

from shared.schema.mail_event import (
    TYPES,
    UNRECOGNISED,
    VALIDATED,
    MailEvent,
    MailEventData,
    Smtp,
    Times,
)
from shared.schema.states import STATES

HEAD: dict[str, Any] = {"id": "1", "source": "urn:postbus:local", "time": "2026-11-22T09:30:00Z"}


def test_a_delivered_event_reads_as_documented() -> None:
    """CloudEvents around, every member of data there, times in UTC."""
    event = MailEvent(
        id="4b1d",
        source="urn:postbus:local",
        type="postbus.mail.delivered",
        subject="mail-1",
        time="2026-11-22T17:30:00+08:00",
        data=MailEventData(
            mail_id="mail-1",
            key="order-4711",
            env_id="600000",
            recipient="ada@example.net",
            state="delivered",
            classification="SendOk",
            smtp=Smtp(code=250, message="250 Send Mail OK"),
            tag="orders",
            sender="orders@example.com",
            notify={"order": "4711"},
            times=Times(sent_at="2026-11-22T09:29:58Z", occurred_at="2026-11-22T09:30:00.25Z"),
            raw={"type": "dm:Deliver:Succeed", "data": {"x": None}},
        ),
    )
    assert json.loads(event.to_json()) == {
        "specversion": "1.0",
        "id": "4b1d",
        "source": "urn:postbus:local",
        "type": "postbus.mail.delivered",
        "subject": "mail-1",
        "time": "2026-11-22T09:30:00Z",
        "datacontenttype": "application/json",
        "data": {
            "mail_id": "mail-1",
            "key": "order-4711",
            "env_id": "600000",
            "recipient": "ada@example.net",
            "state": "delivered",
            "reason": None,
            "classification": "SendOk",
            "bounce": None,
            "permanent": None,
            "smtp": {"code": 250, "message": "250 Send Mail OK"},
            "tag": "orders",
            "sender": "orders@example.com",
            "notify": {"order": "4711"},
            "times": {
                "sent_at": "2026-11-22T09:29:58Z",
                "delivered_at": None,
                "occurred_at": "2026-11-22T09:30:00.250000Z",
            },
            "url": None,
            "user_agent": None,
            "client_ip": None,
            "raw": {"type": "dm:Deliver:Succeed", "data": {"x": None}},
        },
    }


def test_what_nobody_could_read_still_has_the_same_members() -> None:
    """Only `subject` is left out, as CloudEvents wants it."""
    event = MailEvent(type=UNRECOGNISED, data=MailEventData(raw="?"), **HEAD)
    document = json.loads(event.to_json())
    assert "subject" not in document
    assert set(document["data"]) == set(MailEventData.model_fields)
    assert document["data"]["smtp"] == {"code": None, "message": None}


def test_a_trace_is_told_only_where_there_is_one() -> None:
    """CloudEvents knows no null: an attribute without a value is left out."""
    event = MailEvent(
        type=VALIDATED, data=MailEventData(), traceparent="00-1-2-01", tracestate="a=b", **HEAD
    )
    told = json.loads(event.to_json())
    assert (told["traceparent"], told["tracestate"]) == ("00-1-2-01", "a=b")
    bare = json.loads(MailEvent(type=VALIDATED, data=MailEventData(), **HEAD).to_json())
    assert set(told) - set(bare) == {"traceparent", "tracestate"}


@pytest.mark.parametrize("state", STATES)
def test_each_state_has_its_type(state: str) -> None:
    """The type tells the state, and fits into a message tag of SMQ."""
    event = MailEvent(type=f"postbus.mail.{state}", data=MailEventData(state=state), **HEAD)
    assert event.type in TYPES
    assert len(state) <= 16


def test_an_event_shows_nothing_private_of_itself() -> None:
    """A repr may end up in a log: it tells ids and the state, no address and no raw event."""
    data = MailEventData(mail_id="m-1", state="sent", recipient="ada@example.net", raw="secret")
    event = MailEvent(type="postbus.mail.sent", data=data, **HEAD)
    assert "m-1" in repr(event)
    assert "ada" not in repr(event)
    assert "secret" not in repr(event)


BAD: dict[str, dict[str, Any]] = {
    "an unknown type": {"type": "postbus.mail.lost", "data": {}},
    "an unknown state": {"type": UNRECOGNISED, "data": {"state": "lost"}},
    "a type without its state": {"type": "postbus.mail.sent", "data": {}},
    "a type with another state": {"type": "postbus.mail.sent", "data": {"state": "held"}},
    "a state without its type": {"type": VALIDATED, "data": {"state": "sent"}},
    "a time without offset": {"type": VALIDATED, "data": {}, "time": "2026-11-22T09:30:00"},
    "an empty id": {"type": VALIDATED, "data": {}, "id": ""},
    "a bounce of no kind": {"type": VALIDATED, "data": {"bounce": "soft"}},
    "an unknown member": {"type": VALIDATED, "data": {"mailid": "1"}},
}


@pytest.mark.parametrize("change", BAD.values(), ids=BAD.keys())
def test_an_event_that_contradicts_itself_is_not_made(change: dict[str, Any]) -> None:
    """Such an event is a mistake of ours and never leaves the house."""
    with pytest.raises(ValidationError):
        MailEvent(**(HEAD | change))


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    )
)
@settings(deadline=None)  # a busy machine proves nothing
def test_the_raw_event_comes_out_as_it_came_in(raw: Any) -> None:
    """Nulls, numbers, nesting and text of an event stay what they were."""
    read = from_json(json.dumps(raw))
    event = MailEvent(type=UNRECOGNISED, data=MailEventData(raw=read), **HEAD)
    assert json.loads(event.to_json())["data"]["raw"] == read


def test_the_deepest_event_that_can_be_read_can_be_written() -> None:
    """The reader's limit of nesting is the stricter one."""
    deep = from_json(b"[" * 200 + b"]" * 200)
    event = MailEvent(type=UNRECOGNISED, data=MailEventData(raw=deep), **HEAD)
    assert json.loads(event.to_json())["data"]["raw"] == deep
