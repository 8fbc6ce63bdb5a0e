"""What the twin says in each dialect, and that Postbus reads the same from all of them."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import replace
from typing import Any

import pytest

from local.account import Account
from local.twins.directmail import catalogue, events, legacy
from local.twins.directmail.bodies import Occurrence
from local.twins.directmail.catalogue import TYPES
from local.twins.directmail.dialects import WORDS, Dialect, DialectError, dialect_of
from local.twins.directmail.fates import kinds
from local.twins.directmail.reports import FAIL, KNOWN, SUCCEED, report_of
from shared.delivery.facts import DeliveryFact
from shared.delivery.read import read_event
from shared.sending.identity import mail_id_of
from shared.triggers.events import read_events

MAIL_ID = mail_id_of("local", "one")
# 29 April 2024, 11:07:12 in China.
AT = 1_714_360_032.0
STATES = {
    SUCCEED: "delivered",
    FAIL: "bounced",
    catalogue.COMPLAINT: "complained",
    catalogue.SUBSCRIBE: "resubscribed",
    catalogue.UNSUBSCRIBE: "unsubscribed",
    catalogue.OPEN: "opened",
    catalogue.CLICK: "clicked",
    catalogue.VALIDATION: "validated",
}
HAPPENED = Occurrence(
    id="8734hhidu983hi457",
    type=SUCCEED,
    at=AT,
    env_id="600000192837465010",
    recipient="ada@example.net",
    mail={
        "account": "noreply@example.com",
        "from": "noreply@example.com",
        "msg_id": f"{MAIL_ID}.local@example.com",
        "headers": [
            ["X-User-Notify-Postbus", f"v1.local.{MAIL_ID}.1"],
            ["X-User-Notify-OrderId", "4711"],
        ],
        "tag": "welcome",
        "ip_pool_id": "",
        "subject": "Hello",
        "at": AT - 8,
    },
)


def happened(kind: str, **changes: Any) -> Occurrence:
    """That kind of thing; a failure has a failure's report."""
    report = KNOWN["SmtpNxBox"] if kind == FAIL else KNOWN["SendOk"]
    return replace(HAPPENED, type=kind, report=report, **changes)


def rendered(kind: str, *words: str, header: Any = "given", **changes: Any) -> dict[str, Any]:
    """An event in the dialect of these words."""
    return events.render(
        happened(kind, **changes),
        account=Account(),
        dialect=dialect_of(words, header),
        now=AT + 1.179,
    )


def read(event: bytes) -> DeliveryFact:
    """What Postbus reads out of it."""
    (arrived,) = read_events(event)
    fact = read_event(arrived)
    assert isinstance(fact, DeliveryFact), fact
    return fact


def test_the_year_2024_has_fewer_fields_and_zoned_times() -> None:
    """What the page got in 2025 is left out; deliveries tell their offset; the subject ends so."""
    new, old = rendered(FAIL), rendered(FAIL, "2024")
    assert set(new["data"]) - set(old["data"]) == {
        *("channel_name", "outbound_ip", "esp", "ip_pool_id", "is_dedicated_ip", "tag"),
    }
    assert old["data"]["deliver_time"] == "2024-04-29T11:07:12+08:00"
    assert new["data"]["deliver_time"] == "2024-04-29T11:07:12"
    assert old["subject"].endswith(":1234567890123456:215672")
    assert new["subject"].endswith(":1234567890123456:*")


@pytest.mark.parametrize(
    ("word", "sent"),
    [
        ("naive", "2024-04-29T11:07:04"),
        ("zoned", "2024-04-29T11:07:04+08:00"),
        ("utc", "2024-04-29T03:07:04Z"),
        ("epoch", "1714360024"),
        ("prc", "2024-04-29T11:07:04.000PRC"),
        ("spaced", "2024-04-29 11:07:04"),
    ],
)
def test_times_come_in_every_spelling(word: str, sent: str) -> None:
    """The same moment in the dialect's form, in every field that is a time."""
    for kind in (FAIL, catalogue.COMPLAINT):
        assert rendered(kind, word)["data"]["send_time"] == sent


