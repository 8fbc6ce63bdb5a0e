"""DirectMail through its official SDK: one call out, one answer in the field's words.

The parameters: https://www.alibabacloud.com/help/en/direct-mail/api-dm-2015-11-23-singlesendmail
Importing this module imports the SDK, so only functions that send do.
"""

from __future__ import annotations

import json
import logging
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import urllib3.exceptions

from shared.cloud.attachment_stream import AttachmentStream
from shared.cloud.directmail_adapter import share_context
from shared.cloud.directmail_sdk import (
    CONNECTIONS,
    Client,
    Config,
    DaraCore,
    OpenApiRequest,
    Params,
    RuntimeOptions,
    TeaException,
    models,
    requests,
)
from shared.cloud.form import form_of
from shared.cloud.idle import IdleGuard
from shared.cloud.tls import connect_ahead
from shared.sending.answers import Accepted, Answer, Broken, BrokenKind, Rejected
from shared.sending.compose import OutgoingMail
from shared.triggers.context import Credentials, Invocation

CONNECT_MS = 3_000
READ_MS = 10_000
SERVER_ERRORS = 500
# What the SDK makes of an error in JSON that has no `Code`: not DirectMail's, but somebody's
# before it.
NO_CODE = "None"
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

_ADDRESS_TYPES = {"random": 0, "sender": 1}


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
                response = client.single_send_mail_advance(_advance_request(mail), runtime).to_map()
            else:
                response = client.send_form(_form_fields(mail), runtime)
        except Exception as error:  # noqa: BLE001  # whatever the SDK raises ends as an answer, never as a lost mail
            return _answer_of(error, begun=client.begun)
        return _accepted(response.get("body"))

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


def _advance_request(mail: OutgoingMail) -> models.SingleSendMailAdvanceRequest:
    """Every attachment as a stream: the SDK mis-assigns a mix of streams and addresses."""
    request = models.SingleSendMailAdvanceRequest().from_map(_parameters(mail))
    request.attachments = [
        models.SingleSendMailAdvanceRequestAttachments(
            attachment_name=attachment.name, attachment_url_object=AttachmentStream(attachment.data)
        )
        for attachment in mail.attachments
    ]
    return request


def _form_fields(mail: OutgoingMail) -> dict[str, str | int]:
    """The parameters as a form has them: a template is one field of JSON."""
    fields = {name: value for name, value in _parameters(mail).items() if value is not None}
    if "Template" in fields:
        fields["Template"] = DaraCore.to_json_string(fields["Template"])
    return fields


def _parameters(mail: OutgoingMail) -> dict[str, Any]:
    """The call's parameters. Flags go as `true` and `false`, as the page above spells them."""
    reply, template = mail.reply_address, mail.template
    return {
        "AccountName": mail.sender_address,
        "FromAlias": mail.sender.alias,
        "AddressType": _ADDRESS_TYPES[mail.address_type],
        "DomainAuth": "true" if mail.domain_auth else None,
        "IpPoolId": mail.ip_pool_id,
        "ToAddress": ",".join(mail.to),
        "BccAddress": ",".join(mail.bcc) or None,
        "Subject": mail.subject,
        "HtmlBody": mail.html,
        "TextBody": mail.text,
        "Template": template and {"TemplateData": dict(template.data), "TemplateId": template.id},
        "ReplyToAddress": "true" if mail.reply_to_console else "false",
        "ReplyAddress": reply and reply.address,
        "ReplyAddressAlias": reply and reply.alias,
        "TagName": mail.tag,
        "ClickTrace": "1" if mail.track_clicks else None,
        "UnSubscribeLinkType": mail.unsubscribe_link,
        "UnSubscribeFilterLevel": mail.unsubscribe_filter,
        "Headers": json.dumps(dict(mail.headers), ensure_ascii=False),
    }


def _accepted(body: Any) -> Answer:
    """What an answer of 200 says."""
    told = body if isinstance(body, dict) else {}
    envelope_id, request_id = told.get("EnvId"), told.get("RequestId")
    if not envelope_id or not isinstance(envelope_id, str | int):
        return Broken("unparsable", "an answer of 200 without an EnvId")
    return Accepted(str(envelope_id), str(request_id) if request_id else None)


def _answer_of(error: BaseException, *, begun: bool) -> Answer:
    """What an exception of the SDK says about the mail."""
    code = getattr(error, "code", None)
    if isinstance(error, TeaException) and code and code != NO_CODE:
        status = getattr(error, "status_code", None) or getattr(error, "statusCode", None)
        if not begun and (status is None or status >= SERVER_ERRORS):
            return Broken("upload", str(code))
        retry_after = getattr(error, "retry_after", None)
        return Rejected(
            code=str(code),
            status=status if isinstance(status, int) else None,
            message=str(getattr(error, "message", "")),
            request_id=getattr(error, "request_id", None),
            retry_after_ms=retry_after if isinstance(retry_after, int) else None,
        )
    kind = "unparsable" if code == NO_CODE else _kind_of(error)
    if not begun and kind != "connect":
        kind = "upload"
    return Broken(kind, type(error).__name__)


# What was really raised lies somewhere in the SDK's wrapping; the first row that occurs in the
# chain decides. Only what happens before a request can have gone out counts as `connect`.
_KINDS: tuple[tuple[tuple[type[BaseException], ...], BrokenKind], ...] = (
    (
        (
            requests.exceptions.ConnectTimeout,
            urllib3.exceptions.NewConnectionError,
            urllib3.exceptions.ConnectTimeoutError,
            ssl.SSLCertVerificationError,
        ),
        "connect",
    ),
    ((requests.exceptions.ReadTimeout, urllib3.exceptions.ReadTimeoutError), "read-timeout"),
    (
        (requests.exceptions.ConnectionError, urllib3.exceptions.ProtocolError, ConnectionError),
        "reset",
    ),
    ((requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError), "reset"),
    # The SDK takes whatever JSON comes for an object.
    ((RuntimeError, ValueError, AttributeError), "unparsable"),
)


def _kind_of(error: BaseException) -> BrokenKind:
    chain = list(_chain(error))
    for types, kind in _KINDS:
        if any(isinstance(link, types) for link in chain):
            return kind
    return "other"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An exception and everything it wraps, by all the ways that the SDK and urllib3 use."""
    seen: set[int] = set()
    waiting: list[Any] = [error]
    while waiting:
        link = waiting.pop()
        if not isinstance(link, BaseException) or id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        waiting += [
            link.__cause__,
            link.__context__,
            getattr(link, "inner_exception", None),
            getattr(link, "reason", None),
            *link.args,
        ]


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
