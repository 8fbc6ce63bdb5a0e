"""How the twin misbehaves on request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["busy", "down", "lost-answer", "slow"]


@dataclass(frozen=True)
class Fault:
    """What happens to one request.

    Attributes:
        kind: `down`: the connection is reset and nothing done. `busy`: refused with
            `OTSServerBusy`, and nothing done. `lost-answer`: done, and the connection reset.
            `slow`: done after `seconds`, whether or not somebody still waits.
        seconds: how long `slow` takes.
    """

    kind: Kind
    seconds: float = 0.0
