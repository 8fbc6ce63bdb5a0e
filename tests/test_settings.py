"""Settings: what is read, what is refused, and how the refusal explains itself."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from shared.errors import SettingsError
from shared.settings import DIRECTMAIL_REGIONS, Settings, read_settings

BARE = {"POSTBUS_ENVIRONMENT": "local"}
SECRET = "whsec_" + base64.b64encode(bytes(24)).decode()


def test_the_environments_name_is_all_that_is_needed() -> None:
    """Everything else has a default; outside production that allows no recipient."""
    settings = read_settings(BARE)
    assert settings == Settings(environment="local")
    assert settings.allowed_recipients == ()
    assert settings.unknown_grace_seconds == 900


@pytest.mark.parametrize("name", sorted(set(Settings.__dataclass_fields__) - {"environment"}))
def test_every_setting_is_a_variable(name: str) -> None:
    """POSTBUS_ and the setting's name in capitals; no other setting changes with it."""
    samples: dict[str, tuple[str, Any]] = {
        "allowed_senders": ("a@x.example", ("a@x.example",)),
        "allowed_recipients": ("*", ("*",)),
        "directmail_region": ("eu-central-1", "eu-central-1"),
        "threads": ("3", 3),
        "unknown_grace_seconds": ("60", 60),
        "calls_per_second": ("0", 0),
        "record_days": ("60", 60),
        "daily_recipients": ("2000", 2000),
        "quota_zone_hours": ("0", 0),
        "published_states": ("sent, held", ("sent", "held")),
        "public_url": ("https://mail.example.com/", "https://mail.example.com"),
        "suppression_key": ("k" * 32, "k" * 32),
        "store_addresses": ("false", False),
        "sink_patience_seconds": ("60", 60),
        "unmatched": ("forward", "forward"),
        "push_cert_hosts": ("127.0.0.1:8026", ("127.0.0.1:8026",)),
        "hook_secrets": (f"crm={SECRET}", {"crm": (bytes(24),)}),
    }
    given, expected = samples.get(name, ("some text", "some text"))
    settings = read_settings({**BARE, f"POSTBUS_{name.upper()}": given})
    assert settings == Settings(environment="local", **{name: expected})


@pytest.mark.parametrize("name", sorted(set(Settings.__dataclass_fields__) - {"environment"}))
@pytest.mark.parametrize("given", ["", "  "])
def test_an_empty_variable_is_no_variable(name: str, given: str) -> None:
    """A template declares all of them and leaves some empty."""
    assert read_settings({**BARE, f"POSTBUS_{name.upper()}": given}) == read_settings(BARE)


@pytest.mark.parametrize("given", ["Forward", "keep", "true"])
def test_what_becomes_of_others_events_is_one_of_two(given: str) -> None:
    """Another word is an error that says which there are."""
    with pytest.raises(SettingsError, match="POSTBUS_UNMATCHED is `drop` or `forward`"):
        read_settings({**BARE, "POSTBUS_UNMATCHED": given})


def test_space_around_a_value_is_dropped() -> None:
    """Consoles and shells leave it there."""
    settings = read_settings({"POSTBUS_ENVIRONMENT": " test ", "POSTBUS_MAILS_QUEUE": " q\n"})
    assert (settings.environment, settings.mails_queue) == ("test", "q")


@pytest.mark.parametrize(
    ("given", "entries"),
    [
        ("a@x.example", ("a@x.example",)),
        ("a@x.example,@y.example", ("a@x.example", "@y.example")),
        (" a@x.example , , @y.example ,", ("a@x.example", "@y.example")),
        (",", ()),
    ],
)
@pytest.mark.parametrize("name", ["allowed_senders", "allowed_recipients", "published_states"])
def test_lists_are_separated_by_commas(name: str, given: str, entries: tuple[str, ...]) -> None:
    """Empty entries are no entries."""
    settings = read_settings({**BARE, f"POSTBUS_{name.upper()}": given})
    assert getattr(settings, name) == entries


@pytest.mark.parametrize("name", ["a", "0", "production", "pr-17", "a" * 32])
def test_an_environment_is_named_so_that_it_fits_into_ids(name: str) -> None:
    """The name travels in every mail's headers."""
    assert read_settings({"POSTBUS_ENVIRONMENT": name}).environment == name


@pytest.mark.parametrize("name", [None, "", "Local", "-a", "a_b", "a.b", "ä", "a b", "a" * 33])
def test_a_bad_environment_is_refused(name: str | None) -> None:
    """The error names the variable, what it takes and what it is."""
    environment = {} if name is None else {"POSTBUS_ENVIRONMENT": name}
    with pytest.raises(SettingsError, match="POSTBUS_ENVIRONMENT") as caught:
        read_settings(environment)
    assert "1 to 32 lower-case letters, digits and hyphens" in str(caught.value)
    assert repr(name or "") in str(caught.value)


