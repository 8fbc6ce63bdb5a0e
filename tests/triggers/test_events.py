"""DirectMail's events out of EventBridge's own trigger, and out of a queue's."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import escape

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.triggers.events import LAYERS_MAX, ArrivedEvent, read_events
from shared.triggers.queue import fingerprint

Sample = Callable[[str], bytes]
# A busy machine proves nothing.
ANY_TIME = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize(
    "name",
    [
        "directmail-deliver-fail.json",
        "directmail-deliver-succeed.json",
        "directmail-feedback-fbl-report.json",
        "eventbridge-time.json",
    ],
)
def test_eventbridges_own_trigger_hands_over_one_object(sample: Sample, name: str) -> None:
    """The object is the event, and its id is the event's."""
    event = sample(name)
    document = json.loads(event)
    assert read_events(event) == [ArrivedEvent(document, b"", document["id"])]


def test_an_event_through_a_queue_is_the_same_event(sample: Sample) -> None:
    """Out of the text of a queue's message comes what EventBridge had put there."""
    (arrived,) = read_events(sample("eventbridge-via-queue.json"))
    assert arrived.document == json.loads(sample("directmail-deliver-succeed.json"))
    assert arrived.id == "D8A1C0B54F1E4C0E9A7B000000000001"
    assert arrived.broken is None


INNER = {"id": "i", "source": "acs.dm", "type": "dm:Deliver:Fail", "data": {"rcpt": "a@b.example"}}
TEXT = json.dumps(INNER)


def message(body: Any, **changes: Any) -> dict[str, Any]:
    """A queue trigger's element around a body."""
    outer = {"id": "m", "source": "s", "type": "mns:Queue:SendMessage"}
    return {**outer, "data": {"messageId": "m", "messageBody": body}, **changes}


@pytest.mark.parametrize(
    "event",
    [
        INNER,
        [INNER],
        message(TEXT),
        [message(TEXT)],
        [json.dumps(message(TEXT))],
        [message(TEXT)["data"]],
        message(TEXT)["data"],
        [message(base64.b64encode(TEXT.encode()).decode())],
        [message(INNER)],
        [message([INNER])],
        [message(f"[{TEXT}]")],
        [message(TEXT, data=json.dumps({"messageId": "m", "messageBody": TEXT}))],
    ],
    ids=[
        "direct",
        "direct in an array",
        "event-driven",
        "event-streaming",
        "array of texts",
        "raw data",
        "one raw data",
        "base64",
        "body parsed by somebody",
        "body parsed, an array",
        "array in a body",
        "data as text",
    ],
)
def test_every_form_gives_the_event(event: Any) -> None:
    """However many layers the platform put around it, the event comes out."""
    assert [each.document for each in read_events(json.dumps(event).encode())] == [INNER]


def test_all_events_of_a_batch_come_out_in_order() -> None:
    """Several messages, and several events in one message, are read one by one."""
    events = [{**INNER, "id": str(number)} for number in range(4)]
    batch = [message(json.dumps(events[0])), message(json.dumps(events[1:3])), message(events[3])]
    arrived = read_events(json.dumps(batch).encode())
    assert [each.document for each in arrived] == events


@pytest.mark.parametrize(
    ("event", "raw", "identity", "reason"),
    [
        (b"\xff", b"\xff", fingerprint(b"\xff"), "not JSON"),
        (b"", b"", fingerprint(b""), "not JSON"),
        (b"7", b"7", fingerprint(b"7"), "not an object"),
        (b"[7]", b"7", fingerprint(b"7"), "not an object"),
        (b'"TEST"', b"TEST", fingerprint(b"TEST"), "not JSON"),
        (b"NaN", b"NaN", fingerprint(b"NaN"), "not JSON"),
        (b'"\\ud800"', b'"\\ud800"', fingerprint(b'"\\ud800"'), "not JSON"),
        (b"[" * 300, b"[" * 300, fingerprint(b"[" * 300), "not JSON"),
        (b"9" * 9_999, b"9" * 9_999, fingerprint(b"9" * 9_999), "not JSON"),
        (json.dumps(message("TEST")).encode(), b"TEST", "m", "not JSON"),
        (json.dumps(message("7")).encode(), b"7", "m", "not an object"),
        (json.dumps(message(None)).encode(), b"null", "m", "not an object"),
        (json.dumps([message("[7]")]).encode(), b"7", "m", "not an object"),
        (json.dumps([message("[7,8]")]).encode(), b"7", "m/0", "not an object"),
        (json.dumps(message("8J+Ygg==")).encode(), "😂".encode(), "m", "not JSON"),
    ],
)
def test_what_cannot_be_read_comes_back_as_broken(
    event: bytes, raw: bytes, identity: str, reason: str
) -> None:
    """It keeps its bytes, has an id, and says why."""
    arrived = read_events(event)[0]
    assert (arrived.document, arrived.raw, arrived.id) == (None, raw, identity)
    assert reason in (arrived.broken or "")


