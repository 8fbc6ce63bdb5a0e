"""Forms: what comes out is what the SDK itself would have sent."""

from __future__ import annotations

from typing import Any

import pytest
from alibabacloud_dm20151123.client import Client
from alibabacloud_tea_openapi.utils import Utils
from alibabacloud_tea_openapi.utils_models import OpenApiRequest, Params
from darabonba.core import DaraCore
from darabonba.request import DaraRequest
from darabonba.response import DaraResponse
from darabonba.runtime import RuntimeOptions
from hypothesis import given
from hypothesis import strategies as st

from shared.cloud.directmail import DirectMail, Endpoint
from shared.cloud.form import form_of
from shared.triggers.context import Credentials

TEXT = st.text(st.characters(exclude_categories=["Cs"])) | st.text("%+ &=~_.-<>2B\n")


@given(st.dictionaries(st.sampled_from(["HtmlBody", "A", "a b", "ä"]), TEXT | st.integers()))
def test_a_form_is_the_one_that_the_sdk_makes(fields: dict[str, str | int]) -> None:
    """For any text, number and order of names."""
    assert form_of(fields).decode() == Utils.to_form(fields)


@pytest.mark.parametrize("body", [{"A": "1 +%é", "B": 2}, {"A": ["x", "y"]}, {}])
def test_the_request_is_signed_as_by_the_sdk(
    body: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Body, headers and signature are equal; what is no plain form is left to the SDK."""
    sent: list[DaraRequest] = []

    def answer(request: DaraRequest, _runtime: Any = None) -> DaraResponse:
        sent.append(request)
        response = DaraResponse()
        response.status_code, response.headers, response.body = 200, {}, b"{}"
        return response

    monkeypatch.setattr(DaraCore, "do_action", staticmethod(answer))
    monkeypatch.setattr(Utils, "get_nonce", staticmethod(lambda: "nonce"))
    monkeypatch.setattr(Utils, "get_timestamp", staticmethod(lambda: "2026-01-01T00:00:00Z"))
    client = DirectMail(Endpoint("cn-hangzhou"))._shared(Credentials("id", "secret", "token"))
    for call in (client.call_api, lambda *given: Client.call_api(client, *given)):
        params = Params(
            action="SingleSendMail", version="2015-11-23", protocol="HTTPS", pathname="/",
            method="POST", auth_type="AK", style="RPC", req_body_type="formData", body_type="json",
        )  # fmt: skip
        call(params, OpenApiRequest(query={}, body=dict(body)), RuntimeOptions())
    ours, theirs = sent
    assert ours.headers == theirs.headers
    assert _bytes(ours.body) == _bytes(theirs.body)


def test_a_client_lasts_as_long_as_its_credentials() -> None:
    """New credentials, new client; the same ones need none."""
    directmail = DirectMail(Endpoint("cn-hangzhou"))
    first = directmail._shared(Credentials("id", "secret", "one"))
    assert directmail._shared(Credentials("id", "secret", "one")) is first
    assert directmail._shared(Credentials("id", "secret", "two")) is not first


def _bytes(body: Any) -> bytes:
    return body.encode() if isinstance(body, str) else bytes(body or b"")
