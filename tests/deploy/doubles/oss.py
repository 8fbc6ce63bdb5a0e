"""A double of OSS: buckets, objects and multipart uploads, with real V4 signatures and CRCs.

https://www.alibabacloud.com/help/en/oss/developer-reference/recommend-to-use-signature-version-4
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from urllib.parse import parse_qsl, quote, unquote
from xml.etree import ElementTree as ET

from alibabacloud_oss_v2.crc import Crc64

from local.account import Account

SKEW_SECONDS = 15 * 60
_AUTHORIZATION = re.compile(
    r"OSS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/oss/aliyun_v4_request"
    r"(?:,AdditionalHeaders=([^,]*))?,Signature=([0-9a-f]{64})"
)


@dataclass(frozen=True)
class Request:
    """One request as it came in: path and query still encoded, names of headers in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """One answer."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class OssRefusal(Exception):
    """An error of the service."""

    def __init__(self, status: int, code: str, message: str = "refused") -> None:
        super().__init__(code)
        self.status, self.code, self.message = status, code, message


@dataclass
class Object:
    """A stored object."""

    content: bytes
    meta: dict[str, str]


@dataclass
class Upload:
    """A multipart upload under way."""

    bucket: str
    key: str
    meta: dict[str, str]
    parts: dict[int, bytes] = field(default_factory=dict)


class Oss:
    """The double.

    Attributes:
        buckets: name -> key -> object; a bucket of `others` belongs to somebody else.
        uploads: those under way, by their id.
        received: (key, part number) of each part that arrived, in order.
        parts_allowed: the number of the last part that is not refused; None for all.
        parts_taken: the number of the last part that is not kept waiting; None for all.
        damage: whether what is put together differs from what was sent.
        denied: RAM actions that are refused.
        region: of the signatures that hold.
    """

    def __init__(self, account: Account, region: str) -> None:
        self._account = account
        self.region = region
        self.buckets: dict[str, dict[str, Object]] = {}
        self.others: set[str] = set()
        self.uploads: dict[str, Upload] = {}
        self.received: list[tuple[str, int]] = []
        self.parts_allowed: int | None = None
        self.parts_taken: int | None = None
        self.damage = False
        self.denied: set[str] = set()
        self._ids = itertools.count(1)

    def answer(self, request: Request) -> Answer:
        """Serve one request."""
        try:
            self._verify(request)
            answer = self._serve(request)
        except OssRefusal as refusal:
            body = (
                f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{refusal.code}</Code>"
                f"<Message>{refusal.message}</Message><RequestId>R-OSS</RequestId></Error>"
            ).encode()
            answer = Answer(refusal.status, body, {"content-type": "application/xml"})
        headers = {"x-oss-request-id": "R-OSS", "date": formatdate(usegmt=True), **answer.headers}
        if answer.status >= 400 and request.method == "HEAD":
            # A HEAD has no body: the service says the same in a header.
            import base64  # noqa: PLC0415  # here alone

            headers["x-oss-err"] = base64.b64encode(answer.body).decode()
        return Answer(answer.status, answer.body, headers)

    def _serve(self, request: Request) -> Answer:
        bucket, _, key = unquote(request.path).lstrip("/").partition("/")
        query = dict(parse_qsl(request.query, keep_blank_values=True))
        if not key:
            return self._bucket(request, bucket, query)
        if bucket not in self.buckets or bucket in self.others:
            raise OssRefusal(404, "NoSuchBucket")
        action = _ACTIONS[request.method, "uploads" in query, "uploadId" in query]
        self._allow(action)
        work = getattr(self, f"_{_snake(action)}")
        answer: Answer = work(request, bucket, key, query)
        return answer

    def _bucket(self, request: Request, bucket: str, query: dict[str, str]) -> Answer:
        if request.method == "GET" and "bucketInfo" in query:
            self._allow("oss:GetBucketInfo")
            if bucket in self.others:
                raise OssRefusal(403, "AccessDenied", "You have no right to access this object.")
            if bucket not in self.buckets:
                raise OssRefusal(404, "NoSuchBucket")
            body = f"<BucketInfo><Bucket><Name>{bucket}</Name></Bucket></BucketInfo>"
            return Answer(200, body.encode(), {"content-type": "application/xml"})
        if request.method == "PUT":
            self._allow("oss:PutBucket")
            if bucket in self.others:
                raise OssRefusal(409, "BucketAlreadyExists")
            if request.headers.get("x-oss-acl") != "private":
                raise OssRefusal(400, "InvalidArgument", "the tests expect a private bucket")
            self.buckets.setdefault(bucket, {})
            return Answer(200)
        raise OssRefusal(405, "MethodNotAllowed")

    def _get_object(self, request: Request, bucket: str, key: str, _query: object) -> Answer:
        if key not in self.buckets[bucket]:
            raise OssRefusal(404, "NoSuchKey")
        stored = self.buckets[bucket][key]
        headers = {
            **stored.meta,
            "x-oss-hash-crc64ecma": crc64(stored.content),
            "content-length": str(len(stored.content)),
        }
        return Answer(200, b"" if request.method == "HEAD" else stored.content, headers)

    def _put_object(self, request: Request, bucket: str, key: str, _query: object) -> Answer:
        return self._store(bucket, key, request.body, _meta(request))

    def _initiate(self, request: Request, bucket: str, key: str, _query: object) -> Answer:
        self._not_there(bucket, key, request)
        upload_id = f"U{next(self._ids)}"
        self.uploads[upload_id] = Upload(bucket, key, _meta(request))
        return _xml("InitiateMultipartUploadResult", Bucket=bucket, Key=key, UploadId=upload_id)

    def _upload_part(
        self, request: Request, _bucket: str, key: str, query: dict[str, str]
    ) -> Answer:
        upload = self._upload(query)
        number = int(query["partNumber"])
        if self.parts_allowed is not None and number > self.parts_allowed:
            raise OssRefusal(403, "AccessDenied", "You have no right to access this object.")
        upload.parts[number] = request.body
        self.received.append((key, number))
        headers = {"etag": _etag(request.body), "x-oss-hash-crc64ecma": crc64(request.body)}
        return Answer(200, b"", headers)

    def _list_parts(
        self, _request: Request, bucket: str, key: str, query: dict[str, str]
    ) -> Answer:
        upload = self._upload(query)
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{_etag(part)}</ETag>"
            f"<Size>{len(part)}</Size><HashCrc64ecma>{crc64(part)}</HashCrc64ecma></Part>"
            for number, part in sorted(upload.parts.items())
        )
        body = (
            f"<ListPartsResult><Bucket>{bucket}</Bucket><Key>{key}</Key>"
            f"<UploadId>{query['uploadId']}</UploadId><IsTruncated>false</IsTruncated>{parts}"
            "</ListPartsResult>"
        )
        return Answer(200, body.encode(), {"content-type": "application/xml"})

    def _complete(self, request: Request, bucket: str, key: str, query: dict[str, str]) -> Answer:
        upload = self._upload(query)
        self._not_there(bucket, key, request)
        wanted = [
            int(str(number.text))
            for number in ET.fromstring(request.body).iter("PartNumber")  # noqa: S314  # the SDK's own
        ]
        content = b"".join(upload.parts[number] for number in wanted)
        if self.damage:
            content = content[:-1] + b"?"
        del self.uploads[query["uploadId"]]
        self.buckets[bucket][key] = Object(content, upload.meta)
        answer = _xml("CompleteMultipartUploadResult", Bucket=bucket, Key=key, ETag=_etag(content))
        return Answer(200, answer.body, {**answer.headers, "x-oss-hash-crc64ecma": crc64(content)})

    def _delete_object(self, _request: Request, bucket: str, key: str, _query: object) -> Answer:
        self.buckets[bucket].pop(key, None)
        return Answer(204)

    def _abort(self, _request: Request, _bucket: str, _key: str, query: dict[str, str]) -> Answer:
        self.uploads.pop(query["uploadId"], None)
        return Answer(204)

    def _store(self, bucket: str, key: str, content: bytes, meta: dict[str, str]) -> Answer:
        self.buckets[bucket][key] = Object(content, meta)
        return Answer(200, b"", {"etag": _etag(content), "x-oss-hash-crc64ecma": crc64(content)})

    def _upload(self, query: dict[str, str]) -> Upload:
        if query["uploadId"] not in self.uploads:
            raise OssRefusal(404, "NoSuchUpload")
        return self.uploads[query["uploadId"]]

    def _not_there(self, bucket: str, key: str, request: Request) -> None:
        forbidden = request.headers.get("x-oss-forbid-overwrite") == "true"
        if forbidden and key in self.buckets[bucket]:
            raise OssRefusal(409, "FileAlreadyExists")

    def _allow(self, action: str) -> None:
        if action in self.denied:
            raise OssRefusal(403, "AccessDenied", "You have no right to access this object.")

    def _verify(self, request: Request) -> None:
        found = _AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
        if found is None:
            raise OssRefusal(403, "AccessDenied", "no signature of version 4")
        key_id, day, region, additional, signature = found.groups()
        key = self._account.find(key_id)
        if key is None:
            raise OssRefusal(403, "InvalidAccessKeyId")
        date = request.headers["x-oss-date"]
        at = time.mktime(time.strptime(date, "%Y%m%dT%H%M%SZ")) - time.timezone
        if abs(at - time.time()) > SKEW_SECONDS:
            raise OssRefusal(403, "RequestTimeTooSkewed")
        names = (additional or "").split(";")
        text = _canonical(request, names)
        scope = f"{day}/{region}/oss/aliyun_v4_request"
        to_sign = f"OSS4-HMAC-SHA256\n{date}\n{scope}\n{hashlib.sha256(text.encode()).hexdigest()}"
        secret = b"aliyun_v4" + key.secret.encode()
        for part in (day, region, "oss", "aliyun_v4_request"):
            secret = hmac.digest(secret, part.encode(), "sha256")
        if not hmac.compare_digest(
            hmac.new(secret, to_sign.encode(), "sha256").hexdigest(), signature
        ):
            raise OssRefusal(403, "SignatureDoesNotMatch")
        if region != self.region:
            raise OssRefusal(403, "SignatureDoesNotMatch", "another region")


# Method, `uploads`, `uploadId` -> what it asks for.
_ACTIONS = {
    ("HEAD", False, False): "oss:GetObject",
    ("GET", False, False): "oss:GetObject",
    ("PUT", False, False): "oss:PutObject",
    ("DELETE", False, False): "oss:DeleteObject",
    ("POST", True, False): "oss:Initiate",
    ("PUT", False, True): "oss:UploadPart",
    ("GET", False, True): "oss:ListParts",
    ("POST", False, True): "oss:Complete",
    ("DELETE", False, True): "oss:Abort",
}


def crc64(content: bytes) -> str:
    """As OSS writes it."""
    total = Crc64(0)
    total.update(content)
    return str(total.sum64())


def _canonical(request: Request, additional: list[str]) -> str:
    pairs = sorted(request.query.split("&")) if request.query else []
    query = "&".join(
        name if not value else f"{name}={value}"
        for name, _, value in (pair.partition("=") for pair in pairs)
    )
    headers = "".join(
        f"{name}:{value}\n"
        for name, value in sorted(request.headers.items())
        if name.startswith("x-oss-")
        or name in ("content-type", "content-md5")
        or name in additional
    )
    path = quote(unquote(request.path), safe="/")
    hashed = request.headers.get("x-oss-content-sha256", "")
    names = ";".join(name for name in additional if name)
    return f"{request.method}\n{path}\n{query}\n{headers}\n{names}\n{hashed}"


def _meta(request: Request) -> dict[str, str]:
    return {n: v for n, v in request.headers.items() if n.startswith("x-oss-meta-")}


def _etag(content: bytes) -> str:
    return f'"{hashlib.md5(content, usedforsecurity=False).hexdigest().upper()}"'


def _snake(action: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", action.partition(":")[2]).lower()


def _xml(root: str, **children: str) -> Answer:
    inner = "".join(f"<{name}>{text}</{name}>" for name, text in children.items())
    return Answer(200, f"<{root}>{inner}</{root}>".encode(), {"content-type": "application/xml"})
