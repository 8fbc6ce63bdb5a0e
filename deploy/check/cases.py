"""The deployments that a template is checked for: every environment, every region, each option.

Each unverified fact of the platform is a parameter, so both of its values are among the cases.
"""

from __future__ import annotations

from collections.abc import Iterator

from deploy.check.rendered import Case

# Where DirectMail sends its events to EventBridge.
# https://www.alibabacloud.com/help/en/direct-mail/user-guide/set-up-eventbridge
REGIONS = ("cn-hangzhou", "ap-southeast-1", "us-east-1", "eu-central-1")
ENVIRONMENTS = ("dev", "staging", "production")
# What has no default, because a deployment must say.
BASIC = {
    "OssBucket": "postbus-code",
    "CodeVersion": "0123456789abcdef",
    "SuppressionKey": "0123456789abcdef0123456789abcdef",
}
# Name of the option -> the parameters that choose it.
OPTIONS: dict[str, dict[str, str]] = {
    "with a sender domain": {
        "SenderDomain": "mail.example.com",
        "DefaultSender": "no-reply@mail.example.com",
    },
    "with alarms": {"AlarmMail": "ops@example.com"},
    "with a custom domain": {
        "CustomDomain": "mail.example.com",
        "DomainCertificate": "-----BEGIN CERTIFICATE-----",
        "DomainKey": "-----BEGIN PRIVATE KEY-----",
    },
    "with the older notifications": {"NotificationTopic": "directmail"},
    "with a ledger that was kept": {"LedgerIs": "kept", "LedgerSuffix": "-x1"},
    "behind a gateway": {"MailApiAuth": "anonymous"},
    "with python3.10": {"Runtime": "python3.10"},
    "with python3.12": {"Runtime": "python3.12"},
    "with an endpoint of its own": {"DirectMailEndpoint": "https://dm.aliyuncs.com"},
    "with the example timer": {"TimerEnabled": "true"},
}


def cases() -> Iterator[Case]:
    """Every environment in every region; each option once; all of them together in production."""
    for environment in ENVIRONMENTS:
        for region in REGIONS:
            yield Case(f"{environment} in {region}", region, {**BASIC, "Env": environment})
    for option, parameters in OPTIONS.items():
        yield Case(f"staging {option}", REGIONS[0], {**BASIC, "Env": "staging", **parameters})
    yield everything()


def everything() -> Case:
    """Production with every option that makes resources, under the longest names."""
    chosen = (
        "with a sender domain",
        "with alarms",
        "with a custom domain",
        "with the older notifications",
    )
    parameters = {key: value for name in chosen for key, value in OPTIONS[name].items()}
    return Case(
        "production with everything",
        "ap-southeast-1",
        {**BASIC, "Env": "production", "LedgerSuffix": "-x1", **parameters},
    )


def plain() -> Case:
    """For a template without environments, such as `bootstrap.yml`."""
    return Case("once for an account", REGIONS[0])
