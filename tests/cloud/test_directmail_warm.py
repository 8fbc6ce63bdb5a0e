"""DirectMail's connection ahead of the first mail, and the one context behind all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from shared.cloud.directmail import DirectMail, Endpoint
from shared.cloud.directmail_adapter import SharedContextAdapter
from shared.cloud.directmail_sdk import DaraCore
from shared.cloud.tls import context_for
from shared.sending.answers import Accepted, Broken


def provider_at(port: int, ca_file: str) -> DirectMail:
    """The adapter, pointed at a port of this machine, over TLS."""
    return DirectMail(Endpoint("cn-hangzhou", f"https://127.0.0.1:{port}", "", ca_file))


def test_the_first_mail_takes_the_connection_that_was_opened_ahead(
    directmail_twin: Any, certificate: Any, outgoing: Callable[..., Any], call: Callable[..., Any]
) -> None:
    """Session, client and connection are there: the first mail opens nothing."""
    provider = provider_at(directmail_twin.tls_port, str(certificate.ca_file))
    DaraCore._sessions.clear()
    provider.warm(call())
    (session,) = DaraCore._sessions.values()
    pools = session.get_adapter("https://").poolmanager.pools
    (pool,) = (pools[key] for key in pools.keys())  # noqa: SIM118  # urllib3's own container
    assert (pool.num_connections, pool.num_requests) == (1, 0)
    assert isinstance(provider.send(outgoing(), call(), 10_000), Accepted)
    assert list(DaraCore._sessions.values()) == [session]
    assert (pool.num_connections, pool.num_requests) == (1, 1)


def test_the_sdks_sessions_share_the_context(
    directmail_twin: Any, certificate: Any, call: Callable[..., Any]
) -> None:
    """Certificates are read once in a process, and not by the SDK for each session again."""
    provider = provider_at(directmail_twin.tls_port, str(certificate.ca_file))
    before = context_for.cache_info().misses
    for _ in range(3):
        DaraCore._sessions.clear()
        provider.warm(call())
    (session,) = DaraCore._sessions.values()
    assert isinstance(session.get_adapter("https://"), SharedContextAdapter)
    assert context_for.cache_info().misses <= before + 1


@pytest.mark.parametrize("proof", ["stranger", "other_host"])
def test_after_a_warm_up_that_failed_a_stranger_still_gets_no_mail(
    *,
    script: Callable[..., Any],
    tls: Any,
    outgoing: Callable[..., Any],
    call: Callable[..., Any],
    proof: str,
) -> None:
    """Neither a connection nor a mail goes to who cannot prove that he is DirectMail."""
    server = script(b"", tls=getattr(tls, proof))
    provider = provider_at(server.port, tls.ca_file)
    with pytest.raises(OSError, match="certificate verify failed"):
        provider.warm(call())
    answer = provider.send(outgoing(), call(), 10_000)
    assert isinstance(answer, Broken)
    assert answer.kind == "connect"
    assert server.requests == []


def test_without_credentials_there_is_nothing_to_warm_up(call: Callable[..., Any]) -> None:
    """An initializer without a role's credentials opens no connection."""
    provider_at(9, "").warm(call(key=None))
    assert DaraCore._sessions == {}
