"""DirectMail through its official SDK: one call out, one answer in the field's words.

The parameters: https://www.alibabacloud.com/help/en/direct-mail/api-dm-2015-11-23-singlesendmail
Importing this module imports the SDK, so only functions that send do.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from shared.cloud.directmail_adapter import share_context
from shared.cloud.directmail_answers import accepted, answer_of
from shared.cloud.directmail_parameters import advance_request, form_fields
from shared.cloud.directmail_sdk import (
    CONNECTIONS,
    Client,
    Config,
    DaraCore,
    OpenApiRequest,
    Params,
    RuntimeOptions,
    requests,
)
from shared.cloud.form import form_of
from shared.cloud.idle import IdleGuard
from shared.cloud.tls import connect_ahead
from shared.sending.answers import Answer, Broken
from shared.sending.compose import OutgoingMail
from shared.triggers.context import Credentials, Invocation
from shared.values import dataclass

CONNECT_MS = 3_000
READ_MS = 10_000
_FORM_HEADERS = {"content-type": "application/x-www-form-urlencoded"}
_SINGLE_SEND_MAIL = Params(
    action="SingleSendMail",
    version="2015-11-23",
    protocol="HTTPS",
    pathname="/",
    method="POST",
    auth_type="AK",
    style="RPC",
    req_body_type="byte",
    body_type="json",
)


@dataclass(frozen=True)
class Endpoint:
    """Where DirectMail answers.

    Attributes:
        region: e.g. `cn-hangzhou`; decides the host where `url` is empty.
        url: `https://host[:port]`, or empty.
        open_platform: the host that authorises uploads, or empty for the public one.
        ca_file: certificates to trust instead of the public ones; for the local twin.
    """

    region: str
    url: str = ""
    open_platform: str = ""
    ca_file: str = ""


class _Client(Client):  # type: ignore[misc]  # the SDK has no types
    """The SDK's client, which also remembers whether the send itself was begun.

    Of an attachment's upload that failed it is proven that no mail went out; of everything after
    this point it is not.
    """

    begun = False

    def single_send_mail_with_options(self, request: Any, runtime: Any) -> Any:
        """Called by the SDK once every attachment is uploaded."""
        self.begun = True
        return super().single_send_mail_with_options(request, runtime)

    def endpoint_parts(self) -> tuple[str, str]:
        """The scheme and the host (with its port) that it calls."""
        return str(self._protocol or "https").lower(), str(self._endpoint)

    def send_form(self, fields: dict[str, str | int], runtime: RuntimeOptions) -> Any:
        """Call SingleSendMail with these parameters, as the SDK's generic call.

        Body, headers and signature are those of `single_send_mail_with_options`, which copies a
        mail four times and quotes it byte by byte on its way to them.
        https://www.alibabacloud.com/help/en/sdk/developer-reference/generalized-call-python
        """
        self.begun = True
        request = OpenApiRequest(query={}, headers=dict(_FORM_HEADERS), body=form_of(fields))
        return self.call_api(_SINGLE_SEND_MAIL, request, runtime)


class DirectMail:
    """Sends mails. Safe for threads; connections live as long as the process.

    Args:
        endpoint: where to.
        clock: seconds, for the age of idle connections.
    """

    def __init__(self, endpoint: Endpoint, clock: Callable[[], float] = time.time) -> None:
        self._endpoint = endpoint
        self._guard = IdleGuard(_drop_connections, clock)
        self._first_call = threading.Lock()
        self._warm = threading.Event()
        self._kept: tuple[Credentials, _Client] | None = None
        _quieten_the_sdk()
        share_context()

    def warm(self, call: Invocation) -> None:
        """Have the session, the client and a connection ready before the first mail.

        Raises:
            Exception: whatever requests, urllib3 or the SDK raise; a later send finds its own way.
        """
        if call.credentials is None or not call.credentials.complete:
            return
        self._guard.touch()
        client = self._shared(call.credentials)
        scheme, host = client.endpoint_parts()
        # The key and the certificates are those that the SDK's own requests will ask for.
        session = DaraCore._get_session(  # noqa: SLF001  # the SDK has no other way to warm up
            session_key=f"{scheme}://{host}:80:pool={CONNECTIONS}",
            protocol=scheme,
            pool_size=CONNECTIONS,
        )
        url = f"{scheme}://{host}/"
        request = requests.Request("POST", url).prepare()
        pool = session.get_adapter(url).get_connection_with_tls_context(
            request, self._endpoint.ca_file or True
        )
        connect_ahead(pool)
        self._warm.set()

    def send(self, mail: OutgoingMail, call: Invocation, timeout: int) -> Answer:
        """Make the call, once; the SDK repeats nothing by itself.

        Args:
            mail: what to send.
            call: whose credentials.
            timeout: ms until the invocation needs its answer; bounds connecting and waiting for
                the answer together (with attachments, of each of the SDK's requests).
        """
        if call.credentials is None or not call.credentials.complete:
            return Broken("credentials", "the function has no role, or its role no credentials")
        self._guard.touch()
        if self._warm.is_set():
            return self._send(mail, call.credentials, timeout)
        # The SDK's cache of sessions has no lock: threads that start together would each open a
        # connection of their own, and lose all but one.
        with self._first_call:
            if not self._warm.is_set():
                answer = self._send(mail, call.credentials, timeout)
                self._warm.set()
                return answer
        return self._send(mail, call.credentials, timeout)

    def _send(self, mail: OutgoingMail, credentials: Credentials, timeout: int) -> Answer:
        client = self._fresh(credentials) if mail.attachments else self._shared(credentials)
        connect = max(1, min(CONNECT_MS, timeout // 3))
        runtime = RuntimeOptions(
            connect_timeout=connect,
            read_timeout=max(1, min(READ_MS, timeout - connect)),
            max_idle_conns=CONNECTIONS,
            ca=self._endpoint.ca_file or None,
        )
        try:
            if mail.attachments:
                response = client.single_send_mail_advance(advance_request(mail), runtime).to_map()
            else:
                response = client.send_form(form_fields(mail), runtime)
        except Exception as error:  # noqa: BLE001  # whatever the SDK raises ends as an answer, never as a lost mail
            return answer_of(error, begun=client.begun)
        return accepted(response.get("body"))

    def _shared(self, credentials: Credentials) -> _Client:
        """The client of all mails without attachments, for as long as the credentials last."""
        kept = self._kept
        if kept is None or kept[0] != credentials:
            self._kept = kept = credentials, self._fresh(credentials)
        return kept[1]

    def _fresh(self, credentials: Credentials) -> _Client:
        scheme, _, host = self._endpoint.url.rpartition("://")
        config = Config(
            access_key_id=credentials.access_key_id,
            access_key_secret=credentials.access_key_secret,
            security_token=credentials.security_token or None,
            region_id=self._endpoint.region,
            endpoint=host.rstrip("/") or None,
            protocol=scheme or "https",
        )
        client = _Client(config)
        if self._endpoint.open_platform:
            # `Config.open_platform_endpoint` exists and is ignored by SDK 1.11.1.
            client._open_platform_endpoint = self._endpoint.open_platform  # noqa: SLF001  # see above
        return client


def _drop_connections() -> None:
    """Close what the SDK keeps open; its sessions open new connections when they are used."""
    for session in list(getattr(DaraCore, "_sessions", {}).values()):
        session.close()


def _quieten_the_sdk() -> None:
    """The SDK's loggers print requests at DEBUG; a mail's content is not for logs."""
    for name in ("darabonba-core", "credentials", "alibabacloud-tea", "urllib3", "requests"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = False
        logger.setLevel(logging.CRITICAL)
