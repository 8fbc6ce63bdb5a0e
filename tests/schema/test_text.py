"""What a header may carry, and what dresses up as something it may not."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from shared.schema.problems import Refused
from shared.schema.text import UNSAFE, check_alias, check_characters, check_header_text, check_line

UNSAFE_CODES = {code for first, last, _ in UNSAFE for code in range(first, last + 1)}

WELCOME = {
    "German": "Grüße aus Köln",
    "Chinese with U+4E0A and U+4E0D, whose low bytes are LF and CR": "上海不下雨",
    "Chinese with U+560A and U+560D, the classic of cut-off bytes": "嘊嘍",
    "Chinese with full-width punctuation and an ideographic space": "您好！(订单)\u3000已发货",  # noqa: RUF001  # as Chinese is written
    "Japanese in half-width katakana, which NFKC changes": "ｶﾀｶﾅ",
    "Persian with a zero-width non-joiner": "می\u200cخواهم",  # noqa: RUF001  # as Persian is written
    "Arabic with a letter mark": "سلام\u061c 5",
    "Hebrew with direction marks": "שלום \u200e(abc)\u200f",
    "Hindi with a joiner": "क्\u200dष",
    "a family emoji with joiners": "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "the flag of Wales, made of tag characters": (
        "\U0001f3f4\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f"
    ),
    "an emoji with a variation selector": "❤\ufe0f",
    "a soft hyphen and a no-break space": "Donau\u00addampf\u00a0schiff",
    "punctuation that only resembles an encoded word": "=?what?= is =?utf-8?x?y?= and a?=b",
}


@pytest.mark.parametrize("text", WELCOME.values(), ids=WELCOME.keys())
def test_ordinary_text_of_any_script_is_welcome(text: str) -> None:
    """Text that people write passes unchanged."""
    assert check_header_text(text) == text
    assert check_line(text) == text


def test_every_control_newline_separator_and_surrogate_is_unsafe() -> None:
    """Unicode's own categories, all of them, are in the table."""
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code)) in {"Cc", "Zl", "Zp", "Cs"}:
            assert code in UNSAFE_CODES, f"U+{code:04X}"


DANGEROUS = (
    *(0x00, 0x07, 0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x1B, 0x1C, 0x1F, 0x7F, 0x85, 0x9F),
    *(0x2028, 0x2029, 0xD800, 0xDFFF),
    *(0x202A, 0x202B, 0x202C, 0x202D, 0x202E, 0x2066, 0x2067, 0x2068, 0x2069),
    *(0x206A, 0x206F, 0xFEFF, 0xFFF9, 0xFFFA, 0xFFFB, 0xE0001),
)


@pytest.mark.parametrize("code", DANGEROUS)
def test_the_table_names_what_is_dangerous(code: int) -> None:
    """Line breaks of every kind, and the format characters that reorder or hide text."""
    assert code in UNSAFE_CODES


@pytest.mark.parametrize("code", sorted(UNSAFE_CODES - set(range(0xD801, 0xDFFF))))
def test_an_unsafe_character_is_refused_and_named(code: int) -> None:
    """The message names the code point and does not repeat the character."""
    with pytest.raises(Refused) as caught:
        check_header_text(f"before{chr(code)}after")
    (problem,) = caught.value.problems
    assert (problem.type, problem.given) == ("unsafe-character", f"U+{code:04X}")
    assert problem.detail.isprintable()


def test_nothing_normalises_to_an_unsafe_character_unseen() -> None:
    """A character that NFKC turns into an unsafe one is refused, whichever there are."""
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        if unicodedata.category(character) in {"Cn", "Co"}:
            continue
        if any(ord(c) in UNSAFE_CODES for c in unicodedata.normalize("NFKC", character)):
            with pytest.raises(Refused):
                check_characters(character)


ENCODED_WORDS = {
    "base64 of a line break": "=?utf-8?b?DQo=?=",
    "quoted-printable of a harmless word": "=?us-ascii?q?hello?=",
    "upper case": "=?UTF-8?B?aGk=?=",
    "with a language (RFC 2231)": "=?utf-8*en?Q?hi?=",
    "in the middle of a text": "Invoice =?utf-8?q?=0D=0ABcc:_x?= enclosed",
    "with spaces, as lenient readers take it": "=?utf-8?q?a b?=",
    "without charset, as lenient readers take it": "=??q?a?=",
    "of no known charset": "=?x-none?b?####?=",
    "in full-width characters, which NFKC makes plain": "＝？utf-8？q？hi？＝",  # noqa: RUF001  # the disguise under test
    "with one full-width character": "=？utf-8?q?hi?=",  # noqa: RUF001  # likewise
    "two in a row": "=?utf-8?q?a?= =?utf-8?q?b?=",
}


@pytest.mark.parametrize("text", ENCODED_WORDS.values(), ids=ENCODED_WORDS.keys())
def test_an_encoded_word_is_refused_whatever_it_says(text: str) -> None:
    """Encoding is the mail system's task; a text that comes encoded hides something."""
    with pytest.raises(Refused, match="write the text itself") as caught:
        check_header_text(text)
    assert caught.value.problems[0].type == "encoded-word"


@pytest.mark.parametrize("text", ["", " ", "\u3000\u00a0"])
def test_a_line_of_spaces_is_empty(text: str) -> None:
    """Spaces of any kind are no text."""
    with pytest.raises(Refused) as caught:
        check_line(text)
    assert caught.value.problems[0].type == "empty"


@pytest.mark.parametrize("text", ['a" <x@y.zz>', "a\\", "<a", "a>", '"'])
def test_an_alias_cannot_leave_its_quotes(text: str) -> None:
    """DirectMail writes the alias between quotes before the address."""
    with pytest.raises(Refused) as caught:
        check_alias(text)
    assert caught.value.problems[0].type == "alias"


@pytest.mark.parametrize("text", ["O'Hara & Co.", "商店 (上海)", "a, b; c@d"])
def test_an_alias_may_hold_other_punctuation(text: str) -> None:
    """Between quotes, commas and the like mean nothing."""
    assert check_alias(text) == text
