"""A mail whose outcome is unknown: the channel's pulse, and what is done with the mail."""

from __future__ import annotations

from itertools import product

import pytest

from shared.sending.unknowns import PATIENCE, RECENT, RESENDS_MAX, channel_is_alive, settle
from shared.stores.ledger import Channel

GRACE = 900_000
AT = 1_795_348_800_000

# What is known of the sender's events, and how far their queue is behind -> whether it is alive.
CHANNELS: dict[str, tuple[Channel, int | None, bool]] = {
    "nothing is known": (Channel(), 0, False),
    "sent, and never an event": (Channel(sent_at=AT + 9), 0, False),
    "an event of the attempt's time": (Channel(AT, AT), 0, True),
    "an event of a later call": (Channel(AT + 9, AT + 9), 0, True),
    "of a later call, others still out": (Channel(AT + 99, AT + 9), 0, True),
    "the latest call has its event": (Channel(AT - 9, AT - 9), 0, True),
    "a later call has none": (Channel(AT + 1, AT - 9), 0, False),
    "the latest call's event is old": (Channel(AT - RECENT, AT - RECENT), 0, True),
    "too old": (Channel(AT - RECENT - 1, AT - RECENT - 1), 0, False),
    "the queue is a little behind": (Channel(AT, AT), GRACE - 1, True),
    "the queue is a grace behind": (Channel(AT, AT), GRACE, False),
    "nobody knows the queue": (Channel(AT + 9, AT + 9), None, False),
}


@pytest.mark.parametrize(("channel", "lag", "alive"), CHANNELS.values(), ids=CHANNELS)
def test_a_channels_pulse(channel: Channel, lag: int | None, *, alive: bool) -> None:
    """Alive is a channel through which the attempt's event would have come by now."""
    assert channel_is_alive(channel, attempted_at=AT, lag=lag, grace=GRACE) is alive


# The wish, whether the channel is alive, whether a sighting speaks against a resend, how often it
# was sent again, for how many graces it is unknown -> what is done.
SETTLEMENTS: list[tuple[str, bool, bool, int, int, str]] = [
    ("resend", True, False, 0, 1, "resend"),
    ("resend", True, False, 0, PATIENCE, "resend"),
    ("resend", True, True, 0, 1, "hold"),
    ("resend", True, False, RESENDS_MAX, 1, "hold"),
    ("resend", False, False, 0, 1, "wait"),
    ("resend", False, False, 0, PATIENCE - 1, "wait"),
    ("resend", False, False, 0, PATIENCE, "hold"),
    ("resend", False, True, 0, 1, "hold"),
    ("resend", False, False, RESENDS_MAX, 1, "hold"),
    ("hold", True, False, 0, 1, "hold"),
    ("hold", False, False, 0, 1, "hold"),
]


@pytest.mark.parametrize(("wish", "alive", "sighted", "resent", "graces", "done"), SETTLEMENTS)
def test_what_is_done(
    *, wish: str, alive: bool, sighted: bool, resent: int, graces: int, done: str
) -> None:
    """Sent again, once, is what may be while silence means something; else a person decides."""
    decided = settle(
        wish=wish,
        alive=alive,
        sighted=sighted,
        resent=resent,
        unknown_since=AT,
        now=AT + graces * GRACE,
        grace=GRACE,
    )
    assert decided == done


def test_nothing_waits_for_ever() -> None:
    """After `PATIENCE` graces there is a decision, whatever the circumstances."""
    for wish, alive, sighted, resent in product(("resend", "hold"), (0, 1), (0, 1), (0, 1, 2)):
        decided = settle(
            wish=wish,
            alive=bool(alive),
            sighted=bool(sighted),
            resent=resent,
            unknown_since=AT,
            now=AT + PATIENCE * GRACE,
            grace=GRACE,
        )
        assert decided in {"resend", "hold"}
