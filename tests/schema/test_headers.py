"""The headers a sender may put on a mail."""

from __future__ import annotations

from typing import Any

import pytest

from shared.schema.mail_request import parse_mail
from tests.schema.samples import BAD_HEADERS, GOOD_HEADERS, Told


@pytest.mark.parametrize(("field", "headers"), GOOD_HEADERS)
def test_the_documented_headers_are_taken(
    field: str, headers: dict[str, str], good: dict[str, Any]
) -> None:
    """Values stay as they are, byte for byte."""
    taken = getattr(parse_mail({**good, field: headers}), field)
    assert list(taken.values()) == list(headers.values())


@pytest.mark.parametrize(("field", "headers", "problems"), BAD_HEADERS)
def test_what_directmail_would_drop_or_misread_is_refused(
    field: str,
    headers: dict[str, str],
    problems: list[tuple[str, str]],
    good: dict[str, Any],
    told: Told,
) -> None:
    """Each header is told by itself, at its own name."""
    assert told({**good, field: headers}) == problems
