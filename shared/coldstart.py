"""A function's first moments: nothing in the way of the imports, everything ready afterwards.

`functions/__init__.py` calls `begin` before anything else is imported, and `Instance.ready` calls
`end` when the instance is ready to work. docs/cold-start.md has the figures.
"""

from __future__ import annotations

import gc
import os

from shared.sdk_loading import load

# Where Function Compute keeps the code; anywhere else `begin` leaves the process as it is.
_CLOUD = "FC_FUNC_CODE_PATH"


def begin() -> None:
    """Stop what only costs time while modules are imported."""
    if _CLOUD not in os.environ:
        return
    # Imports make many objects and no garbage: the collector walks through all of them in vain.
    gc.disable()
    # pydantic would look through all installed distributions for plug-ins; there are none.
    # https://docs.pydantic.dev/latest/concepts/plugins/
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    # Only structlog's asynchronous methods need it, which nobody here calls.
    load("structlog", without={"asyncio"})


def end() -> None:
    """Collect garbage again, but never look at what was imported: it stays."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
