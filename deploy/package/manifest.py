"""What a package says about itself: where it comes from, what is in it, under which licences."""

from __future__ import annotations

import json
from dataclasses import dataclass
from email.parser import Parser
from pathlib import Path
from typing import Any

from deploy.package.contents import FUNCTIONS, LEFT_OUT
from deploy.package.lock import Pinned
from deploy.package.source import Commit
from deploy.package.targets import Interpreter, Target
from deploy.package.wheels import Files, sha256_of

NAME = "MANIFEST.json"
_CLASSIFIER = "License :: OSI Approved :: "


@dataclass(frozen=True)
class Distribution:
    """A dependency in a package.

    Attributes:
        pinned: name, version, hashes.
        file: what was fetched.
        files: what of it is packed.
    """

    pinned: Pinned
    file: Path
    files: Files

    def describe(self) -> dict[str, Any]:
        """As the manifest lists it."""
        return {
            "name": self.pinned.name,
            "version": self.pinned.version,
            "file": self.file.name,
            "sha256": sha256_of(self.file),
            "licence": licence_of(self.files),
            "licence_files": [path for path in sorted(self.files) if _is_licence(path)],
        }


def describe(
    group: str,
    target: Target,
    interpreter: Interpreter,
    commit: Commit,
    distributions: list[Distribution],
) -> dict[str, Any]:
    """The manifest that lies in the package."""
    return {
        "package": f"{group}-{target.runtime}",
        "runtime": target.runtime,
        "functions": sorted(name for name, its in FUNCTIONS.items() if its == group),
        "commit": commit.id,
        "dirty": commit.dirty,
        "compiled_by": f"CPython {interpreter.version}",
        "distributions": [each.describe() for each in distributions],
        "left_out": dict(sorted(LEFT_OUT[group].items())),
    }


def encode(document: dict[str, Any]) -> bytes:
    """A manifest as a file, the same bytes for the same content."""
    return f"{json.dumps(document, indent=2, ensure_ascii=False)}\n".encode()


def licence_of(files: Files) -> str:
    """The licence that a distribution's metadata names, in its own words.

    https://packaging.python.org/en/latest/specifications/core-metadata/
    """
    metadata = next((files[path] for path in files if path.endswith(".dist-info/METADATA")), b"")
    fields = Parser().parsestr(metadata.decode("utf-8", "replace"), headersonly=True)
    classifiers = [
        text.removeprefix(_CLASSIFIER)
        for text in fields.get_all("Classifier", [])
        if text.startswith(_CLASSIFIER)
    ]
    named = fields["License-Expression"] or fields["License"] or " AND ".join(classifiers)
    return str(named or "unknown").strip().splitlines()[0]


def _is_licence(path: str) -> bool:
    return ".dist-info/" in path and not path.endswith(("/METADATA", "/entry_points.txt"))
