"""A bounce's cause, and whom it concerns: the values that the tables of reasons are made of."""

from __future__ import annotations

from typing import NamedTuple

from shared.delivery.facts import Bounce

PERMANENT: Bounce = "permanent"
TEMPORARY: Bounce = "temporary"
SENDER: Bounce = "sender-side"


class Cause(NamedTuple):
    """Why a mail bounced.

    Attributes:
        reason: a key of `reasons.REASONS`.
        bounce: whom it concerns; None in a table: by the class of the reply code.
        by: which of the four answered: `failed_type`, `answer`, `status` or `class`.
    """

    reason: str
    bounce: Bounce | None
    by: str = "failed_type"
