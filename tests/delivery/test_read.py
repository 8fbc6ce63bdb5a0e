"""DirectMail's events as facts: both documented types, and every quirk that is known of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.delivery.facts import DeliveryFact, Unrecognised
from shared.delivery.read import read_event
from shared.sending.identity import MailToken
from shared.stores.ledger import MailRecord
from shared.triggers.events import ArrivedEvent, read_events

Document = Callable[..., dict[str, Any]]
ReadOne = Callable[[Any], Any]
Sample = Callable[[str], bytes]
# A busy machine proves nothing.
ANY_TIME = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def test_the_documented_failure_is_read(read_one: ReadOne, sample: Sample) -> None:
    """Every field of the page's own sample is where it belongs; its times are China's."""
    event = sample("directmail-deliver-fail.json")
    assert read_one(event) == DeliveryFact(
        event_id="acs:dm/8734hhidu983hi457",
        state="bounced",
        recipient="...",
        token=None,
        envelope_id="60000...",
        permanent=True,
        smtp_code=554,
        smtp_message="554 RCPT ... dosn't exist",
        reason="SmtpNxBox",
        sender="...",
        tag="xxxxx",
        notify={},
        sent_at="2024-04-29T03:07:04.000Z",
        delivered_at="2024-04-29T03:07:12.000Z",
        occurred_at="2024-04-29T03:07:12.000Z",
        raw=json.loads(event),
    )


def test_a_delivery_is_read(read_one: ReadOne, sample: Sample, token: MailToken) -> None:
    """The headers that came back lose their prefix, and the packed one tells the mail."""
    event = sample("directmail-deliver-succeed.json")
    assert read_one(event) == DeliveryFact(
        event_id="acs:dm/9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d",
        state="delivered",
        recipient="ada@example.net",
        token=token,
        envelope_id="600000192837465010",
        permanent=None,
        smtp_code=250,
        smtp_message="250 Send Mail OK",
        reason="SendOk",
        sender="noreply@mail.example.com",
        tag="order-shipped",
        notify={"OrderId": "4711", "Service": "shipping"},
        sent_at="2024-04-29T03:07:04.000Z",
        delivered_at="2024-04-29T03:07:12.000Z",
        occurred_at="2024-04-29T03:07:12.000Z",
        raw=json.loads(event),
    )


@pytest.mark.parametrize("source", ["acs:dm", "acs.dm"])
@pytest.mark.parametrize(
    ("kind", "state"),
    [
        ("dm:Deliver:Succeed", "delivered"),
        ("dm:Deliver:Success", "delivered"),
        ("dm:Deliver:Fail", "bounced"),
        ("dm:Deliver:Fail ", "bounced"),
        (" dm:Deliver:Succeed\n", "delivered"),
    ],
)
def test_both_spellings_of_source_and_type_are_read(
    read_one: ReadOne, document: Document, source: str, kind: str, state: str
) -> None:
    """The page, the console and older pages spell them differently."""
    assert read_one({**document(), "source": source, "type": kind}).state == state


NOTIFY = {"OrderId": "4711", "Service": "a b=c&d"}


def header_of(token: str, **changes: str) -> dict[str, str]:
    """The notify headers as they were given to DirectMail."""
    given = {f"X-User-Notify-{name}": value for name, value in NOTIFY.items()}
    return {**given, "X-User-Notify-Postbus": token, **changes}


# style -> how the header comes back, and the names in it
STYLES: dict[str, Callable[[dict[str, str]], Any]] = {
    "given": lambda header: header,
    "lower": lambda header: {name.lower(): value for name, value in header.items()},
    "upper": lambda header: {name.upper(): value for name, value in header.items()},
    "json": json.dumps,
    "json lower": lambda header: json.dumps({n.lower(): v for n, v in header.items()}),
}


@pytest.mark.parametrize("style", STYLES)
def test_the_header_is_read_in_every_style(
    read_one: ReadOne, document: Document, token: MailToken, style: str
) -> None:
    """The token is found whatever the names' case, and the sender's values are untouched."""
    fact = read_one(document(header=STYLES[style](header_of(str(token)))))
    assert fact.token == token
    assert {name.lower(): value for name, value in fact.notify.items()} == {
        name.lower(): value for name, value in NOTIFY.items()
    }


@pytest.mark.parametrize(
    "header", [None, {}, "", "{}", "[]", "null", "no json", 7, [], ["X-User-Notify-A"], True]
)
def test_without_a_header_the_message_id_tells_the_mail(
    read_one: ReadOne, document: Document, mail: MailRecord, header: Any
) -> None:
    """A header that is missing, empty or rubbish is no header; the Message-ID is ours as well."""
    fact = read_one(document(header=header))
    assert fact.token == MailToken("local", mail.mail_id, None)
    assert fact.notify == {}


def test_other_headers_and_values_that_are_no_text_are_left_out(
    read_one: ReadOne, document: Document
) -> None:
    """Only the sender's own texts come back, not `X-User-` or the service's own headers."""
    header = {
        "X-Notify-Message-ID": "...@...",
        "X-User-Silent": "1",
        "X-User-Notify-Number": 7,
        "X-User-Notify-Null": None,
        "X-User-Notify-": "no name",
        "X-User-Notify-Kept": "",
    }
    assert read_one(document(header=header)).notify == {"": "no name", "Kept": ""}


@pytest.mark.parametrize(
    ("packed", "message_id", "found"),
    [
        ("v1.local.MID.3", None, MailToken("local", "MID", 3)),
        (" v1.staging.MID.12 ", None, MailToken("staging", "MID", 12)),
        ("v1.local.MID.1", "<MID.staging@x.example>", MailToken("local", "MID", 1)),
        ("v2.local.MID.1", "<MID.local@x.example>", MailToken("local", "MID", None)),
        ("rubbish", "MID.local@x.example", MailToken("local", "MID", None)),
        ("", "<MID.local@x.example>", MailToken("local", "MID", None)),
        ("v1.local.short.1", None, None),
        ("v1.Local.MID.1", None, None),
        ("v1.local.MID.", None, None),
        ("", "<somebody@x.example>", None),
        ("", "", None),
        ("", 7, None),
    ],
)
def test_the_mail_is_told_by_the_packed_header_then_the_message_id(
    read_one: ReadOne, document: Document, packed: str, message_id: Any, found: MailToken | None
) -> None:
    """What is not exactly one of ours is nobody's."""
    mail_id = "a2b3c4d5e6f7a2b3c4d5e6f7a2"

    def fill(text: Any) -> Any:
        return text.replace("MID", mail_id) if isinstance(text, str) else text

    event = document(header={"X-User-Notify-Postbus": fill(packed)}, msg_id=fill(message_id))
    expected = MailToken(found.environment, mail_id, found.attempt) if found else None
    assert read_one(event).token == expected


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("2024-04-29T11:07:12+08:00", "2024-04-29T03:07:12.000Z"),
        ("2024-04-29T11:07:12", "2024-04-29T03:07:12.000Z"),
        ("2024-04-29 11:07:12", "2024-04-29T03:07:12.000Z"),
        ("2024-04-29T03:07:12Z", "2024-04-29T03:07:12.000Z"),
        ("2024-04-29T03:07:12.345Z", "2024-04-29T03:07:12.345Z"),
        (" 2024-04-29T11:07:12+08:00 ", "2024-04-29T03:07:12.000Z"),
        ("2024-04-29T11:07:13.179PRC", None),
        ("2020-08-24T13:54:05.965Asia/Shanghai", None),
        ("1726821644", None),
        ("yesterday", None),
        ("", None),
        ("0001-01-01T00:00:00", None),
        ("9999-12-31T23:59:59-23:00", None),
        ("2024-02-30T00:00:00", None),
        (1726821644, None),
        ({}, None),
        (None, None),
    ],
)
def test_times_are_utc_and_a_naive_one_is_chinas(
    read_one: ReadOne, document: Document, text: Any, read: str | None
) -> None:
    """A time that nobody can read is no time, and never an error."""
    fact = read_one({**document(send_time=text, deliver_time=text), "time": text})
    assert (fact.sent_at, fact.delivered_at, fact.occurred_at) == (read, read, read)


