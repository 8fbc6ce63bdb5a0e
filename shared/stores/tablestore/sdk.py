"""The official Tablestore SDK, made quiet, quick to give up, and safe to ask twice.

What the SDK does by itself (6.4.8): prints a line at import, waits 50 s for a socket, tries twenty
times, and writes requests and answers to its log. Here it is imported in silence, its transport is
replaced at `OTSClient.connection`, and a request is tried twice at most.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import urllib3
from urllib3.exceptions import ClosedPoolError, ConnectTimeoutError, NewConnectionError

from shared.cloud.idle import IdleGuard
from shared.cloud.tls import pool_options
from shared.errors import LedgerUnavailable
from shared.sdk_loading import load
from shared.triggers.context import Credentials, Invocation

CONNECT_SECONDS = 1.0
READ_SECONDS = 2.0
CONNECTIONS = 32
TRIES = 2
PAUSE_SECONDS = 0.05
LOGGER = "tablestore.postbus"
# Of the SDK, what reading and writing single rows never uses and waits for its first use: the
# asynchronous client, the vectors of flatbuffers, texts of messages for its log, crc32c's command.
WAITING = frozenset(
    {
        "aiohttp",
        "asyncio",
        "crc32c._cli",
        "google.protobuf.text_format",
        "numpy",
    }
)
SILENCE = logging.CRITICAL + 1

CONFLICT = "OTSConditionCheckFail"
# The service did nothing: it was busy, or the row or its partition was.
# https://www.alibabacloud.com/help/en/tablestore/developer-reference/error-codes
NOT_DONE = frozenset(
    {
        "OTSNotEnoughCapacityUnit",
        "OTSOperationConflict",
        "OTSOperationThrottled",
        "OTSPartitionUnavailable",
        "OTSRowOperationConflict",
        "OTSServerBusy",
        "OTSTableNotReady",
    }
)

Answer = TypeVar("Answer")


class AnswerLost(LedgerUnavailable):
    """A write went out and nobody knows whether it was done; reading the row tells."""


class Conflict(Exception):
    """A condition did not hold; nothing was written. It never leaves the stores."""


def _load() -> Any:
    """Import the SDK without what waits, and with nothing on standard output or in the log.

    Its loggers are children of `tablestore`. They would write messages of the service, which
    can quote a row, so they stay silent.
    """
    # The SDK asks the second for its own level, to spare itself the writing out of requests.
    for name in ("tablestore", LOGGER):
        logging.getLogger(name).setLevel(SILENCE)
    # Silent even where somebody turns the level of every logger up: nobody takes what they say.
    logging.getLogger("tablestore").propagate = False
    logging.getLogger("tablestore").addHandler(logging.NullHandler())
    with contextlib.redirect_stdout(io.StringIO()):
        return load("tablestore", without=WAITING)


ots: Any = _load()


class _CurrentCredentials:
    """The SDK's credentials provider: always this invocation's, so that connections stay."""

    def __init__(self) -> None:
        self._given: Credentials | None = None
        self._made: Any = None

    def set(self, credentials: Credentials | None) -> None:
        if credentials != self._given:
            self._given, self._made = credentials, None

    def get_credentials(self) -> Any:
        """Part of what the SDK asks of a provider."""
        made, given = self._made, self._given
        if made is None:
            if given is None or not given.complete:
                raise LedgerUnavailable("Tablestore: this invocation has no credentials")
            module = importlib.import_module("tablestore.credentials")
            made = module.Credentials(
                given.access_key_id, given.access_key_secret, given.security_token or None
            )
            self._made = made
        return made


class _Transport:
    """Stands in for the SDK's connection pool: short time-outs, no repeats of its own.

    Args:
        endpoint: `https://…` or `http://…`.
        ca_file: certificates to trust instead of the system's.
    """

    def __init__(self, endpoint: str, ca_file: str | None) -> None:
        self.pool = urllib3.PoolManager(
            maxsize=CONNECTIONS, block=False, retries=False, **pool_options(endpoint, ca_file)
        )
        self._endpoint = endpoint.rstrip("/")
        self._guard = IdleGuard(self.pool.clear)
        self.invocation: Invocation | None = None

    def send_receive(
        self, url: str, request_headers: Mapping[str, str], request_body: bytes
    ) -> tuple[int, str | None, dict[str, str], bytes]:
        """Part of what the SDK asks of its connection: one request, one answer."""
        self._guard.touch()
        answer = self.pool.request(
            "POST",
            self._endpoint + url,
            body=request_body,
            headers=request_headers,
            timeout=self._timeout(),
            redirect=False,
        )
        return answer.status, answer.reason, dict(answer.headers), answer.data

    def _timeout(self) -> urllib3.Timeout:
        whole = CONNECT_SECONDS + READ_SECONDS
        left = self.invocation.remaining() / 1000 if self.invocation else whole
        total = max(0.1, min(whole, left))
        return urllib3.Timeout(total, connect=CONNECT_SECONDS, read=READ_SECONDS)


class Client:
    """The SDK's client, every failure of which is one of the house's.

    Args:
        endpoint: `https://<instance>.<region>.ots.aliyuncs.com`.
        instance: the instance's name.
        ca_file: certificates to trust instead of the system's.
    """

    def __init__(self, endpoint: str, instance: str, ca_file: str | None) -> None:
        self._credentials = _CurrentCredentials()
        self._transport = _Transport(endpoint, ca_file)
        self._client = ots.OTSClient(
            endpoint,
            instance_name=instance,
            credentials_provider=self._credentials,
            logger_name=LOGGER,
            # The native coder is for one Python version only; so every runtime has the same one.
            enable_native=False,
            retry_policy=importlib.import_module("tablestore.retry").NoRetryPolicy(),
        )
        self._client.connection = self._transport

    def use(self, invocation: Invocation) -> None:
        """Take this invocation's credentials and remaining time for the calls that follow."""
        self._credentials.set(invocation.credentials)
        self._transport.invocation = invocation

    def read(self, ask: Callable[[Any], Answer]) -> Answer:
        """Ask for something, twice at most.

        Args:
            ask: takes the SDK's client and makes the call.

        Raises:
            LedgerUnavailable: there was no answer.
        """
        for left in range(TRIES - 1, -1, -1):
            try:
                return ask(self._client)
            except Exception as error:  # noqa: BLE001  # whatever the SDK, urllib3 or protobuf raise: there is no answer
                failure, again = _failure(error, writing=False)
                if not left or not again:
                    raise failure from _cause(error)
            time.sleep(PAUSE_SECONDS)
        raise AssertionError  # pragma: no cover  # the last try returns or raises

    def write(self, change: Callable[[Any], object]) -> bool:
        """Write on a condition; again only where the first try certainly did nothing.

        Args:
            change: takes the SDK's client and makes the call.

        Returns:
            Whether it was done; False where the condition did not hold.

        Raises:
            AnswerLost: it may have been done.
            LedgerUnavailable: it was not done.
        """
        for left in range(TRIES - 1, -1, -1):
            try:
                change(self._client)
            except Exception as error:  # noqa: BLE001  # as in `read`
                failure, again = _failure(error, writing=True)
                if isinstance(failure, Conflict):
                    if left == TRIES - 1:
                        return False
                    # The condition may fail because the first try was done after all.
                    raise AnswerLost("Tablestore: a repeated write met its condition") from None
                if not left or not again:
                    raise failure from _cause(error)
            else:
                return True
            time.sleep(PAUSE_SECONDS)
        raise AssertionError  # pragma: no cover  # the last try returns or raises

    def close(self) -> None:
        """Close idle connections; a later call opens new ones."""
        self._transport.pool.clear()


