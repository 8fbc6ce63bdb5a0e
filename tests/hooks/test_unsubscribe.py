"""One-click unsubscribe: what mail programs post, what people see, and what is told of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from shared.delivery.joining import Joining
from shared.errors import LedgerUnavailable
from shared.hooks.unsubscribe import BODY_MAX, Unsubscribes
from shared.sending.suppress import SuppressionList
from shared.sending.unsubscribe import Unsubscribe, UnsubscribeLinks
from shared.stores.ledger import MailRecord
from shared.stores.sqlite.database import Database
from shared.stores.sqlite.suppressions import SqliteSuppressions
from shared.triggers.http import Request, Response
from tests.delivery.conftest import ENVIRONMENT, MemoryLedger, MemoryPost, Way

FORM = {"content-type": "application/x-www-form-urlencoded"}
CLICK = b"List-Unsubscribe=One-Click"
LINKS = UnsubscribeLinks("https://mail.example.com", b"k" * 32, ENVIRONMENT)
MAIL = MailRecord("m" * 26, "order-1", "sending", sender="news@example.com", tag="news",
                  notify={"OrderId": "4711"}, attempt=1)  # fmt: skip
WISH = Unsubscribe(MAIL.mail_id, "Ada@example.net", "news@example.com")
TOKEN = LINKS.token(WISH)


@pytest.fixture
def way() -> Way:
    """The way out, and a ledger that knows the mail."""
    return Way(MemoryLedger({MAIL.mail_id: MAIL}))


@pytest.fixture
def suppressions(tmp_path: Path) -> Iterator[SuppressionList]:
    """An empty list."""
    database = Database(tmp_path / "list.db")
    yield SuppressionList(SqliteSuppressions(database), b"k" * 32)
    database.close()


@pytest.fixture
def unsubscribes(way: Way, suppressions: SuppressionList) -> Unsubscribes:
    """The address `/unsubscribe/{token}`."""
    joining = Joining(way.ledger, ENVIRONMENT)
    return Unsubscribes(LINKS, suppressions, joining, way.outlet, "postbus/local", way.clock)


def post(
    unsubscribes: Unsubscribes,
    token: str = TOKEN,
    body: bytes = CLICK,
    headers: dict[str, str] | None = None,
) -> Response:
    """What a mail program does."""
    request = Request("POST", f"/unsubscribe/{token}", headers or FORM, {}, body)
    return unsubscribes.answer(request, token)


def look(unsubscribes: Unsubscribes, token: str = TOKEN) -> Response:
    """What a person, or a scanner of links, does."""
    return unsubscribes.answer(Request("GET", f"/unsubscribe/{token}"), token)


def is_suppressed(unsubscribes: Unsubscribes, sender: str = "news@example.com") -> bool:
    """Whether a sender may not write to Ada any more."""
    now = unsubscribes.clock()
    return bool(unsubscribes.suppressions.check(sender, ["ada@example.net"], now))


def events(post_: MemoryPost) -> list[Any]:
    """What was published."""
    return [message.event for message in post_.messages]


def multipart(name: str = "List-Unsubscribe", value: str = "One-Click") -> tuple[bytes, Any]:
    """A form of parts, as RFC 8058 shows it."""
    lines = ["--b", f'Content-Disposition: form-data; name="{name}"', "", value, "--b--", ""]
    return "\r\n".join(lines).encode(), {"content-type": "multipart/form-data; boundary=b"}


def test_one_click_suppresses_and_is_told(unsubscribes: Unsubscribes, way: Way) -> None:
    """A mail program's post is a 200; the recipient is suppressed, the event is downstream."""
    assert post(unsubscribes).status == 200
    assert is_suppressed(unsubscribes)
    assert not is_suppressed(unsubscribes, "shop@example.com")
    (event,) = events(way.post)
    data = event["data"]
    assert event["type"] == "postbus.mail.unsubscribed"
    assert (data["mail_id"], data["recipient"]) == (MAIL.mail_id, "Ada@example.net")
    assert (data["key"], data["tag"], data["notify"]) == ("order-1", "news", {"OrderId": "4711"})
    assert data["reason"] == "unsubscribed"


def test_the_link_proves_the_send(unsubscribes: Unsubscribes, way: Way) -> None:
    """Who has the mail's link has the mail: the ledger learns that it was sent."""
    post(unsubscribes)
    row = way.ledger.mails[MAIL.mail_id]
    assert (row.state, row.evidence) == ("sent", "event")
    assert [(d.recipient, d.state) for d in way.ledger.states] == [
        ("ada@example.net", "unsubscribed")
    ]


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (CLICK, FORM),
        (b"List-Unsubscribe=One-Click&x=y", FORM),
        (b"list-unsubscribe=one-click", FORM),
        (CLICK, {}),
        multipart(),
        multipart("list-unsubscribe", "one-click"),
    ],
)
def test_both_forms_of_a_post(
    unsubscribes: Unsubscribes, body: bytes, headers: dict[str, str]
) -> None:
    """RFC 8058 lets a sender choose between a form of fields and one of parts."""
    assert post(unsubscribes, body=body, headers=headers).status == 200
    assert is_suppressed(unsubscribes)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"", FORM),
        (b"List-Unsubscribe=no", FORM),
        (b"One-Click", FORM),
        (b"\xff\xfe" * 50, FORM),
        (CLICK + b"&x=" + b"y" * BODY_MAX, FORM),
        multipart("other"),
        multipart(value="no"),
    ],
)
def test_a_post_of_something_else(
    unsubscribes: Unsubscribes, way: Way, body: bytes, headers: dict[str, str]
) -> None:
    """What does not say what it wants changes nothing, and is a 400."""
    assert post(unsubscribes, body=body, headers=headers).status == 400
    assert not is_suppressed(unsubscribes)
    assert way.post.messages == []


