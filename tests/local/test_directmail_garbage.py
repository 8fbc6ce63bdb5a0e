"""Whatever is sent to the twin, the answer is one of the service's own 4xx errors."""

from __future__ import annotations

import asyncio
import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from alibabacloud_tea_openapi.utils import Utils
from darabonba.request import DaraRequest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette

from local.account import OWNER, Account
from local.activity import Activity
from local.twins.directmail.app import create_app, create_upload_app
from local.twins.directmail.errors import ERRORS
from local.twins.directmail.outbox import Outbox
from local.twins.directmail.rules import DirectMailRules
from local.twins.directmail.service import MAX_REQUEST_BYTES, DirectMail

RIGHT = {
    "AccountName": "noreply@example.com",
    "AddressType": "1",
    "ReplyToAddress": "False",
    "Subject": "Hello",
    "TextBody": "Hello",
    "ToAddress": "ann@example.net",
}
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def service() -> DirectMail:
    """A twin in this process: a failure in it is raised here, and not answered with a 500."""
    return DirectMail(
        Outbox(Path(tempfile.mkdtemp())),
        account=Account(),
        rules=DirectMailRules(senders=frozenset({"noreply@example.com"})),
        emit=lambda _: None,
        activity=Activity(),
        upload_port=1,
    )


def call(app: Starlette, method: str, url: str, **request: Any) -> httpx.Response:
    """One request straight into the app."""

    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://twin") as client:
            return await client.request(method, url, **request)

    return asyncio.run(run())


def signed(body: bytes, content_type: str = FORM, **changes: str) -> dict[str, str]:
    """Headers that sign this body."""
    digest = hashlib.sha256(body).hexdigest()
    request = DaraRequest()
    request.method, request.pathname, request.query = "POST", "/", {}
    request.headers = {
        "host": "twin",
        "x-acs-action": "SingleSendMail",
        "x-acs-version": "2015-11-23",
        "x-acs-date": Utils.get_timestamp(),
        "x-acs-signature-nonce": Utils.get_nonce(),
        "x-acs-content-sha256": digest,
        "content-type": content_type,
        **changes,
    }
    authorization = Utils.get_authorization(
        request, "ACS3-HMAC-SHA256", digest, OWNER.id, OWNER.secret
    )
    return {**request.headers, "authorization": authorization}


def check_refusal(answer: httpx.Response) -> str:
    """It is one of the table's errors, in the documented shape; its code."""
    content = answer.json()
    assert set(content) == {"Code", "HostId", "Message", "Recommend", "RequestId"}
    assert answer.status_code == ERRORS[content["Code"]][0]
    assert 400 <= answer.status_code < 500
    assert answer.headers["x-acs-request-id"] == content["RequestId"]
    return str(content["Code"])


deep = "[" * 200_000
BODIES = [
    (b"", "MissingParameter"),
    (b"&&&&", "InvalidParameter"),
    (b"=&a=b", "MissingParameter"),
    (b"AccountName", "MissingParameter"),
    (b"AccountName=%FF%FE", "InvalidParameter"),
    (b"\xff\xfe\x00", "InvalidParameter"),
    (b"%ED%A0%80=1", "InvalidParameter"),
    (b"%zz=%", "MissingParameter"),
    (b"AccountName=a&AccountName=b", "InvalidParameter"),
    (b"x=" * 5_000_000, "MissingParameter"),
    (b"&".join(b"%d=" % number for number in range(100_000)), "MissingParameter"),
    (b"x" * MAX_REQUEST_BYTES, "MissingParameter"),
    (b"x" * (MAX_REQUEST_BYTES + 1), "InvalidParameter"),
    (json.dumps(RIGHT).encode(), "MissingParameter"),
]


@pytest.mark.parametrize(
    ("body", "code"), BODIES, ids=[str(number) for number in range(len(BODIES))]
)
def test_a_body_that_is_no_call_is_refused(service: DirectMail, body: bytes, code: str) -> None:
    """Empty, not UTF-8, repeated, huge or of another kind: each has an error of the table."""
    answer = call(create_app(service), "POST", "/", content=body, headers=signed(body))
    assert check_refusal(answer) == code


