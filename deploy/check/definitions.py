"""Finds the vendor's packages among the installed ones, and keeps what was read of them.

The packages (dependency group `specs`) are installed for their files only. Each carries one
`.jsii.tgz` with the generated JavaScript in it. Reading them takes some seconds, so the result is
kept in a folder under a name that is made of the packages' contents and of the reader's.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from deploy.check import extract as reader
from deploy.check.extract import extract
from deploy.check.spec import Resource, Rule, Spec

# Package -> the service's name in the types of ROS.
SERVICES = {
    "ros-cdk-cms": "CMS",
    "ros-cdk-directmail": "DirectMail",
    "ros-cdk-eventbridge": "EventBridge",
    "ros-cdk-fc3": "FC3",
    "ros-cdk-mns": "MNS",
    "ros-cdk-oss": "OSS",
    "ros-cdk-ots": "OTS",
    "ros-cdk-ram": "RAM",
    "ros-cdk-resourcemanager": "ResourceManager",
    "ros-cdk-ros": "ROS",
    "ros-cdk-sls": "SLS",
}


class DefinitionsMissing(LookupError):
    """A package with definitions is not installed; the message names it."""


def load_spec(cache: Path) -> Spec:
    """The spec of all services, from the cache where it is there.

    Args:
        cache: the folder to keep it in; made when it is missing.

    Raises:
        DefinitionsMissing: a package is not installed.
        ExtractionError: a package has a form that the reader does not know.
    """
    archives = {package: _archive(package) for package in sorted(SERVICES)}
    file = cache / f"spec-{_fingerprint(archives)}.json"
    if file.exists():
        return Spec.from_json(json.loads(file.read_text(encoding="utf-8")))
    spec = _read(archives)
    cache.mkdir(parents=True, exist_ok=True)
    # Others may read or write the same file at the same time: they see all of it or none.
    draft = file.with_suffix(f".{os.getpid()}")
    draft.write_text(json.dumps(spec.to_json(), indent=1, sort_keys=True), encoding="utf-8")
    draft.replace(file)
    return spec


def _read(archives: dict[str, bytes]) -> Spec:
    sources: dict[str, str] = {}
    types: dict[str, dict[str, Rule]] = {}
    resources: dict[str, Resource] = {}
    for package, content in archives.items():
        sources[f"{package} {metadata.version(package)}"] = hashlib.sha256(content).hexdigest()
        more_types, more_resources = extract("".join(_modules(content)), SERVICES[package])
        types.update(more_types)
        resources.update(more_resources)
    return Spec(sources, types, resources)


def _archive(package: str) -> bytes:
    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError:
        raise DefinitionsMissing(
            f"{package} is not installed: `make install` does it, from requirements-specs.lock"
        ) from None
    for file in files:
        if file.name.endswith(".jsii.tgz"):
            return Path(str(file.locate())).read_bytes()
    raise DefinitionsMissing(f"{package} carries no .jsii.tgz")


def _modules(content: bytes) -> Iterator[str]:
    """The generated modules that define resources; those of data sources only read."""
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for member in archive.getmembers():
            if member.name.endswith(".generated.js") and "datasource" not in member.name:
                file = archive.extractfile(member)
                if file is not None:
                    yield file.read().decode("utf-8")


def _fingerprint(archives: dict[str, bytes]) -> str:
    digest = hashlib.sha256(Path(reader.__file__).read_bytes())
    for package, content in archives.items():
        digest.update(package.encode() + hashlib.sha256(content).digest())
    return digest.hexdigest()[:16]
