"""Signed pushes, other programs' mails, and unsubscribes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from shared.cloud.certificates import Certificates
from shared.cloud.https_fetch import HttpsFetch
from shared.concurrency import AtMost
from shared.delivery.forward import Forwarder
from shared.hooks.eventbridge_push import EventBridgePush
from shared.hooks.mails import HookMails
from shared.hooks.pushes import Pushes
from shared.hooks.routes import EVENTBRIDGE, SMQ, Webhooks
from shared.hooks.smq_push import SmqPush
from shared.hooks.unsubscribe import Unsubscribes
from shared.settings import Settings
from shared.wiring.delivery import make_forwarder
from shared.wiring.edge import Edge, now_ms
from shared.wiring.policy import make_links, make_policy, make_suppressions

# Takes a push and the time in ms; gives the body, if its signature is right.
Reader = Callable[[Any, int], bytes]


def make_webhooks(edge: Edge) -> Webhooks:
    """Answers what others push; nothing of it sends mails."""
    settings, queues = edge.settings, edge.queues
    forwarder, at_most = make_forwarder(edge), AtMost(settings.threads)
    pushes = {
        path: Pushes(path.rpartition("/")[2], read, forwarder, queues, at_most)
        for path, read in _readers(settings).items()
    }
    mails = HookMails(settings.hook_secrets, make_policy(settings), queues)
    return Webhooks(pushes, mails, _unsubscribes(edge, forwarder))


def _readers(settings: Settings) -> dict[str, Reader]:
    """Who may push, by path: a service whose proof the settings do not name may not."""
    certificates = Certificates(
        settings.directmail_region,
        settings.push_cert_hosts,
        HttpsFetch(settings.ca_file or None),
    )
    readers: dict[str, Reader] = {}
    if settings.push_account:
        path = urlsplit(settings.public_url).path + SMQ
        readers[SMQ] = SmqPush(certificates, path, settings.push_account).read
    if settings.push_token and settings.public_url:
        url = settings.public_url + EVENTBRIDGE
        readers[EVENTBRIDGE] = EventBridgePush(certificates, url, settings.push_token).read
    return readers


def _unsubscribes(edge: Edge, forwarder: Forwarder) -> Unsubscribes | None:
    """The pages behind the links, where there are links."""
    links = make_links(edge.settings)
    if links is None:
        return None
    return Unsubscribes(
        links,
        make_suppressions(edge),
        forwarder.joining,
        forwarder.outlet,
        forwarder.source,
        now_ms,
    )
