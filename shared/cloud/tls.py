"""Encrypted connections: one context for all of them, and one connection ahead of its first use.

Reading the public certificates takes longer than sending a mail. urllib3 does it for each new
connection, the SDKs twice more; here a process does it once for each set of certificates.
https://urllib3.readthedocs.io/en/stable/advanced-usage.html#ssl-contexts
"""

from __future__ import annotations

import ssl
from functools import cache
from pathlib import Path
from typing import Any

import certifi
from urllib3 import HTTPConnectionPool
from urllib3.util.wait import wait_for_read

# How long a connection that nobody waits for may take; each request brings its own time-out.
AHEAD_SECONDS = 2.0
# Tickets follow the handshake by one round trip.
TICKETS_SECONDS = 0.05
NEXT_TICKET_SECONDS = 0.005


# The public certificates one by one, in a package of `deploy/package/certificates.py`'s making.
SEPARATE = Path(__file__).parents[2] / "certificates"


@cache
def context_for(ca_file: str | None) -> ssl.SSLContext:
    """A context that checks certificates and host names.

    Args:
        ca_file: certificates to trust instead of the public ones.
    """
    if ca_file:
        return ssl.create_default_context(cafile=ca_file)
    if SEPARATE.is_dir():  # OpenSSL reads the one that it needs when it needs it
        return ssl.create_default_context(capath=str(SEPARATE))
    return ssl.create_default_context(cafile=certifi.where())


def pool_options(url: str, ca_file: str | None) -> dict[str, Any]:
    """What a pool of urllib3 needs to know about certificates; nothing where nothing is encrypted.

    Args:
        url: where the pool connects to.
        ca_file: certificates to trust instead of the public ones.
    """
    return {"ssl_context": context_for(ca_file)} if url.startswith("https://") else {}


def connect_ahead(pool: HTTPConnectionPool) -> None:
    """Open a connection, handshake and all, and leave it in the pool for the first request.

    urllib3 has no public way to connect without a request, and a request would have to mean
    something to the service.

    Raises:
        urllib3.exceptions.HTTPError: nobody answers there.
        OSError: likewise; `ssl.SSLCertVerificationError`: its certificate is not to be trusted.
    """
    connection = pool._get_conn()  # noqa: SLF001  # see above
    connection.timeout = AHEAD_SECONDS
    try:
        pool._validate_conn(connection)  # noqa: SLF001  # likewise
        if connection.is_closed:  # where nothing is encrypted
            connection.connect()
        _read_tickets(getattr(connection, "sock", None))
    except BaseException:
        connection.close()
        raise
    finally:
        pool._put_conn(connection)  # noqa: SLF001  # likewise


def _read_tickets(sock: Any) -> None:
    """Take in what a TLS 1.3 server sends after the handshake: tickets for later sessions.

    urllib3 takes an idle connection that has something to read for one that was closed, and
    would connect anew for the first request.
    """
    if not isinstance(sock, ssl.SSLSocket) or sock.version() != "TLSv1.3":
        return
    wait = TICKETS_SECONDS
    while wait_for_read(sock, wait):
        sock.settimeout(0)
        wait = NEXT_TICKET_SECONDS
        try:
            if not sock.recv(1):
                raise ConnectionAbortedError("closed after the handshake")
        except ssl.SSLWantReadError:  # the tickets are taken in, and nothing else is there
            continue