def test_feedback_has_a_vocabulary_of_its_own() -> None:
    """A complaint has no EnvId, brackets and epoch seconds; leaving spells `envid`."""
    complaint = rendered(catalogue.COMPLAINT)["data"]
    assert (
        complaint.items()
        >= {
            "block_email": "ada@example.net",
            "send_email": "noreply@example.com",
            "message_id": f"<{MAIL_ID}.local@example.com>",
            "block_time": "1714360032",
        }.items()
    )
    assert not {"env_id", "envid", "rcpt", "header"} & set(complaint)
    assert rendered(catalogue.UNSUBSCRIBE)["data"] == {
        "operate_time": "2024-04-29T11:07:12",
        "envid": "600000192837465010",
        "from": "noreply@example.com",
        "rcpt": "ada@example.net",
        "client_ip": "198.51.100.7",
    }


@pytest.mark.parametrize("kind", [catalogue.OPEN, catalogue.CLICK])
def test_traces_tell_who_and_only_clicks_what(kind: str) -> None:
    """Client and browser of both, the link of a click."""
    data = rendered(kind, url="https://example.com/?a=1&b=2")["data"]
    assert data["client_ip"] == "198.51.100.7"
    assert data["user_agent"].startswith("Mozilla/5.0")
    assert (data.get("url") == "https://example.com/?a=1&b=2") is (kind == catalogue.CLICK)


@pytest.mark.parametrize(
    ("word", "where", "value"),
    [
        ("dot", ("source",), "acs.dm"),
        ("colon", ("source",), "acs:dm"),
        ("older-type", ("type",), "dm:Deliver:Success"),
        ("blank", ("type",), "dm:Deliver:Succeed "),
        ("numbers", ("data", "status"), 0),
        ("numbers", ("data", "err_code"), 250),
        ("texts", ("data", "is_dedicated_ip"), "false"),
        ("envid", ("data", "envid"), "600000192837465010"),
        ("message-id", ("data", "message_id"), f"<{MAIL_ID}.local@example.com>"),
        ("message-id", ("data", "block_email"), "ada@example.net"),
    ],
)
def test_each_word_changes_what_it_says(word: str, where: tuple[str, ...], value: object) -> None:
    """One word, one thing."""
    found: Any = rendered(SUCCEED, word)
    for name in where:
        found = found[name]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("kind", sorted(set(TYPES) - set(catalogue.DELIVERIES)))
def test_the_header_is_the_deliveries_own_unless_asked_for(kind: str) -> None:
    """Other types have none; with the word `header`, all have."""
    assert "header" not in rendered(kind)["data"]
    header = rendered(kind, "header", header="json")["data"]["header"]
    assert json.loads(header)["X-User-Notify-OrderId"] == "4711"
    assert "header" not in rendered(kind, "header", header="absent")["data"]


@pytest.mark.parametrize("words", [("2024", "2025"), ("zoned", "utc"), ("dot", "colon")])
def test_contradictions_are_refused(words: tuple[str, ...]) -> None:
    """Two words for one thing make no dialect; one word said twice is said once."""
    with pytest.raises(DialectError, match=f"{words[0]} and {words[1]}"):
        dialect_of(words)
    assert dialect_of((words[0], words[0])) == dialect_of(words[:1])


COMBINED = sorted(
    {
        tuple(sorted(pair))
        for pair in itertools.product(WORDS, WORDS)
        if len({WORDS[word].field for word in pair}) == len(set(pair))
    }
)


