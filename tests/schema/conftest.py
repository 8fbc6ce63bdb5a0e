"""A good mail to spoil, and what the parser says about it then."""

from __future__ import annotations

from typing import Any

import pytest

from shared.schema.mail_request import parse_mail
from shared.schema.problems import InvalidMail, Problem
from tests.schema.samples import SMALLEST, Refusals, Told


@pytest.fixture
def good() -> dict[str, Any]:
    """The smallest mail there is; tests add to it and spoil it."""
    return dict(SMALLEST)


@pytest.fixture
def refusals() -> Refusals:
    """The problems of a document that must be refused, none of them the catch-all."""

    def find(document: Any) -> tuple[Problem, ...]:
        with pytest.raises(InvalidMail) as caught:
            parse_mail(document)
        assert caught.value.problems
        assert "invalid" not in {problem.type for problem in caught.value.problems}
        return caught.value.problems

    return find


@pytest.fixture
def told(refusals: Refusals) -> Told:
    """The same, as pairs of type and pointer."""
    return lambda document: [(problem.type, problem.pointer) for problem in refusals(document)]