def test_milliseconds_are_exact(read_one: ReadOne, document: Document) -> None:
    """No millisecond is lost to floating point."""
    for ms in range(0, 1000, 7):
        event = {**document(), "time": f"2024-04-29T03:07:12.{ms:03d}Z"}
        assert read_one(event).occurred_at == event["time"]


def test_when_it_happened_falls_back_on_the_delivery(read_one: ReadOne, document: Document) -> None:
    """An envelope without a time has the data's."""
    event = {**document(deliver_time="2024-04-29T11:07:12"), "time": "…PRC"}
    assert read_one(event).occurred_at == "2024-04-29T03:07:12.000Z"


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("554", 554),
        (554, 554),
        (" 554 ", 554),
        ("", None),
        ("5.5.4", None),
        ("-1", None),
        ("1234567890", None),
        (True, None),
        (5.5, None),
        (None, None),
        ([], None),
    ],
)
def test_numbers_come_as_text_or_as_numbers(
    read_one: ReadOne, document: Document, value: Any, number: int | None
) -> None:
    """What is no number is none."""
    assert read_one(document(err_code=value)).smtp_code == number


@pytest.mark.parametrize(
    ("status", "reason", "code", "permanent"),
    [
        ("2", "SmtpNxBox", "554", True),
        (2, "SmtpNxBox", "554", True),
        ("2", "Unheard", "450", True),
        ("4", "SysOutConnError", "427", False),
        ("2", "SmtpMfFreq", "550", False),
        ("4", "SmtpRcptFreq", "554", False),
        ("4", "SysOutDnsResolveFail", "423", False),
        ("4", "SysOutDnsResolveFail", "524", True),
        ("3", "SmtpContSpam", "554", True),
        ("4", "Unheard", "500", True),
        ("4", "Unheard", "499", False),
        ("4", None, None, False),
        (None, None, None, False),
    ],
)
def test_whether_a_bounce_is_for_good(
    *,
    read_one: ReadOne,
    document: Document,
    status: Any,
    reason: str | None,
    code: str | None,
    permanent: bool,
) -> None:
    """By DirectMail's classification, else by its status, else by the class of the SMTP code."""
    data = document(status=status, failed_type=reason, err_code=code)
    assert read_one({**data, "type": "dm:Deliver:Fail"}).permanent is permanent
    assert read_one(data).permanent is None