VALUES = [
    ("Headers", deep, "InvalidParameter"),
    ("Headers", '{"X-User-A":' * 100_000, "InvalidParameter"),
    ("Headers", "1" * 10_000, "InvalidParameter"),
    ("Headers", "NaN", "InvalidParameter"),
    ("Headers", '{"X-User-A": "\\ud800"}', "InvalidParameter"),
    ("Headers", '{"X-User-\\ud800": "a"}', "InvalidParameter"),
    ("Headers", '{"X-User-A": "\\u0000"}', "InvalidParameter"),
    ("Headers", '{"": ""}', "InvalidParameter"),
    ("Template", deep, "InvalidParameter"),
    ("Template", "null", "InvalidParameter"),
    ("Template", '{"TemplateId": {}}', "MissingParameter"),
    ("Template", '{"TemplateId": 7}', "InvalidParameter"),
    ("Template", '{"TemplateId": "\\ud800"}', "InvalidParameter"),
    ("Template", '{"TemplateId": "7", "TemplateData": "x"}', "InvalidParameter"),
    ("Template", '{"TemplateId": "7", "TemplateData": {"a": {}}}', "InvalidParameter"),
    ("Template", '{"TemplateId": "7", "TemplateData": {"\\ud800": "a"}}', "InvalidParameter"),
    ("AddressType", "1e400", "InvalidParameter"),
    ("AddressType", "\u0661", "InvalidParameter"),
    ("ReplyToAddress", "ﬁ", "InvalidParameter"),
    ("ToAddress", "," * 1_000_000, "InvalidToAddress"),
    ("ToAddress", "@", "InvalidToAddress"),
    ("ToAddress", "a" * 1_000_000, "EmailLengthError"),
    ("Subject", "\0", "InvalidSubject.Malformed"),
    ("AccountName", "\0", "InvalidMailAddress.NotFound"),
    ("TagName", "\0", "InvalidTagName.Malformed"),
    ("Attachments.99999999999999999999.AttachmentName", "a", None),
    ("Attachments.\u0661.AttachmentName", "a", None),
    ("Attachments.0.AttachmentName", "a", None),
    ("Attachments.7.AttachmentName", "a", "InvalidParameter"),
    ("IpPoolId", "\0\r\n", None),
]


@pytest.mark.parametrize(
    ("name", "value", "code"), VALUES, ids=[str(number) for number in range(len(VALUES))]
)
def test_a_strange_value_is_refused_or_harmless(
    service: DirectMail, name: str, value: str, code: str | None
) -> None:
    """Deep JSON, huge numbers, half characters and the like never break the twin."""
    body = urlencode({**RIGHT, name: value}).encode()
    answer = call(create_app(service), "POST", "/", content=body, headers=signed(body))
    if code is None:
        assert answer.status_code == 200
        return
    assert check_refusal(answer) == code


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["TemplateId", "X-User-A"]) | st.text(max_size=5), inner)
    ),
    max_leaves=5,
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NAMES = [
    *RIGHT,
    "Attachments.1.AttachmentName",
    "Attachments.1.AttachmentUrl",
    "BccAddress",
    "ClickTrace",
    "DomainAuth",
    "FromAlias",
    "Headers",
    "HtmlBody",
    "IpPoolId",
    "ReplyAddress",
    "ReplyAddressAlias",
    "TagName",
    "Template",
    "UnSubscribeFilterLevel",
    "UnSubscribeLinkType",
]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    parameters=st.dictionaries(
        st.sampled_from(NAMES) | TEXT, TEXT | JSON.map(json.dumps), max_size=6
    ),
    complete=st.booleans(),
)
def test_any_parameters_are_accepted_or_refused(
    service: DirectMail, parameters: dict[str, str], *, complete: bool
) -> None:
    """Any text in any parameter is either a mail, kept as sent, or an error of the table."""
    values = {**(RIGHT if complete else {}), **parameters}
    body = urlencode(values).encode()
    answer = call(create_app(service), "POST", "/", content=body, headers=signed(body))
    if answer.status_code == 200:
        outbox = service._outbox
        (stored,) = outbox.mails(after=outbox.count() - 1)
        assert stored.parameters == values
        assert stored.env_id == answer.json()["EnvId"]
    else:
        check_refusal(answer)


HEADER_NAMES = [
    "authorization",
    "content-type",
    "x-acs-action",
    "x-acs-content-sha256",
    "x-acs-date",
    "x-acs-security-token",
    "x-acs-signature-nonce",
    "x-acs-version",
]


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"]),
    st.sampled_from(["/", "//", "/a/b", "/%FF", "/?a=%FF&a=%&=", "/?;=1&&x"]),
    st.dictionaries(
        st.sampled_from(HEADER_NAMES),
        st.binary(max_size=40)
        | st.sampled_from(
            [b"SingleSendMail", b"AuthorizeFileUpload", b"2015-11-23", b"2019-12-19"]
        ),
    ),
    st.binary(max_size=60),
)
def test_any_unsigned_request_is_refused(
    service: DirectMail, method: str, url: str, changes: dict[str, bytes], body: bytes
) -> None:
    """Whatever else is garbage: without a right signature nothing gets in, and nothing breaks."""
    before = service._outbox.count()
    headers = {**signed(body), **changes, "authorization": changes.get("authorization", b"no")}
    answer = call(create_app(service), method, url, content=body, headers=headers)
    check_refusal(answer)
    assert service._outbox.count() == before


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=80), st.text(st.characters(codec="ascii"), max_size=10))
def test_any_upload_is_refused_in_xml(service: DirectMail, body: bytes, boundary: str) -> None:
    """Garbage at the object store's door has an XML error."""
    content_type = f"multipart/form-data; boundary={boundary}".encode()
    answer = call(
        create_upload_app(service),
        "POST",
        "/",
        content=b"--" + boundary.encode() + b"\r\n" + body,
        headers={b"content-type": content_type},
    )
    assert answer.status_code == 400
    assert "<Code>" in answer.text
