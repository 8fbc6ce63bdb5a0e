"""Unsubscribe links: what they carry, that nobody else can make one, and their headers."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.schema.limits import HEADER_VALUE_MAX
from shared.schema.mail_request import Sender, parse_mail
from shared.schema.problems import InvalidMail
from shared.sending.compose import Policy, check, compose
from shared.sending.identity import MailToken, mail_id_of
from shared.sending.letters import fan_out, first_letter
from shared.sending.unsubscribe import TOKEN_MAX, Unsubscribe, UnsubscribeLinks

LINKS = UnsubscribeLinks("https://mail.example.com", b"k" * 32, "test")
POLICY = Policy("test", Sender(address="Shop@example.com"), (), ("*",), links=LINKS)
MAIL_ID = mail_id_of("test", "k")
WISH = Unsubscribe(MAIL_ID, "ada@example.net", "shop@example.com")
TOKEN = MailToken("test", MAIL_ID, 1)
MAIL: dict[str, Any] = {"to": ["ada@example.net"], "subject": "News", "text": "Hi.",
                        "unsubscribe": True}  # fmt: skip

words = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=192)


def headers(policy: Policy = POLICY, token: MailToken = TOKEN, **fields: Any) -> dict[str, str]:
    """The headers that a mail goes out with."""
    return dict(compose(parse_mail({**MAIL, **fields}), policy, token).headers)


@given(words, words)
def test_what_is_sealed_is_read(recipient: str, scope: str) -> None:
    """A token gives back what it was made of, and shows none of it."""
    wish = Unsubscribe(MAIL_ID, recipient, scope)
    token = LINKS.token(wish)
    assert LINKS.read(token) == wish
    assert len(token) <= TOKEN_MAX
    assert MAIL_ID not in token


def test_it_says_nothing_in_clear() -> None:
    """Neither address nor mail id can be read from the link by undoing base64."""
    sealed = LINKS.token(WISH)[1:]
    raw = base64.urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4))
    assert b"ada" not in raw
    assert MAIL_ID.encode() not in raw


def test_a_mail_has_one_link() -> None:
    """Equal in every attempt; another mail, recipient or scope has another."""
    others = (
        WISH,
        replace(WISH, mail_id=mail_id_of("test", "l")),
        replace(WISH, recipient="adb@example.net"),
        replace(WISH, scope="@example.com"),
    )
    assert len({LINKS.token(each) for each in others}) == len(others)
    assert LINKS.token(WISH) == LINKS.token(replace(WISH))


def test_every_changed_bit_is_noticed() -> None:
    """A token of which any bit is another one is none."""
    token = LINKS.token(WISH)
    raw = base64.urlsafe_b64decode(token[1:] + "=" * (-len(token[1:]) % 4))
    for bit in range(len(raw) * 8):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        forged = "1" + base64.urlsafe_b64encode(changed).decode().rstrip("=")
        assert LINKS.read(forged) is None


@pytest.mark.parametrize(
    "other",
    [replace(LINKS, secret=b"l" * 32), replace(LINKS, environment="production")],
    ids=["another secret", "another environment"],
)
def test_others_links_are_none(other: UnsubscribeLinks) -> None:
    """Neither another key's nor another environment's link unsubscribes anybody here."""
    assert LINKS.read(other.token(WISH)) is None


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda b: "1" + b.hex()))
def test_whatever_comes_is_no_token(text: str) -> None:
    """Anything at all is read without an error, and is nothing."""
    assert LINKS.read(text) is None


@pytest.mark.parametrize("text", ["", "1", "1=", "2" + LINKS.token(WISH)[1:], "1" + "A" * 2000])
def test_malformed(text: str) -> None:
    """Too short, too long, of another version: none."""
    assert LINKS.read(text) is None


# --- On the mail ---------------------------------------------------------------------------------


def test_the_headers() -> None:
    """The two of RFC 8058, with a link that stands for this mail, recipient and sender."""
    found = headers()
    assert found["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    link = found["List-Unsubscribe"]
    assert link.startswith("<https://mail.example.com/unsubscribe/")
    assert LINKS.read(link[:-1].rpartition("/")[2]) == WISH
    assert headers(token=replace(TOKEN, attempt=2))["List-Unsubscribe"] == link


@pytest.mark.parametrize(
    ("level", "scope"), [("mailfrom_domain", "@example.com"), ("edm_id", "account")]
)
def test_the_link_follows_the_filter_level(level: str, scope: str) -> None:
    """What one unsubscribes from is what the mail's own filter level says."""
    link = headers(unsubscribe_filter=level)["List-Unsubscribe"]
    wish = LINKS.read(link[:-1].rpartition("/")[2])
    assert wish is not None
    assert wish.scope == scope


