"""Who may write to whom: the policy of mails, suppressions, and the links that unsubscribe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.errors import SettingsError
from shared.sending.compose import Policy
from shared.sending.suppress import SuppressionList
from shared.settings import Settings
from shared.wiring.edge import Edge

if TYPE_CHECKING:
    from shared.sending.unsubscribe import UnsubscribeLinks

# The environment of one machine, and what its suppressions are hashed with unless it is told.
LOCAL = "local"
LOCAL_KEY = "the key of one machine, and of no cloud"
# A link has to fit into a line of a mail, with two addresses of 192 characters sealed in it.
URL_MAX = 200


def make_policy(settings: Settings) -> Policy:
    """What a mail may be in this environment."""
    from shared.schema.mail_request import Sender  # noqa: PLC0415  # for functions with mails only

    sender = settings.default_sender
    return Policy(
        environment=settings.environment,
        default_sender=Sender(address=sender) if sender else None,
        allowed_senders=settings.allowed_senders,
        allowed_recipients=settings.allowed_recipients,
        redirect_to=settings.redirect_to or None,
        links=make_links(settings),
    )


def make_suppressions(edge: Edge) -> SuppressionList:
    """Whom not to write to, kept in the ledger's place."""
    settings = edge.settings
    return SuppressionList(
        edge.stores.suppressions, read_secret(settings), settings.store_addresses
    )


def make_links(settings: Settings) -> UnsubscribeLinks | None:
    """Unsubscribe links, where there is an address for them that mail programs post to.

    Raises:
        SettingsError: the address is too long, or there is no key to seal links with.
    """
    if len(settings.public_url) > URL_MAX:
        raise SettingsError(f"POSTBUS_PUBLIC_URL has at most {URL_MAX} characters")
    local = settings.environment == LOCAL
    if not settings.public_url.startswith("http" if local else "https:"):
        return None
    from shared.sending.unsubscribe import UnsubscribeLinks  # noqa: PLC0415  # where there are any

    return UnsubscribeLinks(settings.public_url, read_secret(settings), settings.environment)


def read_secret(settings: Settings) -> bytes:
    """The key of hashes and links.

    Raises:
        SettingsError: there is none, and this is not the environment of one machine.
    """
    if not settings.suppression_key and settings.environment != LOCAL:
        raise SettingsError(
            "POSTBUS_SUPPRESSION_KEY is missing: a secret of at least 32 characters, to be kept "
            "for as long as suppressions are"
        )
    return (settings.suppression_key or LOCAL_KEY).encode()