def test_one_bad_message_leaves_the_others_alone() -> None:
    """A batch with rubbish in the middle gives the events around it."""
    batch = [message(TEXT), message("rubbish"), 7, message(TEXT)]
    arrived = read_events(json.dumps(batch).encode())
    assert [each.document for each in arrived] == [INNER, None, None, INNER]


def test_an_empty_batch_has_no_events() -> None:
    """Nothing came; but a message was somebody's, even if nothing is in it."""
    assert read_events(b"[]") == []
    (arrived,) = read_events(json.dumps([message("[]")]).encode())
    assert (arrived.document, arrived.raw, arrived.broken) == (None, b"[]", "an empty array")


@pytest.mark.parametrize("document", [{}, {"type": 1}, {"data": "text"}, {"body": "x"}])
def test_an_object_that_is_no_envelope_is_an_event(document: dict[str, Any]) -> None:
    """Whoever reads it says what is missing."""
    for event in (document, [document], message(json.dumps(document))):
        assert [each.document for each in read_events(json.dumps(event).encode())] == [document]


@pytest.mark.parametrize("value", [None, True, 7, 1.5, "", "text", [], [[]], {}, {"a": []}])
@pytest.mark.parametrize("name", ["type", "data", "id", "source", "postbus", "Message", "body"])
@pytest.mark.parametrize("data", ["text", '{"messageBody": ""}', {"messageBody": []}, [], None])
def test_every_member_may_be_anything(name: str, value: Any, data: Any) -> None:
    """An event is kept or refused, of whatever kind its members are."""
    (arrived,) = read_events(json.dumps({**INNER, "data": data, name: value}).encode())
    assert (arrived.document is None) == (arrived.broken is not None)


LETTER = {"postbus": 1, "forward": {"Message": "x", "data": {"messageBody": "y"}, "body": "z"}}


@pytest.mark.parametrize(
    "event",
    [LETTER, [LETTER], message(json.dumps(LETTER)), {"attrs": {}, "body": json.dumps(LETTER)}],
)
def test_a_letter_of_our_own_is_not_opened(event: Any) -> None:
    """It comes through as it is, whatever stands in it."""
    (arrived,) = read_events(json.dumps(event).encode())
    assert (arrived.document, arrived.broken) == (LETTER, None)


def test_an_attribute_of_that_name_makes_no_letter() -> None:
    """A topic's attributes are text and stand beside the fields of its notification."""
    told = {"TopicName": "t", "Message": TEXT, "postbus": "1", "type": "x", "attrs": "", "body": ""}
    (arrived,) = read_events(json.dumps(told).encode())
    assert arrived.document == INNER


def test_a_message_of_the_platform_without_a_body_says_so() -> None:
    """And carries no more than itself into the refusals, however long its batch is."""
    empty = message(TEXT, data={"messageId": "m"})
    arrived = read_events(json.dumps([empty] * 3).encode())
    assert {each.broken for each in arrived} == {"the message has no messageBody"}
    assert [json.loads(each.raw) for each in arrived] == [empty] * 3


@pytest.mark.parametrize("layers", [1, LAYERS_MAX, LAYERS_MAX + 1, 60])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda text: json.dumps([text]),
        lambda text: json.dumps(message(text)),
        lambda text: json.dumps({"Message": text}),
        lambda text: base64.b64encode(text.encode()).decode(),
    ],
    ids=["array", "message", "notification", "base64"],
)
def test_layers_are_bounded(layers: int, wrap: Callable[[str], str]) -> None:
    """What is deeper than anybody ever sent is refused, and at once."""
    text = TEXT
    for _ in range(layers):
        text = wrap(text)
        if len(text) > 1_000_000:
            return
    (arrived,) = read_events(text.encode())
    assert (arrived.document == INNER) or "layers" in (arrived.broken or "")
    assert layers > 1 or arrived.document == INNER
    assert layers <= LAYERS_MAX or arrived.broken


def test_refusals_are_no_larger_than_what_came() -> None:
    """An array of rubbish makes many refusals, and each holds its own element."""
    event = json.dumps([[1, "x" * 20]] * 1_000).encode()
    assert sum(len(each.raw) for each in read_events(event)) <= len(event)


