"""Attachments: the SDK's advance call end to end, and what the object store refuses."""

from __future__ import annotations

import base64
import email
import email.policy
import io
import json
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest
from alibabacloud_dm20151123 import models
from alibabacloud_tea_openapi.exceptions import ClientException
from alibabacloud_tea_openapi.utils_models import OpenApiRequest, Params
from darabonba.runtime import RuntimeOptions
from hypothesis import given
from hypothesis import strategies as st

from local.twins.directmail import multipart, wire
from local.twins.directmail.certificate import issue_certificate
from local.twins.directmail.errors import ApiError
from local.twins.directmail.uploads import MAX_OBJECT_BYTES, POLICY_SECONDS, Uploads

EVERY_BYTE = bytes(range(256))


def advance(twin: Any, files: dict[str, bytes], **changes: Any) -> Any:
    """Send a mail with these files through the SDK's own upload."""
    attachments = [
        models.SingleSendMailAdvanceRequestAttachments(
            attachment_name=name, attachment_url_object=io.BytesIO(content)
        )
        for name, content in files.items()
    ]
    plain = {
        "account_name": "noreply@example.com",
        "address_type": 1,
        "reply_to_address": False,
        "to_address": "ann@example.net",
        "subject": "Files",
        "text_body": "See below.",
        "attachments": attachments,
    }
    request = models.SingleSendMailAdvanceRequest(**{**plain, **changes})
    runtime = RuntimeOptions(ca=str(twin.certificate.ca_file))
    return twin.client().single_send_mail_advance(request, runtime).body


def kept_files(twin: Any) -> dict[str, bytes]:
    """The attachments in the last mail's .eml."""
    (stored,) = twin.outbox.mails(after=twin.outbox.count() - 1)
    with stored.eml_path.open("rb") as file:
        message = email.message_from_binary_file(file, policy=email.policy.SMTP)
    return {
        str(part.get_filename()): bytes(part.get_payload(decode=True))
        for part in message.iter_attachments()
    }


def test_the_advance_call_works_end_to_end(shared_directmail: Any) -> None:
    """What the unmodified SDK uploads is in the mail, byte for byte, under its name."""
    files = {
        "every byte.bin": EVERY_BYTE * 100,
        "empty.txt": b"",
        "Rechnung für 小红.pdf": b"%PDF\r\n--\r\n\r\n",
        'q"uote.txt': b"--=_mixed--\r\n",
    }
    answer = advance(shared_directmail, files)
    assert kept_files(shared_directmail) == files
    (stored,) = shared_directmail.outbox.mails(after=shared_directmail.outbox.count() - 1)
    assert stored.env_id == answer.env_id
    url = stored.parameters["Attachments.1.AttachmentUrl"]
    assert url.startswith(f"http://127.0.0.1:{shared_directmail.upload_port}/")
    assert stored.parameters["Attachments.4.AttachmentName"] == 'q"uote.txt'


