"""The DirectMail SDK's connections, with one context for all of them.

The SDK makes each `requests` session's adapter in `DaraCore.get_adapter`: it reads the public
certificates twice for it, and `requests` a third time for each new connection. The adapter made
here hands urllib3 a context that is there already. What is checked is the same: `verify` decides.
"""

from __future__ import annotations

from typing import Any

from shared.cloud.directmail_sdk import CONNECTIONS, DaraCore, requests
from shared.cloud.tls import context_for


class SharedContextAdapter(requests.adapters.HTTPAdapter):  # type: ignore[misc]  # a deferred import has no types
    """Connects with the process's context for the certificates that `verify` names."""

    def __init__(self, **options: Any) -> None:
        self._pools: dict[tuple[str, Any], Any] = {}
        super().__init__(**options)

    def get_connection_with_tls_context(
        self, request: Any, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        """Called by requests for each request: the pool of a place is looked for once.

        urllib3 makes a key of 30 parts out of a request to find the pool that it belongs to.
        """
        if proxies or cert:
            return super().get_connection_with_tls_context(request, verify, proxies, cert)
        pools, place = self._pools, (request.url.partition("?")[0], verify)
        pool = pools.get(place)
        if pool is None:
            pool = pools[place] = super().get_connection_with_tls_context(request, verify)
        return pool

    def close(self) -> None:
        """Let go of every pool; the next request makes new ones."""
        super().close()
        # Last, and another dict: who looked for a pool before this remembers it in the old one.
        self._pools = {}

    def build_connection_pool_key_attributes(
        self, request: Any, verify: Any, cert: Any = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Called by requests, made to be overridden: which pool a request belongs to."""
        host, options = super().build_connection_pool_key_attributes(request, verify, cert)
        if verify and host.get("scheme") == "https":
            options.pop("ca_certs", None)
            options["ssl_context"] = context_for(None if verify is True else verify)
        return host, options

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Called by requests for each request: the pool has the certificates already."""
        if not verify or not url.lower().startswith("https"):
            super().cert_verify(conn, url, verify, cert)


def share_context() -> None:
    """From now on the SDK's new sessions connect through `SharedContextAdapter`."""
    DaraCore.get_adapter = staticmethod(_adapter)


def _adapter(
    prefix: str, tls_min_version: str | None = None, pool_size: int | None = None
) -> SharedContextAdapter:
    """Takes the place of `DaraCore.get_adapter`; TLS below 1.2 is not spoken in any case."""
    del prefix, tls_min_version
    return SharedContextAdapter(pool_maxsize=pool_size or CONNECTIONS)
