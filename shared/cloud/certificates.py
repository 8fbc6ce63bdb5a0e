"""The certificates of who pushes to us: from the documented hosts only, over HTTPS, and kept.

Each push names the certificate that it was signed with, and anybody can send a push. So the address
is compared as a whole with the documented ones before anything is fetched: a host that only looks
like one would let its owner sign pushes, or have us call whatever it likes (the samples of SMQ's
SDKs do not look).

- SMQ: https://www.alibabacloud.com/help/en/mns/user-guide/debugging-tool-of-http-endpoints
- EventBridge: https://help.aliyun.com/en/eventbridge/user-guide/signature-algorithm
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Collection
from time import monotonic
from typing import Generic, Literal, TypeVar

from shared.cloud.rsa import RsaKey, read_certificate
from shared.errors import CertificateUnavailable, CertificateUntrusted

Sender = Literal["smq", "eventbridge"]
Value = TypeVar("Value")

# Everything that a certificate's address may be made of: no userinfo, query, fragment, escape or
# second folder fits in. A port fits, but no documented host has one.
_ADDRESS = re.compile(r"(https?)://([a-z0-9.-]{1,253}(?::[0-9]{1,5})?)/([A-Za-z0-9_-]{1,128}\.pem)")
_EVENTBRIDGE_FILE = re.compile(r"x509_public_certificate_[A-Za-z0-9_-]{1,100}\.pem")
# A bucket's name belongs to one customer in all regions, so `mns-cert` is SMQ's in each of these.
# https://www.alibabacloud.com/help/en/oss/user-guide/regions-and-endpoints
_OSS_REGIONS = (
    *("beijing", "chengdu", "fuzhou", "guangzhou", "hangzhou", "heyuan", "hongkong", "huhehaote"),
    *("nanjing", "qingdao", "shanghai", "shenzhen", "wuhan-lr", "wulanchabu", "zhangjiakou"),
)
_SMQ_HOSTS = frozenset(
    {"mnstest.oss-cn-hangzhou.aliyuncs.com"}
    | {f"mns-cert.oss-cn-{region}.aliyuncs.com" for region in _OSS_REGIONS}
)

KEPT_SECONDS = 3600.0
FAILED_SECONDS = 30.0
KEPT_MAX = 8
FAILED_MAX = 256


class Certificates:
    """Gives the key that a push names.

    Args:
        region: ours. EventBridge's bucket has the region in its name, and buckets of regions that
            do not exist are anybody's to take; so only our own region's counts.
        extra_hosts: further `host:port`, for the local twins.
        fetch: gets what is at an address; raises `CertificateUnavailable`.
        clock: seconds.
    """

    def __init__(
        self,
        region: str,
        extra_hosts: Collection[str],
        fetch: Callable[[str], bytes],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        extra = frozenset(extra_hosts)
        self._hosts: dict[str, frozenset[str]] = {
            "smq": _SMQ_HOSTS | extra,
            "eventbridge": frozenset({f"{region}-eventbridge.oss-accelerate.aliyuncs.com"}) | extra,
        }
        self._fetch = fetch
        self._kept: _Kept[RsaKey] = _Kept(KEPT_MAX, KEPT_SECONDS, clock)
        # Apart, so that a flood of addresses where nothing is does not drive out the real ones.
        self._failed: _Kept[str] = _Kept(FAILED_MAX, FAILED_SECONDS, clock)

    def key(self, sender: Sender, url: str) -> RsaKey:
        """The key of the certificate at an address.

        Args:
            sender: who says to have signed.
            url: the address that the push names.

        Raises:
            CertificateUntrusted: the sender has no certificates there; nothing was fetched.
            CertificateUnavailable: there is no usable certificate, now or shortly before.
        """
        address = self.trusted(sender, url)
        known = self._kept.get(address)
        if known is not None:
            return known
        failure = self._failed.get(address)
        if failure is not None:
            raise CertificateUnavailable(f"{failure} (a moment ago)")
        try:
            key = read_certificate(self._fetch(address))
        except CertificateUnavailable as error:
            self._failed.put(address, str(error))
            raise
        self._kept.put(address, key)
        return key

    def trusted(self, sender: Sender, url: str) -> str:
        """The address to fetch: as given, but over HTTPS, where SMQ's sample of 2016 says http.

        Raises:
            CertificateUntrusted: it is not one of the documented ones.
        """
        parts = _ADDRESS.fullmatch(url)
        if parts is None or parts[2] not in self._hosts[sender]:
            raise CertificateUntrusted("the certificate is not at a documented address")
        scheme, host, file = parts.groups()
        if sender == "eventbridge" and (scheme != "https" or not _EVENTBRIDGE_FILE.fullmatch(file)):
            raise CertificateUntrusted("the certificate is not at a documented address")
        return f"https://{host}/{file}"


class _Kept(Generic[Value]):
    """The latest values, each for a while; safe for threads."""

    def __init__(self, most: int, seconds: float, clock: Callable[[], float]) -> None:
        self._most, self._seconds, self._clock = most, seconds, clock
        self._values: dict[str, tuple[Value, float]] = {}
        self._lock = threading.Lock()

    def get(self, name: str) -> Value | None:
        with self._lock:
            value, until = self._values.get(name, (None, 0.0))
            return value if self._clock() < until else None

    def put(self, name: str, value: Value) -> None:
        with self._lock:
            self._values.pop(name, None)
            while len(self._values) >= self._most:
                del self._values[next(iter(self._values))]
            self._values[name] = (value, self._clock() + self._seconds)
