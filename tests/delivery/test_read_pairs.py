"""The older notification's text: pairs that nobody escaped, cut where they were meant to be."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.delivery.facts import DeliveryFact, Unrecognised
from shared.delivery.legacy import read_pairs
from shared.delivery.read import read_event
from shared.triggers.events import ArrivedEvent, read_events

# The page's own sample, https://help.aliyun.com/document_detail/52965.html
PAGE = (
    "X-Notify-Message-ID=3121...&env_id=1262...&msg_id=uuid@dom&account=a@d&from=a@d&rcpt=b@e"
    "&recv_time=2017-03-28 19:09:49&end_time=2017-03-28 19:09:51&status=4&event=deliver"
    "&region=cn-hangzhou&err_code=524&err_msg=524 Host not found by dns resolve"
    "&failed_type=SysOutDnsResolveFail"
)


def read(text: str) -> Any:
    """The one event of a text."""
    (arrived,) = read_events(text.encode())
    return read_event(arrived)


def test_the_pages_sample_is_read() -> None:
    """Every field is where it belongs, and its times are China's."""
    fact = read(PAGE)
    assert fact == DeliveryFact(
        event_id=fact.event_id,
        state="bounced",
        recipient="b@e",
        envelope_id="1262...",
        message_id="uuid@dom",
        bounce="permanent",
        reason="domain-not-found",
        classification="SysOutDnsResolveFail",
        smtp_code=524,
        smtp_message="524 Host not found by dns resolve",
        sender="a@d",
        account="a@d",
        sent_at="2017-03-28T11:09:49.000Z",
        delivered_at="2017-03-28T11:09:51.000Z",
        occurred_at="2017-03-28T11:09:51.000Z",
        raw={"Message": PAGE},
    )


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("event=deliver&status=0", "delivered"),
        ("event=deliver&status=2", "bounced"),
        ("event=deliver&failed_type=SendOk", "delivered"),
        ("event=deliver&failed_type=SmtpNxBox", "bounced"),
        ("event=open", "opened"),
        ("event=click", "clicked"),
        ("event=complaint", "complained"),
        ("event=unsubscribe", "unsubscribed"),
        ("event=subscribe", "resubscribed"),
    ],
)
def test_the_event_and_the_status_tell_what_happened(text: str, state: str) -> None:
    """A status is there of a delivery only; without it, the classification tells."""
    assert read(text).state == state


@pytest.mark.parametrize("text", ["event=deliver", "event=forward", "event=Deliver&status=0"])
def test_an_unknown_event_is_kept(text: str) -> None:
    """With the reason, and the text as it came."""
    unread = read(text)
    assert isinstance(unread, Unrecognised)
    assert unread.why.startswith("event ")
    assert unread.raw == {"Message": text}


@pytest.mark.parametrize(
    "answer",
    [
        "550 a=b&c",
        "550 &status=0&event=open",
        "550 &rcpt=evil@x.example&env_id=9",
        "550 &failed_type=SendOk",
        "550 &err_msg=250 ok&err_code=250",
        "550 &X-User-Notify-Postbus=v1.local.aaaaaaaaaaaaaaaaaaaaaaaaaa.9",
        "550 see https://x.example/?url=1&user_agent=2&tag=3&subject=4&nobody=5",
        "",
        "&",
        "=",
        "&=&",
    ],
)
def test_a_strangers_answer_stays_an_answer(answer: str) -> None:
    """Whatever a remote host writes, it changes no other field; a tag it makes up is one."""
    header = "X-User-Notify-Postbus=v1.local.swluzjj4dousjsnwtupca4rsiq.1&"
    plain = read(header + PAGE)
    fact = read(header + PAGE.replace("524 Host not found by dns resolve", answer))
    told = answer.partition("&tag=")[0]
    assert (fact.smtp_message or "").startswith(told)
    for name in ("state", "recipient", "token", "envelope_id", "classification", "smtp_code"):
        assert getattr(fact, name) == getattr(plain, name)
    assert fact.notify == plain.notify


def test_the_senders_own_values_may_look_like_pairs() -> None:
    """A notify header stands before what DirectMail says, and is cut nowhere."""
    value = "https://x.example/?rcpt=1&status=2&event=open&other=4"
    fact = read(f"X-User-Notify-Back={value}&" + PAGE)
    assert (fact.notify, fact.state, fact.recipient) == ({"Back": value}, "bounced", "b@e")


def test_a_link_may_look_like_pairs() -> None:
    """Names that a click does not have are part of the link, and so are those told before."""
    url = "https://x.example/?a=1&from=mail&status=2&rcpt=3&event=4&err_msg=5&subject=6&url=7"
    text = "env_id=1&from=a@d&rcpt=b@e&event=click&client_ip=192.0.2.1&user_agent=A (b=c)&url="
    fact = read(text + url)
    assert (fact.url, fact.sender, fact.recipient) == (url, "a@d", "b@e")
    assert (fact.user_agent, fact.client_ip, fact.state) == ("A (b=c)", "192.0.2.1", "clicked")


def test_the_notifications_id_is_the_events() -> None:
    """A repeat has it again; without one, the same text is the same event."""
    events: list[dict[str, Any]] = [
        {"MessageId": "1", "Message": PAGE},
        {"MessageId": "2", "Message": PAGE},
        {"Message": PAGE},
        {"MessageId": "", "Message": PAGE},
        {"MessageId": 7, "Message": PAGE},
    ]
    ids = [read_event(ArrivedEvent(event, b"", "")).event_id for event in events]
    assert ids[:2] == ["notification/1", "notification/2"]
    assert ids[2:] == [ids[2]] * 3
    assert ids[2].startswith("notification/sha256-")


PIECES = st.sampled_from(
    ["event=", "deliver", "&", "=", "status", "0", "err_msg=", "&rcpt=", "&failed_type=", "X-User-"]
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(PIECES | st.text(max_size=5), max_size=20).map("".join))
def test_any_text_is_pairs_and_nothing_of_it_is_lost(text: str) -> None:
    """Reading never raises, and every piece behind the first name is in some value."""
    pairs = read_pairs(text)
    header = pairs.pop("header")
    told = "&".join(f"{name}={value}" for name, value in [*pairs.items(), *header.items()])
    assert len(told) <= len(text)
    assert isinstance(read_event(ArrivedEvent({"Message": text}, b"", "")).event_id, str)
