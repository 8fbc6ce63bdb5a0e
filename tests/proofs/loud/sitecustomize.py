"""Python imports this when it starts: every logger of the process says all it has to say.

On `PYTHONPATH` of the functions' workers only. It stands above what the worker, an SDK or a
function sets: no level is too low, no logger is off.
"""

from __future__ import annotations

import logging
from typing import Any


def _enabled(_: logging.Logger, __: int) -> bool:
    return True


def _nothing(*_: Any) -> None:
    return None


# Whoever asks a logger is told yes, and whoever wants to lower it is not heard.
logging.Logger.isEnabledFor = _enabled  # type: ignore[assignment, method-assign]
logging.Logger.setLevel = _nothing  # type: ignore[assignment, method-assign]
logging.disable = _nothing  # type: ignore[assignment]
