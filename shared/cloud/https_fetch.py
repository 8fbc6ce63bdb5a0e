"""Small files over HTTPS, from hosts that are trusted to have them and to nothing more."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

import urllib3

from shared.errors import CertificateUnavailable

# A certificate has about 2 KB. The sender of a push waits 5 s for everything together.
BYTES_MAX = 16 * 1024
FETCH_SECONDS = 1.5
_OK = 200


class HttpsFetch:
    """Gets small files over HTTPS, without following anywhere.

    Args:
        ca_file: certificates to trust instead of the system's.
        clock: seconds.
    """

    def __init__(self, ca_file: str | None = None, clock: Callable[[], float] = monotonic) -> None:
        options: dict[str, Any] = {"ca_certs": ca_file} if ca_file else {}
        self._pool = urllib3.PoolManager(retries=False, **options)
        self._clock = clock

    def __call__(self, url: str) -> bytes:
        """What is there: at most `BYTES_MAX`, begun and ended within `FETCH_SECONDS` or so.

        Raises:
            CertificateUnavailable: it could not be had.
        """
        end = self._clock() + FETCH_SECONDS
        try:
            answer = self._pool.request(
                "GET",
                url,
                headers={"Accept-Encoding": "identity", "Connection": "close"},
                redirect=False,
                preload_content=False,
                timeout=urllib3.Timeout(FETCH_SECONDS),
            )
            try:
                return self._read(answer, end)
            finally:
                answer.close()
        except urllib3.exceptions.HTTPError as error:
            raise CertificateUnavailable(f"it did not come: {type(error).__name__}") from None

    def _read(self, answer: urllib3.BaseHTTPResponse, end: float) -> bytes:
        if answer.status != _OK:
            raise CertificateUnavailable(f"its host answered {answer.status}")
        data = bytearray()
        # Piece by piece: a host that sends a byte a second never reaches any time-out of a read.
        while piece := answer.read1(BYTES_MAX + 1 - len(data), decode_content=False):
            data += piece
            if len(data) > BYTES_MAX:
                raise CertificateUnavailable(f"it has more than {BYTES_MAX} bytes")
            if self._clock() > end:
                raise CertificateUnavailable("it came too slowly")
        return bytes(data)
