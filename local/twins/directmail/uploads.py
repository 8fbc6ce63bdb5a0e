"""The object store behind attachments: AuthorizeFileUpload's answer and the form upload it allows.

The SDK's advance call asks for an upload's permission, posts the file as a form to
`https://<Bucket>.<Endpoint>/`, and names `http://<Bucket>.<Endpoint>/<ObjectKey>` in the mail.
Bucket `127` and Endpoint `0.0.1:<port>` lead that to this machine.

https://www.alibabacloud.com/help/en/oss/developer-reference/postobject
https://www.alibabacloud.com/help/en/oss/how-to-handle-common-errors-when-the-postobject-operation-is-called
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import uuid
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

BUCKET = "127"
ACCESS_KEY_ID = "local-upload-key"
POLICY_SECONDS = 30 * 60
MAX_OBJECT_BYTES = 15 * 1024 * 1024  # a whole mail is at most 15 MB
KEPT_SECONDS = 24 * 3600

_TIME = "%Y-%m-%dT%H:%M:%S.000Z"


class OssError(Exception):
    """A refusal of the object store, as it words it."""

    def __init__(self, status: int, code: str, message: str) -> None:
        self.status = status
        self.code = code
        self.message = message
        super().__init__(f"{code}: {message}")


class Uploads:
    """Issues permissions to upload, takes uploads, and finds them again by their address.

    Args:
        directory: where the objects and the signing secret are kept, over restarts.
        port: the port of the upload door.
        clock: seconds since 1970.
    """

    def __init__(self, directory: Path, *, port: int, clock: Callable[[], float]) -> None:
        self._directory = directory
        self._clock = clock
        self.endpoint = f"0.0.1:{port}"
        directory.mkdir(parents=True, exist_ok=True)
        self._secret = _kept_secret(directory / "secret")
        self._forget_old()

    def authorize(self, owner: str) -> dict[str, Any]:
        """Permission for one upload, in the words of AuthorizeFileUpload's answer."""
        key = f"{owner}/{uuid.uuid4().hex}"
        until = datetime.fromtimestamp(self._clock() + POLICY_SECONDS, timezone.utc)
        policy = {
            "expiration": until.strftime(_TIME),
            "conditions": [
                {"bucket": BUCKET},
                ["eq", "$key", key],
                ["content-length-range", 0, MAX_OBJECT_BYTES],
            ],
        }
        encoded = base64.b64encode(json.dumps(policy).encode()).decode()
        return {
            "AccessKeyId": ACCESS_KEY_ID,
            "Bucket": BUCKET,
            "EncodedPolicy": encoded,
            "Endpoint": self.endpoint,
            "ObjectKey": key,
            "Signature": self._sign(encoded),
            "UseAccelerate": False,
        }

    def store(self, fields: dict[str, bytes]) -> tuple[str, str]:
        """Take an upload's form; its object's key and ETag.

        Raises:
            OssError: a field is missing, or the permission does not hold.
        """
        for name in ("key", "OSSAccessKeyId", "policy", "Signature", "file"):
            if name not in fields:
                raise OssError(400, "InvalidArgument", f"The form must contain a field '{name}'.")
        if fields["OSSAccessKeyId"] != ACCESS_KEY_ID.encode():
            raise OssError(
                403,
                "InvalidAccessKeyId",
                "The OSS Access Key Id you provided does not exist in our records.",
            )
        policy = fields["policy"].decode("latin-1")
        if not hmac.compare_digest(self._sign(policy).encode(), fields["Signature"]):
            raise OssError(
                403,
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided. "
                "Check your key and signing method.",
            )
        key = fields["key"].decode("utf-8", "replace")
        self._check_policy(json.loads(base64.b64decode(policy)), key, len(fields["file"]))
        self._path(key).write_bytes(fields["file"])
        return key, hashlib.md5(fields["file"], usedforsecurity=False).hexdigest().upper()

    def find(self, url: str) -> bytes | None:
        """The object that an AttachmentUrl names; None for an address that was never uploaded to.

        Nothing is fetched, whatever the address says.
        """
        prefix = f"http://{BUCKET}.{self.endpoint}/"
        path = self._path(url[len(prefix) :])
        if not url.startswith(prefix) or not path.is_file():
            return None
        return path.read_bytes()

    def _check_policy(self, policy: dict[str, Any], key: str, size: int) -> None:
        # The signature was ours, so the policy has the form that `authorize` gave it.
        until = datetime.strptime(policy["expiration"], _TIME).replace(tzinfo=timezone.utc)
        if until.timestamp() <= self._clock():
            raise OssError(403, "AccessDenied", "Invalid according to Policy: Policy expired.")
        _, condition, (_, _, largest) = policy["conditions"]
        if condition != ["eq", "$key", key]:
            raise OssError(
                403,
                "AccessDenied",
                f"Invalid according to Policy: Policy Condition failed: {json.dumps(condition)}",
            )
        if size > largest:
            raise OssError(
                400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size."
            )

    def _sign(self, policy: str) -> str:
        digest = hmac.new(self._secret, policy.encode(), hashlib.sha1).digest()
        return base64.b64encode(digest).decode()

    def _path(self, key: str) -> Path:
        return self._directory / f"{hashlib.sha256(key.encode('utf-8', 'replace')).hexdigest()}.bin"

    def _forget_old(self) -> None:
        for path in self._directory.glob("*.bin"):
            if path.stat().st_mtime < self._clock() - KEPT_SECONDS:
                path.unlink(missing_ok=True)


def _kept_secret(path: Path) -> bytes:
    # Permissions outlive a restart: an upload refused because of one would look like the
    # caller's mistake.
    if not path.exists():
        path.write_bytes(secrets.token_hex(20).encode())
    return path.read_bytes()