def _failure(error: Exception, *, writing: bool) -> tuple[Exception, bool]:
    """What a failure means, and whether the same request may be sent again."""
    if isinstance(error, LedgerUnavailable):
        return error, False
    if isinstance(error, ots.OTSServiceError):
        return _refused(error, writing=writing)
    # Not one byte went out; a pool is closed when somebody else lets go of idle connections.
    if isinstance(error, (ClosedPoolError, ConnectTimeoutError, NewConnectionError)):
        return LedgerUnavailable(f"Tablestore cannot be reached: {type(error).__name__}"), True
    told = f"Tablestore did not answer: {type(error).__name__}"
    return (AnswerLost(told), False) if writing else (LedgerUnavailable(told), True)


def _refused(error: Any, *, writing: bool) -> tuple[Exception, bool]:
    if error.code == CONFLICT:
        return Conflict(), False
    # The service's own sentence can quote a value of the row: the code and the id must do.
    told = f"Tablestore answered {error.code} ({error.http_status}), request {error.request_id}"
    if error.code in NOT_DONE:
        return LedgerUnavailable(told), True
    server = error.http_status >= 500  # noqa: PLR2004  # HTTP's own border
    if writing and server:
        return AnswerLost(told), False
    return LedgerUnavailable(told), server


def _cause(error: Exception) -> Exception | None:
    return error if isinstance(error, urllib3.exceptions.HTTPError) else None