def test_a_look_changes_nothing(unsubscribes: Unsubscribes, way: Way) -> None:
    """Opening the link, as every scanner of mails does, shows a page and unsubscribes nobody."""
    for _ in range(3):
        assert look(unsubscribes).status == 200
    assert not is_suppressed(unsubscribes)
    assert (way.post.messages, way.ledger.states) == ([], [])


@pytest.mark.parametrize("token", ["", "1", "nonsense", TOKEN[:-2], "2" + TOKEN[1:]])
def test_another_link_is_a_404(unsubscribes: Unsubscribes, token: str) -> None:
    """For people and programs alike, and nothing is changed."""
    assert look(unsubscribes, token).status == 404
    assert post(unsubscribes, token).status == 404
    assert not is_suppressed(unsubscribes)


def test_it_works_without_the_ledgers_row(unsubscribes: Unsubscribes, way: Way) -> None:
    """Years later, when the ledger has long forgotten the mail, the link still does."""
    way.ledger.mails.clear()
    assert post(unsubscribes).status == 200
    assert is_suppressed(unsubscribes)
    (event,) = events(way.post)
    assert event["data"]["mail_id"] == MAIL.mail_id
    assert event["data"]["recipient"] == "Ada@example.net"


def test_a_repeat_is_one_event(unsubscribes: Unsubscribes, way: Way) -> None:
    """A program that posts three times is told 200 three times; downstream hears it once."""
    for _ in range(3):
        assert post(unsubscribes).status == 200
        way.clock.now += 1_000
    assert len(way.post.messages) == 1


def test_once_more_after_a_resubscription(unsubscribes: Unsubscribes, way: Way) -> None:
    """Who subscribed again and unsubscribes again is told of twice."""
    post(unsubscribes)
    way.clock.now += 1_000
    who = unsubscribes.suppressions.who(WISH.recipient)
    assert unsubscribes.suppressions.lift(who, WISH.scope, "unsubscribe", way.clock.now)
    way.clock.now += 1_000
    post(unsubscribes)
    assert is_suppressed(unsubscribes)
    assert len({event["id"] for event in events(way.post)}) == 2


def test_a_topic_that_is_down(unsubscribes: Unsubscribes, way: Way) -> None:
    """The wish counts at once; the program is asked to come again, until it is told as well."""
    way.post.down = {"topic:mail-events", "retries"}
    answer = post(unsubscribes)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "60")
    assert is_suppressed(unsubscribes)
    way.post.down = set()
    way.clock.now += 60_000
    again = replace(unsubscribes, outlet=way.outlet)
    assert post(again).status == 200
    assert len(way.post.messages) == 1


def test_a_ledger_that_is_down(
    unsubscribes: Unsubscribes, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is promised that was not written down."""

    def down(*_arguments: Any) -> Any:
        raise LedgerUnavailable("the list is down")

    monkeypatch.setattr(SqliteSuppressions, "swap", down)
    assert post(unsubscribes).status == 503
    assert way.post.messages == []


# --- The page ------------------------------------------------------------------------------------


class Page(HTMLParser):
    """A page's tags with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See `HTMLParser`."""
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """See `HTMLParser`."""
        self.text += data

    def find(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of each of these tags."""
        return [attributes for name, attributes in self.tags if name == tag]


def test_the_pages_form_does_what_a_mail_program_does(unsubscribes: Unsubscribes) -> None:
    """The button posts the very field to the page's own address, without a script."""
    page = Page(look(unsubscribes).text or "")
    assert page.find("form") == [{"method": "post"}]
    (field,) = page.find("input")
    assert post(unsubscribes, body=f"{field['name']}={field['value']}".encode()).status == 200
    assert [button["type"] for button in page.find("button")] == ["submit"]
    assert page.find("script") == []


def test_the_page_can_be_read_by_everybody(unsubscribes: Unsubscribes) -> None:
    """It has a language, a title, one heading, a main part; other languages are marked."""
    for answer in (look(unsubscribes), post(unsubscribes), look(unsubscribes, "x")):
        page = Page(answer.text or "")
        assert page.find("html") == [{"lang": "en"}]
        assert [len(page.find(tag)) for tag in ("title", "h1", "main")] == [1, 1, 1]
        assert {"lang": "zh"} in page.find("p")
        assert answer.content_type == "text/html; charset=utf-8"


def test_the_page_gives_nothing_away(unsubscribes: Unsubscribes) -> None:
    """The address is masked, nothing is loaded from elsewhere, no one learns of the link."""
    for answer in (look(unsubscribes), post(unsubscribes)):
        text = answer.text or ""
        assert "A***@example.net" in text
        assert "Ada@" not in text
        assert "news@example.com" in text
        assert "http" not in text
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'")
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["X-Robots-Tag"] == "noindex"


def test_the_page_of_an_account_names_no_address(unsubscribes: Unsubscribes) -> None:
    """What one unsubscribes from is said in words, and markup in it is no markup."""
    account = LINKS.token(replace(WISH, scope="account"))
    assert "no more mails from us" in (look(unsubscribes, account).text or "")
    hostile = LINKS.token(replace(WISH, scope="@<b>x</b>"))
    assert "<b>" not in (look(unsubscribes, hostile).text or "")
