"""What can be known of one recipient of one attempt of a mail, and how it adds up.

Events come in any order and more than once, so what is known only grows: a set of words, joined by
union. Two kinds of words are in it.

- A *state* is where the mail has got to. States have a rank, and the highest known one holds: after
  a delivery a bounce may still come (the host took the mail and gave it back), while a delivery
  that is told after the bounce is an older one. So the order of arrival does not matter.
- A *mark* is what somebody did with the mail. Marks hold beside the state and beside each other,
  and change nothing of it: an open may be told before the delivery.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from shared.schema.states import RECIPIENT_MARKS, RECIPIENT_STATES

# Lowest rank first; before the first event, nothing is known.
STATES: tuple[str, ...] = RECIPIENT_STATES
MARKS: tuple[str, ...] = RECIPIENT_MARKS

# An address was checked (`Validator:GrayListResult`): said of no mail, so neither state nor mark.
VALIDATED = "validated"

SENTENCES: Mapping[str, str] = {
    "delivered": "The recipient's host has taken the mail.",
    "bounced": "DirectMail has given up; wins over `delivered`, whichever was told first.",
    "opened": "The mail was looked at.",
    "clicked": "A link in it was followed.",
    "complained": "The recipient called it spam at their provider.",
    "unsubscribed": "The recipient wants no more mail from this sender.",
    "resubscribed": "The recipient takes that back; of the two, the one that happened later holds.",
}


def state_of(known: Collection[str]) -> str | None:
    """The state that holds when these states and marks are known; None while there is no state."""
    return next((state for state in reversed(STATES) if state in known), None)
