"""Text that may stand in a mail's header: a subject, an alias, a header's value, a file's name.

Whoever can put a line break into a header can add headers, recipients and bodies of his own. So
nothing passes that any program on the way could read as one, neither plainly, nor after Unicode's
compatibility normalisation (NFKC), nor dressed as an RFC 2047 encoded word.

What is *not* refused: joiners and direction marks (ZWJ, ZWNJ, LRM, RLM, ALM), which Persian,
Arabic, Hebrew and Indian scripts need, and the tag characters of emoji flags. Nor are characters
refused whose low byte is that of CR or LF. A program that cuts characters to eight bits would read
U+560A and U+560D as a line break; but so it would U+4E0A and U+4E0D, "up" and "not", which hardly
a Chinese subject does without. All of Postbus's way is UTF-8, and nothing on it cuts.
"""

from __future__ import annotations

import re
import unicodedata

from shared.schema.problems import refuse

# Refused code points, first to last, and what they are. The first four groups are all of the
# general categories Cc, Zl, Zp and Cs; the rest is chosen from Cf, and the table is the choice.
# https://www.unicode.org/reports/tr44/#General_Category_Values
UNSAFE: tuple[tuple[int, int, str], ...] = (
    (0x0000, 0x001F, "a control character"),  # TAB, LF, VT, FF, CR, ESC, the separators FS to US
    (0x007F, 0x009F, "a control character"),  # DEL, NEL, and the rest of the second control set
    (0x2028, 0x2029, "a line or paragraph separator"),
    (0xD800, 0xDFFF, "half a surrogate pair"),  # no text at all, and not encodable
    (0x202A, 0x202E, "an embedding or override of direction"),  # shows "gpj.exe" as "exe.jpg"
    (0x2066, 0x2069, "an isolate of direction"),  # likewise
    (0x206A, 0x206F, "a deprecated format control"),
    (0xFEFF, 0xFEFF, "a byte order mark"),
    (0xFFF9, 0xFFFB, "an interlinear annotation"),  # hides text from who does not know it
    (0xE0001, 0xE0001, "a deprecated language tag"),
)

_UNSAFE = re.compile("[" + "".join(f"{chr(a)}-{chr(b)}" for a, b, _ in UNSAFE) + "]")

# As lenient as the readers of mail are, which take any charset and spaces in the text.
# https://www.rfc-editor.org/rfc/rfc2047#section-2
_ENCODED_WORD = re.compile(r"=\?[^?]*\?[bq]\?.*?\?=", re.IGNORECASE | re.DOTALL)


def check_header_text(text: str) -> str:
    """Return the text unchanged if a header may carry it.

    Raises:
        Refused: `unsafe-character`, which names the code point, or `encoded-word`.
    """
    for form in _forms(text):
        _refuse_unsafe(form)
        if _ENCODED_WORD.search(form):
            raise refuse(
                "encoded-word",
                "looks like an encoded word (=?charset?b?...?=): write the text itself, "
                "it is encoded on the way",
            )
    return text


def check_characters(text: str) -> str:
    """Return the text unchanged if it holds no character of `UNSAFE`, nor normalises to one.

    Raises:
        Refused: `unsafe-character`, which names the code point.
    """
    for form in _forms(text):
        _refuse_unsafe(form)
    return text


def check_line(text: str) -> str:
    """Return the text unchanged if a header may carry it and it is more than spaces.

    Raises:
        Refused: `empty`, or as `check_header_text`.
    """
    check_header_text(text)
    if not text.strip():
        raise refuse("empty", "must hold more than spaces")
    return text


def check_alias(text: str) -> str:
    """Return a display name unchanged if it cannot end its own quotes.

    DirectMail writes `"alias" <address>`; whether it escapes is not documented, so that an alias
    with a quote or an angle bracket could name another sender.

    Raises:
        Refused: `alias`, or as `check_line`.
    """
    check_line(text)
    if found := re.search(r'["\\<>]', text):
        raise refuse("alias", 'may not hold any of " \\ < >', given=found[0])
    return text


def _forms(text: str) -> tuple[str, ...]:
    """The text and what NFKC makes of it, where that can differ."""
    return (text,) if text.isascii() else (text, unicodedata.normalize("NFKC", text))


def _refuse_unsafe(text: str) -> None:
    if found := _UNSAFE.search(text):
        code = ord(found[0])
        kind = next(kind for first, last, kind in UNSAFE if first <= code <= last)
        raise refuse(
            "unsafe-character",
            f"holds {kind} (U+{code:04X}), which may not stand in a header",
            given=f"U+{code:04X}",
        )
