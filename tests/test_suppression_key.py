"""The key of suppressions: without one nothing begins but on one machine."""

from __future__ import annotations

import pytest

from shared.errors import SettingsError
from shared.settings import Settings, read_settings
from shared.wiring.policy import make_links, read_secret

KEY = "k" * 32


def test_an_environment_needs_a_key() -> None:
    """A deployment without it ends in its initializer, with the setting's name."""
    with pytest.raises(SettingsError, match="POSTBUS_SUPPRESSION_KEY is missing"):
        read_secret(Settings("production"))
    assert read_secret(Settings("production", suppression_key=KEY)) == KEY.encode()


def test_one_machine_has_one() -> None:
    """Nothing has to be set to try Postbus out; what is set counts there, too."""
    assert read_secret(Settings("local"))
    assert read_secret(Settings("local", suppression_key=KEY)) == KEY.encode()


def test_a_short_key_is_refused_and_not_repeated() -> None:
    """An error's message is in logs, where a secret has no business."""
    short = {"POSTBUS_ENVIRONMENT": "local", "POSTBUS_SUPPRESSION_KEY": "secret-word"}
    with pytest.raises(SettingsError, match="POSTBUS_SUPPRESSION_KEY") as caught:
        read_settings(short)
    assert "secret-word" not in str(caught.value)
    assert KEY not in repr(Settings("local", suppression_key=KEY))


@pytest.mark.parametrize("given", ["yes", "1", "True", "no"])
def test_flags_are_true_or_false(given: str) -> None:
    """Nothing else is taken for one of them."""
    with pytest.raises(SettingsError, match="POSTBUS_STORE_ADDRESSES"):
        read_settings({"POSTBUS_ENVIRONMENT": "local", "POSTBUS_STORE_ADDRESSES": given})


@pytest.mark.parametrize(
    ("environment", "url", "works"),
    [
        ("production", "https://mail.example.com", True),
        ("production", "http://mail.example.com", False),
        ("production", "", False),
        ("local", "http://127.0.0.1:8025", True),
    ],
)
def test_links_need_https(environment: str, url: str, works: bool) -> None:
    """Mail programs post to https only; this machine has none."""
    settings = Settings(environment, public_url=url, suppression_key=KEY)
    assert (make_links(settings) is not None) is works


def test_a_long_address_is_refused() -> None:
    """With two addresses sealed in it, a link has to fit into a line of a mail."""
    settings = Settings("local", public_url="https://" + "a" * 200)
    with pytest.raises(SettingsError, match="POSTBUS_PUBLIC_URL"):
        make_links(settings)
