"""`requirements.lock`, read for one runtime: which version of what, and the hashes it may have."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from deploy.package.errors import PackageError
from deploy.package.targets import Target

_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True)
class Pinned:
    """One distribution of the lock file.

    Attributes:
        name: normalised, e.g. `typing-extensions`.
        version: the only one.
        hashes: SHA-256 of the files that were published for it, in hex.
    """

    name: str
    version: str
    hashes: frozenset[str]

    def line(self) -> str:
        """As pip reads it."""
        hashes = " ".join(f"--hash=sha256:{each}" for each in sorted(self.hashes))
        return f"{self.name}=={self.version} {hashes}"


def read_lock(path: Path, target: Target) -> list[Pinned]:
    """The distributions that a runtime needs, by name.

    Raises:
        PackageError: a line is not a version with hashes.
    """
    found: list[Pinned] = []
    for line in path.read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
        text = line.partition("--hash")[0].strip()
        if not text or text.startswith("#"):
            continue
        pinned, applies = _read(path, text, line, target)
        if applies:
            found.append(pinned)
    return sorted(found, key=lambda each: each.name)


def _read(path: Path, text: str, line: str, target: Target) -> tuple[Pinned, bool]:
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        raise PackageError(f"{path.name}: {error}") from None
    versions = [each.version for each in requirement.specifier if each.operator == "=="]
    hashes = frozenset(_HASH.findall(line))
    if len(versions) != 1 or not hashes:
        raise PackageError(f"{path.name}: {text}: one version and its hashes belong here")
    marker = requirement.marker
    applies = marker is None or marker.evaluate(dict(target.environment))
    return Pinned(canonicalize_name(requirement.name), versions[0], hashes), applies
