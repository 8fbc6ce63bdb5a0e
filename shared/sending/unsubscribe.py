"""Unsubscribe links: an address on our own domain for each mail and recipient, sealed.

A link has to work without the ledger, whose rows go after some weeks, and for years. So it carries
all there is to know: the mail, the recipient, and what the recipient would unsubscribe from. It is
encrypted, since it is passed on and logged by strangers, and it cannot be made by anybody else.

The seal is deterministic authenticated encryption in the manner of RFC 5297, with HMAC-SHA256 for
its functions: the tag is made from the plain text and is also where the key stream begins, so the
same mail has the same link in every attempt, and no number has to be unique.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import field
from functools import cached_property
from itertools import count

from shared.values import dataclass

VERSION = "1"
PATH = "/unsubscribe/"
TAG_BYTES = 16
# Far beyond what two addresses need.
TOKEN_MAX = 900
_PARTS = ("mail_id", "recipient", "scope")


@dataclass(frozen=True)
class Unsubscribe:
    """What a link stands for: a recipient of a mail wants no more mails of a scope."""

    mail_id: str
    recipient: str
    scope: str


@dataclass(frozen=True)
class UnsubscribeLinks:
    """Makes links and reads them.

    Args:
        base: where the function `webhooks` is reached, without a slash at the end.
        secret: the key; whoever has it can unsubscribe anybody.
        environment: ours; another one's links are none here, even with the same key.
    """

    base: str
    secret: bytes = field(repr=False)
    environment: str

    def link(self, wish: Unsubscribe) -> str:
        """The address that unsubscribes."""
        return f"{self.base}{PATH}{self.token(wish)}"

    def headers(self, wish: Unsubscribe) -> dict[str, str]:
        """The two headers by which a mail program shows the link as a button.

        https://www.rfc-editor.org/rfc/rfc8058#section-3.1
        """
        return {
            "List-Unsubscribe": f"<{self.link(wish)}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        }

    def token(self, wish: Unsubscribe) -> str:
        """The sealed part of a link, in the alphabet of base64url."""
        plain = f"{wish.mail_id}\0{wish.recipient}\0{wish.scope}".encode()
        tag = self._tag(plain)
        sealed = base64.urlsafe_b64encode(tag + self._crypt(tag, plain)).decode().rstrip("=")
        return VERSION + sealed

    def read(self, token: str) -> Unsubscribe | None:
        """What a token stands for; None where it is not one of ours, whatever it is."""
        if not token.startswith(VERSION) or len(token) > TOKEN_MAX or not token.isascii():
            return None
        sealed = token[len(VERSION) :]
        try:
            raw = base64.b64decode(sealed + "=" * (-len(sealed) % 4), altchars="-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        tag = raw[:TAG_BYTES]
        plain = self._crypt(tag, raw[TAG_BYTES:])
        if not hmac.compare_digest(tag, self._tag(plain)):
            return None
        parts = plain.decode().split("\0")
        return Unsubscribe(*parts) if len(parts) == len(_PARTS) else None

    @cached_property
    def _keys(self) -> tuple[bytes, bytes]:
        """A key for the tag and one for the key stream, used for nothing else."""
        label = f"postbus/unsubscribe/{VERSION}/{self.environment}/"
        return self._derived(label + "tag"), self._derived(label + "stream")

    def _derived(self, label: str) -> bytes:
        return hmac.digest(self.secret, label.encode(), "sha256")

    def _tag(self, plain: bytes) -> bytes:
        return hmac.digest(self._keys[0], plain, "sha256")[:TAG_BYTES]

    def _crypt(self, tag: bytes, text: bytes) -> bytes:
        """Encrypt, or decrypt: the text joined with a key stream that begins at the tag."""
        stream = b""
        for number in count():
            if len(stream) >= len(text):
                break
            stream += hmac.digest(self._keys[1], tag + number.to_bytes(4, "big"), "sha256")
        return bytes(a ^ b for a, b in zip(text, stream, strict=False))
