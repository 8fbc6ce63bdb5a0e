"""DirectMail's events as facts: what the page shows, and every quirk that is known of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, replace
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
        event_id="acs.dm/8734hhidu983hi457",
        state="bounced",
        recipient="...",
        token=None,
        envelope_id="60000...",
        message_id="...",
        bounce="permanent",
        reason="mailbox-not-found",
        classification="SmtpNxBox",
        smtp_code=554,
        smtp_message="554 RCPT ... dosn't exist",
        sender="...",
        account="batch...",
        isp="*mail.com",
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
        event_id="acs.dm/9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d",
        state="delivered",
        recipient="ada@example.net",
        token=token,
        envelope_id="600000192837465010",
        message_id=f"{token.mail_id}.local@mail.example.com",
        classification="SendOk",
        smtp_code=250,
        smtp_message="250 Send Mail OK",
        sender="noreply@mail.example.com",
        account="noreply@mail.example.com",
        isp="example.net",
        tag="order-shipped",
        notify={"OrderId": "4711", "Service": "shipping"},
        sent_at="2024-04-29T03:07:04.000Z",
        delivered_at="2024-04-29T03:07:12.000Z",
        occurred_at="2024-04-29T03:07:12.000Z",
        raw=json.loads(event),
    )


def test_a_complaint_is_read(read_one: ReadOne, sample: Sample) -> None:
    """It has words of its own, times in epoch seconds, and nothing but a Message-ID to join by."""
    event = sample("directmail-feedback-fbl-report.json")
    assert read_one(event) == DeliveryFact(
        event_id="acs.dm/0c1f5a52-8a0e-4f4e-9f4c-6b3d1c2a7e55",
        state="complained",
        recipient="ada@example.net",
        message_id="...@mail.example.com",
        reason="complaint",
        sender="noreply@mail.example.com",
        isp="outlook",
        sent_at="2024-09-20T08:40:44.000Z",
        occurred_at="2024-09-20T08:41:07.000Z",
        raw=json.loads(event),
    )


def test_a_fact_made_fast_has_every_field(read_one: ReadOne, sample: Sample) -> None:
    """`DeliveryFact.of` sets what the class declares, no more and no less."""
    fact = read_one(sample("directmail-deliver-fail.json"))
    assert set(vars(fact)) == {field.name for field in fields(DeliveryFact)}
    assert replace(fact) == fact


@pytest.mark.parametrize("source", ["acs:dm", "acs.dm"])
@pytest.mark.parametrize(
    ("kind", "state"),
    [
        ("dm:Deliver:Succeed", "delivered"),
        ("dm:Deliver:Success", "delivered"),
        ("dm:Deliver:Fail", "bounced"),
        ("dm:Deliver:Fail ", "bounced"),
        (" dm:Deliver:Succeed\n", "delivered"),
        ("Deliver:SendSuccessfully", "delivered"),
        ("DM:DELIVER:FAIL", "bounced"),
        ("dm:Feedback:FblReport", "complained"),
        ("dm:Feedback:Subscribe ", "resubscribed"),
        ("dm:Feedback:Unsubscribe", "unsubscribed"),
        ("dm:Trace:Open", "opened"),
        ("dm:Deliver:Open", "opened"),
        ("dm:Trace:Click", "clicked"),
        ("dm:Deliver:Click", "clicked"),
        ("dm:Validator:GrayListResult", "validated"),
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
        ("2024-04-29T11:07:13.179PRC", "2024-04-29T03:07:13.179Z"),
        ("2020-08-24T13:54:05.965Asia/Shanghai", "2020-08-24T05:54:05.965Z"),
        ("2024-04-29T11:07:12.9876543", "2024-04-29T03:07:12.987Z"),
        ("2024-04-29T11:07:12,5+0530", "2024-04-29T05:37:12.500Z"),
        ("2024-04-29T23:30:12-08:00", "2024-04-30T07:30:12.000Z"),
        ("2024-04-29 11:07:12 UTC", "2024-04-29T11:07:12.000Z"),
        ("1726821644", "2024-09-20T08:40:44.000Z"),
        (" 1726821644 ", "2024-09-20T08:40:44.000Z"),
        ("1726821644.5", "2024-09-20T08:40:44.500Z"),
        ("1726821644123", "2024-09-20T08:40:44.123Z"),
        ("17268216441234567", None),
        ("2024-04-29T11:07:60", None),
        ("2024-04-29T24:07:12", None),
        ("2024-04-29", None),
        ("2024-04-29T11:07:12+99:99", "2024-04-25T06:28:12.000Z"),
        ("yesterday", None),
        ("", None),
        ("0001-01-01T00:00:00", None),
        ("9999-12-31T23:59:59-23:00", None),
        ("2024-02-30T00:00:00", None),
        (1726821644, "2024-09-20T08:40:44.000Z"),
        (1726821644.25, "2024-09-20T08:40:44.250Z"),
        (1726821644123, "2024-09-20T08:40:44.123Z"),
        (10**30, None),
        (-1, None),
        (0, None),
        (True, None),
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


@pytest.mark.parametrize(
    ("own", "envelope", "read"),
    [
        ("2024-04-29T11:07:12", "2024-04-29T03:07:13Z", "2024-04-29T03:07:13.000Z"),
        ("2024-04-29T11:07:12", "2024-04-29T11:07:13", "2024-04-29T03:07:12.000Z"),
        ("2024-04-29T11:07:12", None, "2024-04-29T03:07:12.000Z"),
        ("2024-04-29T11:07:12+08:00", "2024-04-29T03:07:13Z", "2024-04-29T03:07:12.000Z"),
        ("1714360032", "2024-04-29T03:07:13Z", "2024-04-29T03:07:12.000Z"),
        (None, "2024-04-29T11:07:13", "2024-04-29T03:07:13.000Z"),
        (None, None, None),
    ],
)
@pytest.mark.parametrize("field", ["operate_time", "block_time", "deliver_time", "end_time"])
def test_when_it_happened_is_told_by_whoever_tells_the_offset(
    *,
    read_one: ReadOne,
    document: Document,
    field: str,
    own: str | None,
    envelope: str | None,
    read: str | None,
) -> None:
    """A naive time is only taken for China's; the envelope's own, with an offset, is better."""
    event = {**document(deliver_time=None), "time": envelope}
    event["data"][field] = own
    assert read_one(event).occurred_at == read


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
        ("3", "SmtpContSpam", "554", False),
        ("4", "SmtpSpfFail", "550", False),
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
    names = {
        "rcpt": "recipient",
        "env_id": "envelope_id",
        "err_msg": "smtp_message",
        "failed_type": "classification",
    }
    told = "7" if (name, value) == ("env_id", 7) else None
    assert getattr(fact, names.get(name, name)) == told
    assert fact.state == "delivered"


def test_an_id_that_somebody_took_for_a_number_is_an_id(
    read_one: ReadOne, document: Document
) -> None:
    """All its digits are there; what is no id is none."""
    assert read_one(document(env_id=600000192837465010)).envelope_id == "600000192837465010"
    assert read_one(document(env_id=10**50)).envelope_id is None
    assert read_one(document(env_id=None, envid="6")).envelope_id == "6"


@pytest.mark.parametrize("text", ["<a.b@c.example>", " a.b@c.example ", "a.b@c.example"])
@pytest.mark.parametrize("name", ["msg_id", "message_id"])
def test_a_message_id_has_no_brackets(
    read_one: ReadOne, document: Document, name: str, text: str
) -> None:
    """By whichever name it comes."""
    assert read_one(document(**{"msg_id": None, name: text})).message_id == "a.b@c.example"


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
        ({"type": "dm:Trace:Forward"}, "type 'dm:Trace:Forward'"),
        ({"type": "dm:Deliver"}, "type 'dm:Deliver'"),
        ({"type": None}, "type None"),
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


def test_another_services_event_is_unrecognised(read_one: ReadOne, sample: Sample) -> None:
    """It is not ours at all, and is kept whole."""
    unread = read_one(sample("eventbridge-time.json"))
    assert isinstance(unread, Unrecognised)
    assert unread.raw == json.loads(sample("eventbridge-time.json"))


def test_bytes_that_are_no_event_are_kept_as_text(read_one: ReadOne) -> None:
    """What is not even JSON is handed on as text, with the reason."""
    unread = read_one(b"rcpt=\xff")
    assert isinstance(unread, Unrecognised)
    assert unread.raw == "rcpt=\N{REPLACEMENT CHARACTER}"
    assert unread.why.startswith("not JSON")


def test_an_address_check_needs_no_data(read_one: ReadOne, document: Document) -> None:
    """Nothing is documented of it but its name."""
    fact = read_one({**document(), "type": "dm:Validator:GrayListResult", "data": None})
    assert (fact.state, fact.recipient, fact.permanent) == ("validated", None, None)


def test_data_as_text_is_data(read_one: ReadOne, document: Document) -> None:
    """Somebody on the way has written the object as JSON text."""
    event = document()
    as_text = read_one({**event, "data": json.dumps(event["data"])})
    assert replace(as_text, raw=event) == read_one(event)


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "delivered"),
        ({"event": "dm:Trace:Open"}, "opened"),
        ({"event": "deliver", "status": 4}, "bounced"),
        ({"event": "open"}, "opened"),
        ({"event": "forward"}, None),
        ({"event": ["open"]}, None),
    ],
)
def test_data_without_its_envelope_is_read(
    read_one: ReadOne, document: Document, changes: dict[str, Any], state: str | None
) -> None:
    """A rule that hands over only `data` leaves its type in `event`; a fingerprint is its id."""
    data = {**document()["data"], **changes}
    fact = read_one(data)
    assert getattr(fact, "state", None) == state
    assert fact.event_id.startswith("sha256-")
    assert fact.raw == data


@pytest.mark.parametrize(
    "identity", [None, "", 7, ["x"]], ids=["missing", "empty", "number", "array"]
)
@pytest.mark.parametrize("kind", ["dm:Deliver:Succeed", "dm:Trace:Forward"])
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


NAMES = (
    *("header", "rcpt", "err_code", "err_msg", "failed_type", "status", "send_time", "msg_id"),
    *("env_id", "operate_time", "block_time", "block_email", "event", "Message", "url"),
)
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


@ANY_TIME
@given(
    document=st.dictionaries(st.sampled_from([*NAMES, "type", "id", "time"]), VALUES, max_size=7)
)
def test_reading_any_object_never_raises(document: dict[str, Any]) -> None:
    """Objects that are no CloudEvent: notifications, bare data, rubbish."""
    read = read_event(ArrivedEvent(document, b"", "message"))
    assert isinstance(read, (DeliveryFact, Unrecognised))
    assert (read.raw, bool(read.event_id)) == (document, True)