def test_it_stands_for_the_one_who_gets_the_mail() -> None:
    """Where mails are redirected, the link is that reader's."""
    policy = replace(POLICY, redirect_to="trap@example.org")
    wish = LINKS.read(headers(policy)["List-Unsubscribe"][:-1].rpartition("/")[2])
    assert wish is not None
    assert wish.recipient == "trap@example.org"


def test_the_longest_link_fits_into_a_header() -> None:
    """With an address of the setting's 200 characters and two of the longest addresses."""
    longest = "a" * 64 + "@" + ".".join(["b" * 30] * 4) + ".ex"
    links = replace(LINKS, base="https://" + "c" * 192)
    value = links.headers(Unsubscribe(MAIL_ID, longest, longest))["List-Unsubscribe"]
    assert len(longest) == 191
    assert len(value) <= HEADER_VALUE_MAX


def test_none_without_being_asked_for() -> None:
    """A mail that does not want a link has none."""
    assert "List-Unsubscribe" not in headers(unsubscribe=False)


def test_it_is_refused_where_there_is_no_address() -> None:
    """Without a public address the mail is refused at the door, with the reason."""
    policy = replace(POLICY, links=None)
    mail = parse_mail(MAIL)
    for step in (lambda: check(mail, policy), lambda: compose(mail, policy, TOKEN)):
        with pytest.raises(InvalidMail, match="POSTBUS_PUBLIC_URL") as caught:
            step()
        (problem,) = caught.value.problems
        assert (problem.pointer, problem.type) == ("/unsubscribe", "unsubscribe-not-set-up")


def test_separate_mails_have_links_of_their_own() -> None:
    """Each recipient of a `separate` mail gets the own link, under the own mail's id."""
    given_ = {**MAIL, "to": ["ada@example.net", "bob@example.net"], "separate": True, "key": "k"}
    wishes = []
    for part in fan_out(first_letter(given_, key="", now=0)):
        token = MailToken("test", mail_id_of("test", part.key), 1)
        link = dict(compose(part.mail, POLICY, token).headers)["List-Unsubscribe"]
        wishes.append(LINKS.read(link[:-1].rpartition("/")[2]))
    assert [wish and wish.recipient for wish in wishes] == given_["to"]
    assert len({wish and wish.mail_id for wish in wishes}) == 2


# --- In the contract -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "pointer", "kind"),
    [
        ({"to": ["a@x.example", "b@x.example"]}, "/unsubscribe", "unsubscribe-for-many"),
        ({"bcc": ["b@x.example"]}, "/unsubscribe", "unsubscribe-for-many"),
        (
            {"headers": {"list-unsubscribe": "<https://x.example/u>"}},
            "/headers/List-Unsubscribe",
            "unsubscribe-given-twice",
        ),
        ({"headers": {f"X-User-{n}": "v" for n in range(7)}}, "/headers", "too-many-headers"),
        ({"notify": {f"N{n}": "v" for n in range(7)}}, "/notify", "too-many-headers"),
    ],
)
def test_what_does_not_go_with_it(fields: dict[str, Any], pointer: str, kind: str) -> None:
    """One recipient, no link of the sender's own, and room for two headers."""
    with pytest.raises(InvalidMail) as caught:
        parse_mail({**MAIL, **fields})
    assert [(p.pointer, p.type) for p in caught.value.problems] == [(pointer, kind)]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"to": ["a@x.example", "b@x.example"], "separate": True},
        {"headers": {f"X-User-{n}": "v" for n in range(6)}},
    ],
)
def test_what_goes_with_it(fields: dict[str, Any]) -> None:
    """One recipient or separate mails, and six further headers."""
    mail = parse_mail({**MAIL, **fields})
    assert mail.unsubscribe
    assert len(compose(parse_mail({**MAIL, "headers": fields.get("headers", {})}), POLICY, TOKEN)
               .headers) <= 10  # fmt: skip
