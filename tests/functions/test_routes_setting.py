"""POSTBUS_ROUTES: a document in the variable or in a file, and what a mistake in it looks like."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from shared.app import build_forwarder
from shared.errors import SettingsError


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """Builds the function's app with this setting; its routing. The logs are reset at the end."""

    def routing(routes: str) -> Any:
        for name, value in {
            "ENVIRONMENT": "test",
            "SMQ_ENDPOINT": "http://127.0.0.1:9",
            "LEDGER": f"sqlite:{tmp_path / 'ledger.db'}",
            "SUPPRESSION_KEY": "0123456789abcdef" * 2,
            "EVENTS_TOPIC": "postbus-test-mail-events",
            "ROUTES": routes,
        }.items():
            monkeypatch.setenv(f"POSTBUS_{name}", value)
        return build_forwarder().use.outlet.routing

    yield routing
    structlog.reset_defaults()


def test_without_routes_there_is_the_topic(build: Any) -> None:
    """Nothing to set up, and nothing to pay for."""
    assert build("").default == ("topic:postbus-test-mail-events",)


def test_routes_from_the_variable_or_from_a_file(build: Any, tmp_path: Path) -> None:
    """The same document, as JSON or by its path."""
    document = '{"rules": [{"to": "queue:q-{environment}"}]}'
    file = tmp_path / "routes.json"
    file.write_text(document)
    assert build(document) == build(str(file))
    assert build(document).knows("queue:q-test")


@pytest.mark.parametrize(
    ("routes", "told"),
    [
        ('{"rules": [{"to": "x"}]}', "POSTBUS_ROUTES: /rules/0/to/0 must be `events`"),
        ("{", "POSTBUS_ROUTES: / is not JSON"),
        ("missing.json", "POSTBUS_ROUTES is a JSON object or the path of a file"),
    ],
)
def test_a_mistake_stops_the_start_and_says_where(build: Any, routes: str, told: str) -> None:
    """The function does not run with half of its routes."""
    with pytest.raises(SettingsError) as wrong:
        build(routes)
    assert str(wrong.value).startswith(told)


def test_a_mistake_in_a_file_names_the_file(build: Any, tmp_path: Path) -> None:
    """And the place in it."""
    file = tmp_path / "routes.json"
    file.write_text('{"rules": [{"when": {"stat": "x"}, "to": "events"}]}')
    with pytest.raises(SettingsError, match=r"routes\.json: /rules/0/when/stat"):
        build(str(file))