# 16,384 bytes are left out: at exactly that length the SDK (darabonba-core 1.0.9) never ends the
# form and sends part headers until the connection breaks.
@pytest.mark.parametrize("size", [1, 1023, 1024, 1025, 16_383, 16_385, 32_768, 1_000_000])
def test_sizes_around_the_sdks_chunks_arrive_whole(shared_directmail: Any, size: int) -> None:
    """The SDK reads files in chunks; lengths at a chunk's edge come through unharmed."""
    content = (EVERY_BYTE * (size // 256 + 1))[:size]
    advance(shared_directmail, {"a.bin": content})
    assert kept_files(shared_directmail) == {"a.bin": content}


def test_a_client_that_does_not_trust_the_authority_cannot_upload(shared_directmail: Any) -> None:
    """The certificate is real: without its authority the TLS handshake fails."""
    url = f"https://127.0.0.1:{shared_directmail.upload_port}/"
    with httpx.Client(trust_env=False) as client, pytest.raises(httpx.ConnectError):
        client.post(url)


def permission(twin: Any) -> dict[str, str]:
    """The form's fields as AuthorizeFileUpload allows them."""
    allowed = twin.service.uploads.authorize("owner")
    return {
        "OSSAccessKeyId": allowed["AccessKeyId"],
        "policy": allowed["EncodedPolicy"],
        "Signature": allowed["Signature"],
        "key": allowed["ObjectKey"],
        "success_action_status": "201",
    }


def upload(twin: Any, fields: dict[str, str], content: bytes | None = b"file") -> httpx.Response:
    """Post the form over TLS, as any client of the object store would."""
    files = {name: (None, value.encode()) for name, value in fields.items()}
    if content is not None:
        files["file"] = ("a.bin", content)  # type: ignore[assignment]
    context = ssl.create_default_context(cafile=twin.certificate.ca_file)
    with httpx.Client(verify=context, trust_env=False) as client:
        return client.post(f"https://127.0.0.1:{twin.upload_port}/", files=files or {"": b""})


def error_of(answer: httpx.Response) -> tuple[int, str | None]:
    """The status, and the code of the XML error."""
    root = ET.fromstring(answer.text)  # noqa: S314  # our own twin's answer
    assert root.tag == "Error"
    assert {child.tag for child in root} == {"Code", "Message", "RequestId", "HostId"}
    return answer.status_code, root.findtext("Code")


def test_an_upload_is_answered_as_the_form_asks(shared_directmail: Any) -> None:
    """201 brings a PostResponse; 200 nothing; anything else is 204."""
    fields = permission(shared_directmail)
    created = upload(shared_directmail, fields)
    assert created.status_code == 201
    root = ET.fromstring(created.text)  # noqa: S314  # our own twin's answer
    assert root.findtext("Key") == fields["key"]
    assert root.findtext("Bucket") == "127"
    for status, expected in (("200", 200), ("204", 204), ("999", 204)):
        fields["success_action_status"] = status
        answer = upload(shared_directmail, fields)
        assert (answer.status_code, answer.text) == (expected, "")


def changed_policy(fields: dict[str, str]) -> dict[str, str]:
    """A permission whose policy was made to last longer."""
    policy = json.loads(base64.b64decode(fields["policy"]))
    policy["expiration"] = "2099-01-01T00:00:00.000Z"
    return {**fields, "policy": base64.b64encode(json.dumps(policy).encode()).decode()}


TAMPERED: list[tuple[Callable[[dict[str, str]], dict[str, str]], int, str]] = [
    (changed_policy, 403, "SignatureDoesNotMatch"),
    (lambda f: {**f, "policy": "no policy"}, 403, "SignatureDoesNotMatch"),
    (lambda f: {**f, "Signature": "AAAA"}, 403, "SignatureDoesNotMatch"),
    (lambda f: {**f, "Signature": "é"}, 403, "SignatureDoesNotMatch"),
    (lambda f: {**f, "OSSAccessKeyId": "other"}, 403, "InvalidAccessKeyId"),
    (lambda f: {**f, "key": "another/object"}, 403, "AccessDenied"),
    (lambda f: {**f, "key": "../../outbox.db"}, 403, "AccessDenied"),
    *(
        (lambda f, gone=name: {n: v for n, v in f.items() if n != gone}, 400, "InvalidArgument")
        for name in ("OSSAccessKeyId", "policy", "Signature", "key")
    ),
]


@pytest.mark.parametrize(("tamper", "status", "code"), TAMPERED)
def test_a_tampered_permission_is_refused(
    shared_directmail: Any,
    tamper: Callable[[dict[str, str]], dict[str, str]],
    status: int,
    code: str,
) -> None:
    """Whatever is changed in or missing from a permission, the object store says so in XML."""
    fields = tamper(permission(shared_directmail))
    assert error_of(upload(shared_directmail, fields)) == (status, code)


def test_a_form_without_a_file_is_refused(shared_directmail: Any) -> None:
    """The file is a field like the others."""
    answer = upload(shared_directmail, permission(shared_directmail), None)
    assert error_of(answer) == (400, "InvalidArgument")


def test_a_file_over_the_limit_is_refused(shared_directmail: Any) -> None:
    """A file at the limit is taken, one byte more is not, much more is not either."""
    fields = permission(shared_directmail)
    assert upload(shared_directmail, fields, b"x" * MAX_OBJECT_BYTES).status_code == 201
    for excess in (1, 1024 * 1024):
        answer = upload(shared_directmail, fields, b"x" * (MAX_OBJECT_BYTES + excess))
        assert error_of(answer) == (400, "EntityTooLarge")


def test_an_expired_permission_is_refused(start_directmail: Callable[..., Any]) -> None:
    """A permission ends after its time, and not before."""
    now = [time.time()]
    twin = start_directmail(clock=lambda: now[0])
    fields = permission(twin)
    now[0] += POLICY_SECONDS - 2
    assert upload(twin, fields).status_code == 201
    now[0] += 3
    assert error_of(upload(twin, fields)) == (403, "AccessDenied")


FORM = "multipart/form-data; boundary=b"
NO_UPLOADS = [
    ("GET", "/", "", b"", (405, "MethodNotAllowed")),
    ("PUT", "/", "", b"x", (405, "MethodNotAllowed")),
    ("POST", "/elsewhere", "", b"x", (405, "MethodNotAllowed")),
    ("POST", "/", "", b"", (400, "MalformedPOSTRequest")),
    ("POST", "/", "text/plain", b"x", (400, "MalformedPOSTRequest")),
    ("POST", "/", "multipart/form-data", b"x", (400, "MalformedPOSTRequest")),
    ("POST", "/", FORM, b"x", (400, "MalformedPOSTRequest")),
    ("POST", "/", FORM, b"--b--", (400, "MalformedPOSTRequest")),
    ("POST", "/", FORM, b"--b\r\n\r\nx\r\n--b--", (400, "MalformedPOSTRequest")),
]


@pytest.mark.parametrize("case", NO_UPLOADS)
def test_what_is_no_upload_is_refused_in_xml(
    shared_directmail: Any, case: tuple[str, str, str, bytes, tuple[int, str]]
) -> None:
    """Another method, another path or another body has an error of the object store."""
    method, path, content_type, body, error = case
    context = ssl.create_default_context(cafile=shared_directmail.certificate.ca_file)
    with httpx.Client(verify=context, trust_env=False) as client:
        answer = client.request(
            method,
            f"https://127.0.0.1:{shared_directmail.upload_port}{path}",
            headers={"content-type": content_type},
            content=body,
        )
    assert error_of(answer) == error


def test_the_sdk_reports_a_refused_upload(
    start_directmail: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refused upload reaches the SDK's caller as the object store's error; no mail is sent."""
    twin = start_directmail()
    allowed = twin.service.uploads.authorize("owner")
    forged = {**allowed, "AccessKeyId": "somebody-else"}
    monkeypatch.setattr(twin.service.uploads, "authorize", lambda _: forged)
    with pytest.raises(ClientException) as refusal:
        advance(twin, {"a.txt": b"a"})
    assert refusal.value.code == "InvalidAccessKeyId"
    assert twin.outbox.count() == 0


def test_permissions_and_objects_outlive_a_restart(tmp_path: Path) -> None:
    """A permission given before a restart still works after it, and an object is still there."""
    before = Uploads(tmp_path, port=1, clock=time.time)
    allowed = before.authorize("owner")
    after = Uploads(tmp_path, port=1, clock=time.time)
    after.store(
        {
            "OSSAccessKeyId": allowed["AccessKeyId"].encode(),
            "policy": allowed["EncodedPolicy"].encode(),
            "Signature": allowed["Signature"].encode(),
            "key": allowed["ObjectKey"].encode(),
            "file": b"kept",
        }
    )
    again = Uploads(tmp_path, port=1, clock=time.time)
    assert again.find(f"http://127.0.0.1:1/{allowed['ObjectKey']}") == b"kept"
    tomorrow = Uploads(tmp_path, port=1, clock=lambda: time.time() + 2 * 24 * 3600)
    assert tomorrow.find(f"http://127.0.0.1:1/{allowed['ObjectKey']}") is None


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/never-uploaded",
        "http://169.254.169.254/latest/meta-data",
        "https://example.org/a.pdf",
        "file:///etc/passwd",
        "../secret",
        "é",
    ],
)
def test_an_address_that_was_never_uploaded_to_is_refused(shared_directmail: Any, url: str) -> None:
    """An AttachmentUrl that is not an object of the twin is refused, and nothing is fetched."""
    link = models.SingleSendMailRequestAttachments(
        attachment_name="a.txt", attachment_url=url.format(port=shared_directmail.upload_port)
    )
    with pytest.raises(ClientException) as refusal:
        shared_directmail.send(attachments=[link])
    assert refusal.value.code == "InvalidParameter"


def test_a_mail_over_fifteen_megabytes_is_refused(shared_directmail: Any) -> None:
    """The whole mail counts, encoded: 11.5 MB of files make more than 15 MB."""
    before = shared_directmail.outbox.count()
    with pytest.raises(ClientException) as refusal:
        advance(shared_directmail, {"a": b"x" * 5_750_000, "b": b"x" * 5_750_000})
    assert refusal.value.code == "InvalidParameter"
    advance(shared_directmail, {"a": b"x" * 5_500_000, "b": b"x" * 5_500_000})
    assert shared_directmail.outbox.count() == before + 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"Attachments.2.AttachmentName": "b", "Attachments.2.AttachmentUrl": "x"}, "Invalid"),
        ({"Attachments.1.AttachmentName": "b"}, "Missing"),
        ({"Attachments.1.AttachmentUrl": "x"}, "Missing"),
        ({"Attachments.1.AttachmentName": "a\nb", "Attachments.1.AttachmentUrl": "x"}, "Invalid"),
        (
            {
                f"Attachments.{number}.Attachment{part}": "x"
                for number in range(1, 102)
                for part in ("Name", "Url")
            },
            "Invalid",
        ),
    ],
)
def test_attachments_have_to_be_whole(
    shared_directmail: Any, changes: dict[str, str], code: str
) -> None:
    """Numbers without gaps, a name and an address each, and at most a hundred."""
    values = {
        "AccountName": "noreply@example.com",
        "AddressType": "1",
        "ReplyToAddress": "False",
        "Subject": "Hello",
        "TextBody": "Hello",
        "ToAddress": "ann@example.net",
        **changes,
    }
    with pytest.raises(ApiError) as refusal:
        shared_directmail.service._send(
            wire.Parameters(values, dict.fromkeys(values, 0)), "request"
        )
    assert refusal.value.code == f"{code}Parameter"


def test_authorize_file_upload_wants_its_product(shared_directmail: Any) -> None:
    """Another product, or none, gets no permission."""
    params = Params(
        action="AuthorizeFileUpload",
        version="2019-12-19",
        protocol="HTTP",
        pathname="/",
        method="GET",
        auth_type="AK",
        style="RPC",
        req_body_type="formData",
        body_type="json",
    )
    client = shared_directmail.client()
    for query, code in (({}, "MissingParameter"), ({"Product": "Ecs"}, "InvalidParameter")):
        with pytest.raises(ClientException) as refusal:
            client.call_api(params, OpenApiRequest(query=query), RuntimeOptions())
        assert refusal.value.code == code


def test_the_certificate_is_made_once(tmp_path: Path) -> None:
    """The second call returns the first one's files, unchanged."""
    first = issue_certificate(tmp_path)
    before = [path.read_bytes() for path in (first.ca_file, first.cert_file, first.key_file)]
    second = issue_certificate(tmp_path)
    assert second == first
    assert before == [p.read_bytes() for p in (second.ca_file, second.cert_file, second.key_file)]
    assert [path.name for path in tmp_path.iterdir()] == ["tls"]


@given(
    st.dictionaries(
        st.text(st.characters(codec="ascii", categories=["L"]), min_size=1), st.binary()
    )
)
def test_a_form_comes_apart_as_it_was_put_together(fields: dict[str, bytes]) -> None:
    """Any bytes in any number of fields are read back, as long as they hold no boundary."""
    body = b"".join(
        b'--limit-of-a-part\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
        % (name.encode(), content)
        for name, content in fields.items()
    )
    form = "multipart/form-data; boundary=limit-of-a-part"
    if not fields:
        with pytest.raises(multipart.MalformedFormError):
            multipart.parse(form, b"--limit-of-a-part--\r\n")
        return
    assert multipart.parse(form, body + b"--limit-of-a-part--\r\n") == fields
