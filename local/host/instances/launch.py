"""What it takes to start an instance: the interpreter, the code, the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.account import AccessKey
from local.host.model import FunctionSpec


@dataclass(frozen=True)
class Launch:
    """What it takes to start an instance of one function.

    Attributes:
        spec: the function.
        python: the interpreter.
        code_root: the folder that is `/code` in the cloud.
        account_id: the account's id.
        region: the region's id.
        overrides: environment variables that win over the template's.
    """

    spec: FunctionSpec
    python: Path
    code_root: Path
    account_id: str
    region: str
    overrides: Mapping[str, str]

    def environment(self, instance_id: str, key: AccessKey) -> dict[str, str]:
        """The worker's whole environment: nothing of the host's own leaks in but PATH.

        https://help.aliyun.com/document_detail/2513539.html
        """
        version = "FC_VER_ID" if self.spec.runtime == "python3.10" else "FC_FUNCTION_VERSION"
        role = {
            "ALIBABA_CLOUD_ACCESS_KEY_ID": key.id,
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET": key.secret,
            "ALIBABA_CLOUD_SECURITY_TOKEN": key.token or "",
        }
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "HOME": "/tmp",  # noqa: S108  # as in the cloud: the one place a function may write to
            **self.spec.environment,
            **self.overrides,
            "FC_ACCOUNT_ID": self.account_id,
            "FC_CUSTOM_LISTEN_PORT": "9000",
            "FC_FUNCTION_HANDLER": self.spec.handler,
            "FC_FUNCTION_MEMORY_SIZE": str(self.spec.memory_mb),
            "FC_FUNCTION_NAME": self.spec.name,
            "FC_FUNC_CODE_PATH": str(self.code_root),
            "FC_INSTANCE_ID": instance_id,
            "FC_REGION": self.region,
            version: "LATEST",
            **(role if self.spec.role else {}),
        }

    def settings(self, key: AccessKey) -> dict[str, Any]:
        """What the worker is told first (`worker.py`)."""
        spec = self.spec
        return {
            "account_id": self.account_id,
            "code_root": str(self.code_root),
            "credentials": {
                "access_key_id": key.id if spec.role else "",
                "access_key_secret": key.secret if spec.role else "",
                "security_token": (key.token or "") if spec.role else "",
            },
            "function": {
                "name": spec.name,
                "handler": spec.handler,
                "memory": spec.memory_mb,
                "timeout": spec.timeout_seconds,
            },
            "initializer": spec.initializer.handler if spec.initializer else None,
            "region": self.region,
            "runtime": spec.runtime,
        }
