"""What services refuse, as errors that say whose fault it is and what to do.

CloudError               the service's own words; nothing here knows more
├── NoCredentials        nobody says who is asking
├── WrongCredentials     the service does not know the key, or its secret is another
├── ClockWrong           this machine's clock is too far from the service's
├── NotAllowed           a permission is missing: `action` names it
├── NotThere             what was asked for does not exist
├── Taken                the name belongs to something that exists
├── Damaged              what the service has is not what was sent
└── Unreachable          no answer; whether the call was carried out is not known

Codes of the gateway: https://www.alibabacloud.com/help/en/sdk/product-overview/v3-request-structure-and-signature
Codes of OSS: https://www.alibabacloud.com/help/en/oss/user-guide/http-status-code-2/
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from alibabacloud_credentials.exceptions import CredentialException
from alibabacloud_oss_v2 import exceptions as oss
from alibabacloud_oss_v2.uploader import UploadError
from Tea.exceptions import TeaException

FORBIDDEN = 403
NOT_FOUND = 404

_CREDENTIALS = (
    "Forbidden.AccessKey",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidSecurityToken",
    "SecurityTokenExpired",
    "SignatureDoesNotMatch",
)
_CLOCK = ("InvalidTimeStamp", "RequestTimeTooSkewed", "TimeExpired")
_PERMISSION = ("AccessDenied", "Forbidden", "NoPermission", "Unauthorized")
_MISSING = re.compile(r"NotFound|NotExist|^NoSuch")
_TAKEN = re.compile(r"AlreadyExist|^StackExists|^ChangeSetExists")


class CloudError(Exception):
    """A service refused a call.

    Args:
        message: the service's own sentence.
        code: its error code; empty where there is none.
        action: what was called, as RAM names it (`ros:CreateChangeSet`).
        request_id: what the service's support asks for.
    """

    advice = ""

    def __init__(
        self, message: str, *, code: str = "", action: str = "", request_id: str = ""
    ) -> None:
        self.message = message
        self.code = code
        self.action = action
        self.request_id = request_id
        super().__init__(message)

    def __str__(self) -> str:
        """One sentence of what happened, one of what to do."""
        said = f"{self.code}: {self.message}" if self.code else self.message
        asked = f" (request {self.request_id})" if self.request_id else ""
        return f"{self.action or 'the call'}: {said.rstrip('.')}{asked}. {self.advice}".rstrip()


class NoCredentials(CloudError):
    """The default chain found nothing."""

    advice = (
        "Say who you are: set ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET "
        "(ALIBABA_CLOUD_SECURITY_TOKEN with temporary ones), or run `aliyun configure`."
    )


class WrongCredentials(CloudError):
    """The key is unknown, disabled or over, or its secret is another one."""

    advice = (
        "Look at the access key: is it complete, active, of this account, and if it is temporary, "
        "not over?"
    )


class ClockWrong(CloudError):
    """A signature's time is too far from the service's."""

    advice = "Set this machine's clock (timedatectl set-ntp true): 15 minutes are allowed."


class NotAllowed(CloudError):
    """The caller lacks a permission."""

    @property
    def advice(self) -> str:  # type: ignore[override]  # it names the action
        """Which action to allow."""
        return f"Allow the RAM action {self.action} to the user or role that runs this."


class NotThere(CloudError):
    """What was asked for does not exist."""


class Taken(CloudError):
    """The name is somebody's already."""


class Damaged(CloudError):
    """What the service has is not what was sent."""


class Unreachable(CloudError):
    """No answer came, or none that can be read."""

    advice = "Look at the network and the proxy, then run it again."


@contextmanager
def calling(action: str) -> Iterator[None]:
    """Turn what the SDKs raise inside into a `CloudError`.

    Args:
        action: what is called, as RAM names it.

    Raises:
        CloudError: of the kind that fits.
    """
    try:
        yield
    except (oss.BaseError, UploadError) as error:
        _raise_oss(error, action)
    except TeaException as error:
        _raise_rpc(error, action)
    except CredentialException as error:
        raise NoCredentials("no credentials were found", action=action) from error


def _raise_rpc(error: Any, action: str) -> NoReturn:
    code = str(error.code or "")
    if not code or not isinstance(getattr(error, "data", None), dict):
        bottom = _bottom(error)
        if isinstance(bottom, CredentialException):
            raise NoCredentials("no credentials were found", action=action) from error
        raise Unreachable(_words(bottom), code=code, action=action) from error
    data = error.data
    if code == "InvalidCredentials":
        raise NoCredentials("no credentials were found", action=action) from error
    message = str(data.get("Message") or data.get("message") or error.message)
    denied = data.get("AccessDeniedDetail") or data.get("accessDeniedDetail") or {}
    raise kind_of(code, int(data.get("statusCode") or 0))(
        message,
        code=code,
        action=str(denied.get("AuthAction") or action),
        request_id=str(data.get("RequestId") or data.get("requestId") or ""),
    ) from error


def _raise_oss(error: Any, action: str) -> NoReturn:
    inner = error
    while isinstance(inner, (oss.OperationError, UploadError)):
        inner = inner.unwrap()
    if isinstance(inner, oss.ServiceError):
        raise kind_of(str(inner.code), int(inner.status_code))(
            str(inner.message), code=str(inner.code), action=action,
            request_id=str(inner.request_id or ""),
        ) from error  # fmt: skip
    if isinstance(inner, oss.CredentialsBaseError):
        raise NoCredentials("no credentials were found", action=action) from error
    if isinstance(inner, (oss.RequestError, oss.ResponseError)):
        raise Unreachable(_words(_bottom(inner)), action=action) from error
    if isinstance(inner, oss.InconsistentError):
        raise Damaged("what arrived is not what was sent", action=action) from error
    raise CloudError(str(inner), action=action) from error


def kind_of(code: str, status: int) -> type[CloudError]:
    """The error for a service's code and HTTP status."""
    if code.startswith(_CREDENTIALS):
        return WrongCredentials
    if code.startswith(_CLOCK):
        return ClockWrong
    if code.startswith(_PERMISSION) or (status == FORBIDDEN and not _TAKEN.search(code)):
        return NotAllowed
    if _TAKEN.search(code):
        return Taken
    if _MISSING.search(code) or status == NOT_FOUND:
        return NotThere
    return CloudError


def _bottom(error: BaseException) -> BaseException:
    """What a chain of wrapped errors began with."""
    while True:
        below = getattr(error, "inner_exception", None) or error.__cause__ or error.__context__
        if below is None or below is error:
            return error
        error = below


def _words(error: BaseException) -> str:
    """An error in a line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
