"""Mail addresses as DirectMail accepts them, and who is sending.

https://www.alibabacloud.com/help/en/direct-mail/api-dm-2015-11-23-errorcodes
"""

from __future__ import annotations

import re

from local.twins.directmail.errors import ApiError
from local.twins.directmail.rules import DirectMailRules
from local.twins.directmail.wire import Parameters

MAX_ADDRESS_CHARACTERS = 192
MAX_RECIPIENTS = 100
MAX_BCC = 2

# "only numbers, letters, underscores, minus sign, plus sign, and period" around one @; a plus has
# no place in a domain.
_ADDRESS = re.compile(r"[A-Za-z0-9_.+-]+@[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")

# With DomainAuth and a bare domain the recipient sees this sender.
DOMAIN_SENDER = "domain-auth-created-by-system"


def is_address(text: str) -> bool:
    """Whether the text has the form of one address."""
    return _ADDRESS.fullmatch(text) is not None


def recipients(text: str) -> tuple[str, ...]:
    """The addresses of ToAddress, separated by commas.

    Raises:
        ApiError: too many, too long or malformed.
    """
    addresses = tuple(text.split(","))
    if len(addresses) > MAX_RECIPIENTS:
        raise ApiError("InvalidToAddress", f"At most {MAX_RECIPIENTS}, got {len(addresses)}.")
    for address in addresses:
        _check(address, "InvalidToAddress")
    return addresses


def copies(text: str | None) -> tuple[str, ...]:
    """The addresses of BccAddress.

    Raises:
        ApiError: too many, too long or malformed.
    """
    addresses = tuple(text.split(",")) if text else ()
    if len(addresses) > MAX_BCC:
        raise ApiError(
            "InvalidParameter", f"BccAddress takes at most {MAX_BCC}, got {len(addresses)}."
        )
    for address in addresses:
        _check(address, "InvalidToAddress")
    return addresses


def reply_address(text: str | None) -> str | None:
    """The address of ReplyAddress.

    Raises:
        ApiError: too long or malformed.
    """
    if text is not None:
        _check(text, "InvalidReplyAddress.Malformed")
    return text


def sender(parameters: Parameters, rules: DirectMailRules, *, domain_auth: bool) -> str:
    """The address that the recipients see.

    Without DomainAuth, AccountName is a sender address of the console. With it, one page calls it
    the domain and another an address of the domain; both work here.

    Raises:
        ApiError: the console does not know that sender or domain.
    """
    name = parameters.required("AccountName")
    if not domain_auth:
        if not rules.knows_sender(name) or not is_address(name):
            raise ApiError("InvalidMailAddress.NotFound")
        return name
    local_part, at, domain = name.rpartition("@")
    address = name if at else f"{DOMAIN_SENDER}@{name}"
    if not rules.knows_domain(domain):
        raise ApiError("InvalidMailAddressDomain.Malformed")
    if not is_address(address) or (at and not local_part):
        raise ApiError("InvalidMailAddress.NotFound")
    return address


def _check(address: str, code: str) -> None:
    if len(address) > MAX_ADDRESS_CHARACTERS:
        raise ApiError("EmailLengthError")
    if not is_address(address):
        raise ApiError(code)
