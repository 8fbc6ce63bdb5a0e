"""A mail whose outcome is unknown, and the evidence about it. Pure.

Absence of evidence counts only while the channel that would bring it is alive. It is, if an event
of a call as late as this one has come in; or if the latest call that DirectMail accepted has had
its event, not too long before this one; and in both cases the queue of delivery events is not
behind.
"""

from __future__ import annotations

from typing import Literal

from shared.stores.ledger import Channel

# So old an event may be and still say that the sender's events come in. In ms.
RECENT = 24 * 3_600_000
# After so many graces without a sign of life from the channel, a person decides.
PATIENCE = 8
# A mail is sent again once. If nobody knows what became of that either, a person decides: of
# calls whose answers and events are all lost, nobody could say how many mails they were.
RESENDS_MAX = 1

# A sender's channel is noted so often at the most, by one instance: it is no counter. In ms.
NOTE_EVERY = 5_000

Settlement = Literal["resend", "hold", "wait"]


def channel_is_alive(channel: Channel, *, attempted_at: int, lag: int | None, grace: int) -> bool:
    """Whether a delivery event of the attempt would have come in by now.

    Args:
        channel: what is known of the sender's events.
        attempted_at: when the attempt was made, in ms since 1970.
        lag: how old the oldest event on the queue is, in ms; None where that is not known.
        grace: in ms.
    """
    if lag is None or lag >= grace or not channel.proven_at:
        return False
    if channel.proven_at >= attempted_at:
        return True
    recent = channel.proven_at >= attempted_at - RECENT
    return recent and channel.proven_at >= channel.sent_at


def settle(  # noqa: PLR0913  # each is a fact of its own, given by name
    *,
    wish: str,
    alive: bool,
    sighted: bool,
    resent: int,
    unknown_since: int,
    now: int,
    grace: int,
) -> Settlement:
    """What to do with a mail that is still unknown when its grace is over.

    Args:
        wish: the mail's `on_unknown`.
        alive: whether the channel is.
        sighted: whether an unmatched event for the same sender and recipient came after the
            attempt: too weak to prove the send, too strong to send again.
        resent: how often it was sent again already.
        unknown_since: in ms since 1970.
        now: likewise.
        grace: in ms.
    """
    if wish == "hold" or sighted or resent >= RESENDS_MAX:
        return "hold"
    if alive:
        return "resend"
    return "hold" if now >= unknown_since + PATIENCE * grace else "wait"
