"""SMQ queues and topics, through the official SDK with a transport that can be trusted.

The SDK (aliyun-mns-sdk 1.3.0) signs requests and reads XML; its transport is replaced at
`MNSClient.http`, because the original has no HTTPS time-out, fails on the first request after an
idle period and must not be shared by threads. A pooled one has none of this.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import urllib3
from mns.message_property import (
    MessagePropertyValue,
    MessageSystemPropertyValue,
    SystemPropertyName,
    SystemPropertyType,
)
from mns.mns_client import MNSClient
from mns.mns_exception import MNSServerException
from mns.mns_http import RequestInternal, ResponseInternal
from mns.mns_request import (
    GetQueueAttributesRequest,
    GetQueueAttributesResponse,
    PeekMessageRequest,
    PeekMessageResponse,
    PublishMessageRequest,
    PublishMessageResponse,
    SendMessageRequest,
    SendMessageResponse,
)

from shared.cloud.idle import IdleGuard
from shared.cloud.tls import connect_ahead, pool_options
from shared.errors import QueueUnavailable
from shared.triggers.context import Credentials, Invocation

CONNECT_SECONDS = 2.0
READ_SECONDS = 5.0
CONNECTIONS = 32
# Of a call that others should not have to wait for.
BRIEF_SECONDS = 2.0
# https://www.alibabacloud.com/help/en/mns/product-overview/limits
DELAY_MAX_SECONDS = 604_800
TAG_MAX = 16
# W3C Trace Context, which SMQ carries as properties of the system's.
TRACE = (SystemPropertyName.TRACEPARENT, SystemPropertyName.TRACESTATE)


class PooledTransport:
    """Sends the SDK's requests over a pool of connections; safe for threads.

    Args:
        endpoint: `https://…` or `http://…`.
        ca_file: certificates to trust instead of the system's.
        clock: seconds, for the age of idle connections.
    """

    def __init__(
        self, endpoint: str, ca_file: str | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._pool = urllib3.PoolManager(
            maxsize=CONNECTIONS, block=False, retries=False, **pool_options(endpoint, ca_file)
        )
        self._endpoint = endpoint.rstrip("/")
        self._guard = IdleGuard(self._pool.clear, clock)
        self.invocation: Invocation | None = None
        self.manner = _Manner()

    def warm(self) -> None:
        """Open a connection ahead of the first request.

        Raises:
            urllib3.exceptions.HTTPError: nobody answers there.
            OSError: likewise.
        """
        self._guard.touch()
        connect_ahead(self._pool.connection_from_url(self._endpoint))

    def is_keep_alive(self) -> bool:
        """Part of what the SDK asks of a transport."""
        return True

    def send_request(self, request: RequestInternal) -> ResponseInternal:
        """Send one request and read its answer, within the invocation's remaining time."""
        self._guard.touch()
        # The SDK means UTF-8 where it hands over text.
        data = request.data.encode() if isinstance(request.data, str) else request.data
        answer = self._pool.request(
            request.method,
            self._endpoint + request.uri,
            body=data or None,
            headers=request.header,
            timeout=self._timeout(),
            redirect=False,
        )
        text = answer.data.decode("utf-8", "replace")  # a proxy's error page may be anything
        return ResponseInternal(answer.status, dict(answer.headers), text)

    def _timeout(self) -> urllib3.Timeout:
        left = self.invocation.remaining() / 1000 if self.invocation else READ_SECONDS
        longest = BRIEF_SECONDS if self.manner.brief else CONNECT_SECONDS + READ_SECONDS
        total = max(0.1, min(longest, left))
        return urllib3.Timeout(total, connect=CONNECT_SECONDS, read=READ_SECONDS)


class _Manner(threading.local):
    """How this thread's calls are made."""

    brief = False


class _CurrentCredentials:
    """The SDK's credentials provider: always this invocation's."""

    def __init__(self) -> None:
        self.current: Credentials | None = None

    def get_credentials(self) -> _CurrentCredentials:
        """Part of what the SDK asks of a provider."""
        return self

    def get_access_key_id(self) -> str:
        """Part of what the SDK asks of credentials."""
        return self.current.access_key_id if self.current else ""

    def get_access_key_secret(self) -> str:
        """Part of what the SDK asks of credentials."""
        return self.current.access_key_secret if self.current else ""

    def get_security_token(self) -> str:
        """Never None: the SDK would put that into a header and fail."""
        return self.current.security_token if self.current else ""


