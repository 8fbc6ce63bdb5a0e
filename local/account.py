"""The local account: the access keys that the twins know, as RAM and STS would.

The twins verify real signatures, so they need secrets to verify against. There is one
long-lived key for producers and tests, and one temporary key (with a security token) for each
function role, as Function Compute hands them to an instance.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

ACCOUNT_ID = "1234567890123456"
REGION = "cn-hangzhou"

# Function Compute's temporary credentials last 36 hours.
# https://www.alibabacloud.com/help/en/functioncompute/fc/context-1
ROLE_SESSION_SECONDS = 36 * 3600


@dataclass(frozen=True)
class AccessKey:
    """One access key; `token` and `expires_at` (seconds since 1970) only for temporary ones."""

    id: str
    secret: str
    token: str | None = None
    expires_at: float | None = None


OWNER = AccessKey(id="local-access-key", secret="local-access-secret")  # noqa: S106  # opens nothing but this machine's twins


class Account:
    """Issues and finds the access keys of the local account.

    Args:
        clock: seconds since 1970; tests hand in their own to let a token expire.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.id = ACCOUNT_ID
        self.region = REGION
        self._clock = clock
        self._keys = {OWNER.id: OWNER}

    def assume(self, role: str) -> AccessKey:
        """Issue temporary credentials for a role, valid for `ROLE_SESSION_SECONDS`."""
        seed = secrets.token_hex(16)
        key = AccessKey(
            id="STS." + hashlib.sha256(f"{role}{seed}".encode()).hexdigest()[:22],
            secret=secrets.token_hex(20),
            token=secrets.token_urlsafe(48),
            expires_at=self._clock() + ROLE_SESSION_SECONDS,
        )
        self._keys[key.id] = key
        return key

    def find(self, access_key_id: str) -> AccessKey | None:
        """The key with that id, or None; whether it has expired is for the caller to ask."""
        return self._keys.get(access_key_id)

    def expired(self, key: AccessKey) -> bool:
        """Whether a temporary key's time is over."""
        return key.expires_at is not None and key.expires_at <= self._clock()
