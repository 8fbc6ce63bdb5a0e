"""One client for each service, all with the credentials of the official default chain.

The chain: environment variables, OIDC, the profile of the `aliyun` command, a credentials file, the
role of an ECS instance.
https://www.alibabacloud.com/help/en/sdk/developer-reference/v2-manage-python-access-credentials
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any

from alibabacloud_credentials.client import Client as CredentialsClient
from alibabacloud_tea_openapi.utils_models import Config

from deploy.cloud.faults import calling

CONNECT_MS = 5_000
READ_MS = 30_000
PATIENCE_MS = 600_000
# SMQ's data plane has the account in its address.
SMQ = "https://{account}.mns.{region}.aliyuncs.com"


@dataclass(frozen=True)
class Identity:
    """Who is asking.

    Attributes:
        account: the account's number.
        arn: the user or role.
        date: what the service's clock said, in the words of its header; empty where it did not.
    """

    account: str
    arn: str
    date: str

    def ahead(self, now: float) -> float | None:
        """How many seconds this machine's clock is ahead, to the second.

        Args:
            now: this machine's time of the answer, in seconds since 1970.
        """
        if not self.date:
            return None
        return now - parsedate_to_datetime(self.date).timestamp()


class Access:
    """Clients of one region.

    Args:
        region: e.g. `cn-hangzhou`.
        endpoint: where all services answer instead of their own addresses (`http://host:port`);
            empty in the cloud.
        credentials: of the official SDK; None takes the default chain.
    """

    def __init__(self, region: str, endpoint: str = "", credentials: Any = None) -> None:
        _quiet()
        self.region = region
        self.endpoint = endpoint
        self._given = credentials

    @cached_property
    def credentials(self) -> Any:
        """Who asks."""
        return self._given or CredentialsClient()

    def keys(self) -> tuple[str, str, str]:
        """Access key id, its secret and the security token (empty with a lasting key)."""
        with calling("credentials"):
            found = self.credentials.get_credential()
        return (
            str(found.access_key_id),
            str(found.access_key_secret),
            str(found.security_token or ""),
        )

    def config(self) -> Any:
        """The settings of any client but those of OSS and of SMQ's data plane."""
        scheme, _, host = self.endpoint.partition("://")
        elsewhere = {"protocol": scheme, "endpoint": host} if self.endpoint else {}
        return Config(
            credential=self.credentials,
            region_id=self.region,
            connect_timeout=CONNECT_MS,
            read_timeout=READ_MS,
            **elsewhere,
        )

    @cached_property
    def ros(self) -> Any:
        """Resource Orchestration Service."""
        from alibabacloud_ros20190910.client import Client  # noqa: PLC0415  # a second each

        return Client(self.config())

    @cached_property
    def sts(self) -> Any:
        """Security Token Service."""
        from alibabacloud_sts20150401.client import Client  # noqa: PLC0415  # likewise

        return Client(self.config())

    @cached_property
    def ram(self) -> Any:
        """Resource Access Management."""
        from alibabacloud_ram20150501.client import Client  # noqa: PLC0415  # likewise

        return Client(self.config())

    @cached_property
    def directmail(self) -> Any:
        """DirectMail."""
        from alibabacloud_dm20151123.client import Client  # noqa: PLC0415  # likewise

        return Client(self.config())

    @cached_property
    def eventbridge(self) -> Any:
        """EventBridge's rules."""
        from alibabacloud_eventbridge20200401.client import Client  # noqa: PLC0415  # likewise

        return Client(self.config())

    @cached_property
    def queues(self) -> Any:
        """SMQ's control plane."""
        from alibabacloud_mns_open20220119.client import Client  # noqa: PLC0415  # likewise

        return Client(self.config())

    @cached_property
    def functions(self) -> Any:
        """Function Compute."""
        from alibabacloud_fc20230330.client import Client  # noqa: PLC0415  # likewise

        return Client(self.config())

    @cached_property
    def oss(self) -> Any:
        """Object Storage Service."""
        from alibabacloud_oss_v2 import Client  # noqa: PLC0415  # likewise
        from alibabacloud_oss_v2.config import Config as OssConfig  # noqa: PLC0415  # likewise
        from alibabacloud_oss_v2.credentials import (  # noqa: PLC0415  # likewise
            CredentialsProviderFunc,
        )
        from alibabacloud_oss_v2.types import Credentials  # noqa: PLC0415  # likewise

        return Client(
            OssConfig(
                region=self.region,
                endpoint=self.endpoint or None,
                signature_version="v4",
                credentials_provider=CredentialsProviderFunc(lambda: Credentials(*self.keys())),
            )
        )

    def smq(self, account: str) -> Any:
        """SMQ's data plane, of one account.

        Args:
            account: the account's number.
        """
        from shared.cloud.smq import Smq  # noqa: PLC0415  # likewise
        from shared.triggers.context import Credentials, Invocation  # noqa: PLC0415  # likewise

        now = time.time_ns() // 1_000_000
        found = Smq(self.endpoint or SMQ.format(account=account, region=self.region))
        found.use(
            Invocation(
                request_id="postbus-command",
                function="postbus",
                deadline=now + PATIENCE_MS,
                credentials=Credentials(*self.keys()),
                clock=lambda: time.time_ns() // 1_000_000,
            )
        )
        return found

    def identity(self) -> Identity:
        """Who is asking.

        Raises:
            CloudError: there are no credentials, or they do not hold.
        """
        with calling("sts:GetCallerIdentity"):
            answer = self.sts.get_caller_identity()
        headers = {name.lower(): value for name, value in (answer.headers or {}).items()}
        return Identity(
            str(answer.body.account_id), str(answer.body.arn), str(headers.get("date", ""))
        )


def _quiet() -> None:
    """The SDKs' loggers write to standard error at DEBUG, several times, with tracebacks."""
    for name in ("darabonba-core", "credentials", "alibabacloud-tea"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.setLevel(logging.CRITICAL + 1)
        logger.propagate = False