@pytest.mark.parametrize("name", ["rcpt", "env_id", "err_msg", "failed_type", "tag"])
@pytest.mark.parametrize("value", ["", 7, None, [], {"a": 1}, True])
def test_a_field_that_is_missing_or_no_text_is_not_known(
    read_one: ReadOne, document: Document, name: str, value: Any
) -> None:
    """The other fields are read all the same: events differ by year in what they have."""
    fact = read_one(document(**{name: value}))
    fields = {"rcpt": "recipient", "env_id": "envelope_id", "err_msg": "smtp_message"}
    assert getattr(fact, {**fields, "failed_type": "reason"}.get(name, name)) is None
    assert fact.state == "delivered"


def test_the_sender_is_the_mail_from_or_else_the_account(
    read_one: ReadOne, document: Document
) -> None:
    """Both are told, and one of them may be missing."""
    senders = [
        read_one(document(**changes)).sender
        for changes in ({"from": "f", "account": "a"}, {"from": None, "account": "a"})
    ]
    assert senders == ["f", "a"]
    assert read_one(document(**{"from": None, "account": None})).sender is None


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"type": "dm:Trace:Open"}, "type 'dm:Trace:Open'"),
        ({"type": "dm:Feedback:Subscribe "}, "type 'dm:Feedback:Subscribe '"),
        ({"type": "dm:deliver:succeed"}, "type"),
        ({"type": ""}, "type"),
        ({"source": "acs:oss"}, "source 'acs:oss'"),
        ({"source": None}, "source None"),
        ({"source": ["acs:dm"]}, "source ['acs:dm']"),
        ({"source": {"a": {}}}, "source"),
        ({"data": None}, "no data object"),
        ({"data": "text"}, "no data object"),
        ({"data": [1]}, "no data object"),
        ({"type": "x" * 10_000}, "type"),
    ],
)
def test_what_this_version_does_not_know_is_kept_whole(
    read_one: ReadOne, document: Document, changes: dict[str, Any], why: str
) -> None:
    """An unknown type or source, or an event without data, says why and keeps everything."""
    event = {**document(), **changes}
    unread = read_one(event)
    assert isinstance(unread, Unrecognised)
    assert unread.why.startswith(why)
    assert len(unread.why) < 100
    assert unread.raw == event


