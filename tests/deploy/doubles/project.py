"""A small repository that can be deployed: the real template, and packages that were built."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alibabacloud_credentials.client import Client
from alibabacloud_credentials.provider import (
    StaticAKCredentialsProvider,
    StaticSTSCredentialsProvider,
)

from deploy.cloud.access import Access
from local.account import OWNER, AccessKey

ROOT = Path(__file__).parents[3]
PACKAGE_BYTES = 50_000
# Four parts of an upload.
BIG_PACKAGE_BYTES = 3 * 1024 * 1024 + 12_345
KEY = "k" * 43
SETTINGS = """\
region: cn-hangzhou
parameters:
  SenderDomain: mail.example.com
  DefaultSender: no-reply@mail.example.com
  AllowedRecipients: '@example.com'
  DailyRecipients: 2000
tags: [order-shipped]
"""


@dataclass
class Project:
    """The repository, and the command run in it.

    Attributes:
        root: where it is.
        url: where the account answers.
        environment: variables of the command, over those of the test.
        package_bytes: how big packages are.
    """

    root: Path
    url: str
    environment: dict[str, str] = field(default_factory=dict)
    package_bytes: int = PACKAGE_BYTES

    def commit(self, message: str = "a change") -> str:
        """Commit everything, and build (that is: lay down) its packages; gives the id."""
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        commit = self.git("rev-parse", "HEAD").strip()
        self.lay_down(commit)
        return commit

    def lay_down(self, commit: str) -> None:
        """Packages of a commit, as a build leaves them."""
        for name in ("sender", "plain"):
            for runtime in ("python3.10", "python3.12"):
                self._lay_down(f"{name}-{runtime}", commit)

    def _lay_down(self, name: str, commit: str) -> None:
        folder = self.root / "build" / "package"
        folder.mkdir(parents=True, exist_ok=True)
        content = random.Random(f"{name}{commit}").randbytes(self.package_bytes)
        (folder / f"{name}.zip").write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        manifest = {
            "commit": commit,
            "dirty": False,
            "content_sha256": f"content-{sha256}",
            "zip": {"sha256": sha256, "bytes": len(content)},
        }
        (folder / f"{name}.json").write_text(json.dumps(manifest), encoding="utf-8")

    def git(self, *arguments: str) -> str:
        """What a Git command prints."""
        identity = ("-c", "user.name=T", "-c", "user.email=t@example.com")
        done = subprocess.run(  # noqa: S603  # git, in a folder of the test's
            ["git", "-C", str(self.root), *identity, *arguments],  # noqa: S607  # the person's git
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace a text that is there."""
        path = self.root / file
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")

    def variables(self) -> dict[str, str]:
        """The command's environment: the account's key, and nothing of this machine's."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("POSTBUS_", "ALIBABA_"))}
        kept.pop("CI", None)
        return {
            **kept,
            "HOME": str(self.root),
            "COLUMNS": "300",
            "ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true",
            "ALIBABA_CLOUD_ACCESS_KEY_ID": OWNER.id,
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET": OWNER.secret,
            **self.environment,
        }

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start the command."""
        where = ["--root", str(self.root), "--endpoint", self.url]
        if arguments[0] != "doctor":
            where += ["--interval", "0.01"]
        return subprocess.Popen(  # noqa: S603  # the command under test
            [sys.executable, "-m", "local.cli", *arguments, *where],
            cwd=ROOT, env=self.variables(), text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options,
        )  # fmt: skip

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command to its end."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def with_key(key: AccessKey = OWNER) -> Callable[[str, str], Access]:
    """Connects with a key of the local account; the default chain would look further."""
    if key.token is None:
        provider = StaticAKCredentialsProvider(access_key_id=key.id, access_key_secret=key.secret)
    else:
        provider = StaticSTSCredentialsProvider(
            access_key_id=key.id, access_key_secret=key.secret, security_token=key.token
        )
    return lambda region, endpoint: Access(region, endpoint, Client(provider=provider))


def make_project(folder: Path, url: str, *, code: bool = False) -> Project:
    """A repository with the real template, at its first commit.

    Args:
        folder: where.
        url: where the account answers.
        code: whether the functions are in it, as the check of the template needs them.
    """
    project = Project(folder, url)
    for name in ("functions", "shared") if code else ():
        shutil.copytree(
            ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc")
        )
    for name in ("template.yml", "requirements.lock", ".gitignore"):
        shutil.copy(ROOT / name, folder / name)
    environments = folder / "deploy" / "environments"
    environments.mkdir(parents=True)
    (environments / "staging.yml").write_text(SETTINGS, encoding="utf-8")
    project.git("init", "-q", "-b", "main")
    project.commit("the first")
    return project
