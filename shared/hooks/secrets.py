"""The secrets that other programs sign with, as the setting lists them.

crm=whsec_… whsec_…, shop=whsec_…
"""

from __future__ import annotations

import base64
import binascii
import re

from shared.errors import SettingsError

_SOURCE = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_MARK = "whsec_"
# The scheme wants 24 to 64 bytes; fewer than 16 keep nobody out.
# https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
BYTES_MIN = 16


def read_secrets(text: str) -> dict[str, tuple[bytes, ...]]:
    """The secrets of each source.

    Raises:
        SettingsError: a name or a secret is malformed; nothing of the text is repeated in it.
    """
    secrets: dict[str, tuple[bytes, ...]] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        source, _, listed = part.partition("=")
        found = tuple(_secret(each) for each in listed.split())
        name = source.strip()
        if not _SOURCE.fullmatch(name) or name in secrets or not found or not all(found):
            raise SettingsError(
                "POSTBUS_HOOK_SECRETS is like `crm=whsec_… whsec_…, shop=whsec_…`: names of lower-"
                "case letters, digits and hyphens, each once, with secrets in base64 of at least "
                f"{BYTES_MIN} bytes"
            )
        secrets[name] = found
    return secrets


def _secret(text: str) -> bytes:
    """A secret's bytes, also where its padding was left out; none if malformed or too short."""
    try:
        bare = text.removeprefix(_MARK)
        secret = base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""
    return secret if len(secret) >= BYTES_MIN else b""
