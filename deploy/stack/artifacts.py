"""The code packages, in the bucket under the commit's name.

A version is never overwritten: what is in the bucket under a commit is what that commit runs, now
and when it is deployed again. An upload that was interrupted goes on where it stopped: OSS keeps
the parts, this machine the upload's id, in a file of the SDK's own.
https://www.alibabacloud.com/help/en/oss/developer-reference/resumable-upload-using-oss-sdk-for-python-v2
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import alibabacloud_oss_v2 as oss
from alibabacloud_oss_v2.crc import Crc64

from deploy.cloud.faults import CloudError, Damaged, NotAllowed, NotThere, Taken, calling
from deploy.package.wheels import sha256_of
from deploy.stack.errors import DeployError

PART_BYTES = 1024 * 1024
PARALLEL = 3
# The names of the object's own data.
SHA256 = "postbus-sha256"
CONTENT = "postbus-content-sha256"

# Bytes that have arrived, and all there are.
Progress = Callable[[int, int], object]


@dataclass(frozen=True)
class Artifact:
    """A package on this machine.

    Attributes:
        key: the object's name in the bucket.
        path: the zip.
        sha256: of the zip.
        content_sha256: over the names and contents inside, whatever library compressed them.
    """

    key: str
    path: Path
    sha256: str
    content_sha256: str


@dataclass(frozen=True)
class Stored:
    """An object in the bucket.

    Attributes:
        size: in bytes.
        crc64: as OSS computed it over what it has.
        sha256: as the upload said; empty where it said nothing.
        content_sha256: likewise.
    """

    size: int
    crc64: str
    sha256: str
    content_sha256: str


class Bucket:
    """The bucket of the code packages.

    Args:
        client: of the official SDK.
        name: the bucket's.
        folder: where the ids of unfinished uploads are kept.
    """

    def __init__(self, client: Any, name: str, folder: Path) -> None:
        self._client = client
        self.name = name
        self._folder = folder

    def exists(self) -> bool:
        """Whether the bucket is there and ours.

        Raises:
            CloudError: OSS refused or did not answer.
        """
        try:
            with calling("oss:GetBucketInfo"):
                self._client.get_bucket_info(oss.GetBucketInfoRequest(bucket=self.name))
        except NotThere:
            return False
        except NotAllowed as error:
            raise DeployError(
                f"the bucket {self.name} cannot be read ({error.code}). Bucket names are shared by "
                "all customers: if it is not yours, choose another with the parameter OssBucket. "
                "If it is, allow the RAM action oss:GetBucketInfo."
            ) from error
        return True

    def make(self) -> None:
        """Make the bucket, private.

        Raises:
            DeployError: somebody else has that name.
            CloudError: OSS refused or did not answer.
        """
        try:
            with calling("oss:PutBucket"):
                self._client.put_bucket(oss.PutBucketRequest(bucket=self.name, acl="private"))
        except Taken as error:
            raise DeployError(
                f"the bucket name {self.name} is taken, by another customer or in another region: "
                "choose another one with the parameter OssBucket"
            ) from error

    def find(self, key: str) -> Stored | None:
        """What is there under a name.

        Raises:
            CloudError: OSS refused or did not answer.
        """
        try:
            with calling("oss:GetObject"):
                found = self._client.head_object(oss.HeadObjectRequest(self.name, key))
        except NotThere:
            return None
        said = {name.lower(): value for name, value in (found.metadata or {}).items()}
        return Stored(
            int(found.content_length or 0),
            str(found.hash_crc64 or ""),
            said.get(SHA256, ""),
            said.get(CONTENT, ""),
        )

    def put(self, artifact: Artifact, progress: Progress) -> bool:
        """Upload a package, unless it is there.

        Args:
            artifact: the package.
            progress: is told how far it is.

        Returns:
            Whether it had to be uploaded.

        Raises:
            DeployError: something else is there under that name, or what arrived is damaged.
            CloudError: OSS refused or did not answer; the next run goes on.
        """
        if self._same(artifact):
            return False
        try:
            self._upload(artifact, progress)
        except Taken:
            # Somebody else deploys the same commit, and was faster.
            return not self._same(artifact)
        except Damaged:
            # The SDK compares when all of it is there already: it is looked at, and removed, below.
            pass
        self._verify(artifact)
        return True

    def _same(self, artifact: Artifact) -> bool:
        found = self.find(artifact.key)
        if found is None:
            return False
        if artifact.sha256 == found.sha256 or artifact.content_sha256 == found.content_sha256:
            return True
        raise DeployError(
            f"{artifact.key} is in the bucket {self.name} already, with other content "
            f"(sha256 {found.sha256[:12] or 'unknown'}…, here {artifact.sha256[:12]}…). A version "
            "is never overwritten: build with the Python that built the first one, or make a new "
            "commit."
        )

    def _upload(self, artifact: Artifact, progress: Progress) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        request = oss.PutObjectRequest(
            bucket=self.name,
            key=artifact.key,
            content_type="application/zip",
            metadata={SHA256: artifact.sha256, CONTENT: artifact.content_sha256},
            forbid_overwrite="true",
            progress_fn=lambda _new, done, total: progress(done, total),
        )
        with calling("oss:PutObject"):
            self._client_uploader().upload_file(
                request,
                str(artifact.path),
                part_size=PART_BYTES,
                parallel_num=PARALLEL,
                enable_checkpoint=True,
                # The SDK takes the folder of this path.
                checkpoint_dir=f"{self._folder}/",
            )

    def _client_uploader(self) -> Any:
        return self._client.uploader()

    def _verify(self, artifact: Artifact) -> None:
        """What OSS computed over its bytes must be what is computed here."""
        found = self.find(artifact.key)
        if found is not None and found.crc64 == crc64_of(artifact.path):
            return
        # It must not stay: the next run would take it for the version.
        with calling("oss:DeleteObject"):
            self._client.delete_object(oss.DeleteObjectRequest(self.name, artifact.key))
        raise DeployError(
            f"{artifact.key} arrived damaged and was removed from the bucket: run it again"
        )


def missing(bucket: Bucket, keys: list[str]) -> list[str]:
    """Those of some objects that are not in the bucket.

    Raises:
        CloudError: OSS refused or did not answer.
    """
    return [key for key in keys if bucket.find(key) is None]


def read_artifact(key: str, path: Path, manifest: dict[str, Any]) -> Artifact:
    """A package with what its manifest says of it.

    Raises:
        DeployError: the zip is not the one that the manifest describes.
    """
    sha256 = sha256_of(path)
    if sha256 != manifest["zip"]["sha256"]:
        raise DeployError(f"{path} is not what its manifest says: remove it and run it again")
    return Artifact(key, path, sha256, str(manifest["content_sha256"]))


def crc64_of(path: Path) -> str:
    """The CRC-64 (ECMA-182) of a file, as OSS writes it."""
    total = Crc64(0)
    with path.open("rb") as file:
        while chunk := file.read(PART_BYTES):
            total.update(chunk)
    return str(total.sum64())


__all__ = ["Artifact", "Bucket", "CloudError", "Stored", "crc64_of", "missing", "read_artifact"]