PAIRS = "env_id=1&rcpt=a@b.example&event=open&user_agent=x"
XML = "<Notification><MessageId>n</MessageId><Message>{}</Message></Notification>"


@pytest.mark.parametrize(
    ("event", "kept"),
    [
        (PAIRS, {"Message": PAIRS}),
        (base64.b64encode(PAIRS.encode()).decode(), {"Message": PAIRS}),
        (json.dumps({"body": PAIRS, "attrs": {}}), {"Message": PAIRS}),
        (json.dumps({"MessageId": "n", "Message": PAIRS}), {"MessageId": "n", "Message": PAIRS}),
        (XML.format(escape(PAIRS)), {"MessageId": "n", "Message": PAIRS}),
        ("\ufeff" + XML.format(escape(PAIRS)), {"MessageId": "n", "Message": PAIRS}),
        (XML.format(f"<![CDATA[{PAIRS}]]>"), {"MessageId": "n", "Message": PAIRS}),
        (
            XML.format(base64.b64encode(PAIRS.encode()).decode()),
            {"MessageId": "n", "Message": PAIRS},
        ),
    ],
)
def test_pairs_are_kept_as_the_notification_in_json(event: str, kept: dict[str, str]) -> None:
    """Whatever form the notification had; without one the text stands alone."""
    (arrived,) = read_events(event.encode())
    assert (arrived.document, arrived.broken) == (kept, None)


def test_several_pairs_in_one_notification_do_not_share_its_id() -> None:
    """They would look like one event's repeats, and all but the first would be dropped."""
    texts = [PAIRS, PAIRS.replace("a@b", "c@b")]
    told = {"MessageId": "n", "TopicName": "t", "Message": json.dumps(texts)}
    arrived = read_events(json.dumps(told).encode())
    assert [each.document for each in arrived] == [{"Message": text} for text in texts]
    assert [each.id for each in arrived] == ["n/0", "n/1"]


def test_a_strangers_bytes_do_not_lose_the_pairs() -> None:
    """A remote host's answer has whatever encoding it likes."""
    (arrived,) = read_events(b"event=deliver&status=4&err_msg=550 \xb2\xbb")
    assert arrived.document is not None
    assert arrived.document["Message"].startswith("event=deliver&status=4&err_msg=550 ")


BOMB = (
    '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'
    '<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>'
)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (BOMB + XML.format("&c;"), "declares a document type"),
        ('<!DOCTYPE x SYSTEM "file:///etc/passwd">' + XML.format("x"), "document type"),
        ('<?xml version="1.0"?>' + BOMB + XML.format("x"), "declares a document type"),
        (XML.format("&c;"), "not XML"),
        (XML.format("x")[:-3], "not XML"),
        (XML.format("\x00"), "not XML"),
        ("<" * 100_000, "not XML"),
        ("<a>" * 20_000, "no Notification"),
        ("<Notification>" * 20_000, "not XML"),
        ("<Error><Message>x</Message></Error>", "no Notification"),
        ("<Notification><MessageId>n</MessageId></Notification>", "no Message"),
    ],
)
def test_xml_that_is_no_notification_is_refused(text: str, why: str) -> None:
    """No document type is read, so no entity grows and none reaches out."""
    (arrived,) = read_events(text.encode())
    assert arrived.document is None
    assert why in (arrived.broken or "")


def test_xml_in_another_encoding_is_refused() -> None:
    """It is neither UTF-8 nor anything that SMQ sends."""
    (arrived,) = read_events(b"<Notification><Message>\xff</Message></Notification>")
    assert arrived.broken == "neither JSON nor UTF-8"


@ANY_TIME
@given(st.text(max_size=60), st.sampled_from(["", "<Notification>", "<!DOCTYPE ", "event=", "["]))
def test_any_text_is_events(text: str, start: str) -> None:
    """Whatever a text begins like."""
    assert len(read_events((start + text).encode("utf-8", "surrogatepass"))) == 1 or start == "["


@ANY_TIME
@given(st.binary(max_size=300))
def test_any_bytes_are_events(event: bytes) -> None:
    """Whatever bytes come, there is a list, and nothing is raised."""
    assert all(isinstance(each, ArrivedEvent) for each in read_events(event))


@ANY_TIME
@given(data=st.data())
def test_any_json_is_events(data: st.DataObject, any_json: Callable[..., Any]) -> None:
    """Whatever JSON comes, each event is readable or says why it is not."""
    document = data.draw(
        any_json("data", "id", "messageBody", "Message", "MessageId", "body", "attrs", "type")
    )
    for each in read_events(json.dumps(document).encode()):
        assert (each.document is None) == (each.broken is not None)
        assert isinstance(each.raw, bytes)
