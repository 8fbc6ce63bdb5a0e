"""What goes on the reject queue: the message that could not be taken, whole, and the reason.

Nothing is cut off: a body that does not fit beside its reason is compressed, and if even that is
too much it goes in parts that carry the same id.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence
from typing import Any

from shared.schema.problems import Problem
from shared.sending.letters import QUEUE_PAYLOAD_MAX, compact

# Room for a part's own fields beside its share of the body.
_PART_BYTES = QUEUE_PAYLOAD_MAX * 2 // 3
_PROBLEMS_SHOWN = 20


def reject_letters(
    body: bytes, *, message_id: str, reason: str, problems: Sequence[Problem], at: str
) -> list[str]:
    """The message bodies for the reject queue: one, or several parts for a very large one.

    Args:
        body: the rejected message's body, base64 undone.
        message_id: SMQ's id of it.
        reason: a type in kebab-case.
        problems: what is wrong, in detail; the first `_PROBLEMS_SHOWN` are told.
        at: RFC 3339.
    """
    head: dict[str, Any] = {
        "postbus_rejected": 1,
        "message_id": message_id,
        "at": at,
        "reason": reason,
        "problems": [problem.as_dict() for problem in problems[:_PROBLEMS_SHOWN]],
        "problems_in_all": len(problems),
    }
    for whole in (_as_text(body), _as_base64(body), _as_zlib(body)):
        letter = compact({**head, **whole})
        if whole and len(letter.encode()) <= QUEUE_PAYLOAD_MAX:
            return [letter]
    packed = _as_zlib(body)["body_zlib"]
    parts = [packed[i : i + _PART_BYTES] for i in range(0, len(packed), _PART_BYTES)]
    return [
        compact({**head, "part": number, "parts": len(parts), "body_zlib": part})
        for number, part in enumerate(parts, start=1)
    ]


def _as_text(body: bytes) -> dict[str, str]:
    try:
        return {"body": body.decode()}
    except UnicodeDecodeError:
        return {}


def _as_base64(body: bytes) -> dict[str, str]:
    return {"body_base64": base64.b64encode(body).decode()}


def _as_zlib(body: bytes) -> dict[str, str]:
    return {"body_zlib": base64.b64encode(zlib.compress(body, 9)).decode()}
