"""Settings: read from the environment once, checked, and explained when they are wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from shared.errors import SettingsError
from shared.hooks.secrets import read_secrets
from shared.values import dataclass

DIRECTMAIL_REGIONS = frozenset(
    {"cn-hangzhou", "ap-southeast-1", "ap-southeast-2", "us-east-1", "eu-central-1"}
)
KEY_CHARACTERS_MIN = 32
# More than any of the numbers needs, and less than `int` refuses to read.
DIGITS_MAX = 9
# The settings that are numbers, and the least each takes.
_NUMBERS = {
    "unknown_grace_seconds": 1,
    "record_days": 37,
    "threads": 1,
    "calls_per_second": 0,
    "daily_recipients": 0,
    "quota_zone_hours": 0,
    "sink_patience_seconds": 0,
}
UNMATCHED = ("drop", "forward")
_ENVIRONMENT = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_ACCOUNT_HOST = re.compile(r"https?://([0-9]{5,32})\.mns\.")


@dataclass(frozen=True)
class Settings:
    """What an operator decides. Each attribute is the variable POSTBUS_<NAME>.

    Attributes:
        environment: e.g. `production`; part of every mail id, and of the header that comes back.
        mails_queue: the queue of mails to send.
        rejected_queue: the queue of messages that could not be taken.
        dead_queue: the queue of letters that wait for redrive.
        events_topic: the topic of mail events.
        smq_endpoint: `https://<account id>.mns.<region>.aliyuncs.com`.
        directmail_region: where the sender was verified, e.g. `cn-hangzhou`.
        directmail_endpoint: `https://host`, or empty to go by the region.
        open_platform_endpoint: the host that authorises uploads, or empty.
        ca_file: certificates to trust instead of the public ones, or empty.
        ledger: `sqlite:<path>`, or `tablestore:` and the instance's address and name, as
            `tablestore:https://<instance>.<region>.ots.aliyuncs.com/<instance>`.
        default_sender: the address of mails that name no sender, or empty.
        allowed_senders: addresses or `@domain`, separated by commas; empty allows all.
        allowed_recipients: likewise; `*` allows all. Outside production, empty allows nobody.
        redirect_to: where every mail goes instead, or empty.
        delivery_events_queue: the queue of DirectMail's events.
        delivery_retries_queue: the queue of events that a sink has not taken yet; empty: the one
            of DirectMail's events.
        delivery_events_dead_queue: the queue of events that nobody could handle.
        routes: which events go where: a document of docs/schema/routes.json, as JSON or as the
            path of a file in the code's package. Empty: all of them to the topic of mail events.
        unmatched: what becomes of events that belong to no mail of Postbus's: `drop` (they are
            counted) or `forward`.
        sink_patience_seconds: for how long an event is tried on a sink that does not take it.
        calls_per_second: the account's rate, kept across all instances; 0 keeps none.
        daily_recipients: the account's daily quota, likewise; 0 keeps none.
        quota_zone_hours: where the quota's day begins, in hours east of UTC.
        published_states: of Postbus's own states, those that go downstream; `sent` may be added.
        record_days: how long the ledger keeps its records; at least the event window (30 days)
            and the stay of a dead letter (7 days), and below its tables' own limit (120 days).
        unknown_grace_seconds: how long evidence of an unknown mail is waited for.
        threads: how many mails of a batch are sent at once.
        public_url: how others reach the function `webhooks`, e.g. `https://mail.example.com`;
            EventBridge signs it, and unsubscribe links begin with it. Empty: neither is on.
        push_token: the token that EventBridge's HTTP target sends along. EventBridge signs for
            every customer alike, so without the token no push of it is taken.
        push_account: the account whose topics may push; by default the one in `smq_endpoint`.
        push_cert_hosts: further `host:port` that certificates of pushes may come from, separated
            by commas: for the local twins, never in the cloud.
        hook_secrets: who may hand mails in at `/hooks/<source>`, and with which secrets: e.g.
            `crm=whsec_… whsec_…, shop=whsec_…`. Several are valid at a time, for rotation.
        suppression_key: the secret that hashes of suppressed addresses and unsubscribe links are
            made with; at least 32 characters. Another one knows none of the old hashes and links.
            Only the environment `local` has one by itself.
        store_addresses: whether suppressions also keep the address in clear; `true` or `false`.
        log_level: `debug`, `info`, `warning` or `error`.
    """

    environment: str
    mails_queue: str = ""
    rejected_queue: str = ""
    dead_queue: str = ""
    events_topic: str = ""
    smq_endpoint: str = ""
    directmail_region: str = "cn-hangzhou"
    directmail_endpoint: str = ""
    open_platform_endpoint: str = ""
    ca_file: str = ""
    ledger: str = "sqlite:/tmp/postbus.db"
    default_sender: str = ""
    allowed_senders: tuple[str, ...] = ()
    allowed_recipients: tuple[str, ...] = ()
    redirect_to: str = ""
    delivery_events_queue: str = ""
    delivery_retries_queue: str = ""
    delivery_events_dead_queue: str = ""
    routes: str = ""
    unmatched: Literal["drop", "forward"] = "drop"
    sink_patience_seconds: int = 86_400
    calls_per_second: int = 100
    daily_recipients: int = 0
    quota_zone_hours: int = 8
    published_states: tuple[str, ...] = (
        "refused",
        "expired",
        "suppressed",
        "failed",
        "held",
        "unknown",
    )
    record_days: int = 45
    unknown_grace_seconds: int = 900
    threads: int = 8
    public_url: str = ""
    push_token: str = field(default="", repr=False)
    push_account: str = ""
    push_cert_hosts: tuple[str, ...] = ()
    hook_secrets: Mapping[str, tuple[bytes, ...]] = field(default_factory=dict, repr=False)
    suppression_key: str = field(default="", repr=False)
    store_addresses: bool = True
    log_level: str = "info"


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read the settings from environment variables.

    Raises:
        SettingsError: names the variable and says what it takes.
    """
    names = Settings.__dataclass_fields__
    given = {name: environment.get(f"POSTBUS_{name.upper()}", "").strip() for name in names}
    if not _ENVIRONMENT.fullmatch(given["environment"]):
        raise SettingsError(
            "POSTBUS_ENVIRONMENT names this environment: 1 to 32 lower-case letters, digits and "
            f"hyphens; it is {given['environment']!r}"
        )
    region = given["directmail_region"] or "cn-hangzhou"
    if region not in DIRECTMAIL_REGIONS:
        raise SettingsError(
            f"POSTBUS_DIRECTMAIL_REGION is {region!r}; DirectMail is in "
            + ", ".join(sorted(DIRECTMAIL_REGIONS))
        )
    values: dict[str, object] = {name: text for name, text in given.items() if text}
    for name in ("allowed_senders", "allowed_recipients", "published_states", "push_cert_hosts"):
        if given[name]:
            values[name] = tuple(part.strip() for part in given[name].split(",") if part.strip())
    for name, least in _NUMBERS.items():
        if given[name]:
            values[name] = _number(name, given[name], least)
    if given["unmatched"] and given["unmatched"] not in UNMATCHED:
        raise SettingsError(
            f"POSTBUS_UNMATCHED is `drop` or `forward`; it is {given['unmatched']!r}"
        )
    if given["store_addresses"]:
        values["store_addresses"] = _flag("store_addresses", given["store_addresses"])
    if given["suppression_key"] and len(given["suppression_key"]) < KEY_CHARACTERS_MIN:
        raise SettingsError(
            f"POSTBUS_SUPPRESSION_KEY has at least {KEY_CHARACTERS_MIN} characters, which nobody "
            "can guess"
        )
    values["public_url"] = _public_url(given["public_url"])
    values["hook_secrets"] = read_secrets(given["hook_secrets"])
    own = _ACCOUNT_HOST.match(given["smq_endpoint"])
    values["push_account"] = given["push_account"] or (own[1] if own else "")
    return Settings(**values)  # type: ignore[arg-type]  # each by its name, checked above


def _number(name: str, text: str, least: int) -> int:
    if not text.isdecimal() or len(text) > DIGITS_MAX or int(text) < least:
        raise SettingsError(
            f"POSTBUS_{name.upper()} is a whole number from {least}; it is {text!r}"
        )
    return int(text)


def _flag(name: str, text: str) -> bool:
    if text not in ("true", "false"):
        raise SettingsError(f"POSTBUS_{name.upper()} is `true` or `false`; it is {text!r}")
    return text == "true"


def _public_url(text: str) -> str:
    url = text.rstrip("/")
    if url and not re.fullmatch(r"https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~/-]*)?", url):
        raise SettingsError(
            "POSTBUS_PUBLIC_URL is where `webhooks` is reached, such as https://mail.example.com, "
            f"without parameters; it is {text!r}"
        )
    return url
