"""What the platform says about the running invocation, the same for every runtime.

Up to python3.10 the credentials of the function's role are in the context; on python3.12 they are
in the environment only. https://help.aliyun.com/en/functioncompute/fc/context-1
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from shared.values import dataclass

# The platform's own default where a context does not say: 60 s, as the console sets it.
DEFAULT_TIMEOUT_SECONDS = 60

Clock = Callable[[], int]
"""Gives the time in milliseconds since 1970."""


@dataclass(frozen=True)
class Credentials:
    """The access key of this invocation; temporary, so never used for another one's calls."""

    access_key_id: str
    access_key_secret: str
    security_token: str = ""

    @property
    def complete(self) -> bool:
        """Whether a request can be signed with them."""
        return bool(self.access_key_id and self.access_key_secret)

    def __repr__(self) -> str:
        return f"Credentials({self.access_key_id[:8]}…)"


@dataclass(frozen=True)
class Invocation:
    """One run of a function.

    Attributes:
        request_id: the platform's id of it.
        function: the function's name.
        deadline: when the platform ends it, in ms since 1970.
        credentials: the role's, or None where there are none.
        clock: the time, in ms since 1970.
    """

    request_id: str
    function: str
    deadline: int
    credentials: Credentials | None
    clock: Clock

    def now(self) -> int:
        """The time, in ms since 1970."""
        return self.clock()

    def remaining(self) -> int:
        """How many ms are left; never below 0."""
        return max(0, self.deadline - self.clock())


def read_context(context: Any, environment: Mapping[str, str], clock: Clock) -> Invocation:
    """Read the context object of either runtime; what is missing has a safe default."""
    function = getattr(context, "function", None)
    timeout = getattr(function, "timeout", None)
    seconds = timeout if isinstance(timeout, int) and timeout > 0 else DEFAULT_TIMEOUT_SECONDS
    return Invocation(
        request_id=str(getattr(context, "request_id", "") or "unknown"),
        function=str(getattr(function, "name", "") or "unknown"),
        deadline=clock() + seconds * 1000,
        credentials=_credentials(context, environment),
        clock=clock,
    )


def _credentials(context: Any, environment: Mapping[str, str]) -> Credentials | None:
    given: Any = getattr(context, "credentials", None)
    if given is not None and getattr(given, "access_key_id", None):
        return Credentials(given.access_key_id, given.access_key_secret, given.security_token or "")
    if environment.get("ALIBABA_CLOUD_ACCESS_KEY_ID"):
        return Credentials(
            environment["ALIBABA_CLOUD_ACCESS_KEY_ID"],
            environment.get("ALIBABA_CLOUD_ACCESS_KEY_SECRET", ""),
            environment.get("ALIBABA_CLOUD_SECURITY_TOKEN", ""),
        )
    return None