@pytest.mark.parametrize("kind", list(TYPES))
def test_postbus_reads_the_same_in_every_dialect(kind: str) -> None:
    """Each word and each pair of words, in each header style: one state, mail and moment."""
    whole = read(json.dumps(rendered(kind)).encode())
    assert whole.state == STATES[kind]
    count = 0
    for words, style in itertools.product(COMBINED, ("given", "lower", "json", "absent")):
        event = rendered(kind, *words, header=style)
        fact = read(json.dumps(event).encode())
        assert (fact.state, fact.recipient) == (whole.state, whole.recipient), words
        assert (fact.occurred_at or "")[:19] == "2024-04-29T03:07:12", (words, fact)
        assert (fact.reason, fact.bounce, fact.smtp_code) == (
            *(whole.reason, whole.bounce),
            whole.smtp_code,
        )
        assert fact.envelope_id == whole.envelope_id
        if kind not in {catalogue.SUBSCRIBE, catalogue.UNSUBSCRIBE, catalogue.VALIDATION}:
            assert fact.token is not None, (words, style)
            assert fact.token.mail_id == MAIL_ID
        count += 1
    assert count == 4 * len(COMBINED) > 400


@pytest.mark.parametrize("failed_type", [*KNOWN, "SomethingNew"])
def test_every_failure_keeps_its_classification(failed_type: str) -> None:
    """The classification travels as it is; what is no success reads as a bounce."""
    report = report_of(failed_type)
    event = events.render(
        replace(HAPPENED, type=report.type, report=report),
        account=Account(),
        dialect=Dialect(),
        now=AT,
    )
    fact = read(json.dumps(event).encode())
    assert fact.classification == failed_type
    assert fact.state == ("delivered" if failed_type == "SendOk" else "bounced")


LEGACY = [kind for kind, each in TYPES.items() if each.legacy]
HOSTILE = "550 5.7.1 a=b&status=0&event=open&rcpt=eve@example.org see http://x.example/?q=1&r=2"


@pytest.mark.parametrize("style", ["given", "lower", "absent"])
@pytest.mark.parametrize("kind", LEGACY)
def test_the_legacy_text_is_read_too(kind: str, style: Any) -> None:
    """Pairs, headers among them, China's times with a blank: the same fact comes out."""
    text = legacy.notification(
        happened(kind, url="https://example.com/?a=1&b=2"),
        region="cn-hangzhou",
        dialect=Dialect(header=style),
    )
    assert "&recv_time=2024-04-29 11:07:04&end_time=2024-04-29 11:07:12&" in text
    assert f"&event={TYPES[kind].legacy}&" in text
    assert ("OrderId=4711".lower() in text.lower()) is (style != "absent")
    fact = read(text.encode())
    assert (fact.state, fact.recipient) == (STATES[kind], "ada@example.net")
    assert fact.token is not None
    assert fact.token.mail_id == MAIL_ID
    assert (fact.url == "https://example.com/?a=1&b=2") is (kind == catalogue.CLICK)


def test_a_remote_host_s_text_is_not_escaped() -> None:
    """The answer stands in the legacy text as it is, with its `&` and `=`."""
    report = report_of("SmtpZPermErr", message=HOSTILE)
    text = legacy.notification(
        replace(HAPPENED, type=FAIL, report=report), region="cn-hangzhou", dialect=Dialect()
    )
    assert f"&err_msg={HOSTILE}&failed_type=SmtpZPermErr" in text
    assert re.search(r"&status=4&event=deliver&", text)
    fact = read(text.encode())
    assert (fact.state, fact.recipient) == ("bounced", "ada@example.net")
    assert fact.smtp_message == HOSTILE


def test_there_is_no_legacy_text_of_a_validation() -> None:
    """The older notification never had it."""
    with pytest.raises(legacy.NoLegacyForm, match="has no dm:Validator:GrayListResult"):
        legacy.notification(happened(catalogue.VALIDATION), region="cn-hangzhou", dialect=Dialect())


@pytest.mark.parametrize(
    ("word", "follows"),
    [
        ("open", ("delivered", "dm:Trace:Open")),
        ("click", ("delivered", "dm:Trace:Open", "dm:Trace:Click")),
        ("resubscribe", ("delivered", "dm:Feedback:UnSubscribe", "dm:Feedback:Subscribe")),
    ],
)
def test_the_fates_that_follow_a_delivery(word: str, follows: tuple[str, ...]) -> None:
    """Opened, clicked (and so opened), left and come back; a blind copy is only delivered."""
    assert kinds(f"{word}+7@example.net", blind=False) == follows
    assert kinds(f"{word}@example.net", blind=True) == ("delivered",)
