"""Mail addresses as DirectMail takes them: the bare address, in ASCII.

The alphabet is DirectMail's, which is narrower than RFC 5321's: letters, digits and `_ - + .`
before the @. Internationalised domains are accepted and become punycode; internationalised local
parts are not. An address that is refused here would be refused by DirectMail, or understood by it
as something else: SingleSendMail takes its recipients as one string with commas.

See https://help.aliyun.com/zh/direct-mail/error-codes
"""

from __future__ import annotations

import re

from shared.schema.limits import ADDRESS_MAX, LABEL_MAX, LOCAL_PART_MAX
from shared.schema.problems import refuse, shown

_LOCAL_PART = re.compile(r"[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_UPPER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def parse_address(text: str) -> str:
    """Check one address and return it as it is sent: the domain in lower case and punycode.

    The local part keeps its case: only the receiving host knows whether it matters.

    Raises:
        Refused: a ValueError that says what is wrong; `address` or `too-long`.
    """
    _check_length(text)
    local, at, domain = text.rpartition("@")
    if not at or "@" in local:
        raise _bad(text, 'must be one bare address with one "@", such as ada@example.com')
    if len(local) > LOCAL_PART_MAX:
        raise refuse(
            "too-long",
            f'has at most {LOCAL_PART_MAX} characters before the "@"',
            limit=LOCAL_PART_MAX,
            given=len(local),
        )
    if not _LOCAL_PART.fullmatch(local):
        raise _bad(
            text,
            'before the "@" may stand letters, digits and _ - + with single dots between them; '
            "no display name, quotes, comments, spaces or other characters",
        )
    address = f"{local}@{_ascii_domain(domain, text)}"
    _check_length(address)
    return address


def parse_domain(text: str) -> str:
    """Check one domain and return it in lower case and punycode.

    Raises:
        Refused: a ValueError that says what is wrong; `address` or `too-long`.
    """
    _check_length(text)
    domain = _ascii_domain(text, text)
    _check_length(domain)
    return domain


def mask(address: str) -> str:
    """An address as a log may show it: `ada@example.com` becomes `a***@example.com`."""
    local, at, domain = address.rpartition("@")
    return f"{local[:1]}***@{domain}" if at else "***"


def _ascii_domain(domain: str, text: str) -> str:
    # Only ASCII is folded. Unicode's lower case would turn the Kelvin sign into a plain k, and so
    # one domain into another; IDNA 2008 refuses such characters, and asks for lower case.
    domain = domain.translate(_UPPER)
    if not domain.isascii() or "xn--" in domain:
        domain = _punycode(domain, text)
    labels = domain.split(".")
    if len(labels) < 2:  # noqa: PLR2004  # "at least two" is the rule itself
        raise _bad(text, "the domain must have at least two labels, such as example.com")
    for label in labels:
        if len(label) > LABEL_MAX or not _LABEL.fullmatch(label):
            raise _bad(
                text,
                "the domain's labels have 1 to 63 letters, digits and hyphens, "
                "with no hyphen first or last",
            )
    if labels[-1].isdigit():
        raise _bad(text, "the domain must be a name, not a number")
    return domain


def _punycode(domain: str, text: str) -> str:
    # Loaded by the few who need it: its tables are large.
    import idna  # noqa: PLC0415  # see above

    try:
        return idna.encode(domain, strict=True).decode("ascii")
    except UnicodeError:  # IDNAError is one
        raise _bad(
            text,
            "the domain is not a valid internationalised name (IDNA 2008): "
            "write it in lower case and composed characters (NFC)",
        ) from None


def _check_length(text: str) -> None:
    if len(text) > ADDRESS_MAX:
        raise refuse(
            "too-long",
            f"has at most {ADDRESS_MAX} characters, its domain written in ASCII",
            limit=ADDRESS_MAX,
            given=len(text),
        )


def _bad(text: str, detail: str) -> Exception:
    return refuse("address", detail, given=shown(text))
