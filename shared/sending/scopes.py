"""The scopes that a suppression can hold in, as DirectMail's own filter levels have them."""

from __future__ import annotations

from functools import lru_cache

ACCOUNT = "account"
# DirectMail's UnSubscribeFilterLevel -> which of `scopes_of` it is.
# https://www.alibabacloud.com/help/en/direct-mail/api-dm-2015-11-23-singlesendmail
_LEVELS = {"edm_id": 0, "mailfrom_domain": 1, "mailfrom": -1}


@lru_cache(maxsize=1024)
def scopes_of(sender: str) -> tuple[str, ...]:
    """The scopes that a sender's mails are in: the account, the domain, and the address.

    Args:
        sender: an address; or a bare domain, which has no third scope.
    """
    sender = sender.lower()
    domain = "@" + sender.rpartition("@")[2]
    return (ACCOUNT, domain, sender) if "@" in sender else (ACCOUNT, domain)


def unsubscribe_scope(sender: str, filter_level: str | None) -> str:
    """The scope of an unsubscription: the sender's address, unless the mail says otherwise."""
    return scopes_of(sender)[_LEVELS.get(filter_level or "", -1)]


def kind_of(scope: str) -> str:
    """A scope as a log may show it: `account`, `domain` or `sender`."""
    if scope == ACCOUNT:
        return scope
    return "domain" if scope.startswith("@") else "sender"