@pytest.mark.parametrize("name", ["directmail-feedback-fbl-report.json", "eventbridge-time.json"])
def test_samples_of_other_types_are_unrecognised(
    read_one: ReadOne, sample: Sample, name: str
) -> None:
    """Complaints have an issue of their own; other services' events are not ours at all."""
    unread = read_one(sample(name))
    assert isinstance(unread, Unrecognised)
    assert unread.raw == json.loads(sample(name))


def test_bytes_that_are_no_event_are_kept_as_text(read_one: ReadOne) -> None:
    """What is not even JSON is handed on as text, with the reason."""
    unread = read_one(b"event=deliver&rcpt=\xff")
    assert isinstance(unread, Unrecognised)
    assert unread.raw == "event=deliver&rcpt=\N{REPLACEMENT CHARACTER}"
    assert unread.why.startswith("not JSON")


@pytest.mark.parametrize(
    "identity", [None, "", 7, ["x"]], ids=["missing", "empty", "number", "array"]
)
@pytest.mark.parametrize("kind", ["dm:Deliver:Succeed", "dm:Trace:Open"])
def test_events_without_an_id_are_told_apart_by_what_they_say(
    read_one: ReadOne, document: Document, identity: Any, kind: str
) -> None:
    """Two of them must not look like one event's repeat: the second would be dropped downstream."""

    def event(recipient: str) -> dict[str, Any]:
        return {**document(rcpt=recipient), "id": identity, "type": kind}

    first, again, other = (read_one(event(who)).event_id for who in ("a@b", "a@b", "c@b"))
    assert first == again
    assert first != other


def test_events_without_an_id_in_one_message_are_told_apart(document: Document) -> None:
    """The id of the queue's message is the same for both."""
    events = [document(rcpt="a@b"), document(rcpt="c@b")]
    for event in events:
        del event["id"]
    message = {"messageId": "m", "messageBody": json.dumps(events)}
    ids = {read_event(each).event_id for each in read_events(json.dumps(message).encode())}
    assert len(ids) == len(events)


NAMES = ("header", "rcpt", "err_code", "failed_type", "status", "send_time", "msg_id", "env_id")
VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=30)
    | st.sampled_from(['{"X-User-Notify-Postbus": 1}', "0001-01-01T00:00:00", "9" * 400])
    | st.dictionaries(st.text(max_size=20), st.text(max_size=5), max_size=3)
    | st.lists(st.integers(), max_size=3)
)


@ANY_TIME
@given(
    data=st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=6) | VALUES,
    kind=st.sampled_from(["dm:Deliver:Succeed", "dm:Deliver:Fail", "dm:Trace:Open", ""]) | VALUES,
    source=st.sampled_from(["acs:dm", "acs.dm"]) | VALUES,
    identity=VALUES,
)
def test_reading_never_raises(data: Any, kind: Any, source: Any, identity: Any) -> None:
    """Whatever is in an event's places, the outcome is a fact or an unrecognised event."""
    event = {"data": data, "type": kind, "source": source, "id": identity, "time": data}
    read = read_event(ArrivedEvent(event, b"", "message"))
    assert isinstance(read, (DeliveryFact, Unrecognised))
    assert read.raw == event
    assert read.event_id


@ANY_TIME
@given(st.binary(max_size=200))
def test_reading_any_bytes_never_raises(event: bytes) -> None:
    """The same for bytes as they come from the trigger."""
    for arrived in read_events(event):
        assert isinstance(read_event(arrived), (DeliveryFact, Unrecognised))
