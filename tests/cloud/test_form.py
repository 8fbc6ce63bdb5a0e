"""Forms: what comes out is what the SDK itself would have sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from alibabacloud_dm20151123 import models
from alibabacloud_tea_openapi.utils import Utils
from darabonba.core import DaraCore
from darabonba.request import DaraRequest
from darabonba.response import DaraResponse
from darabonba.runtime import RuntimeOptions
from hypothesis import given
from hypothesis import strategies as st
from requests import Request

from shared.cloud.directmail import DirectMail, Endpoint
from shared.cloud.directmail_adapter import SharedContextAdapter
from shared.cloud.directmail_parameters import form_fields, parameters
from shared.cloud.form import form_of
from shared.schema.mail_request import ReplyAddress, Sender, Template
from shared.sending.answers import Accepted
from shared.sending.compose import OutgoingMail
from shared.triggers.context import Credentials, Invocation

TEXT = st.text(st.characters(exclude_categories=["Cs"])) | st.text("%+ &=~_.-<>2B\n")


@given(st.dictionaries(st.sampled_from(["HtmlBody", "A", "a b", "ä"]), TEXT | st.integers()))
def test_a_form_is_the_one_that_the_sdk_makes(fields: dict[str, str | int]) -> None:
    """For any text, number and order of names."""
    assert form_of(fields).decode() == Utils.to_form(fields)


MAILS: list[dict[str, Any]] = [
    {"html": "<p>1 +%é 世界</p>", "bcc": ("b@example.net",), "tag": "t", "track_clicks": True},
    {"text": None, "template": Template(id="7", data={"name": "é & +", "n": "1"})},
    {
        "sender": Sender(domain="auth.example", alias="A & B"),
        "domain_auth": True,
        "address_type": "random",
        "ip_pool_id": "pool",
        "reply_address": ReplyAddress(address="help@example.org", alias="Hilfe"),
        "unsubscribe_link": "disabled",
        "unsubscribe_filter": "edm_id",
    },
    {"reply_to_console": True},
]


@pytest.mark.parametrize("changes", MAILS)
def test_the_request_is_the_one_that_the_sdk_makes(
    changes: dict[str, Any], outgoing: Callable[..., OutgoingMail], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Body, headers and signature are those of the SDK's own method for this action."""
    sent: list[DaraRequest] = []

    def answer(request: DaraRequest, _runtime: Any = None) -> DaraResponse:
        sent.append(request)
        response = DaraResponse()
        response.status_code, response.headers, response.body = 200, {}, b"{}"
        return response

    monkeypatch.setattr(DaraCore, "do_action", staticmethod(answer))
    monkeypatch.setattr(Utils, "get_nonce", staticmethod(lambda: "nonce"))
    monkeypatch.setattr(Utils, "get_timestamp", staticmethod(lambda: "2026-01-01T00:00:00Z"))
    mail = outgoing(**changes)
    client = DirectMail(Endpoint("cn-hangzhou"))._shared(Credentials("id", "secret", "token"))
    client.send_form(form_fields(mail), RuntimeOptions())
    request = models.SingleSendMailRequest().from_map(parameters(mail))
    client.single_send_mail_with_options(request, RuntimeOptions())
    ours, theirs = sent
    assert ours.headers == theirs.headers
    assert _bytes(ours.body) == _bytes(theirs.body)
    assert (ours.query, ours.method) == (theirs.query, theirs.method)
    assert (ours.protocol, ours.pathname) == (theirs.protocol, theirs.pathname)


def test_a_mail_is_not_encoded_by_the_sdk(
    outgoing: Callable[..., OutgoingMail],
    call: Callable[..., Invocation],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What makes a call cheap is really used: the SDK's own encoding costs most of its time."""
    response = DaraResponse()
    response.status_code, response.headers, response.body = 200, {}, b'{"EnvId": "600"}'
    monkeypatch.setattr(DaraCore, "do_action", staticmethod(lambda *_: response))
    monkeypatch.setattr(Utils, "to_form", staticmethod(lambda _: pytest.fail("encoded twice")))
    assert DirectMail(Endpoint("cn-hangzhou")).send(outgoing(), call(), 9_000) == Accepted("600")


def test_the_connections_that_were_dropped_are_not_used_again() -> None:
    """A pool is looked for once, and once more after its connections were let go of."""
    adapter, request = SharedContextAdapter(), Request("POST", "http://127.0.0.1:9/").prepare()
    first = adapter.get_connection_with_tls_context(request, verify=True)
    assert adapter.get_connection_with_tls_context(request, verify=True) is first
    adapter.close()
    assert adapter.get_connection_with_tls_context(request, verify=True) is not first


def test_a_client_lasts_as_long_as_its_credentials() -> None:
    """New credentials, new client; the same ones need none."""
    directmail = DirectMail(Endpoint("cn-hangzhou"))
    first = directmail._shared(Credentials("id", "secret", "one"))
    assert directmail._shared(Credentials("id", "secret", "one")) is first
    assert directmail._shared(Credentials("id", "secret", "two")) is not first


def _bytes(body: Any) -> bytes:
    return body.encode() if isinstance(body, str) else bytes(body or b"")
