"""Addresses as DirectMail takes them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.schema.addresses import mask, parse_address, parse_domain
from shared.schema.problems import Refused

LABEL = "a" * 63

GOOD = {
    "ada@example.com": "ada@example.com",
    "Ada.Lovelace@Example.COM": "Ada.Lovelace@example.com",
    "a_b-c+tag.1@sub.example.co": "a_b-c+tag.1@sub.example.co",
    "-@example.com": "-@example.com",
    "1@2.3com": "1@2.3com",
    "ada@bücher.de": "ada@xn--bcher-kva.de",
    "ada@例え.jp": "ada@xn--r8jz45g.jp",
    "ada@xn--bcher-kva.de": "ada@xn--bcher-kva.de",
    "ada@XN--BCHER-KVA.DE": "ada@xn--bcher-kva.de",
    "ada@ab--cd.com": "ada@ab--cd.com",
    # A Cyrillic o is a letter like any other; punycode shows that it is not the Latin one.
    "ada@example.c\u043em": "ada@example.xn--cm-fmc",
    f"{'a' * 64}@example.com": f"{'a' * 64}@example.com",
    f"a@{LABEL}.com": f"a@{LABEL}.com",
    f"a@{LABEL}.{LABEL}.{'b' * 58}.com": f"a@{LABEL}.{LABEL}.{'b' * 58}.com",
}


@pytest.mark.parametrize(("text", "parsed"), GOOD.items())
def test_an_address_is_read_and_its_domain_made_plain(text: str, parsed: str) -> None:
    """The domain ends up in lower case and punycode; the local part stays."""
    assert parse_address(text) == parsed
    assert parse_address(parsed) == parsed


BAD = {
    # no bare address
    "": "address",
    "ada": "address",
    "@example.com": "address",
    "ada@": "address",
    "a@b@example.com": "address",
    "Ada <ada@example.com>": "address",
    "<ada@example.com>": "address",
    '"Ada" ada@example.com': "address",
    '"ada"@example.com': "address",
    "ada(comment)@example.com": "address",
    "ada@example.com(comment)": "address",
    "ada@example.com,eve@example.com": "address",
    "eve@example.com;ada@example.com": "address",
    "mailto:ada@example.com": "address",
    "ada%example.net@example.com": "address",
    "example.net!ada@example.com": "address",
    "ada@example.com\r\nBcc: eve@example.com": "address",
    "ada@example.com\n": "address",
    " ada@example.com": "address",
    "ada@example.com ": "address",
    "a da@example.com": "address",
    "ada\x00@example.com": "address",
    "ada@exa\u200dmple.com": "address",
    "=?utf-8?q?ada?=@example.com": "address",
    # the local part
    ".ada@example.com": "address",
    "ada.@example.com": "address",
    "a..da@example.com": "address",
    "ad\u00e4@example.com": "address",
    "\uff41da@example.com": "address",  # a full-width a
    "ada@example.com@": "address",
    f"{'a' * 65}@example.com": "too-long",
    # the domain
    "ada@localhost": "address",
    "ada@example.com.": "address",
    "ada@.example.com": "address",
    "ada@example..com": "address",
    "ada@-example.com": "address",
    "ada@example-.com": "address",
    "ada@exam_ple.com": "address",
    "ada@[192.0.2.1]": "address",
    "ada@192.0.2.1": "address",
    "ada@[IPv6:::1]": "address",
    "ada@B\u00dcCHER.de": "address",  # upper case: IDNA 2008 maps nothing
    "ada@bu\u0308cher.de": "address",  # not composed
    "ada@example\u3002com": "address",  # an ideographic full stop
    "ada@ma\u212aer.com": "address",  # the Kelvin sign, whose lower case is a plain k
    "ada@xn--a.com": "address",  # no punycode
    "ada@xn--.com": "address",
    "ada@\U0001f600.com": "address",
    "ada@b\u00fccher..de": "address",
    "ada@b\u00fccher.de.": "address",
    "ada@\ud800.com": "address",
    f"a@{'a' * 64}.com": "address",
    f"a@{LABEL}.{LABEL}.{'b' * 59}.com": "too-long",
    f"{'a' * 30}@{'ü' * 50}.{'ü' * 50}.{'ü' * 50}.de": "too-long",
    "a" * 1_000_000: "too-long",
}


@pytest.mark.parametrize(("text", "type_"), BAD.items(), ids=lambda value: ascii(value)[:40])
def test_what_directmail_would_refuse_or_misread_is_refused(text: str, type_: str) -> None:
    """Nothing but a bare address passes, and the message repeats none of it."""
    with pytest.raises(ValueError, match=r"\w") as caught:
        parse_address(text)
    assert isinstance(caught.value, Refused)
    (problem,) = caught.value.problems
    assert problem.type == type_
    assert not isinstance(problem.given, str) or len(problem.given) <= 80


@given(st.text(max_size=40), st.text(max_size=40))
@settings(deadline=None)  # a busy machine proves nothing
def test_a_parsed_address_is_plain_and_stays_what_it_is(local: str, domain: str) -> None:
    """Whatever passes is ASCII without separators, and parses to itself."""
    try:
        parsed = parse_address(f"{local}@{domain}")
    except Refused:
        return
    assert parsed.isascii()
    assert not set(parsed) & set(" ,;:<>()[]\"'\\%\r\n\t")
    assert parse_address(parsed) == parsed


@pytest.mark.parametrize(
    ("text", "parsed"), [("Example.COM", "example.com"), ("bücher.de", "xn--bcher-kva.de")]
)
def test_a_domain_is_read_alone(text: str, parsed: str) -> None:
    """A bare domain follows the rules of an address's domain."""
    assert parse_domain(text) == parsed


@pytest.mark.parametrize("text", ["", "com", "@example.com", "a@example.com", "a b.com", "1.2"])
def test_what_is_not_a_domain_is_refused(text: str) -> None:
    """A bare domain has two labels and no @."""
    with pytest.raises(Refused):
        parse_domain(text)


@pytest.mark.parametrize(
    ("address", "masked"),
    [
        ("ada@example.com", "a***@example.com"),
        ("a@example.com", "a***@example.com"),
        ("@example.com", "***@example.com"),
        ("no address", "***"),
        ("", "***"),
    ],
)
def test_a_log_shows_the_domain_and_one_character(address: str, masked: str) -> None:
    """What the mask leaves does not say who it is, not even how long the name is."""
    assert mask(address) == masked
