"""Parts of an address: which recipient, and which scope. Pure.

A recipient is named by the address; where addresses are not stored, or are not to stand in an
access log, by `hash:` and the keyed hash, as lists show it.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from shared.schema.addresses import parse_address, parse_domain
from shared.schema.problems import Refused
from shared.sending.scopes import ACCOUNT
from shared.sending.suppress import KEY_BYTES, SuppressionList, Who

HASH = "hash:"
_HASH = re.compile(f"[0-9a-f]{{{KEY_BYTES * 2}}}")


class BadPath(Exception):
    """A part of the address is not what it should be; the text says what that is."""


def who_in(part: str, suppressions: SuppressionList) -> Who:
    """The recipient that a part of a path, or a parameter, names.

    Raises:
        BadPath: it names none.
    """
    text = unquote(part)
    if text.startswith(HASH):
        key = text.removeprefix(HASH)
        if not _HASH.fullmatch(key):
            raise BadPath(f"after `{HASH}` stand {KEY_BYTES * 2} digits from 0 to f")
        return Who(key)
    try:
        return suppressions.who(parse_address(text))
    except Refused as refused:
        raise BadPath(f"the recipient {refused}") from None


def scope_in(part: str) -> str:
    """The scope that a part of a path names, in lower case.

    Raises:
        BadPath: it names none.
    """
    text = unquote(part)
    if text == ACCOUNT:
        return text
    try:
        if text.startswith("@"):
            return "@" + parse_domain(text[1:])
        return parse_address(text).lower()
    except Refused:
        raise BadPath(
            f"a scope is `{ACCOUNT}`, `@` and a sender's domain, or a sender's address"
        ) from None
