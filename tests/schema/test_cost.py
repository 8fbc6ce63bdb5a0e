"""What the schema costs a cold start: pydantic, and little else."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
import pydantic
from pydantic import BaseModel, BeforeValidator, Discriminator, model_validator
class Some(BaseModel):
    field: int = 1
before = set(sys.modules)
import shared.schema.mail_request
import shared.schema.mail_event
print(*sorted(set(sys.modules) - before))
"""

# What pydantic has not loaded by itself: all small, all of the standard library.
ALLOWED = {"binascii", "unicodedata", "datetime", "_datetime", "__future__", "shared"}


def test_importing_the_contract_loads_no_library_beside_pydantic() -> None:
    """Neither idna, nor pydantic's e-mail and JSON Schema machinery, nor the exporter."""
    ran = subprocess.run(  # noqa: S603  # our own interpreter and program
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    loaded = ran.stdout.split()
    assert "shared.schema.mail_request" in loaded
    assert "shared.schema.export" not in loaded
    foreign = {name for name in loaded if not name.startswith("shared.schema")} - ALLOWED
    assert {name for name in foreign if not name.startswith("pydantic")} == set()
