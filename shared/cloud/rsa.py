"""Public keys out of certificates, and what they tell.

The package behind it is large, so that only the first push loads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from shared.errors import CertificateUnavailable
from shared.values import dataclass

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

# RSA keys of fewer bits can be broken.
KEY_BITS_MIN = 1024


@dataclass(frozen=True)
class RsaKey:
    """The public key of a certificate."""

    key: RSAPublicKey

    def verify(self, signature: bytes, data: bytes, digest: Literal["SHA1", "SHA256"]) -> bool:
        """Whether this is the key's signature (PKCS#1 v1.5) of the data."""
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415  # for pushes only
        from cryptography.hazmat.primitives import hashes  # noqa: PLC0415  # likewise
        from cryptography.hazmat.primitives.asymmetric import padding  # noqa: PLC0415  # likewise

        # SHA-1 is what SMQ signs with. To forge, one would have to find a second text for a given
        # digest, which nobody can; what is broken is finding two texts of the same digest.
        algorithm = hashes.SHA1() if digest == "SHA1" else hashes.SHA256()  # noqa: S303  # see above
        try:
            self.key.verify(signature, data, padding.PKCS1v15(), algorithm)
        except InvalidSignature:
            return False
        return True

    def recover(self, block: bytes) -> bytes | None:
        """What the private key wrapped (PKCS#1 v1.5, block type 1); None if it was not that key."""
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415  # for pushes only
        from cryptography.hazmat.primitives.asymmetric import padding  # noqa: PLC0415  # likewise

        try:
            return self.key.recover_data_from_signature(block, padding.PKCS1v15(), None)
        except (InvalidSignature, ValueError):
            return None


def read_certificate(data: bytes) -> RsaKey:
    """The RSA key of a certificate in PEM.

    Its dates are not looked at: trust rests on the host that it came from, which can take it away.

    Raises:
        CertificateUnavailable: there is none in it.
    """
    from cryptography import x509  # noqa: PLC0415  # for pushes only
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415  # likewise
    from cryptography.hazmat.primitives.asymmetric.rsa import (  # noqa: PLC0415  # likewise
        RSAPublicKey,
    )

    try:
        key = x509.load_pem_x509_certificate(data).public_key()
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion):
        raise CertificateUnavailable("what is at the address is no certificate") from None
    if not isinstance(key, RSAPublicKey) or key.key_size < KEY_BITS_MIN:
        raise CertificateUnavailable("the certificate's key cannot be used")
    return RsaKey(key)