@pytest.mark.parametrize("region", sorted(DIRECTMAIL_REGIONS))
def test_directmails_regions_are_taken(region: str) -> None:
    """Those that its documentation lists."""
    given = {**BARE, "POSTBUS_DIRECTMAIL_REGION": region}
    assert read_settings(given).directmail_region == region


@pytest.mark.parametrize("region", ["cn-beijing", "CN-HANGZHOU", "x"])
def test_another_region_is_refused_with_the_list(region: str) -> None:
    """The SDK would only fail to find the host, at the first mail."""
    with pytest.raises(SettingsError, match="POSTBUS_DIRECTMAIL_REGION") as caught:
        read_settings({**BARE, "POSTBUS_DIRECTMAIL_REGION": region})
    assert region in str(caught.value)
    assert "eu-central-1" in str(caught.value)


@pytest.mark.parametrize("name", ["threads", "unknown_grace_seconds"])
@pytest.mark.parametrize("given", ["0", "-1", "1.5", "many", "1e3", "0x1", "²", "9" * 5000])
def test_a_number_that_is_none_is_refused(name: str, given: str) -> None:
    """The error names the variable and what it is."""
    with pytest.raises(SettingsError, match=f"POSTBUS_{name.upper()} is a whole number from 1"):
        read_settings({**BARE, f"POSTBUS_{name.upper()}": given})


@pytest.mark.parametrize("name", ["calls_per_second", "daily_recipients", "quota_zone_hours"])
@pytest.mark.parametrize("given", ["-1", "1.5", "many"])
def test_a_limit_that_is_none_is_refused(name: str, given: str) -> None:
    """0 keeps no limit; what is no number is no limit either, but a mistake."""
    with pytest.raises(SettingsError, match=f"POSTBUS_{name.upper()} is a whole number from 0"):
        read_settings({**BARE, f"POSTBUS_{name.upper()}": given})


def test_other_variables_do_not_matter() -> None:
    """The platform's own, and variables of a later version, are left alone."""
    assert read_settings({**BARE, "POSTBUS_UNHEARD": "1", "FC_REGION": "x"}) == read_settings(BARE)


def test_each_source_has_several_secrets() -> None:
    """For rotation: all of them are valid; with or without their mark and padding."""
    bare = base64.b64encode(b"x" * 31).decode().rstrip("=")
    settings = read_settings(
        {**BARE, "POSTBUS_HOOK_SECRETS": f" crm = {SECRET}  {bare} ,shop={SECRET},"}
    )
    assert settings.hook_secrets == {"crm": (bytes(24), b"x" * 31), "shop": (bytes(24),)}


@pytest.mark.parametrize(
    "given",
    [
        "crm",
        "crm=",
        f"={SECRET}",
        f"CRM={SECRET}",
        f"a/b={SECRET}",
        "crm=whsec_",
        "crm=c2hvcnQtc2VjcmV0",
        "crm=not!base64!not!base64!not!base64",
        f"crm={SECRET}, crm={SECRET}",
        f"crm={SECRET} c2hvcnQtc2VjcmV0",
    ],
)
def test_a_bad_secret_is_refused_and_not_repeated(given: str) -> None:
    """The error says what the setting takes, and nothing of what it is."""
    with pytest.raises(SettingsError, match=r"POSTBUS_HOOK_SECRETS is like `crm=whsec_") as caught:
        read_settings({**BARE, "POSTBUS_HOOK_SECRETS": given})
    assert given not in str(caught.value).replace("crm=whsec_… ", "")


def test_settings_do_not_show_secrets() -> None:
    """Not even where somebody prints them."""
    given = {**BARE, "POSTBUS_HOOK_SECRETS": f"crm={SECRET}", "POSTBUS_PUSH_TOKEN": "canary-token"}
    shown = repr(read_settings(given))
    assert "canary-token" not in shown
    assert repr(bytes(24)) not in shown


@pytest.mark.parametrize(
    "url", ["mail.example.com", "ftp://x", "https://x?y=1", "https://x y", "https://"]
)
def test_a_public_url_that_is_none_is_refused(url: str) -> None:
    """Nobody would come to it, and signatures would never hold."""
    with pytest.raises(SettingsError, match="POSTBUS_PUBLIC_URL"):
        read_settings({**BARE, "POSTBUS_PUBLIC_URL": url})


def test_our_account_is_in_the_endpoint_of_smq() -> None:
    """Unless another is named: only its topics may push."""
    endpoint = {"POSTBUS_SMQ_ENDPOINT": "https://1234567890123456.mns.cn-hangzhou.aliyuncs.com"}
    assert read_settings({**BARE, **endpoint}).push_account == "1234567890123456"
    other = {**BARE, **endpoint, "POSTBUS_PUSH_ACCOUNT": "42"}
    assert read_settings(other).push_account == "42"
    assert read_settings({**BARE, "POSTBUS_SMQ_ENDPOINT": "http://127.0.0.1:1"}).push_account == ""
