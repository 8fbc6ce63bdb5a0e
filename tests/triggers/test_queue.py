"""A queue trigger's event in each of its forms."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.triggers.queue import QueueMessage, fingerprint, read_queue_event

Sample = Callable[[str], bytes]
# A busy machine proves nothing.
ANY_TIME = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize(
    ("name", "messages"),
    [
        ("queue-trigger-array.json", [("C6DB60D1574661357FA227277445****", b"TEST")]),
        (
            "queue-trigger-object.json",
            [("0FFF111D2A6B444B7FE46AE2xxxxxxxx", b"meesage from MNS console")],
        ),
    ],
)
def test_documented_samples_are_read(
    sample: Sample, name: str, messages: list[tuple[str, bytes]]
) -> None:
    """The samples of the documentation give SMQ's message id and the body, base64 undone."""
    assert read_queue_event(sample(name)) == [QueueMessage(*each) for each in messages]


@pytest.mark.parametrize(
    ("name", "count"), [("queue-trigger-strings.json", 1), ("queue-trigger-rawdata.json", 2)]
)
def test_described_forms_give_the_mail_request(sample: Sample, name: str, count: int) -> None:
    """Elements that are JSON texts, and bare `data` objects, hold the same request."""
    messages = read_queue_event(sample(name))
    request = json.loads(sample("mail-request.json"))
    assert [json.loads(message.body) for message in messages] == [request] * count
    assert len({message.id for message in messages}) == count
    assert not any(message.broken for message in messages)


def element(**changes: Any) -> dict[str, Any]:
    """One element of a batch, with `changes` to its data."""
    data = {"requestId": "r", "messageId": "m", "messageBody": "{}"}
    return {"id": "outer", "source": "any", "type": "t", "data": {**data, **changes}}


# Each wraps one element as another documented or captured form has it.
FORMS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "array": lambda each: [each],
    "object": lambda each: each,
    "array of texts": lambda each: [json.dumps(each)],
    "one text": json.dumps,
    "raw data": lambda each: [each["data"]],
    "one raw data": lambda each: each["data"],
    "data as text": lambda each: [{**each, "data": json.dumps(each["data"])}],
}
BODIES = {
    "plain": ('{"a":1}', b'{"a":1}'),
    "base64": (base64.b64encode(b'{"a":1}').decode(), b'{"a":1}'),
    "parsed by somebody": ({"a": 1}, b'{"a":1}'),
    "parsed array": ([1, "é"], '[1,"é"]'.encode()),
    "words": ("hello", b"hello"),
    "empty": ("", b""),
    "null": (None, b"null"),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("body", BODIES)
def test_every_form_carries_every_body(form: str, body: str) -> None:
    """The form of the event and the encoding of the body are independent of each other."""
    sent, arrived = BODIES[body]
    event = json.dumps(FORMS[form](element(messageBody=sent))).encode()
    assert read_queue_event(event) == [QueueMessage("m", arrived)]


@pytest.mark.parametrize(
    ("event", "identity"),
    [
        (element(), "m"),
        (element(messageId=""), "outer"),
        (element(messageId=None), "outer"),
        ({**element(messageId=None), "id": 7}, fingerprint(b"{}")),
        ({"messageBody": "{}"}, fingerprint(b"{}")),
    ],
    ids=["message id", "empty", "null", "no text", "none at all"],
)
def test_a_message_always_has_an_id(event: dict[str, Any], identity: str) -> None:
    """SMQ's message id comes first, then the event's, then a fingerprint of the body."""
    assert read_queue_event(json.dumps([event]).encode())[0].id == identity


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (b"", "the trigger's event is not JSON"),
        (b"mock mns message", "the trigger's event is not JSON"),
        (b"\xff\xfe", "the trigger's event is not JSON"),
        (b"7", "an element of the batch is not an object"),
        (b"[null]", "an element of the batch is not an object"),
        (b"[[]]", "an element of the batch is not an object"),
        (b'["{"]', "an element of the batch is not JSON"),
        (b'["[]"]', "an element of the batch is not an object"),
        (b"{}", "the element has no messageBody"),
        (b'[{"data": {}}]', "the element has no messageBody"),
        (b'[{"data": 1}]', "the element has no messageBody"),
        (b'[{"data": "TEST"}]', "the element's data is text that is not JSON"),
    ],
)
def test_what_cannot_be_read_is_a_broken_message(event: bytes, reason: str) -> None:
    """A bad event is a message that says why, so that it can be put aside and is not lost."""
    (message,) = read_queue_event(event)
    assert message.broken is not None
    assert message.broken.startswith(reason)
    assert message.id == fingerprint(message.body)


def test_the_broken_event_is_kept_byte_for_byte() -> None:
    """What was not JSON is the message's body."""
    assert read_queue_event(b"\xff rubbish")[0].body == b"\xff rubbish"


def test_one_bad_element_leaves_the_others_alone() -> None:
    """Elements are read one by one, and their order is kept."""
    event = json.dumps([element(messageId="1"), 7, element(messageId="2")]).encode()
    messages = read_queue_event(event)
    assert [message.id for message in messages if not message.broken] == ["1", "2"]
    assert [bool(message.broken) for message in messages] == [False, True, False]


def test_an_empty_batch_has_no_messages() -> None:
    """Nothing came, so there is nothing to settle."""
    assert read_queue_event(b"[]") == []


def test_a_batch_of_ten_thousand_keeps_its_order() -> None:
    """The documented largest batch is read whole."""
    event = json.dumps([element(messageId=str(n)) for n in range(10_000)]).encode()
    assert [message.id for message in read_queue_event(event)] == [str(n) for n in range(10_000)]


@ANY_TIME
@given(st.binary(max_size=300))
def test_any_bytes_are_messages(event: bytes) -> None:
    """Whatever bytes come, there is a list, and nothing is raised."""
    assert all(isinstance(message, QueueMessage) for message in read_queue_event(event))


@ANY_TIME
@given(data=st.data())
def test_any_json_is_messages(data: st.DataObject, any_json: Callable[..., Any]) -> None:
    """Whatever JSON comes, each element is one message with an id and bytes."""
    names = ("data", "id", "messageBody", "messageId", "type")
    document = data.draw(any_json(*names))
    messages = read_queue_event(json.dumps(document).encode())
    lone_surrogate = "\\ud" in json.dumps(document)
    elements = len(document) if isinstance(document, list) else 1
    assert len(messages) == (1 if lone_surrogate and len(messages) == 1 else elements)
    assert all(isinstance(m.body, bytes) and isinstance(m.id, str) and m.id for m in messages)