class Smq:
    """Sends to queues and publishes to topics.

    Args:
        endpoint: `https://<account id>.mns.<region>.aliyuncs.com`.
        ca_file: certificates to trust instead of the system's.
        clock: seconds, for the age of idle connections.
    """

    def __init__(
        self, endpoint: str, ca_file: str | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        address = urlsplit(endpoint)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise ValueError(f"not an endpoint: {endpoint!r}")
        self._credentials = _CurrentCredentials()
        # Of the address the SDK needs the host only; for `https` it would read certificates for a
        # connection that is never opened.
        self._client = MNSClient(f"http://{address.netloc}", credentials_provider=self._credentials)
        self._transport = PooledTransport(endpoint, ca_file, clock)
        self._client.http = self._transport

    def warm(self) -> None:
        """Open a connection ahead of the first request.

        Raises:
            urllib3.exceptions.HTTPError: nobody answers there.
            OSError: likewise.
        """
        self._transport.warm()

    def use(self, invocation: Invocation) -> None:
        """Take this invocation's credentials and remaining time for the calls that follow."""
        self._credentials.current = invocation.credentials
        self._transport.invocation = invocation

    def send(
        self,
        queue: str,
        body: str,
        *,
        delay_ms: int = 0,
        properties: Mapping[str, str] | None = None,
        brief: bool = False,
    ) -> str:
        """Put a message on a queue, its body in base64; returns the message id.

        Args:
            queue: its name.
            body: as its reader will have it.
            delay_ms: when it is due.
            properties: what it says beside its body.
            brief: give up soon.

        Raises:
            QueueUnavailable: SMQ refused it or did not answer.
        """
        delay = min(-(-delay_ms // 1000), DELAY_MAX_SECONDS)
        request = SendMessageRequest(queue, body, delay, -1, True)  # noqa: FBT003  # the SDK's "base64"
        request.user_properties = _user_properties(properties or {})
        request.system_properties = _system_properties(properties or {})
        response = SendMessageResponse()
        self._call(self._client.send_message, request, response, brief=brief)
        return str(response.message_id)

    def publish(
        self,
        topic: str,
        body: str,
        *,
        tag: str,
        properties: Mapping[str, str],
        brief: bool = False,
    ) -> str:
        """Publish a message to a topic, its body as it is; returns the message id.

        Args:
            topic: its name.
            body: as its subscribers will have it.
            tag: by which subscriptions filter; cut to the longest that SMQ takes.
            properties: what it says beside its body.
            brief: give up soon.

        Raises:
            QueueUnavailable: SMQ refused it or did not answer.
        """
        request = PublishMessageRequest(topic, body, tag[:TAG_MAX], None, None, "")
        request.user_properties = _user_properties(properties)
        request.system_properties = _system_properties(properties)
        response = PublishMessageResponse()
        self._call(self._client.publish_message, request, response, brief=brief)
        return str(response.message_id)

    def oldest(self, queue: str) -> int | None:
        """When the queue's oldest visible message was put there, in ms since 1970; None if empty.

        Raises:
            QueueUnavailable: SMQ refused it or did not answer.
        """
        # The body is not looked at, and not every producer sends base64.
        request, response = PeekMessageRequest(queue, False), PeekMessageResponse()  # noqa: FBT003  # the SDK's "base64"
        try:
            self._call(self._client.peek_message, request, response)
        except QueueUnavailable as error:
            if error.code == "MessageNotExist":
                return None
            raise
        return int(response.enqueue_time)

    def delayed(self, queue: str) -> int:
        """How many of the queue's messages are not due yet.

        Raises:
            QueueUnavailable: SMQ refused it or did not answer.
        """
        response = GetQueueAttributesResponse()
        self._call(self._client.get_queue_attributes, GetQueueAttributesRequest(queue), response)
        return int(response.delay_messages)

    def _call(self, operation: Any, request: Any, response: Any, *, brief: bool = False) -> None:
        self._transport.manner.brief = brief
        try:
            self._try(operation, request, response, brief=brief)
        finally:
            self._transport.manner.brief = False

    def _try(self, operation: Any, request: Any, response: Any, *, brief: bool) -> None:
        # Tried twice: a message put twice is harmless here (copies are dropped by their number,
        # events by their id), a lost one is not.
        for last in (False, True):
            try:
                operation(request, response)
            except MNSServerException as error:
                if last or error.type not in (
                    "InternalError",
                    "InternalServerError",
                    "QpsLimitExceeded",
                ):
                    raise QueueUnavailable(
                        f"SMQ refused: {error.type}: {error.message}",
                        code=error.type,
                        request_id=error.request_id,
                    ) from error
            except Exception as error:  # the network's, and whatever the SDK's XML reader raises
                # A connection that broke is worth another one at once, silence is not.
                if last or (brief and isinstance(error, urllib3.exceptions.TimeoutError)):
                    raise QueueUnavailable(f"SMQ did not answer: {error}") from error
            else:
                return


def _user_properties(properties: Mapping[str, str]) -> dict[str, Any]:
    return {name: MessagePropertyValue.create_string(value) for name, value in properties.items()}


def _system_properties(properties: Mapping[str, str]) -> dict[str, Any]:
    """Of the properties, those that SMQ knows itself: the trace.

    See `mns.message_property` of the SDK.
    """
    return {
        name: MessageSystemPropertyValue(SystemPropertyType.STRING, properties[name])
        for name in TRACE
        if name in properties
    }
