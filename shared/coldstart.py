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
# Module -> what it imports for something that nobody here asks of it: asynchronous lines of the
# log; HTTP/2; pydantic's plug-ins, which it looks for at the first model (ours, that all functions
# have). Reading the metadata of distributions takes zip files, CSV and more.
_WAITING = {
    "structlog": "asyncio",
    "urllib3": "importlib.metadata",
    "shared.schema.mail_event": "importlib.metadata",
}


def begin() -> None:
    """Stop what only costs time while modules are imported."""
    if _CLOUD not in os.environ:
        return
    # Imports make many objects and no garbage: the collector walks through all of them in vain.
    gc.disable()
    # pydantic would look through all installed distributions for plug-ins; there are none.
    # https://docs.pydantic.dev/latest/concepts/plugins/
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    for module, waits in _WAITING.items():
        load(module, without={waits})


def end() -> None:
    """Collect garbage again, but never look at what was imported: it stays."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
